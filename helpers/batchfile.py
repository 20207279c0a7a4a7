"""request -> batch file: checked line by line, split into shards, hashed as it is written."""

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import orjson
import pandas as pd

from helpers.checks import (
    MAX_BYTES,
    MAX_INPUTS,
    MAX_REQUESTS,
    Checks,
    Packing,
    cap_of,
    embedding_inputs,
    prompt_size,
)

_BUFFER = 1_000_000
_FIRST_ID = re.compile(rb'{"custom_id":"([A-Za-z0-9_-]+)"')


@dataclass(frozen=True)
class Shard:
    """One batch file on disk: where it is, what is in it, and the sha256 that identifies it.

    ``answer_tokens`` is the most that the answers to its capped rows can have, ``uncapped`` the
    number of rows without a cap. ``text_bytes`` and ``image_tokens`` are the sums of what
    `checks.prompt_size` says of its rows. ``carries`` names the records of the batch files that
    never ran and whose rows it holds.
    """

    path: Path
    requests: int
    bytes: int
    sha256: str
    model: str
    endpoint: str
    round: int = 1
    answer_tokens: int = 0
    uncapped: int = 0
    text_bytes: int = 0
    image_tokens: int = 0
    carries: tuple[str, ...] = ()


def check(requests: Iterable[dict] | str | PathLike) -> pd.DataFrame:
    """What was checked, what was found and the limit: a table with one line per check.

    Takes requests, or the path of a JSONL file. Raises `BatchFileError` with the line number of
    everything found that the Batch API is known to refuse (one bad line fails the whole batch, and
    a wrong parameter every line), and of ids outside of `ID_RULE`, which is narrower.
    """
    checks, packing = Checks(), Packing()
    if isinstance(requests, str | PathLike):
        _check_file(checks, Path(requests))
    else:
        for number, request in enumerate(requests, start=1):
            line = checks.add(number, request)
            packing.begins_a_file(len(line), embedding_inputs(request))
    checks.finish()
    found = [
        ("requests", f"{checks.count:,}", f"{MAX_REQUESTS:,} per batch file"),
        ("size", f"{checks.bytes / 1e6:,.2f} MB", f"{MAX_BYTES / 1e6:,.0f} MB per batch file"),
        ("longest request", f"{checks.longest:,} bytes", f"{MAX_BYTES:,} bytes"),
        ("different ids", f"{checks.ids.count:,}", "as many as requests"),
        ("model", checks.model, "one per batch"),
        ("endpoint", checks.url, "one per batch"),
        ("batch files needed", f"{max(1, packing.files):,}", "2,000 batches per hour"),
    ]
    return pd.DataFrame(found, columns=["check", "found", "limit"]).set_index("check")


def write(
    requests: Iterable[dict],
    folder: str | PathLike,
    *,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
    round: int = 1,
) -> list[Shard]:
    """The batch files that hold all requests, in order, each within both limits.

    They land in ``<folder>-<8 digits that stand for their content>``, so that other requests
    never overwrite the files and results of a job that was paid for, and the same requests find
    theirs. Streams: one request is in memory at a time. Raises `BatchFileError` as `check` does,
    and then leaves no file behind.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    checks, packing = Checks(max_bytes), Packing(max_requests, max_bytes)
    drafts: list[_Draft] = []
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        try:
            for number, request in enumerate(requests, start=1):
                line = checks.add(number, request)
                if packing.begins_a_file(len(line), embedding_inputs(request)):
                    _close(drafts)
                    path = Path(temporary, f"requests-{packing.files:03}.jsonl")
                    drafts.append(_Draft(path, path.open("wb", _BUFFER)))
                drafts[-1].append(line)
                if line and not checks.problems:
                    drafts[-1].add_sizes(request)
        finally:
            _close(drafts)
        checks.finish()
        digests = [draft.hash.hexdigest() for draft in drafts]
        digest_of_all = hashlib.sha256("".join(digests).encode()).hexdigest()
        home = folder.with_name(f"{folder.name}-{digest_of_all[:8]}")
        home.mkdir(mode=0o700, exist_ok=True)
        return [
            Shard(
                draft.path.replace(home / draft.path.name),
                draft.count, draft.bytes, digest, checks.model, checks.url, round,
                *draft.sizes,
            )
            for draft, digest in zip(drafts, digests, strict=True)
        ]  # fmt: skip


def read(path: Path) -> Iterator[dict]:
    """The requests of a batch file, one at a time."""
    with path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def ids(path: Path) -> Iterator[str]:
    """The custom_ids of a batch file, in order."""
    with path.open("rb") as lines:
        for line in lines:
            # Nearly always it comes first, and then the rest, maybe a picture, need not be read.
            first = _FIRST_ID.match(line)
            yield first[1].decode() if first else orjson.loads(line)["custom_id"]


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _check_file(checks: Checks, path: Path) -> None:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            checks.add_line(number, line)
    checks.bytes = path.stat().st_size
    for found, limit, what in (
        (checks.count, MAX_REQUESTS, "requests"),
        (checks.bytes, MAX_BYTES, "bytes"),
        (checks.inputs, MAX_INPUTS, "embedding inputs"),
    ):
        if found > limit:
            problem = f"{path.name} has {found:,} {what}, over the limit of {limit:,}"
            checks.problems.append(f"{problem}; split it, as write does")


def _close(drafts: list["_Draft"]) -> None:
    if drafts:
        drafts[-1].file.close()


@dataclass
class _Draft:
    path: Path
    file: BinaryIO
    count: int = 0
    bytes: int = 0
    sizes: list[int] = field(default_factory=lambda: [0, 0, 0, 0])

    def add_sizes(self, request: dict) -> None:
        cap = cap_of(request)
        for place, size in enumerate((cap, not cap, *prompt_size(request))):
            self.sizes[place] += size

    def __post_init__(self):
        self.hash = hashlib.sha256()

    def append(self, line: bytes) -> None:
        self.file.write(line)
        self.hash.update(line)
        self.count += 1
        self.bytes += len(line)
