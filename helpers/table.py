"""outcomes -> table: in the order of the reader's rows; what can succeed is asked again."""

import gc
import math
import os
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai
import pandas as pd
from openai.types import Batch
from pydantic import BaseModel

from helpers import batchfile
from helpers.bars import BYTES, Bar, along
from helpers.batchfile import Shard
from helpers.checks import CAPS
from helpers.job import (
    FINAL,
    Job,
    JobError,
    Records,
    Watch,
    age_of,
    counts_of,
    errors_of,
    result_path,
    server_of,
    visible,
)
from helpers.outcome import TOKENS, Outcome, fields_of, outcome_of, result_lines
from helpers.paths import clear_away, whole_file

# Pauses in seconds before a download that broke off is begun again.
_PAUSES = (1, 5, 20)
# Pauses before looking again for lines that the batch counts and its files do not show.
_LOOKS = (1, 10)
# Output files are deleted 30 days after the batch (Batch guide); a 404 before that is not believed.
_LIFE = 29 * 86_400
# Bytes read at once; with the 8 KB that Python takes, reading the lines takes a sixth longer.
_BLOCK = 1 << 16
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
    model as JSON holds them (or ``answer``, the text, without a model), prompt_tokens,
    cached_tokens, cache_write_tokens, completion_tokens, round. A field named like one of the other
    columns becomes ``answer_<field>``.

    Output and error file are merged by custom_id, because neither keeps the order of the input
    (Batch guide). Nothing raises for a line that failed: its reason stands in the table. Lines that
    a batch counts and its files do not show are looked for again. Warns where they stay away, since
    a retry would pay them again, and where a batch has not ended. Raises `JobError` when an output
    file is gone, or breaks off again and again; what was downloaded stays.
    """
    results, rows = _Results(client, job, sleep), Rows(answer)
    running, lost = 0, 0
    for place, shard in enumerate(along(job.shards, "collecting", size=lambda s: s.requests)):
        batch, paths = results.of(place)
        running += batch.status not in FINAL
        with collector_paused():
            rows.begin(shard, _missing(batch))
            rows.put(_refusals(batch, rows.places))
            rows.put(_outcomes(paths, answer))
            for pause in _LOOKS:
                if rows.seen >= _promised(batch):
                    break
                sleep(pause)
                batch, paths = results.again(place)
                rows.put(_outcomes(paths, answer))
            lost += max(0, _promised(batch) - rows.seen)
            rows.end()
    if running:
        _warn(
            f"{running} of {len(job.shards)} batches have not ended, and their rows are missing. "
            "Wait for the job, then collect it again."
        )
    if lost:
        _warn(
            f"The batches count {lost:,} more requests as done than their result files show, also "
            "after another look. Collect again later: a retry would ask and pay them once more."
        )
    return rows.table()


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)


def _promised(batch: Batch) -> int:
    """How many lines the batch says that its files have, whatever is known of its counts."""
    return sum(counts_of(batch)[:2]) if batch.status in FINAL else 0


class _Results:
    """The batches of a job and their result files, brought to disk."""

    def __init__(self, client: openai.OpenAI, job: Job, sleep: Callable[[float], None]):
        self.client, self.job, self.sleep = client, job, sleep
        self._watch = Watch(client, job)
        self._batches = self._watch.look().batches
        for folder in {shard.path.parent for shard in job.shards}:
            clear_away(folder)

    def of(self, place: int) -> tuple[Batch, list[Path]]:
        """The batch of a shard, and those of its result files that there are.

        A batch has an output file, an error file, both, or (not finished, or refused) none. Other
        servers give an empty text where there is none.
        """
        batch = self._batches[place]
        ids = {"errors": batch.error_file_id, "output": batch.output_file_id}
        paths = [self._path(place, kind, str(file_id)) for kind, file_id in ids.items() if file_id]
        return batch, [path for path in paths if path]

    def again(self, place: int) -> tuple[Batch, list[Path]]:
        """The same, with the batch asked for and its files fetched once more."""
        for path in self.of(place)[1]:
            path.unlink()
        self._batches[place] = self._watch.ask_again(place, self._batches[place].id)
        return self.of(place)

    def _path(self, place: int, kind: str, file_id: str) -> Path | None:
        shard, batch = self.job.shards[place], self._batches[place]
        path = result_path(shard, server_of(self.client), batch.id, file_id, kind)
        try:
            if not path.exists():
                self._fetch(file_id, path, believed_gone=age_of(batch) > _LIFE)
        except openai.NotFoundError:
            if kind == "errors" and batch.output_file_id:
                _warn(f"{path.name} is gone from the server, so its rows have no reason.")
                return None
            raise JobError(
                f"{path.name} is gone from the server ({file_id}): results are deleted 30 days "
                "after the batch, or by hand. If the batch is younger, run this again later. To "
                "ask these rows anew, change the requests, if only by a space in the prompt."
            ) from None
        except ValueError as error:
            raise JobError(
                f"The server names a result file of {batch.id} that cannot be asked for ({error})."
            ) from None
        return path

    def _fetch(self, file_id: str, path: Path, *, believed_gone: bool) -> None:
        for pause in (*_PAUSES, None):
            try:
                self._download(file_id, path)
                return
            except openai.NotFoundError:
                # Seen for result files that were minutes old.
                if believed_gone or pause is None:
                    raise
            except (httpx2.TransportError, openai.APIConnectionError) as error:
                if pause is None:
                    raise JobError(
                        f"{path.name} could not be fetched ({error}). Nothing is lost: it stays at "
                        "the server for 30 days. Run the same line again."
                    ) from error
            self.sleep(pause)

    def _download(self, file_id: str, path: Path) -> None:
        """Counts only in full length, and ends where the server said that the file does."""
        announced = self.client.files.retrieve(file_id).bytes or 0
        with whole_file(path) as file, Bar("downloading", total=announced, unit=BYTES) as bar:
            with self.client.files.with_streaming_response.content(file_id) as response:
                for piece in response.iter_bytes():
                    bar.update(file.write(piece))
                    if announced and file.tell() > announced:
                        raise JobError(
                            f"{path.name} is longer than the {announced:,} bytes that the server "
                            "announced, and was given up. Nothing is lost: run the same line again."
                        )
            if file.tell() < announced:
                raise httpx2.ReadError(f"{file.tell():,} of {announced:,} bytes arrived")


def _outcomes(paths: list[Path], answer: type[BaseModel] | None) -> Iterator[tuple[str, Outcome]]:
    for path in paths:
        with path.open("rb", buffering=_BLOCK) as lines:
            for line in result_lines(lines):
                # Plain data takes less memory than instances, and every file format can hold it.
                yield line["custom_id"], outcome_of(line, answer, as_json=True)


_pauses, _pausing = list[bool](), threading.Lock()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Python's collector of cycles rests meanwhile; what it did before goes on when all have left.

    A table keeps objects by the ten thousand, none of them in a cycle, and to look through all of
    them again and again takes a third of the time of filling it.
    """
    with _pausing:
        _pauses.append(gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _pausing:
            # Of several that overlap only the first found it at work, and the last pops that.
            if _pauses.pop():
                gc.enable()


def _missing(batch: Batch) -> Outcome:
    """What is said of a row of the batch that has no line."""
    reason = f"The batch {_STATE_OF.get(batch.status, f'is {batch.status}')}."
    return Outcome("missing", "no_line", reason, batch.status in FINAL)


class Rows:
    """The columns of the table, filled shard by shard, whatever order the outcomes have.

    ``places`` are the rows of the shard that was begun last, by custom_id; ``seen`` is how many of
    them have an outcome.
    """

    def __init__(self, model: type[BaseModel] | None):
        self.places: dict[str, tuple] = {}
        self.seen = 0
        self._parts = answer_columns(model) if model else None
        self._missing = self._row(Outcome("missing"))
        self._index: list[str] = []
        names = [*Outcome._fields]
        if self._parts is not None:
            names[_ANSWER : _ANSWER + 1] = self._parts.values()
        self._columns = {name: [np.array([], _TYPES.get(name, object))] for name in names}

    def begin(self, shard: Shard, missing: Outcome) -> None:
        """Adds the rows of a shard; ``missing`` stands for those of which nothing comes."""
        self.end()
        self._missing = self._row(missing._replace(round=shard.round))
        self.places, self.seen = dict.fromkeys(batchfile.ids(shard.path), self._missing), 0

    def put(self, outcomes: Iterable[tuple[str, Outcome]]) -> None:
        """Puts outcomes into the rows of their ids; those of other ids are left out."""
        places, missing, split = self.places, self._missing, self._parts is not None
        seen = 0
        for custom_id, outcome in outcomes:
            before = places.get(custom_id)
            if before is None:
                continue
            if outcome.outcome != "ok":
                # An answer that came is not lost behind an error for the same row.
                if before[0] == "ok":
                    continue
                # It is read on a screen; an answer is data, and stays as it is.
                outcome = outcome._replace(reason=visible(outcome.reason))
            places[custom_id] = self._row(outcome) if split else outcome
            seen += before is missing
        self.seen += seen

    def _row(self, outcome: Outcome) -> tuple:
        """The outcome with the fields of its answer side by side, as the columns have them."""
        if self._parts is None:
            return outcome
        answer = outcome.answer or {}
        return (*outcome[:_ANSWER], *map(answer.get, self._parts), *outcome[_ANSWER + 1 :])

    def end(self) -> None:
        """Turns the rows of the shard into columns, which take less memory."""
        rows = self.places.values()
        *columns, rounds = self._columns.values()
        for parts, values in zip(columns, zip(*rows, strict=True), strict=False):
            parts.append(np.fromiter(values, parts[0].dtype, len(rows)))
        if rows:
            rounds.append(np.full(len(rows), self._missing[-1]))
        self._index += self.places
        self.places = {}

    def table(self) -> pd.DataFrame:
        self.end()
        index = pd.Index(self._index, name="custom_id", dtype=object)
        series = {}
        for name in list(self._columns):
            # One column after the other is handed over, so that none is in memory twice for long.
            empty, *parts = self._columns.pop(name)
            values = parts[0] if len(parts) == 1 else np.concatenate([empty, *parts])
            series[name] = pd.Series(values, index, dtype=values.dtype, copy=False)
        return pd.DataFrame(series, copy=False)


_ANSWER = Outcome._fields.index("answer")
_TYPES = dict.fromkeys([*TOKENS, "round"], int) | {"retry": bool}


def answer_columns(model: type[BaseModel]) -> dict[str, str]:
    """The column of each field of an answer model; no two are the same, whatever their names."""
    fields = fields_of(model)
    taken, columns = {"custom_id", *Outcome._fields, *fields}, {}
    for field in fields:
        name = field
        while name in taken and (name != field or field in (*Outcome._fields, "custom_id")):
            name = f"answer_{name}"
        columns[field] = name
        taken.add(name)
    return columns


def _refusals(batch: Batch, ids: Iterable[str]) -> Iterator[tuple[str, Outcome]]:
    """What a batch that failed its validation says of each line; one bad line fails them all.

    An error without a line number is not about the requests (the queue was full, the file not
    found), so another try can help.
    """
    if batch.status != "failed":
        return
    errors = errors_of(batch)
    own = {error.line: error for error in errors}
    for number, custom_id in enumerate(ids, start=1):
        error: Any = own.get(number) or (errors[0] if errors else None)
        code, message = getattr(error, "code", ""), getattr(error, "message", "")
        line = getattr(error, "line", None)
        blame = "" if line == number else "The batch was refused: "
        reason = f"{blame}{message or 'the server gives no reason.'}"
        yield custom_id, Outcome("failed", str(code or "batch_failed"), reason, line is None)


def retry(
    job: Job,
    outcomes: pd.DataFrame,
    *,
    rounds: int = 5,
    max_completion_tokens: int | None = None,
    max_requests: int | None = None,
) -> list[Shard]:
    """The batch files of the requests that can succeed on another try; an empty list if none can.

    They are ready for `submit`, as those of `write`. A row goes on from the latest batch file that
    it stands in. A file that ran nothing comes as it is, and one that is larger than the whole
    queue in two halves: that is no round. Other rows go into a file of the next round, up to
    ``rounds``. What was sent for them before comes again, so no row is paid twice in one round.
    Files of rounds lie in folders of their own inside the job's.

    With ``max_completion_tokens`` the answers that were cut off are asked again as well, with that
    as their cap (in Responses as max_output_tokens): in any round, but not where they had as large
    a one. ``max_requests`` is that of `write`, by default that of the job's largest file; files
    that ran nothing and are larger are written anew.
    """
    wanted = outcomes["retry"]
    if max_completion_tokens:
        wanted = wanted | (outcomes["code"] == "truncated")
    again = outcomes[wanted]
    if again.empty:
        return []
    cut_off = {*again.index[again["code"] == "truncated"]}
    records = Records(job.server)
    known = {shard: records[shard] for shard in records.family(job)}
    # Dicts for their order, in which each shard stands once.
    existing: dict[Shard, None] = {}
    divided: dict[Shard, None] = {}
    anew: dict[int, dict[Shard, set[str]]] = defaultdict(lambda: defaultdict(set))
    numbers: dict[Any, int] = again["round"].to_dict()
    for custom_id, files in _files_of(numbers, known).items():
        latest, number = files[-1], numbers[custom_id]
        record = known[latest]
        if later := [shard for shard in files if shard.round > number]:
            existing[later[0]] = None
        elif record.given_up or (record.batch and record.may_run):
            divides = record.given_up or (max_requests or latest.requests) < latest.requests
            (divided if divides and latest.requests > 1 else existing)[latest] = None
        else:
            number = max(number, latest.round)
            # A cap that was raised is not the same request once more, so it is no round too many.
            if (
                custom_id in cut_off
                or number - sum(known[shard].given_up for shard in files) < rounds
            ):
                anew[number + 1][latest].add(custom_id)
    parts = []
    for shard in sorted(divided, key=lambda shard: shard.path):
        half = -(-shard.requests // 2) if known[shard].given_up else shard.requests
        size = min(half, max_requests or half)
        requests = batchfile.read(shard.path)
        parts += _next_round(shard.round + 1, job, [shard], requests, size, shard.sha256)
    largest = max_requests or max(shard.requests for shard in job.shards)
    for number, rows in anew.items():
        requests = (
            raised
            for shard, ids in sorted(rows.items(), key=lambda item: item[0].path)
            for request in batchfile.read(shard.path)
            if request["custom_id"] in ids
            if (
                raised := _with_cap(request, max_completion_tokens or 0)
                if request["custom_id"] in cut_off
                else request
            )
        )
        parts += _next_round(number, job, [*rows], requests, largest)
    return [*existing, *parts]


def _with_cap(request: dict, cap: int) -> dict | None:
    """The request with a larger cap; None if it had as large a one before."""
    names = CAPS[request["url"]]
    if cap <= max(request["body"].get(name) or 0 for name in names):
        return None
    return request | {"body": request["body"] | {names[0]: cap}}


def _files_of(ids: Iterable[str], shards: Iterable[Shard]) -> dict[str, list[Shard]]:
    """Which of the shards each row stands in, in their order."""
    wanted, files = {*ids}, defaultdict(list)
    for shard in shards:
        for custom_id in wanted.intersection(batchfile.ids(shard.path)):
            files[custom_id].append(shard)
    return files


def _next_round(
    number: int,
    job: Job,
    origins: list[Shard],
    requests: Iterable[dict],
    max_requests: int,
    part_of: str = "",
) -> list[Shard]:
    """The batch files of a round; ``origins`` are those that the requests stood in before."""
    shards = batchfile.write(
        requests,
        job.folder / f"round-{number}",
        max_requests=max_requests,
        max_tokens=max(1, *(math.ceil(origin.tokens) for origin in origins)),
        may_be_empty=True,
        round=number,
    )
    carries = tuple(
        Path(os.path.relpath(origin.path.with_suffix(".json"), job.folder)).as_posix()
        for origin in sorted(origins, key=lambda origin: origin.path)
    )
    return [replace(shard, carries=carries, part_of=part_of) for shard in shards]


def merge(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of a job with those of its retry put in place; tokens of both tries add up."""
    merged = pd.concat([first[~first.index.isin(second.index)], second]).loc[first.index]
    merged.index = first.index
    earlier = first.loc[second.index, TOKENS].reindex(first.index, fill_value=0)
    if "source" in first:
        merged["source"] = merged["source"].fillna("")
    return merged.assign(**{column: merged[column] + earlier[column] for column in TOKENS})
