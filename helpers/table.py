"""outcome -> table: what came of every request, in the order of the reader's rows."""

import time
from collections.abc import Callable, Iterator
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
    (Batch guide). Nothing raises for a line that failed: its reason stands in the table.
    """
    outcomes: dict[str, Outcome] = {}
    for shard, batch, paths in download(client, job, sleep):
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
