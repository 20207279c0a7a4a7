"""batch files -> those of them that have no answer yet: no request is paid twice.

The jobs folder keeps an index of what was answered. It is made of the job folders, and made anew
when it is missing, so nothing is known by it alone.
"""

import hashlib
import math
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import openai
import orjson
import pandas as pd
from openai.types import Batch, CompletionUsage
from pydantic import BaseModel

from helpers import batchfile
from helpers.bars import Bar, along
from helpers.batchfile import Shard
from helpers.job import (
    FINAL,
    Job,
    JobError,
    Record,
    Records,
    all_records,
    batch_of,
    locked,
    look,
    result_path,
    server_of,
)
from helpers.outcome import Outcome, outcome_of, result_lines
from helpers.paths import whole_file
from helpers.table import Rows, collect

INDEX = "answered.sqlite"
_BLOCK = 500
# So many answers that are taken over say what the others will cost.
_MEASURED = 200
_TABLES = """
create table if not exists files (path text primary key);
create table if not exists answers (
    key blob primary key, path text, start integer, length integer) without rowid;
"""
_NOT_SENT = Outcome("missing", "not_sent", "It has no answer yet, and was not sent.")


class Known(NamedTuple):
    """What is to be sent, the outcomes of what is not, and requests with the usage of each."""

    shards: list[Shard]
    outcomes: pd.DataFrame
    asked: list[dict]
    usages: list[CompletionUsage]


def reuse(
    client: openai.OpenAI, shards: Sequence[Shard], answer: type[BaseModel] | None = None
) -> tuple[list[Shard], pd.DataFrame]:
    """The batch files that are still to be sent, and the outcomes of what was answered before.

    A request counts as answered when this server has given an ok answer to the same body, whatever
    the order of its keys, in any job of the same jobs folder, and the answer fits ``answer``. The
    rest is written to batch files of its own beside those given. The table has the columns of
    `collect` and ``source``, the folder of the job that paid for the answer; its tokens are 0, and
    rows that are to be sent are missing: `merge` it with what comes of them.

    What was decided once is kept, so that running this again gives the same files. A job that was
    submitted already is not taken apart. Raises `JobError` for requests that are on their way in
    another job: they would be paid twice.
    """
    return known_of(client, shards, answer)[:2]


def known_of(
    client: openai.OpenAI, shards: Sequence[Shard], answer: type[BaseModel] | None
) -> Known:
    """What `reuse` finds, and what the answers that are taken over have cost."""
    records = Records(server_of(client))
    if not shards or any(records[shard].batch for shard in shards):
        return Known([*shards], _table(shards, {}, answer), [], [])
    home = shards[0].path.parent
    mark = hashlib.sha256(records.server.encode()).hexdigest()[:12]
    kept = home / f"reused-{mark}.jsonl"
    with locked(home / "job.lock"):
        if not kept.exists():
            running = _running(client, home, records.server)
            index = _Index(home.parent, records.server)
            index.refuse_what_is_in(running, shards)
            found = index.answers(shards, answer)
            with whole_file(kept) as file:
                file.writelines(orjson.dumps(line) + b"\n" for line in found)
            if not kept.stat().st_size:
                # Nothing was decided: as long as nothing is sent, another job may answer.
                kept.unlink()
    earlier = {}
    if kept.exists():
        with kept.open("rb") as lines:
            earlier = {line["custom_id"]: line for line in result_lines(lines)}
    table = _table(shards, earlier, answer)
    requests = (request for shard in shards for request in batchfile.read(shard.path))
    asked = [*islice((r for r in requests if r["custom_id"] in earlier), _MEASURED)]
    usages = [_usage(earlier[request["custom_id"]]) for request in asked]
    if not earlier:
        return Known([*shards], table, [], [])
    if len(earlier) == len(table):
        return Known([], table, asked, usages)
    requests = (request for shard in shards for request in batchfile.read(shard.path))
    todo = (request for request in requests if request["custom_id"] not in earlier)
    largest = max(shard.requests for shard in shards)
    folder = home.with_name(f"{home.name}-rest")
    most = max(1, *(math.ceil(shard.tokens) for shard in shards))
    rest = batchfile.write(todo, folder, max_requests=largest, max_tokens=most)
    return Known(rest, table, asked, usages)


def _running(client: openai.OpenAI, home: Path, server: str) -> list[Shard]:
    """Other jobs' batch files that are on their way; what has ended meanwhile is fetched."""
    running: list[Shard] = []
    for folder, pairs in groupby(all_records(home.parent, server), lambda pair: pair[0].home):
        # In the folder of this job another process may have begun it.
        found = [*pairs] if folder != home else []
        # They are sent when their job goes on.
        running += [shard for shard, r in found if r.waits_for_room or r.to_be_divided]
        known = {shard: batch_of(record.batch or {}) for shard, record in found}
        left = [shard for shard, batch in known.items() if not _is_fetched(shard, batch, server)]
        for part in Job(left, [known[shard].id for shard in left], server).parts:
            # What another key has sent, or results that are gone, are no reason to stop here.
            with suppress(JobError), warnings.catch_warnings(action="ignore"):
                if look(client, part).over:
                    collect(client, part, sleep=lambda seconds: None)
                else:
                    running += part.shards
    return running


def _is_fetched(shard: Shard, batch: Batch, server: str) -> bool:
    """Whether the batch has ended, and its answers are here, if it has any."""
    file_id = batch.output_file_id
    here = not file_id or result_path(shard, server, batch.id, file_id, "output").exists()
    return batch.status in FINAL and here


def _usage(line: dict) -> CompletionUsage:
    outcome = outcome_of(line)
    return CompletionUsage.construct(
        prompt_tokens=outcome.prompt_tokens, completion_tokens=outcome.completion_tokens
    )


def _table(
    shards: Sequence[Shard], earlier: dict[str, dict], answer: type[BaseModel] | None
) -> pd.DataFrame:
    rows = Rows(answer)
    for shard in shards:
        rows.begin(shard, _NOT_SENT)
        known = (custom_id for custom_id in rows.places if custom_id in earlier)
        rows.put((i, outcome_of(earlier[i], answer, as_json=True)) for i in known)
    table = rows.table()
    tokens = [column for column in table.columns if column.endswith("_tokens")]
    sources = [earlier.get(custom_id, {}).get("source", "") for custom_id in table.index]
    return table.assign(source=sources, **dict.fromkeys(tokens, 0))


class _Index:
    """Where the answers to requests lie, by a digest of server, endpoint and body."""

    def __init__(self, jobs: Path, server: str):
        self.jobs, self.server = jobs, server
        try:
            self._update()
        except sqlite3.DatabaseError:
            # It holds nothing that the job folders do not.
            (jobs / INDEX).unlink()
            self._update()

    def answers(self, shards: Sequence[Shard], answer: type[BaseModel] | None) -> Iterator[dict]:
        """The result line of each request that has an ok answer, under its own custom_id."""
        with closing(self._open()) as database, _Lines(self.jobs) as lines:
            (known,) = database.execute("select count(*) from answers").fetchone()
            asked = shards if known else ()
            for shard in along(asked, "reading earlier answers", size=lambda s: s.requests):
                requests = batchfile.read(shard.path)
                while block := [*islice(requests, _BLOCK)]:
                    keys = {self._key(request): request["custom_id"] for request in block}
                    marks = ",".join("?" * len(keys))
                    query = f"select * from answers where key in ({marks})"
                    for key, path, start, length in database.execute(query, [*keys]):
                        line = lines.at(path, start, length)
                        if line and (not answer or outcome_of(line, answer).outcome == "ok"):
                            source = path.split("/")[0]
                            yield line | {"custom_id": keys[key], "source": source}

    def refuse_what_is_in(self, running: list[Shard], shards: Sequence[Shard]) -> None:
        """Raises `JobError` if some of the requests are on their way."""
        jobs = {self._key(r): s.home.name for s in running for r in batchfile.read(s.path)}
        asked = (r for shard in shards for r in batchfile.read(shard.path)) if jobs else ()
        twice = [jobs[key] for key in map(self._key, asked) if key in jobs]
        if twice:
            raise JobError(
                f"{len(twice):,} of the requests are on their way in "
                f"{', '.join(sorted({*twice}))}, and would be paid twice. Nothing was submitted. "
                "When that job has ended, run this again; reuse=False sends all of them now."
            )

    def _key(self, request: dict) -> bytes:
        body = orjson.dumps(request["body"], option=orjson.OPT_SORT_KEYS)
        digest = hashlib.blake2b(f"{self.server}\n{request['url']}\n".encode(), digest_size=16)
        digest.update(body)
        return digest.digest()

    def _open(self) -> sqlite3.Connection:
        path = self.jobs / INDEX
        path.touch(mode=0o600)
        database = sqlite3.connect(path, timeout=60)
        database.executescript(_TABLES)
        return database

    def _update(self) -> None:
        """Adds the result files that came since the last time."""
        with closing(self._open()) as database, database, Bar("reading earlier answers") as bar:
            known = {path for (path,) in database.execute("select path from files")}
            for shard, record in all_records(self.jobs, self.server):
                path = self._results(shard, record)
                name = path.relative_to(self.jobs).as_posix() if path else ""
                if path and name not in known and path.exists():
                    rows = ((key, name, *place) for key, *place in self._read(shard, path))
                    database.executemany("insert or ignore into answers values (?, ?, ?, ?)", rows)
                    database.execute("insert into files values (?)", [name])
                    bar.update(shard.requests)

    def _results(self, shard: Shard, record: Record) -> Path | None:
        batch = record.batch or {}
        file_id = batch.get("output_file_id")
        return result_path(shard, self.server, batch["id"], file_id, "output") if file_id else None

    def _read(self, shard: Shard, path: Path) -> Iterator[tuple[bytes, int, int]]:
        keys = {request["custom_id"]: self._key(request) for request in batchfile.read(shard.path)}
        start = 0
        with path.open("rb") as lines:
            for text in lines:
                for line in result_lines([text]):
                    if line["custom_id"] in keys and outcome_of(line).outcome == "ok":
                        yield keys[line["custom_id"]], start, len(text)
                start += len(text)


class _Lines(ExitStack):
    """Lines of result files under a jobs folder, by their places."""

    def __init__(self, jobs: Path):
        super().__init__()
        self.jobs = jobs
        self._files: dict[str, BinaryIO] = {}

    def at(self, path: str, start: int, length: int) -> dict | None:
        """The line at this place; None where the job's folder is gone."""
        try:
            if path not in self._files:
                self._files[path] = self.enter_context((self.jobs / path).open("rb"))
            self._files[path].seek(start)
            return next(result_lines([self._files[path].read(length)]), None)
        except OSError:
            return None
