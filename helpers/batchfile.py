"""request -> batch file: checked line by line, split into shards, hashed as it is written."""

import hashlib
import math
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
import pandas as pd

from helpers.rules import MAX_BYTES, MAX_REQUESTS, Checks


@dataclass(frozen=True)
class Shard:
    """One batch file on disk: where it is, what is in it, and the sha256 that identifies it."""

    path: Path
    requests: int
    bytes: int
    sha256: str
    model: str
    endpoint: str
    round: int = 1


def check(requests: Iterable[dict] | Path) -> pd.DataFrame:
    """What was checked, what was found and the limit: a table with one line per check.

    Takes requests, or the path of a JSONL file. Raises `BatchFileError` with the line number of
    everything that the Batch API would refuse at upload or validation; there, one bad line fails
    the whole batch.
    """
    checks = Checks()
    if isinstance(requests, Path):
        with requests.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                checks.add_line(number, line)
    else:
        for number, request in enumerate(requests, start=1):
            checks.add(number, request)
    checks.finish()
    shards = max(1, math.ceil(checks.count / MAX_REQUESTS), math.ceil(checks.bytes / MAX_BYTES))
    found = [
        ("requests", f"{checks.count:,}", f"{MAX_REQUESTS:,} per batch file"),
        ("size", f"{checks.bytes / 1e6:,.2f} MB", f"{MAX_BYTES / 1e6:,.0f} MB per batch file"),
        ("longest request", f"{checks.longest:,} bytes", f"{MAX_BYTES:,} bytes"),
        ("different ids", f"{len(checks.line_of_id):,}", "as many as requests"),
        ("model", checks.model, "one per batch"),
        ("endpoint", checks.url, "one per batch"),
        ("batch files needed", str(shards), "2,000 batches per hour"),
    ]
    return pd.DataFrame(found, columns=["check", "found", "limit"]).set_index("check")


def write(
    requests: Iterable[dict],
    folder: Path,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
    round: int = 1,
) -> list[Shard]:
    """The batch files that hold all requests, in order, each within both limits.

    They land in ``<folder>-<first 8 digits of their sha256>``, so that other requests never
    overwrite the files and results of a job that was paid for, and the same requests find theirs.
    Streams: one request is in memory at a time. Raises `BatchFileError` as `check` does, and then
    leaves no file behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    checks = Checks(max_bytes)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        drafts: list[_Draft] = []
        with ExitStack() as files:
            for number, request in enumerate(requests, start=1):
                line = checks.add(number, request)
                if not drafts or not drafts[-1].has_room(len(line), max_requests, max_bytes):
                    path = Path(temporary, f"requests-{len(drafts) + 1:03}.jsonl")
                    drafts.append(_Draft(path, files.enter_context(path.open("wb"))))
                drafts[-1].append(line)
            checks.finish()
        digest = hashlib.sha256("".join(d.hash.hexdigest() for d in drafts).encode()).hexdigest()
        home = folder.with_name(f"{folder.name}-{digest[:8]}")
        home.mkdir(mode=0o700, exist_ok=True)
        return [
            Shard(
                draft.path.replace(home / draft.path.name),
                draft.count, draft.bytes, draft.hash.hexdigest(), checks.model, checks.url, round,
            )
            for draft in drafts
        ]  # fmt: skip


def read(path: Path) -> Iterator[dict]:
    """The requests of a batch file, one at a time."""
    with path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


@dataclass
class _Draft:
    path: Path
    file: BinaryIO
    count: int = 0
    bytes: int = 0

    def __post_init__(self):
        self.hash = hashlib.sha256()

    def has_room(self, size: int, max_requests: int, max_bytes: int) -> bool:
        return self.count < max_requests and self.bytes + size <= max_bytes

    def append(self, line: bytes) -> None:
        self.file.write(line)
        self.hash.update(line)
        self.count += 1
        self.bytes += len(line)
