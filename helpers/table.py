"""outcome -> table: what came of every request, in the order of the reader's rows."""

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
from helpers.jobs import FINAL, Job, download
from helpers.outcomes import TOKENS, Outcome, outcome_of

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
