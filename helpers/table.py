"""outcomes -> table: in the order of the reader's rows; what can succeed is asked again."""

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import httpx2
import openai
import pandas as pd
from openai.types import Batch
from pydantic import BaseModel

from helpers import batchfile
from helpers.checks import CAPS
from helpers.job import FINAL, Job, JobError, Records, errors_of, look, server_of
from helpers.outcome import TOKENS, Outcome, outcome_of, result_lines
from helpers.paths import whole_file

# Pauses in seconds before a download that broke off is begun again.
_PAUSES = (1, 5, 20)
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
    *,
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
    for shard, batch, paths in download(client, job, sleep=sleep):
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


def download(
    client: openai.OpenAI, job: Job, *, sleep: Callable[[float], None] = time.sleep
) -> list[tuple[batchfile.Shard, Batch, list[Path]]]:
    """For every shard its batch and the result files of the batch, on disk.

    A batch has an output file, an error file, both, or (not finished, or refused) none. Files
    stream to a temporary name first and count only in full length; one that is there already is
    not fetched again. The API deletes output files 30 days after the batch (Batch guide); these
    copies stay. Raises `JobError` when a file is gone, or breaks off again and again.
    """
    results = []
    for shard, batch in zip(job.shards, look(client, job).batches, strict=True):
        paths = []
        for kind, file_id in (("errors", batch.error_file_id), ("output", batch.output_file_id)):
            if not file_id:
                continue
            paths.append(result_path(shard, server_of(client), batch.id, file_id, kind))
            if not paths[-1].exists():
                _fetch(client, file_id, paths[-1], sleep)
        results.append((shard, batch, paths))
    return results


def result_path(
    shard: batchfile.Shard, server: str, batch_id: str, file_id: str, kind: str
) -> Path:
    """Where a result file lies; ``kind`` is ``output`` or ``errors``.

    Ids come from a server, so they are no part of a path; two servers may use the same ones.
    """
    mark = hashlib.sha256(f"{server}\n{batch_id}\n{file_id}".encode()).hexdigest()[:12]
    return shard.path.with_name(f"{shard.path.stem}-{mark}-{kind}.jsonl")


def _fetch(client: openai.OpenAI, file_id: str, path: Path, sleep: Callable[[float], None]) -> None:
    for pause in (*_PAUSES, None):
        try:
            announced = client.files.retrieve(file_id).bytes or 0
            with whole_file(path) as file:
                with client.files.with_streaming_response.content(file_id) as response:
                    for piece in response.iter_bytes():
                        file.write(piece)
                if (arrived := file.tell()) < announced:
                    raise httpx2.ReadError(f"{arrived:,} of {announced:,} bytes arrived")
            return
        except openai.NotFoundError:
            raise JobError(
                f"{path.name} is gone from the server ({file_id}): results are deleted 30 days "
                "after the batch. To ask these rows again, move the job's folder away and run all "
                "cells."
            ) from None
        except (httpx2.TransportError, openai.APIConnectionError) as error:
            if pause is None:
                raise JobError(
                    f"{path.name} could not be fetched ({error}). Nothing is lost: it stays at the "
                    "server for 30 days. Run the same line again."
                ) from error
        sleep(pause)


def _lines(paths: list[Path]) -> Iterator[dict]:
    """The lines of result files that name a request; the rows of all others stay missing."""
    for path in paths:
        with path.open("rb") as lines:
            yield from result_lines(lines)


def _refusals(batch: Batch, ids: list[str]) -> Iterator[tuple[str, Outcome]]:
    """What a batch that failed its validation says of each line; one bad line fails them all.

    An error without a line number is not about the requests (the queue was full, the file not
    found), so another try can help.
    """
    errors = errors_of(batch)
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
    place = table.columns.tolist().index("retry") + 1
    for field in reversed(model.model_fields):
        name = f"answer_{field}" if field in Outcome._fields else field
        values = [getattr(answer, field, None) for answer in answers]
        table.insert(place, name, pd.Series(values, index=table.index, dtype=object))
    return table


def retry(
    job: Job,
    outcomes: pd.DataFrame,
    *,
    rounds: int = 5,
    max_completion_tokens: int | None = None,
    max_requests: int | None = None,
) -> list[batchfile.Shard]:
    """The batch files of the requests that can succeed on another try; an empty list if none can.

    They are ready for `submit`, as those of `write`. A batch file that ran nothing is one of them
    as it is: that is no round. All others lie in folders of their own inside the job's, one for
    each round. Outcomes merged with those of a retry that failed again make the files of the next
    round, up to ``rounds``. What was submitted for a round before is part of it again, not written
    anew, so no row is paid twice in one round.

    With ``max_completion_tokens`` the answers that were cut off are asked again as well, with that
    as their cap (in Responses as max_output_tokens). ``max_requests`` is that of `write`, by
    default that of the job's largest file; files that ran nothing and are larger are written anew.
    """
    wanted = outcomes["retry"]
    if max_completion_tokens:
        wanted = wanted | (outcomes["code"] == "truncated")
    again, records = outcomes[wanted], Records(job.server)
    todo = {*again.index}
    # In this order, so that the same rows make the same file from shards in any order.
    sent = [*sorted(job.shards, key=lambda s: s.path), *records.of_rounds(job)]
    idle = _holding(todo, (s for s in sent if records[s].batch and records[s].may_run))
    too_large = [s for s in idle if max_requests and s.requests > max_requests]
    as_they_are = [s for s in idle if s not in too_large]
    todo -= _ids(as_they_are)
    again = again[
        again.index.isin(todo) & ((again["round"] < rounds) | again.index.isin(_ids(too_large)))
    ]
    if again.empty:
        return as_they_are
    number = int(again["round"].max()) + 1
    todo = {*again.index}
    earlier = _holding(todo, (s for s in sent if s.round == number))
    todo -= _ids(earlier)
    if not todo:
        return as_they_are + earlier
    cut_off = {*again.index[again["code"] == "truncated"]}
    cap = {CAPS[job.shards[0].endpoint][0]: max_completion_tokens}
    requests = (
        request | {"body": request["body"] | cap} if request["custom_id"] in cut_off else request
        for shard in sent
        if shard in job.shards
        for request in batchfile.read(shard.path)
        if request["custom_id"] in todo
    )
    new = batchfile.write(
        requests,
        job.folder / f"round-{number}",
        max_requests=max_requests or max(shard.requests for shard in job.shards),
        round=number,
    )
    carries = tuple(
        s.path.relative_to(job.folder).with_suffix(".json").as_posix() for s in too_large
    )
    return as_they_are + earlier + [replace(shard, carries=carries) for shard in new]


def _holding(ids: set[str], shards: Iterable[batchfile.Shard]) -> list[batchfile.Shard]:
    return [shard for shard in shards if not ids.isdisjoint(batchfile.ids(shard.path))]


def _ids(shards: list[batchfile.Shard]) -> set[str]:
    return {custom_id for shard in shards for custom_id in batchfile.ids(shard.path)}


def merge(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of a job with those of its retry put in place; tokens of both tries add up."""
    merged = pd.concat([first[~first.index.isin(second.index)], second]).loc[first.index]
    merged.index = first.index
    earlier = first.loc[second.index, TOKENS].reindex(first.index, fill_value=0)
    return merged.assign(**{column: merged[column] + earlier[column] for column in TOKENS})
