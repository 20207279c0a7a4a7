"""A job, all batches of one table, and everything that is known of them on disk.

Beside each batch file, ``requests-001.jsonl``, lies its record, ``requests-001.json``. Nobody but
this module reads or writes records, so a fact about a batch has one owner.
"""

import contextlib
import hashlib
import itertools
import json
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import filelock
import openai
from openai.pagination import SyncCursorPage
from openai.types import Batch

from helpers.batchfile import Shard
from helpers.paths import whole_file

# The statuses of a batch that will not change any more: openai/types/batch.py and the Batch guide.
FINAL = {"completed", "failed", "expired", "cancelled"}

# No server is left alone for longer than this many seconds, whatever it asks for.
LONGEST_PAUSE = 600.0
_PATIENCE = 600.0
# Up to so many batches are looked at one by one; more come in pages of a hundred.
_FEW = 10
_PAGE = 100
# No time in seconds is as large before the year 5000.
_MILLISECONDS = 1e11
_LIMIT = re.compile(r"Limit: (\d[\d,]*)")
# The smallest that was reported, in tokens: https://community.openai.com/t/1028595/2
_SMALLEST_QUEUE = 90_000
# In the place of the API's code, in a batch that was given up.
_TOO_LARGE = "larger_than_queue"

T = TypeVar("T")


class JobError(RuntimeError):
    """A job cannot go on. The message says what is safe and what to do next."""


@dataclass(frozen=True)
class Job:
    """The shards of one table and the id of the batch of each, in the same order.

    ``server`` is the base URL of the client that submitted them. A batch that ran nothing may have
    been created again since: what came in its place is found in the records.
    """

    shards: list[Shard]
    batch_ids: list[str]
    server: str = ""

    @property
    def folder(self) -> Path:
        return self.shards[0].home

    @property
    def parts(self) -> list["Job"]:
        """A job for each batch file, to collect one after the other, or each on another machine."""
        each = zip(self.shards, self.batch_ids, strict=True)
        return [Job([shard], [batch_id], self.server) for shard, batch_id in each]


@dataclass
class Record:
    """What is known of one shard at one server.

    ``intent`` is the time, in Unix seconds, at which the creation of its batch was begun; it is
    None again once the answer is known. ``alone`` is about how many tokens it has, if no other
    batch was on its way then, although the one before had found no room. ``batch`` is the API's
    object as the server gave it, when it was created and when it had ended; ``earlier`` holds the
    ids of batches that ran nothing and that it took the place of. ``carried_over`` is the round
    that its rows went to, in smaller files. ``tried`` holds the answers of requests tried with Chat
    Completions, by custom_id.
    """

    file_id: str | None = None
    intent: float | None = None
    alone: float = 0.0
    batch: dict[str, Any] | None = None
    earlier: list[str] = field(default_factory=list)
    carried_over: int = 0
    cancelled: bool = False
    model: str = ""
    tried: dict[str, dict] = field(default_factory=dict)

    def id_of(self, batch_id: str) -> str:
        """The id of the batch that counts now, for a job that may know an earlier one."""
        return self.batch["id"] if self.batch and batch_id in self.earlier else batch_id

    def ended(self, batch_id: str) -> Batch | None:
        """The batch of this id, if it is known to have ended."""
        if self.batch and self.batch["id"] == batch_id and self.batch.get("status") in FINAL:
            return batch_of(self.batch)
        return None

    @property
    def may_run(self) -> bool:
        """Whether there is no batch, or one that ran nothing and may be created again."""
        if self.batch is None:
            return True
        given_up = self.cancelled or self.carried_over or self.too_large
        return not given_up and ran_nothing(batch_of(self.batch))

    @property
    def given_up(self) -> bool:
        """Whether its rows are to go on in smaller files, and it will not run as it is."""
        return bool(self.carried_over) or self.to_be_divided

    @property
    def to_be_divided(self) -> bool:
        """Whether its rows did not go on in smaller files yet."""
        return self.too_large and not self.carried_over and not self.cancelled

    @property
    def too_large(self) -> bool:
        """Whether not even the empty queue had room for it."""
        return self.batch is not None and _has(batch_of(self.batch), _TOO_LARGE)

    def see(self, batch: Batch) -> Batch:
        """Notes how the batch stands, and gives it back as it is known from now on.

        One that found no room and waits for none has a code of its own in the place of the API's.
        """
        self.batch = facts_of(batch)
        if found_no_room(batch) and (self.carried_over or self.alone > _least_to_divide(batch)):
            for error in self.batch["errors"]["data"]:
                error["code"] = _TOO_LARGE
                error["message"] = f"Larger than the whole queue: {error.get('message')}"
        return batch_of(self.batch)

    @property
    def waits_for_room(self) -> bool:
        """Whether the batch found no room in the queue, and will be created again."""
        return bool(self.batch and self.may_run and found_no_room(batch_of(self.batch)))

    def now_has(self, batch: Batch) -> None:
        """Notes the batch; one that ran nothing becomes an earlier one."""
        if self.batch and self.batch["id"] != batch.id:
            self.earlier.append(self.batch["id"])
        self.intent = None
        self.see(batch)


class Records:
    """The records of shards at one server.

    Each server has its own: what the replay answered is never taken for what the live API did. A
    change replaces the file as a whole, so a crash leaves the old record or the new one, and begins
    with what another kernel may have written meanwhile.
    """

    def __init__(self, server: str):
        self.server = server

    def __getitem__(self, shard: Shard) -> Record:
        return self._parse(_servers(shard), shard)

    def at(self, path: Path) -> tuple[Shard, Record]:
        """The batch file whose record lies there, as it was when it was written, and the record."""
        shard = _shard(path)
        return shard, self[shard]

    @contextlib.contextmanager
    def change(self, shard: Shard) -> Iterator[Record]:
        """The shard's record, to be changed; what it is at the end of the block is written."""
        with locked(shard.path.with_name("records.lock")):
            servers = _servers(shard)
            record = self._parse(servers, shard)
            before = json.dumps(vars(record))
            yield record
            if json.dumps(vars(record)) == before:
                return
            servers[self.server] = vars(record)
            facts = {name: value for name, value in asdict(shard).items() if name != "path"}
            with whole_file(_path(shard)) as file:
                file.write(json.dumps({"shard": facts, "servers": servers}, indent=1).encode())

    def family(self, job: Job) -> list[Shard]:
        """The job's batch files, those that their rows came from, and those that they went on in.

        By round. Of later rounds only what was sent to this server; with ones whose origin is not
        known any more.
        """
        found = {shard.path: shard for shard in job.shards}
        for shard in job.shards:
            found |= {origin.path: origin for origin in self._origins(shard)}
        line = {_path(shard) for shard in job.shards}
        paths = job.folder.glob("round-*/requests-*.json") if job.shards else ()
        for shard in sorted(map(_shard, paths), key=lambda shard: shard.round):
            before = _records_before(shard)
            of_this_job = not before or any(p in line or not p.exists() for p in before)
            if of_this_job and _read(_path(shard))["servers"].get(self.server):
                line.add(_path(shard))
                found.setdefault(shard.path, shard)
        return sorted(found.values(), key=lambda shard: (shard.round, shard.path))

    def _origins(self, shard: Shard) -> Iterator[Shard]:
        for path in _records_before(shard):
            if path.exists():
                earlier = _shard(path)
                yield from (*self._origins(earlier), earlier)

    def carried_over(self, shard: Shard) -> None:
        """Notes at the batch file that this one is a part of that its rows are sent with it."""
        for path in _records_before(shard) if shard.part_of else ():
            if path.exists():
                with self.change(_shard(path)) as record:
                    record.carried_over = shard.round
                    if record.batch:
                        record.see(batch_of(record.batch))

    def _parse(self, servers: dict, shard: Shard) -> Record:
        known = {one.name for one in fields(Record)}
        try:
            facts = servers.get(self.server, {})
            return Record(**{name: value for name, value in facts.items() if name in known})
        except (AttributeError, TypeError) as error:
            raise _damaged(_path(shard), error) from None


def all_records(jobs: Path, server: str) -> Iterator[tuple[Shard, Record]]:
    """Every batch file under a jobs folder that was sent to the server, and its record."""
    records = Records(server)
    for path in itertools.chain(*record_files(jobs).values()):
        with contextlib.suppress(JobError):
            shard, record = records.at(path)
            if record.batch:
                yield shard, record


def record_files(jobs: Path) -> dict[Path, list[Path]]:
    """The records under a jobs folder, those of all rounds, by the folder of their job."""
    # What begins with a dot is not finished, and may be gone in a moment.
    folders = [folder for folder in sorted(jobs.glob("[!.]*")) if folder.is_dir()]
    return {folder: sorted(folder.rglob("requests-*.json")) for folder in folders}


def result_path(shard: Shard, server: str, batch_id: str, file_id: str, kind: str) -> Path:
    """Where a result file lies; ``kind`` is ``output`` or ``errors``.

    Ids come from a server, so they are no part of a path; two servers may use the same ones.
    """
    mark = hashlib.sha256(f"{server}\n{batch_id}\n{file_id}".encode()).hexdigest()[:12]
    return shard.path.with_name(f"{shard.path.stem}-{mark}-{kind}.jsonl")


@contextlib.contextmanager
def locked(path: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Holds a lock, which ends with the process that holds it, however that ends.

    Another process waits for it up to ``patience`` seconds; then a `JobError`.
    """
    lock = filelock.FileLock(path, timeout=patience)
    try:
        # The lock would make a folder that is gone anew, without the batch files.
        path.parent.stat()
        lock.acquire()
    except TimeoutError:
        raise JobError(
            f"{path} is held: another process works on this job. Wait for it, or end it, then run "
            "this again."
        ) from None
    except OSError as error:
        raise JobError(
            f"{path} could not be locked ({error}). Is the folder gone, or not to be written? Then "
            "run again, from the first cell."
        ) from error
    try:
        yield
    finally:
        lock.release()


def server_of(client: openai.OpenAI) -> str:
    """The base URL of a client, without a name and password that may stand in it."""
    url = client.base_url
    return str(url.copy_with(userinfo=b"") if url.userinfo else url)


def given(found: Any, kind: type[T], client: openai.OpenAI) -> T:
    """What the server gave, if it is of that kind; proxies and wrong addresses answer with a page.

    The SDK passes on as text what is no JSON.
    """
    if isinstance(found, kind):
        return found
    raise JobError(
        f"{server_of(client)} answered with something else than the Batch API does: "
        f"{visible(found)[:200]!r}. Is OPENAI_BASE_URL right? It mostly ends in /v1. What was "
        "submitted stays submitted."
    )


def listed(client: openai.OpenAI) -> tuple[SyncCursorPage[Batch], Any]:
    """The first page of the account's batches, from which the others follow, and its headers."""
    answer = client.batches.with_raw_response.list(limit=_PAGE)
    try:
        return answer.parse(), answer.headers
    except AttributeError:
        # So the SDK stumbles over a page of text.
        return given(answer.text, SyncCursorPage, client), answer.headers


def batch_of(facts: dict[str, Any]) -> Batch:
    """A stored batch as the SDK's type, read as leniently as the SDK reads a response.

    What the SDK could read once can be read again: servers leave fields out, or fill them with what
    the type does not allow, and such a batch is paid all the same.
    """
    return Batch.construct(**facts)


def facts_of(batch: Batch) -> dict[str, Any]:
    """A batch as it is stored: what the server gave, whether or not it has the documented type."""
    return batch.to_dict(mode="json", warnings=False)


def counts_of(batch: Batch) -> tuple[int, int, int]:
    """How many requests of the batch were completed, failed, and there are; 0 where unknown."""
    names = ("completed", "failed", "total")
    found = [getattr(batch.request_counts, name, 0) for name in names]
    done, failed, total = (count if isinstance(count, int) else 0 for count in found)
    return done, failed, max(total, done + failed)


def visible(text: object) -> str:
    """A text of a server or a model with what would steer a terminal made visible."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def moment(time: object) -> float | None:
    """A time of a batch in Unix seconds; some servers count in milliseconds, or give none."""
    if not isinstance(time, int | float) or not 0 < time < _MILLISECONDS * 1000:
        return None
    return time / 1000 if time > _MILLISECONDS else float(time)


def ran_nothing(batch: Batch) -> bool:
    """Whether the batch was refused as a whole, for a reason that may pass.

    Such are a full queue, a billing limit, a file that is gone. None of its errors names a line. It
    cost nothing, and the same file can be sent again.
    """
    return batch.status == "failed" and all(error.line is None for error in errors_of(batch))


def found_no_room(batch: Batch) -> bool:
    """Whether the batch was refused only because the queue of enqueued tokens was full.

    That shows after the creation, as a batch that failed with ``token_limit_exceeded``
    (https://github.com/openai/openai-python/issues/2084).
    """
    return ran_nothing(batch) and _has(batch, "token_limit_exceeded")


def _least_to_divide(batch: Batch) -> float:
    """How many tokens a file has at least that no others can have kept out of the queue.

    The list shows only the batches of one project, and others use the same queue. The refusal says
    the limit (https://github.com/openai/openai-python/issues/2084); estimates may be too low.
    """
    found = _LIMIT.search(" ".join(str(error.message) for error in errors_of(batch)))
    return int(found[1].replace(",", "")) / 3 if found else _SMALLEST_QUEUE / 3


def _has(batch: Batch, code: str) -> bool:
    return code in [error.code for error in errors_of(batch)]


def errors_of(batch: Batch) -> list:
    """The errors of a batch's validation; other servers give null, nothing or an empty text."""
    return getattr(batch.errors, "data", None) or []


def age_of(batch: Batch) -> float:
    """Seconds since the batch ended, or else since it was created; a batch without times is old."""
    times = (getattr(batch, f"{status}_at", None) for status in (*FINAL, "created"))
    known = [at for at in map(moment, times) if at]
    return time.time() - known[0] if known else math.inf


@dataclass(frozen=True)
class Look:
    """How the batches of a job stand now, one per shard.

    ``waiting`` are the places of those that wait for room in the queue; ``pause`` is the time in
    seconds that the server asks to be left in peace, or None.
    """

    batches: list[Batch]
    waiting: list[int]
    pause: float | None

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return not self.waiting and all(batch.status in FINAL for batch in self.batches)


def look(client: openai.OpenAI, job: Job) -> Look:
    """How the batches of the job stand: those that have ended from their records, others asked for.

    The pause comes from the header ``openai-poll-after-ms``, which the SDK's polling helpers honour
    (openai/resources/videos.py). Raises `JobError` for a batch that the server does not know.
    """
    return Watch(client, job).look()


class Watch:
    """Looks at a job again and again; a record is read once, unless it may have changed."""

    def __init__(self, client: openai.OpenAI, job: Job):
        self.client, self.job = client, job
        self.records = Records(server_of(client))
        self._known: dict[int, Record] = {}

    def look(self) -> Look:
        known = [self._record(place) for place in range(len(self.job.shards))]
        ids = [r.id_of(batch_id) for r, batch_id in zip(known, self.job.batch_ids, strict=True)]
        ended = [record.ended(batch_id) for record, batch_id in zip(known, ids, strict=True)]
        asked = _Asked(self.client, [i for i, b in zip(ids, ended, strict=True) if b is None])
        batches = [
            batch or self._asked(asked, place, ids[place]) for place, batch in enumerate(ended)
        ]
        return Look(batches, [*filter(self._waits, range(len(batches)))], asked.pause)

    def ask_again(self, place: int, batch_id: str) -> Batch:
        """The batch as the server has it now, also if it is known to have ended."""
        return self._asked(_Asked(self.client, []), place, batch_id, note=True)

    def forget(self, place: int) -> None:
        """Has the record of the shard at this place read again at the next look."""
        self._known.pop(place, None)

    def _record(self, place: int) -> Record:
        if place not in self._known:
            self._known[place] = self.records[self.job.shards[place]]
        return self._known[place]

    def _asked(self, asked: "_Asked", place: int, batch_id: str, *, note: bool = False) -> Batch:
        shard = self.job.shards[place]
        batch = asked.batch(batch_id, shard)
        if note or batch.status in FINAL:
            with self.records.change(shard) as record:
                # Meanwhile another kernel may have created it again.
                if record.batch is None or record.batch["id"] == batch.id:
                    batch = record.see(batch)
            self._known[place] = record
        return batch

    def _waits(self, place: int) -> bool:
        batch_id, record = self.job.batch_ids[place], self._record(place)
        return record.waits_for_room and bool(record.ended(record.id_of(batch_id)))


class _Asked:
    """Batches as the server has them now: many in pages of the list, few one by one."""

    def __init__(self, client: openai.OpenAI, ids: list[str]):
        self.client = client
        self.pause: float | None = None
        self._listed: dict[str, Batch] = {}
        if len(ids) > _FEW:
            self._list({*ids})

    def batch(self, batch_id: str, shard: Shard) -> Batch:
        if found := self._listed.get(batch_id):
            return found
        try:
            answer = self.client.batches.with_raw_response.retrieve(batch_id)
        except openai.NotFoundError:
            raise JobError(
                f"{server_of(self.client)} knows no batch {batch_id}, of {shard.path.name}. It was "
                "made with another key, or the server has forgotten it. Use that key; or, to send "
                f"these rows anew, delete {_path(shard)} and run all cells again."
            ) from None
        self._note_pause(answer.headers)
        return given(answer.parse(), Batch, self.client)

    def _list(self, wanted: set[str]) -> None:
        page, headers = listed(self.client)
        self._note_pause(headers)
        # Unless others fill the list, those wanted are on its first pages.
        for _ in range(2 + 2 * len(wanted) // _PAGE):
            self._listed |= {batch.id: batch for batch in page.data if batch.id in wanted}
            if len(self._listed) == len(wanted) or not page.has_next_page():
                return
            page = page.get_next_page()

    def _note_pause(self, headers: Any) -> None:
        milliseconds = headers.get("openai-poll-after-ms", "")
        if milliseconds.isdecimal() and len(milliseconds) < 10:
            self.pause = max(self.pause or 0, min(int(milliseconds) / 1000, LONGEST_PAUSE))


def _path(shard: Shard) -> Path:
    return shard.path.with_suffix(".json")


def _records_before(shard: Shard) -> list[Path]:
    """Where the records are of the batch files that its rows stood in before."""
    # A job may have batch files in several folders.
    return [Path(os.path.normpath(shard.home / name)) for name in shard.carries]


def _servers(shard: Shard) -> dict:
    """What the shard's record holds, by server."""
    folder = shard.path.parent
    for old in (folder, folder.with_name(folder.name[:-8])):
        if (older := old / "job.json").exists():
            raise JobError(
                f"{older} was written by an earlier version, which this one does not read. Collect "
                f"the job with that version, or move {old} away: batches of the last 30 days are "
                "found again by their content, and are not paid twice."
            )
    path = _path(shard)
    if not path.exists():
        return {}
    content = _read(path)
    if content["shard"].get("sha256") != shard.sha256:
        raise JobError(
            f"{path} is the record of other requests than {shard.path.name} holds. Give this job a "
            "folder of another name."
        )
    return content["servers"]


def _shard(record: Path) -> Shard:
    """The batch file of a record, as it was when it was written."""
    facts = _read(record)["shard"]
    known = {one.name for one in fields(Shard)} & facts.keys()
    kept = {name: facts[name] for name in known}
    carries = tuple(facts.get("carries", ()))
    try:
        return Shard(**{**kept, "path": record.with_suffix(".jsonl"), "carries": carries})
    except TypeError as error:
        raise _damaged(record, error) from None


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text("utf-8"))
        content["shard"].get, content["servers"].get
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from None
    return content


def _damaged(path: Path, error: Exception) -> JobError:
    return JobError(
        f"{path} is damaged or cannot be read ({error!r:.200}). Delete it and run again: the batch "
        "is found at the server by its content, and is not paid twice."
    )
