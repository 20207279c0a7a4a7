"""batch -> outcome -> table: what came of every request, in the order of the reader's rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import orjson
import pandas as pd
from pydantic import BaseModel, ValidationError

from helpers import batchfile
from helpers.jobs import FINAL, Job, download

# What can go better on a second try. Client errors, refusals and filters come back the same.
_RETRY_STATUS = {408, 409, 429}
_RETRY_CODE = {"batch_expired", "batch_cancelled"}

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


def collect(client: openai.OpenAI, job: Job, answer: type[BaseModel] | None = None) -> pd.DataFrame:
    """One line per request of the job, in the order of the requests, indexed by custom_id.

    Columns: outcome (ok, failed, missing), code, reason, retry, then the fields of the answer
    model (or ``answer``, the text, without one), prompt_tokens, cached_tokens, completion_tokens.
    Output and error file are merged by custom_id, because neither keeps the order of the input
    (Batch guide). Nothing raises for a line that failed: its reason stands in the table.
    """
    outcomes: dict[str, Outcome] = {}
    for shard, batch, paths in download(client, job):
        status = batch.status
        late = "finished without this line" if status in FINAL else f"is {status}"
        missing = Outcome("missing", "no_line", f"The batch {late}.", retry=status in FINAL)
        ids = [request["custom_id"] for request in batchfile.read(shard.path)]
        outcomes |= dict.fromkeys(ids, missing) | dict(_refusals(batch, ids))
        for path in paths:
            for line in _lines(path):
                if line["custom_id"] in outcomes:
                    outcomes[line["custom_id"]] = outcome_of(line, answer)
    return _table(outcomes, answer)


def outcome_of(line: dict, answer: type[BaseModel] | None = None) -> Outcome:
    """The outcome of one line of an output or error file.

    A request that the API rejected has ``error: null`` and its cause in ``response.body.error``
    (https://github.com/openai/openai-openapi/issues/302); only a line that never ran has ``error``.
    """
    response = line.get("response") or {}
    status, body = response.get("status_code"), response.get("body") or {}
    if status == 200:
        return _answered(body, answer)
    cause = body.get("error") or line.get("error") or {}
    code = cause.get("code") or (f"http_{status}" if status else "unknown_error")
    again = code in _RETRY_CODE or status in _RETRY_STATUS or status == 0 or (status or 0) >= 500
    return Outcome("failed", code, cause.get("message") or "The line gives no reason.", again)


def merge(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of a job with those of its retry put in place; tokens of both tries add up."""
    merged = pd.concat([first[~first.index.isin(second.index)], second]).loc[first.index]
    earlier = first.loc[second.index, TOKENS].reindex(first.index, fill_value=0)
    return merged.assign(**{column: merged[column] + earlier[column] for column in TOKENS})


def retry(job: Job, outcomes: pd.DataFrame) -> list[batchfile.Shard]:
    """The batch files of the requests that can succeed on a second try; an empty list if none can.

    They lie in a folder of their own inside the job's, ready for `submit` like those of `write`.
    """
    again = set(outcomes.index[outcomes["retry"]])
    if not again:
        return []
    requests = (
        request
        for shard in job.shards
        for request in batchfile.read(shard.path)
        if request["custom_id"] in again
    )
    number = job.shards[0].round + 1
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
    usage = body.get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    tokens = (usage.get("prompt_tokens", 0), cached, usage.get("completion_tokens", 0))
    choice = (body.get("choices") or [{}])[0]
    message, finish = choice.get("message") or {}, choice.get("finish_reason")
    content = message.get("content")
    # The SDK checks these only in .parse(); a line of a batch has to be checked by hand.
    if message.get("refusal"):
        return Outcome("failed", "refusal", message["refusal"], False, None, *tokens)
    if finish == "length":
        reason = f"Cut off after {tokens[2]} tokens: raise max_completion_tokens."
        return Outcome("failed", "truncated", reason, False, None, *tokens)
    if finish == "content_filter" or content is None:
        reason = "The content filter stopped the answer." if content is None else "No content."
        return Outcome("failed", finish or "no_content", reason, False, None, *tokens)
    try:
        parsed = model.model_validate_json(content) if model else content
    except ValidationError as error:
        reason = "; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors())
        return Outcome("failed", "invalid_answer", reason, False, None, *tokens)
    return Outcome("ok", "", "", False, parsed, *tokens)


def _refusals(batch: Any, ids: list[str]) -> list[tuple[str, Outcome]]:
    """What a batch that failed its validation says of each line; one bad line fails them all."""
    errors = (batch.errors.data if batch.errors else None) or []
    if batch.status != "failed" or not errors:
        return []
    first = errors[0]
    reason = f"The batch was refused: {first.message}"
    every = Outcome("failed", first.code or "", reason, first.code == "token_limit_exceeded")
    own = {error.line: Outcome("failed", error.code or "", error.message or "") for error in errors}
    return [(custom_id, own.get(number, every)) for number, custom_id in enumerate(ids, start=1)]


def _table(outcomes: dict[str, Outcome], model: type[BaseModel] | None) -> pd.DataFrame:
    table = pd.DataFrame(outcomes.values(), columns=Outcome._fields, dtype=object)
    table.index = pd.Index(list(outcomes), name="custom_id", dtype=object)
    table = table.astype(dict.fromkeys(TOKENS, int) | {"retry": bool})
    if model is None:
        return table
    place = table.columns.get_loc("answer")
    for field in reversed(model.model_fields):
        values = [getattr(answer, field, None) for answer in table["answer"]]
        table.insert(place, field, pd.Series(values, index=table.index, dtype=object))
    return table.drop(columns="answer")
