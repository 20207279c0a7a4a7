"""The replay's memory in SQLite: files, batches, their lines, and how often a request was tried.

Ids follow from what is stored, not from a random number: the same uploads in the same order get the
same ids.
"""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import orjson

_TABLES = """
create table if not exists files (
    number integer primary key, id text unique, sha256 text, object text, content blob);
create table if not exists batches (
    number integer primary key, id text unique, keep integer, object text);
create table if not exists lines (
    batch text, place integer, custom_id text, start integer, size integer,
    status integer, answer blob, counted text, primary key (batch, place)) without rowid;
create table if not exists tries (key text primary key, count integer);
"""
# Databases of earlier versions lack these.
_BATCH_COLUMNS = {
    "input": "text", "status": "text", "looks": "integer default 0", "tokens": "integer",
    "begun": "real",
}  # fmt: skip
_GROUP = 1_000


class Line(NamedTuple):
    """A request of a batch: its place in the order of work, and where the file has its text."""

    place: int
    custom_id: str
    start: int
    size: int


class Kept(NamedTuple):
    """What came of a line: HTTP status, JSON body, and the key under which its tries count."""

    place: int
    status: int
    answer: bytes
    counted: str | None = None


class Store:
    """Files and batches as the JSON objects that the API shows. ``clock`` gives Unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time):
        self.path, self.clock = path, clock
        self._thread = threading.local()
        self._create()

    def _create(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Before SQLite makes it, which would let everybody read what requests and answers say.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self.path.chmod(0o600)
        with closing(sqlite3.connect(self.path, timeout=60)) as database:
            # Who reads never waits for who writes.
            database.execute("pragma journal_mode = wal")
            database.executescript(_TABLES)
        with self.transaction() as database:
            there = {row[1] for row in database.execute("pragma table_info(batches)")}
            for name, kind in _BATCH_COLUMNS.items():
                if name not in there:
                    database.execute(f"alter table batches add column {name} {kind}")
            database.execute("create index if not exists files_sha256 on files (sha256)")
            database.execute("create index if not exists batches_input on batches (input)")
            database.execute(
                "update batches set input = json_extract(object, '$.input_file_id'), "
                "status = json_extract(object, '$.status') where status is null"
            )
            # What an earlier version left on its way has no lines here: it begins anew.
            database.execute(
                "update batches set status = 'validating', object = "
                "json_set(object, '$.status', 'validating') where looks = 0 and "
                "status in ('in_progress', 'finalizing')"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits at the end, or rolls back when something raises.

        Inside another transaction of the same thread it is that one, so that several steps become
        one: nobody else sees or repeats the half of them.
        """
        if outer := getattr(self._thread, "database", None):
            yield outer
            return
        with self._connection() as database:
            database.execute("begin immediate")
            self._thread.database = database
            try:
                yield database
            except BaseException:
                database.execute("rollback")
                raise
            else:
                database.execute("commit")
            finally:
                self._thread.database = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if outer := getattr(self._thread, "database", None):
            yield outer
            return
        with self._connection() as database:
            yield database

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            # Somebody has deleted the folder: what was in it is unknown here from now on.
            self._create()
        with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as database:
            # A crash of the machine may cost the replay's memory; a crash of a process does not.
            database.execute("pragma synchronous = off")
            yield database

    def now(self) -> int:
        """The time in Unix seconds."""
        return int(self.clock())

    # files

    def add_file(
        self, name: str, purpose: str, content: bytes, keep: int | None, digest: str = ""
    ) -> dict:
        """The new file object; ``keep`` is its life in seconds, None for ever.

        ``digest`` is the sha256 of the content where it is known.
        """
        digest = digest or hashlib.sha256(content).hexdigest()
        with self.transaction() as database:
            now = self.now()
            (same,) = database.execute(
                "select count(*) from files where sha256 = ?", [digest]
            ).fetchone()
            file = {
                "id": _new_id("file-", digest, same),
                "object": "file",
                "bytes": len(content),
                "created_at": now,
                "filename": name,
                "purpose": purpose,
                "status": "processed",
                "expires_at": now + keep if keep else None,
            }
            database.execute(
                "insert into files (id, sha256, object, content) values (?, ?, ?, ?)",
                [file["id"], digest, orjson.dumps(file).decode(), content],
            )
        return file

    def content(self, file_id: str) -> bytes | None:
        """The bytes of a file, or None when there is none of that id."""
        with self._reading() as database:
            row = database.execute("select content from files where id = ?", [file_id]).fetchone()
        return row and row[0]

    def delete_file(self, file_id: str) -> None:
        """Deletes the file. What a batch on its way reads is kept out of sight until it ends."""
        # The row stays, so that its id is never given to another file.
        with self.transaction() as database:
            database.execute("update files set object = null where id = ?", [file_id])
            self._forget_content(database, file_id)

    def _forget_content(self, database: sqlite3.Connection, file_id: str) -> None:
        database.execute(
            "update files set content = null where id = ? and object is null and not exists "
            "(select 1 from batches where input = files.id and "
            "status in ('validating', 'in_progress', 'finalizing', 'cancelling'))",
            [file_id],
        )

    # batches

    def add_batch(self, batch: dict, keep: int) -> dict:
        """The batch with its new id and creation time; its results live for ``keep`` seconds."""
        with self.transaction() as database:
            now, file_id = self.now(), batch["input_file_id"]
            (same,) = database.execute(
                "select count(*) from batches where input = ?", [file_id]
            ).fetchone()
            batch_id = _new_id("batch_", file_id, same)
            batch = {"id": batch_id, **batch, "created_at": now, "expires_at": now + 86_400}
            database.execute(
                "insert into batches (id, input, status, keep, object) values (?, ?, ?, ?, ?)",
                [batch_id, file_id, batch["status"], keep, orjson.dumps(batch).decode()],
            )
        return batch

    def keeps_results(self, batch_id: str) -> int:
        """The life of the batch's result files in seconds."""
        with self._reading() as database:
            row = database.execute("select keep from batches where id = ?", [batch_id]).fetchone()
        return row[0]

    def look(self, batch_id: str) -> tuple[int, float]:
        """How often the batch was looked at since it runs, before this look, and since when."""
        with self.transaction() as database:
            looks, begun = database.execute(
                "update batches set looks = looks + 1, begun = coalesce(begun, ?) where id = ? "
                "returning looks, begun",
                [self.clock(), batch_id],
            ).fetchone()
        return looks - 1, begun

    def save_batch(self, batch: dict, was: str) -> bool:
        """Saves the batch if its status is still ``was``: somebody may have cancelled it."""
        with self.transaction() as database:
            saved = database.execute(
                "update batches set object = ?, status = ? where id = ? and status = ?",
                [orjson.dumps(batch).decode(), batch["status"], batch["id"], was],
            ).rowcount
            self._forget_content(database, batch["input_file_id"])
        return bool(saved)

    def tokens(self, batch_id: str) -> int | None:
        """The prompt tokens of the batch, where they were counted."""
        with self._reading() as database:
            row = database.execute("select tokens from batches where id = ?", [batch_id])
            return row.fetchone()[0]

    def save_tokens(self, batch_id: str, tokens: int) -> None:
        with self.transaction() as database:
            database.execute("update batches set tokens = ? where id = ?", [tokens, batch_id])

    # both

    def get(self, table: str, object_id: str) -> dict | None:
        """The file or batch of that id; ``table`` is ``files`` or ``batches``."""
        with self._reading() as database:
            row = database.execute(
                f"select object from {table} where id = ? and object is not null", [object_id]
            ).fetchone()
        return row and orjson.loads(row[0])

    def page(
        self,
        table: str,
        limit: int,
        after: str | None,
        ascending: bool = False,
        fits: Callable[[dict], bool] = lambda item: True,
    ) -> tuple[list[dict], bool] | None:
        """Up to ``limit`` of those that fit, and whether there are more; newest first.

        ``after`` is the id of the last one known, which may be deleted by now; None if there never
        was such a one.
        """
        order, beyond = ("asc", ">") if ascending else ("desc", "<")
        with self._reading() as database:
            number = -1 if ascending else 2**62
            if after is not None:
                row = database.execute(f"select number from {table} where id = ?", [after])
                found = row.fetchone()
                if found is None:
                    return None
                number = found[0]
            rows = database.execute(
                f"select object from {table} where number {beyond} ? and object is not null "
                f"order by number {order}",
                [number],
            )
            items: list[dict] = []
            for (text,) in rows:
                item = orjson.loads(text)
                if not fits(item):
                    continue
                if len(items) == limit:
                    return items, True
                items.append(item)
        return items, False

    def batches(self, status: str) -> list[dict]:
        """All batches with this status, oldest first."""
        with self._reading() as database:
            query = "select object from batches where status = ? order by number"
            return [orjson.loads(row[0]) for row in database.execute(query, [status])]

    # the lines of a batch

    def add_lines(self, batch_id: str, lines: list[Line]) -> None:
        """Notes the lines that are to be worked off. The same lines again change nothing."""
        for start in range(0, len(lines), _GROUP):
            with self.transaction() as database:
                database.executemany(
                    "insert or ignore into lines (batch, place, custom_id, start, size) "
                    "values (?, ?, ?, ?, ?)",
                    [(batch_id, *line) for line in lines[start : start + _GROUP]],
                )

    def open_lines(
        self, batch: dict, begin: int, end: int, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Place, custom_id and text of lines without an answer, from one place to another."""
        with self._reading() as database:
            found = database.execute(
                "select place, custom_id, start, size from lines where batch = ? and place >= ? "
                "and place < ? and status is null order by place limit ?",
                [batch["id"], begin, end, limit],
            ).fetchall()
            row = database.execute(
                "select number from files where id = ? and content is not null",
                [batch["input_file_id"]],
            ).fetchone()
            if row is None or not found:
                return []
            with database.blobopen("files", "content", row[0], readonly=True) as content:
                lines = []
                for place, custom_id, start, size in found:
                    content.seek(start)
                    lines.append((place, custom_id, content.read(size)))
        return lines

    def keep(self, batch_id: str, answers: Iterable[Kept]) -> None:
        """Stores answers; a line that has one keeps it."""
        rows = [(a.status, a.answer, a.counted, batch_id, a.place) for a in answers]
        with self.transaction() as database:
            database.executemany(
                "update lines set status = ?, answer = ?, counted = ? "
                "where batch = ? and place = ? and status is null",
                rows,
            )

    def counts(self, batch_id: str) -> dict[str, int]:
        """The ``request_counts`` of the batch: openai/types/batch_request_counts.py."""
        with self._reading() as database:
            total, done, good = database.execute(
                "select count(*), count(status), count(*) filter (where status = 200) "
                "from lines where batch = ?",
                [batch_id],
            ).fetchone()
        return {"total": total, "completed": good, "failed": done - good}

    def lines(self, batch_id: str) -> list[tuple[str, int | None, bytes | None]]:
        """The custom_id of each line with its status and answer, in the order of work."""
        with self._reading() as database:
            query = "select custom_id, status, answer from lines where batch = ? order by place"
            return database.execute(query, [batch_id]).fetchall()

    def count_tries(self, batch_id: str) -> None:
        """Notes that the requests of the batch were run."""
        with self.transaction() as database:
            database.execute(
                "insert into tries select counted, count(*) from lines where batch = ? and "
                "counted is not null group by counted "
                "on conflict (key) do update set count = count + excluded.count",
                [batch_id],
            )

    def forget_lines(self, batch_id: str) -> None:
        """Deletes the lines of a batch whose results are files by now."""
        gone, start = 1, 0
        while gone:
            with self.transaction() as database:
                gone = database.execute(
                    "delete from lines where batch = ? and place >= ? and place < ?",
                    [batch_id, start, start + _GROUP],
                ).rowcount
            start += _GROUP

    def tries(self, key: str) -> int:
        """How often a request with this key was run in batches that have ended."""
        with self._reading() as database:
            row = database.execute("select count from tries where key = ?", [key]).fetchone()
        return row[0] if row else 0


def _new_id(prefix: str, content: str, number: int) -> str:
    return prefix + hashlib.sha256(f"{content}/{number}".encode()).hexdigest()[:24]
