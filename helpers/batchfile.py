"""request -> batch file: checked line by line, split into shards, hashed as it is written."""

import errno
import hashlib
import math
import os
import re
import shutil
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import accumulate
from os import PathLike
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from helpers.bars import Bar
from helpers.checks import (
    MAX_BYTES,
    MAX_INPUTS,
    MAX_REQUESTS,
    BatchFileError,
    Checks,
    Line,
    Packing,
    SeenIds,
    Size,
)
from helpers.images import PictureError
from helpers.paths import whole_file
from helpers.request import RowError

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Shard:
    """One batch file on disk: where it is, what is in it, and the sha256 that identifies it.

    ``answer_tokens`` is the most that the answers to its capped rows can have, ``uncapped`` the
    number of rows without a cap. ``text_bytes`` to ``link_tokens`` are the sums of the
    `checks.Size` of its rows; ``longest_text`` and ``most_images`` are the most text of one row and
    the most tokens that the pictures of one can cost. ``carries`` names the records of the batch
    files that its rows stood in before, as seen from the job's folder; ``part_of`` is the sha256 of
    one that never ran, and that it is a smaller part of.
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
    links: int = 0
    link_tokens: int = 0
    longest_text: int = 0
    most_images: int = 0
    carries: tuple[str, ...] = ()
    part_of: str = ""

    @property
    def tokens(self) -> float:
        """About how many tokens its prompts have, before any was counted by the API."""
        return Size(self.text_bytes, self.image_tokens, self.links, self.link_tokens).tokens

    @property
    def home(self) -> Path:
        """The job's folder; files of later rounds lie in folders of their own inside of it."""
        return self.path.parents[1 if self.round > 1 else 0]


def check(requests: Iterable[Request] | str | PathLike) -> pd.DataFrame:
    """What was checked, what was found and the limit: a table with one line per check.

    Takes requests, or the path of a JSONL file. Raises `BatchFileError` with the line number of
    everything found that the Batch API is known to refuse (one bad line fails the whole batch, and
    a wrong parameter every line), and of ids outside of `ID_RULE`, which is narrower. Where the
    requests are made by ``map``, all rows that cannot become one are named together.
    """
    checks, packing = Checks(), Packing()
    if isinstance(requests, str | PathLike):
        _check_file(checks, Path(requests))
    else:
        for line in _lines(requests, checks):
            packing.begins_a_file(line)
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
    requests: Iterable[Request],
    folder: str | PathLike,
    *,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
    max_tokens: int | None = None,
    may_be_empty: bool = False,
    round: int = 1,
) -> list[Shard]:
    """The batch files that hold all requests, in order, each within all limits.

    They land in ``<folder>-<16 digits that stand for their content>``, so that other requests
    never overwrite the files and results of a job that was paid for, and the same requests find
    theirs. Nobody but the user can read them. Streams: one request is in memory at a time.

    ``max_tokens`` keeps a file within the account's limit of enqueued prompt tokens, which the
    limits page of the settings shows. They are estimated, a token for four bytes of text, and what
    pictures cost at most; a request that has more alone gets a file of its own.

    Raises `BatchFileError` as `check` does, and then leaves no file behind; ValueError for a limit
    that is not a whole number from 1 to that of the API. No requests are an error unless with
    ``may_be_empty``.
    """
    _check_limit("max_requests", max_requests, MAX_REQUESTS)
    _check_limit("max_bytes", max_bytes, MAX_BYTES)
    _check_limit("max_tokens", 1 if max_tokens is None else max_tokens, _MOST_TOKENS)
    _check_limit("round", round, MAX_REQUESTS)
    folder = Path(folder)
    checks = Checks(max_bytes)
    packing = Packing(max_requests, max_bytes, math.inf if max_tokens is None else max_tokens)
    drafts: list[_Draft] = []
    with _writing(folder.parent) as temporary, Bar("writing", total=_count(requests)) as bar:
        for line in _lines(requests, checks):
            if packing.begins_a_file(line):
                if drafts:
                    drafts[-1].flush()
                drafts.append(_Draft(Path(temporary, f"requests-{packing.files:03}.jsonl"), bar))
            drafts[-1].append(line)
        if may_be_empty and not checks.count:
            return []
        checks.finish()
        drafts[-1].flush()
        home = _home(folder, [draft.hash.hexdigest() for draft in drafts])
        return [
            draft.shard(_put(draft.path, home / draft.path.name), checks, round) for draft in drafts
        ]


def assemble(shards: Sequence[Shard], folder: str | PathLike) -> list[Shard]:
    """The batch files of several folders as those of one job, in the order given.

    For tables that are written part by part, by other processes or machines that share the disk:
    each part with `write` and a folder of its own, in any order. The files get names in
    ``<folder>-<16 digits that stand for their content>``, whatever the order of the parts, so that
    the same parts make the same job; the parts stay. What `write` put there is a job already.
    Raises `BatchFileError` without a batch file, for one that is gone, for an id that stands in two
    of them, and for parts with different models or endpoints.
    """
    folder = Path(folder)
    if strange := [one for one in shards if not isinstance(one, Shard)]:
        problem = f"assemble takes the batch files as write gave them, not {strange[0]!r:.80}"
        raise BatchFileError([problem])
    shards = one_of_each_id(shards)
    problems = [
        f"{_name(shard)} asks {shard.model} at {shard.endpoint}, {_name(shards[0])} asks "
        f"{shards[0].model} at {shards[0].endpoint}; make one job for each"
        for shard in shards
        if (shard.model, shard.endpoint) != (shards[0].model, shards[0].endpoint)
    ]
    if problems or not shards:
        raise BatchFileError(problems or ["there are no batch files; are all parts empty?"])
    homes = {shard.path.parent for shard in shards}
    if len(homes) == 1 and re.fullmatch(f"{re.escape(str(folder))}-[0-9a-f]{{8,16}}", str(*homes)):
        return shards
    in_order = sorted(shards, key=lambda shard: shard.sha256)
    with _writing(folder.parent) as temporary:
        home = _home(folder, [shard.sha256 for shard in in_order])
        paths = {}
        for number, shard in enumerate(in_order, start=1):
            second = Path(temporary, f"requests-{number:03}.jsonl")
            try:
                # A second name, so that nothing is on the disk twice.
                second.hardlink_to(shard.path)
            except OSError:
                with _named(shard):
                    shutil.copy(shard.path, second)
            paths[shard] = _put(second, home / second.name)
    return [replace(shard, path=paths[shard]) for shard in shards]


def one_of_each_id(shards: Sequence[Shard]) -> list[Shard]:
    """The batch files, each of them once.

    Raises `BatchFileError` for ids that stand in two of them, because results are matched by them.
    The files of one folder were written together, and `write` has seen to it.
    """
    # Where each part of a job is asked for its retry, two may name the same file.
    shards = [*{shard.path: shard for shard in shards}.values()]
    if len({shard.path.parent for shard in shards}) < 2:
        return shards
    seen, ends = SeenIds(), [*accumulate(shard.requests for shard in shards)]
    every_id = enumerate(custom_id for shard in shards for custom_id in _ids_of(shard))
    twice = [(number, custom_id) for number, custom_id in every_id if seen.add(custom_id, number)]
    twice += [(number, custom_id) for custom_id, number, _ in seen.far_apart()]
    if twice:
        raise BatchFileError([
            f"the id {custom_id!r} stands in two of the batch files, once in "
            f"{_name(shards[bisect_right(ends, number)])}; give every row of the job its own"
            for number, custom_id in twice
        ])  # fmt: skip
    return shards


def _ids_of(shard: Shard) -> Iterator[str]:
    with _named(shard):
        yield from ids(shard.path)


@contextmanager
def _named(shard: Shard) -> Iterator[None]:
    """Says which batch file it is that cannot be read."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        problem = f"{_name(shard)} cannot be read ({error}); write that part again"
        raise BatchFileError([problem]) from error


def _name(shard: Shard) -> str:
    return f"{shard.path.parent.name}/{shard.path.name}"


def _count(requests: Iterable[Request]) -> int | None:
    return len(requests) if isinstance(requests, Sized) else None


def _writing(jobs: Path) -> tempfile.TemporaryDirectory:
    """A folder for files that are not finished, in the jobs folder, which is made."""
    try:
        jobs.mkdir(parents=True, exist_ok=True)
        _clear_away(jobs)
        return tempfile.TemporaryDirectory(dir=jobs, prefix=_WRITING)
    except OSError as error:
        problem = (
            f"the folder {jobs} cannot be written ({error}); name another, or set COOKBOOK_JOBS"
        )
        raise BatchFileError([problem]) from None


def _put(path: Path, target: Path) -> Path:
    """Moves a finished file, also where the job's folder is a link to another disk."""
    try:
        return path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    with path.open("rb") as content, whole_file(target) as file:
        shutil.copyfileobj(content, file)
    return target


def read(path: Path) -> Iterator[dict]:
    """The requests of a batch file, one at a time."""
    with path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def ids(path: Path) -> Iterator[str]:
    """The custom_ids of a batch file, in order."""
    with path.open("rb", buffering=_READ) as lines:
        for line in lines:
            # Nearly always it comes first, and then the rest, maybe a picture, need not be read.
            first = _FIRST_ID.match(line)
            yield first[1].decode() if first else orjson.loads(line)["custom_id"]


# Small blocks would take as long as finding the ids.
_READ = 1 << 16
_FIRST_ID = re.compile(rb'{"custom_id":"([A-Za-z0-9_-]+)"')


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _lines(requests: Iterable[Request], checks: Checks) -> Iterator[Line]:
    """Every request as a checked line.

    A generator is at its end with the first row that cannot become a request; ``map`` goes on, so
    that all such rows can be named together.
    """
    try:
        made = iter(requests)
    except TypeError:
        kind = type(requests).__name__
        raise BatchFileError([f"requests are a list or generator of dicts, not a {kind}"]) from None
    failed: list[RowError | PictureError] = []
    number = 0
    while len(failed) < _MOST_FAILED:
        number += 1
        try:
            request = next(made)
        except StopIteration:
            break
        except (RowError, PictureError) as error:
            if not isinstance(requests, map):
                raise
            failed.append(error)
            checks.problems.append(f"line {number}: {error}")
        else:
            yield checks.add(number, request)
    if failed and len(failed) == len(checks.problems):
        raise type(failed[0])("\n- ".join(dict.fromkeys(map(str, failed))))


_MOST_FAILED = 1_000
_MOST_TOKENS = 10**12


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


def _check_limit(name: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} is {value!r}; it is a whole number from 1 to {most:,}.")


def _home(folder: Path, digests: list[str]) -> Path:
    """The folder for files of this content: the one that it has already, or a new one."""
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    # Earlier versions took eight digits; a job that was begun with them is continued there.
    earlier = folder.with_name(f"{folder.name}-{digest[:8]}")
    if earlier.is_dir():
        found = [sha256_of(path) for path in sorted(earlier.glob("requests-*.jsonl"))]
        if found == digests:
            return earlier
    home = folder.with_name(f"{folder.name}-{digest[:16]}")
    home.mkdir(mode=0o700, exist_ok=True)
    return home


_WRITING = ".writing-"
_A_DAY = 24 * 60 * 60


def _clear_away(folder: Path) -> None:
    """What processes that died while they wrote left behind; others are at work in theirs."""
    for left in folder.glob(f"{_WRITING}*"):
        with suppress(OSError):
            latest = max(path.stat().st_mtime for path in (left, *left.iterdir()))
            if time.time() - latest > _A_DAY:
                shutil.rmtree(left)


_BUFFER = 1_000_000


@dataclass
class _Draft:
    """A batch file while it is written: lines are hashed and written a megabyte at a time."""

    path: Path
    bar: Bar
    requests: int = 0
    size: int = 0
    answer_tokens: int = 0
    uncapped: int = 0
    sizes: Size = field(default_factory=Size)
    longest_text: int = 0
    most_images: int = 0
    hash: Any = field(default_factory=hashlib.sha256)
    waiting: list[Line] = field(default_factory=list)
    waiting_bytes: int = 0

    def append(self, line: Line) -> None:
        self.waiting.append(line)
        self.waiting_bytes += len(line.content)
        if self.waiting_bytes > _BUFFER:
            self.flush()

    def flush(self) -> None:
        # All at once: hashing, writing and adding up line by line takes as long as checking.
        lines, self.waiting, self.waiting_bytes = self.waiting, [], 0
        content = b"".join([line.content for line in lines])
        self.hash.update(content)
        # Only the user may read it, from the first byte on.
        mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(self.path, mode, 0o600), "ab") as file:
            file.write(content)
        self.requests += len(lines)
        self.bar.update(len(lines))
        self.size += len(content)
        caps = [line.answer_tokens for line in lines]
        self.answer_tokens += sum(caps)
        self.uncapped += caps.count(0)
        sizes = [line.size for line in lines]
        self.sizes = Size(*map(sum, zip(self.sizes, *sizes, strict=True)))
        self.longest_text = max([self.longest_text, *(size.text_bytes for size in sizes)])
        images = (size.image_tokens + size.link_tokens for size in sizes)
        self.most_images = max([self.most_images, *images])

    def shard(self, path: Path, checks: Checks, round: int) -> Shard:
        return Shard(
            path, self.requests, self.size, self.hash.hexdigest(), checks.model, checks.url, round,
            self.answer_tokens, self.uncapped, *self.sizes, self.longest_text,
            self.most_images,
        )  # fmt: skip
