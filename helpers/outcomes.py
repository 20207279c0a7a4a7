"""batch -> outcome -> table: what came of every request, in the order of the reader's rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import orjson
import pandas as pd
from openai.types import Batch
from pydantic import BaseModel, ValidationError

from helpers import batchfile
from helpers.jobs import FINAL, Job, download

# What can go better on a second try. Client errors, refusals and filters come back the same.
_RETRY_STATUS = {408, 409, 429}
_RETRY_CODE = {"batch_expired", "batch_cancelled"}

_STATE_OF = {
    "completed": "was completed without this line",
    "expired": "expired before this line was run",
    "cancelled": "was cancelled before this line was run",
    "failed": "was refused",
}

TOKENS = ["prompt_tokens", "cached_tokens", "completion_tokens"]


class Outcome(NamedTuple):
    """What came of one request: ``ok``, ``failed`` with code and reason, or ``missing``.

    ``answer`` is the text, or an instance of the answer model, and None unless ok. ``retry`` says
    whether a second try can help. The tokens are those of the answer's ``usage``, 0 without one.
    """

    outcome: str
    code: str = ""
    reason: str = ""
    retry: bool = False
    answer: Any = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    round: int = 1


def collect(client: openai.OpenAI, job: Job, answer: type[BaseModel] | None = None) -> pd.DataFrame:
    """One line per request of the job, in the order of the requests, indexed by custom_id.

    Columns: outcome (ok, failed, missing), code, reason, retry, then the fields of the answer
    model (or ``answer``, the text, without one), prompt_tokens, cached_tokens, completion_tokens,
    round. A field named like one of the other columns becomes ``answer_<field>``.
    Output and error file are merged by custom_id, because neither keeps the order of the input
    (Batch guide). Nothing raises for a line that failed: its reason stands in the table.
    """
    outcomes: dict[str, Outcome] = {}
    for shard, batch, paths in download(client, job):
        ids = [request["custom_id"] for request in batchfile.read(shard.path)]
        reason = f"The batch {_STATE_OF.get(batch.status, 'is ' + batch.status)}."
        missing = Outcome("missing", "no_line", reason, retry=batch.status in FINAL)
        found = dict.fromkeys(ids, missing) | dict(_refusals(batch, ids))
        for path in paths:
            for line in _lines(path):
                if line["custom_id"] in found:
                    found[line["custom_id"]] = outcome_of(line, answer)
        outcomes |= {id: outcome._replace(round=shard.round) for id, outcome in found.items()}
    return _table(outcomes, answer)


def outcome_of(line: dict, answer: type[BaseModel] | None = None) -> Outcome:
    """The outcome of one line of an output or error file.

    A request that the API rejected has ``error: null`` and its cause in ``response.body.error``
    (https://github.com/openai/openai-openapi/issues/302); only a line that never ran has ``error``.
    """
    response = _object(line.get("response"))
    status, body = _number(response.get("status_code")), response.get("body")
    if status == 200 and isinstance(body, dict):
        return _answered(body, answer)
    cause = _object(body).get("error") or line.get("error") or body
    code = str(_object(cause).get("code") or (f"http_{status}" if status else "unknown_error"))
    reason = _object(cause).get("message") or cause or "The line gives no reason."
    broken = status >= 500 or response.get("status_code") == 0
    again = broken or code in _RETRY_CODE or status in _RETRY_STATUS
    return Outcome("failed", code, str(reason), again)


def merge(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of a job with those of its retry put in place; tokens of both tries add up."""
    merged = pd.concat([first[~first.index.isin(second.index)], second]).loc[first.index]
    merged.index = first.index
    earlier = first.loc[second.index, TOKENS].reindex(first.index, fill_value=0)
    return merged.assign(**{column: merged[column] + earlier[column] for column in TOKENS})


def retry(job: Job, outcomes: pd.DataFrame) -> list[batchfile.Shard]:
    """The batch files of the requests that can succeed on another try; an empty list if none can.

    They lie in a folder of their own inside the job's, ready for `submit` like those of `write`.
    The same outcomes make the same files, so that they are not paid for twice; outcomes merged
    with those of a retry that failed again make the files of the next round.
    """
    again = outcomes[outcomes["retry"]]
    if again.empty:
        return []
    requests = (
        request
        for shard in job.shards
        for request in batchfile.read(shard.path)
        if request["custom_id"] in again.index
    )
    number = int(again["round"].max()) + 1
    return batchfile.write(requests, job.folder / f"round-{number}", round=number)


def _lines(path: Path) -> Iterator[dict]:
    """The lines of a result file that name a request; the rows of all others stay missing."""
    with path.open("rb") as lines:
        for text in lines:
            try:
                line = orjson.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
                yield line


def _answered(body: dict, model: type[BaseModel] | None) -> Outcome:
    usage = _object(body.get("usage"))
    cached = _object(usage.get("prompt_tokens_details")).get("cached_tokens")
    counts = (usage.get("prompt_tokens"), cached, usage.get("completion_tokens"))
    tokens = dict(zip(TOKENS, map(_number, counts), strict=True))
    choices = body.get("choices")
    choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
    message, finish = _object(choice.get("message")), choice.get("finish_reason")
    content = message.get("content")
    # The SDK checks these only in .parse(); a line of a batch has to be checked by hand.
    if message.get("refusal"):
        return Outcome("failed", "refusal", str(message["refusal"]), **tokens)
    if finish == "length":
        reason = f"Cut off after {tokens['completion_tokens']} tokens: raise max_completion_tokens."
        return Outcome("failed", "truncated", reason, **tokens)
    if finish == "content_filter":
        return Outcome("failed", finish, "The content filter stopped the answer.", **tokens)
    if not isinstance(content, str):
        return Outcome("failed", "no_content", "The answer has no text.", **tokens)
    try:
        parsed = model.model_validate_json(content) if model else content
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors()]
        return Outcome("failed", "invalid_answer", "; ".join(reasons), **tokens)
    return Outcome("ok", answer=parsed, **tokens)


def _refusals(batch: Batch, ids: list[str]) -> Iterator[tuple[str, Outcome]]:
    """What a batch that failed its validation says of each line; one bad line fails them all.

    An error without a line number is not about the requests (the queue was full, the file not
    found), so another try can help.
    """
    errors = (batch.errors.data if batch.errors else None) or []
    if batch.status != "failed" or not errors:
        return
    own = {error.line: error for error in errors}
    for number, custom_id in enumerate(ids, start=1):
        error = own.get(number, errors[0])
        blame = "" if error.line == number else "The batch was refused: "
        reason = f"{blame}{error.message}"
        yield custom_id, Outcome("failed", error.code or "", reason, retry=error.line is None)


def _table(outcomes: dict[str, Outcome], model: type[BaseModel] | None) -> pd.DataFrame:
    table = pd.DataFrame(outcomes.values(), columns=Outcome._fields, dtype=object)
    table.index = pd.Index(list(outcomes), name="custom_id", dtype=object)
    table = table.astype(dict.fromkeys([*TOKENS, "round"], int) | {"retry": bool})
    if model is None:
        return table
    answers, place = table.pop("answer"), table.columns.get_loc("retry") + 1
    for field in reversed(model.model_fields):
        name = f"answer_{field}" if field in Outcome._fields else field
        values = [getattr(answer, field, None) for answer in answers]
        table.insert(place, name, pd.Series(values, index=table.index, dtype=object))
    return table


def _number(value: Any) -> int:
    """The value if it is a number that can count something, else 0."""
    return value if isinstance(value, int) and value > 0 else 0


def _object(value: Any) -> dict:
    """The value if it is a JSON object; other servers put text where the API puts objects."""
    return value if isinstance(value, dict) else {}
