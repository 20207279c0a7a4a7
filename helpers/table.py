"""outcomes -> table: in the order of the reader's rows; what can succeed is asked again."""

import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import openai
import orjson
import pandas as pd
from openai.types import Batch
from pydantic import BaseModel

from helpers import batchfile
from helpers.job import FINAL, Job, State, download
from helpers.outcome import TOKENS, Outcome, outcome_of

_STATE_OF = {
    "completed": "was completed without this line",
    "expired": "expired before this line was run",
    "cancelled": "was cancelled before this line was run",
    "failed": "was refused",
}


def collect(
    client: openai.OpenAI,
    job: Job,
    answer: type[BaseModel] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> pd.DataFrame:
    """One line per request of the job, in the order of the requests, indexed by custom_id.

    Columns: outcome (ok, failed, missing), code, reason, retry, then the fields of the answer
    model (or ``answer``, the text, without one), prompt_tokens, cached_tokens, completion_tokens,
    round. A field named like one of the other columns becomes ``answer_<field>``.
    Output and error file are merged by custom_id, because neither keeps the order of the input
    (Batch guide). Nothing raises for a line that failed: its reason stands in the table. Warns
    where a batch has not ended: its rows are missing, to be collected later.
    """
    index: list[str] = []
    columns: dict[str, list] = {field: [] for field in Outcome._fields}
    running = 0
    for shard, batch, paths in download(client, job, sleep):
        ids = list(batchfile.ids(shard.path))
        places = dict(zip(ids, range(len(index), len(index) + len(ids)), strict=True))
        index += ids
        reason = f"The batch {_STATE_OF.get(batch.status, 'is ' + batch.status)}."
        again = batch.status in FINAL
        running += not again
        missing = Outcome("missing", "no_line", reason, again, round=shard.round)
        for field, value in zip(columns, missing, strict=True):
            columns[field] += [value] * len(ids)
        came = ((line["custom_id"], outcome_of(line, answer)) for line in _lines(paths))
        for custom_id, outcome in chain(_refusals(batch, ids), came):
            if (place := places.get(custom_id)) is not None:
                # The last field, round, stays that of the shard.
                for column, value in zip(columns.values(), outcome[:-1], strict=False):
                    column[place] = value
    if running:
        message = (
            f"{running} of {len(job.shards)} batches have not ended, and their rows are missing."
        )
        warnings.warn(f"{message} Wait for the job, then collect it again.", stacklevel=2)
    return _table(index, columns, answer)


def _lines(paths: list[Path]) -> Iterator[dict]:
    """The lines of result files that name a request; the rows of all others stay missing."""
    for path in paths:
        with path.open("rb") as lines:
            for text in lines:
                try:
                    line = orjson.loads(text)
                except ValueError:
                    continue
                if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
                    yield line


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


def _table(
    index: list[str], columns: dict[str, list], model: type[BaseModel] | None
) -> pd.DataFrame:
    answers = columns.pop("answer") if model else []
    numbers = dict.fromkeys([*TOKENS, "round"], int) | {"retry": bool}
    # One column after the other is handed over, so that none is in memory twice for long.
    series = {
        field: pd.Series(columns.pop(field), dtype=numbers.get(field, object))
        for field in list(columns)
    }
    table = pd.DataFrame(series, copy=False)
    table.index = pd.Index(index, name="custom_id", dtype=object)
    if model is None:
        return table
    place = table.columns.get_loc("retry") + 1
    for field in reversed(model.model_fields):
        name = f"answer_{field}" if field in Outcome._fields else field
        values = [getattr(answer, field, None) for answer in answers]
        table.insert(place, name, pd.Series(values, index=table.index, dtype=object))
    return table


# openai/types/responses/response_create_params.py
_CAP = {"/v1/responses": "max_output_tokens"}


def retry(
    job: Job,
    outcomes: pd.DataFrame,
    rounds: int = 5,
    max_completion_tokens: int | None = None,
    max_requests: int | None = None,
) -> list[batchfile.Shard]:
    """The batch files of the requests that can succeed on another try; an empty list if none can.

    They lie in folders of their own inside the job's, ready for `submit` like those of `write`.
    Outcomes merged with those of a retry that failed again make the files of the next round, up to
    ``rounds``. What was submitted for a round before is part of it again, not written anew, so no
    row is paid twice in one round.

    With ``max_completion_tokens`` the answers that were cut off are asked again as well, with that
    as their cap (in Responses as max_output_tokens). ``max_requests`` is that of `write`, by
    default that of the job's largest file.
    """
    wanted = outcomes["retry"]
    if max_completion_tokens:
        wanted = wanted | (outcomes["code"] == "truncated")
    again = outcomes[wanted & (outcomes["round"] < rounds)]
    if again.empty:
        return []
    number = int(again["round"].max()) + 1
    folder = job.folder / f"round-{number}"
    todo, earlier = {*again.index}, []
    for shard in _submitted(job, number):
        ids = {*batchfile.ids(shard.path)}
        if ids & todo:
            earlier.append(shard)
            todo -= ids
    if not todo:
        return earlier
    cut_off = {*again.index[again["code"] == "truncated"]}
    longer = {_CAP.get(job.shards[0].endpoint, "max_completion_tokens"): max_completion_tokens}
    max_requests = max_requests or max(shard.requests for shard in job.shards)
    requests = (
        request | {"body": request["body"] | longer} if request["custom_id"] in cut_off else request
        for shard in job.shards
        for request in batchfile.read(shard.path)
        if request["custom_id"] in todo
    )
    return earlier + batchfile.write(requests, folder, max_requests=max_requests, round=number)


def merge(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of a job with those of its retry put in place; tokens of both tries add up."""
    merged = pd.concat([first[~first.index.isin(second.index)], second]).loc[first.index]
    merged.index = first.index
    earlier = first.loc[second.index, TOKENS].reindex(first.index, fill_value=0)
    return merged.assign(**{column: merged[column] + earlier[column] for column in TOKENS})


def _submitted(job: Job, number: int) -> list[batchfile.Shard]:
    """The batch files of a round that this job's server was given before."""
    return [
        shard
        for folder in sorted(job.folder.glob(f"round-{number}-*"))
        for shard in batchfile.shards_in(folder, number)
        if State(job.server)[shard]
    ]
