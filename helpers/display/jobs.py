"""The jobs on this disk, as a table for somebody who comes back tomorrow."""

import warnings
from collections import Counter
from os import PathLike
from pathlib import Path
from typing import Any

import openai
import pandas as pd
from openai.types import Batch

from helpers.batchfile import Shard
from helpers.costs import cost_so_far
from helpers.job import (
    FINAL,
    Job,
    JobError,
    Record,
    Records,
    batch_of,
    counts_of,
    look,
    moment,
    record_files,
    result_path,
    server_of,
    visible,
)
from helpers.paths import JOBS

_JOB: dict[str, Any] = {
    "job": str, "created": float, "rows": int, "batch_files": int, "state": str, "usd": float,
    "next": str,
}  # fmt: skip
_NO_BATCH, _RAN_NOTHING = "no batch yet", "failed before it ran"


def list_jobs(client: openai.OpenAI, jobs: str | PathLike = JOBS) -> pd.DataFrame:
    """The jobs of this server on this disk, newest first, indexed by the folder: one line each.

    Columns: created (UTC, of the first batch), rows, batch_files (those of later rounds too), state
    (how many batch files stand how), usd (so far; NaN where no usage or no price is known), next
    (what to run next).

    What has ended is known from disk, the rest is asked for. Where the server cannot be asked, a
    warning and ``state`` say that it is the one last seen. A record that is damaged and a batch
    that the server does not know raise nothing: ``next`` says the way on.
    """
    disk, lines = _Disk(client), []
    for folder, paths in record_files(Path(jobs)).items():
        if line := disk.line(folder, paths):
            lines.append(line)
    table = pd.DataFrame(lines, columns=[*_JOB]).astype(_JOB)
    table["created"] = pd.to_datetime(table["created"], unit="s", utc=True)
    return table.set_index("job").sort_values("created", ascending=False, kind="stable")


class _Disk:
    """The jobs on this disk, of one server; once it gave no answer, it is not asked again."""

    def __init__(self, client: openai.OpenAI):
        self.client, self.records = client, Records(server_of(client))
        self.silent = False

    def line(self, folder: Path, paths: list[Path]) -> tuple | None:
        """What is said of the job with these records; None if it is another server's."""
        shards, damaged = self._sent(paths)
        if not shards and not damaged:
            return None
        begun = [shard for shard in shards if self.records[shard].batch]
        batches, unknown = self._batches(begun)
        files = {path for path in folder.glob("requests-*.jsonl") if path.stem.count("-") == 1}
        others = files - {shard.path for shard in shards}
        states = Counter(map(self._state, begun, batches))
        states[_NO_BATCH] += len(shards) - len(begun) + len(others - damaged.keys())
        states["unreadable record"] += len(damaged)
        state = ", ".join(f"{count:,} {kind}" for kind, count in (+states).items())
        if (unknown or self.silent) and any(batch.status not in FINAL for batch in batches):
            state += ", when last seen"
        rows = sum(shard.requests for shard in shards if shard.round == 1)
        rows += sum(path.read_bytes().count(b"\n") for path in others)
        created = min(filter(None, (moment(batch.created_at) for batch in batches)), default=None)
        usd = pd.Series([*map(cost_so_far, batches)], dtype=float).sum(min_count=1)
        step = unknown or next(iter(damaged.values()), "")
        step = step or self._next({*+states}, rows, begun, batches)
        return folder.name, created, rows, states.total(), state, usd, step

    def _sent(self, paths: list[Path]) -> tuple[list[Shard], dict[Path, str]]:
        """The batch files that this server has a record of, and what is wrong with others."""
        shards: list[Shard] = []
        damaged: dict[Path, str] = {}
        for path in paths:
            try:
                shard, record = self.records.at(path)
                shards += [shard] if record != Record() else []
            except JobError as error:
                damaged[path.with_suffix(".jsonl")] = str(error)
        return shards, damaged

    def _batches(self, begun: list[Shard]) -> tuple[list[Batch], str]:
        """The batches as they stand, or else as they were last seen; and which is not known."""
        kept = [batch_of(self.records[shard].batch or {}) for shard in begun]
        job = Job(begun, [batch.id for batch in kept], self.records.server)
        try:
            return (kept if self.silent else look(self.client, job).batches), ""
        except JobError as error:
            return kept, str(error)
        except openai.APIError as error:
            self.silent = True
            text = f"{job.server} could not be asked ({visible(error)}). What had not ended is "
            warnings.warn(f"{text}listed as it was last seen.", stacklevel=4)
            return kept, ""

    def _state(self, shard: Shard, batch: Batch) -> str:
        # Read after the look, which notes what has ended.
        record = self.records[shard]
        if record.waits_for_room:
            return "waiting for room"
        unsent = record.may_run or record.to_be_divided
        return _RAN_NOTHING if unsent else visible(batch.status)

    def _next(self, states: set[str], rows: int, begun: list[Shard], batches: list[Batch]) -> str:
        if states & {_NO_BATCH, _RAN_NOTHING}:
            return "run the same lines again"
        if states - FINAL:
            return "wait, then collect"
        results = [
            result_path(shard, self.records.server, batch.id, str(file_id), kind).exists()
            for shard, batch in zip(begun, batches, strict=True)
            for kind, file_id in (("output", batch.output_file_id), ("errors", batch.error_file_id))
            if file_id
        ]
        if not results or not all(results):
            return "collect"
        counts = [counts_of(batch) for batch in batches]
        left = rows - sum(done for done, _, _ in counts)
        known = all(total for _, _, total in counts)
        without = f", {left:,} rows failed at the server" if known and left > 0 else ""
        return f"nothing: collected{without}"
