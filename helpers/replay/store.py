"""The replay's memory in SQLite: files, batches, and how often each request was tried.

Ids and times follow from what is stored, not from a clock or a random number: the same uploads in
the same order get the same ids at the same times.
"""

import datetime
import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson

_EPOCH = int(datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC).timestamp())
_TICK = 60

_TABLES = """
create table if not exists files (
    number integer primary key, id text unique, sha256 text, object text, content blob);
create table if not exists batches (
    number integer primary key, id text unique, polls integer default 0, keep integer,
    object text);
create table if not exists tries (key text primary key, count integer);
"""


class Store:
    """Files and batches as the JSON objects that the API shows."""

    def __init__(self, path: Path):
        self.path = path
        self._thread = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=60)) as database:
            database.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits at the end, or rolls back when something raises.

        Inside another transaction of the same thread it is that one, so that several steps become
        one: nobody else sees or repeats the half of them.
        """
        if outer := getattr(self._thread, "database", None):
            yield outer
            return
        with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as database:
            # A crash of the machine may cost the replay's memory; a crash of a process does not.
            database.execute("pragma synchronous = off")
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

    def now(self) -> int:
        """The replay's time in Unix seconds: one minute passes for everything that is stored."""
        with self.transaction() as database:
            (count,) = database.execute(
                "select (select count(*) from files) + (select count(*) from batches)"
            ).fetchone()
        return _EPOCH + _TICK * count

    def add_file(self, name: str, purpose: str, content: bytes, keep: int | None) -> dict:
        """The new file object; ``keep`` is its life in seconds, None for ever."""
        digest = hashlib.sha256(content).hexdigest()
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
                [file["id"], digest, orjson.dumps(file), content],
            )
        return file

    def content(self, file_id: str) -> bytes | None:
        """The bytes of a file, or None when there is none of that id."""
        with self.transaction() as database:
            row = database.execute("select content from files where id = ?", [file_id]).fetchone()
        return row and row[0]

    def delete_file(self, file_id: str) -> None:
        # The row stays, so that its id is never given to another file.
        with self.transaction() as database:
            database.execute(
                "update files set object = null, content = null where id = ?", [file_id]
            )

    def add_batch(self, batch: dict, keep: int) -> dict:
        """The batch with its new id and creation time; its results live for ``keep`` seconds."""
        with self.transaction() as database:
            now = self.now()
            (same,) = database.execute(
                "select count(*) from batches where json_extract(object, '$.input_file_id') = ?",
                [batch["input_file_id"]],
            ).fetchone()
            batch_id = _new_id("batch_", batch["input_file_id"], same)
            batch = {"id": batch_id, **batch, "created_at": now, "expires_at": now + 86_400}
            database.execute(
                "insert into batches (id, keep, object) values (?, ?, ?)",
                [batch_id, keep, orjson.dumps(batch).decode()],
            )
        return batch

    def keeps_results(self, batch_id: str) -> int:
        """The life of the batch's result files in seconds."""
        with self.transaction() as database:
            row = database.execute("select keep from batches where id = ?", [batch_id]).fetchone()
        return row[0]

    def poll(self, batch_id: str) -> int:
        """How often the batch was looked at before; counts this look."""
        with self.transaction() as database:
            row = database.execute(
                "update batches set polls = polls + 1 where id = ? returning polls", [batch_id]
            ).fetchone()
        return row[0] - 1

    def save_batch(self, batch: dict) -> None:
        with self.transaction() as database:
            database.execute(
                "update batches set object = ? where id = ?",
                [orjson.dumps(batch).decode(), batch["id"]],
            )

    def get(self, table: str, object_id: str) -> dict | None:
        """The file or batch of that id; ``table`` is ``files`` or ``batches``."""
        with self.transaction() as database:
            row = database.execute(
                f"select object from {table} where id = ? and object is not null", [object_id]
            ).fetchone()
        return row and orjson.loads(row[0])

    def all(self, table: str) -> list[dict]:
        """All files or all batches, newest first."""
        with self.transaction() as database:
            found = database.execute(
                f"select object from {table} where object is not null order by number desc"
            ).fetchall()
        return [orjson.loads(row[0]) for row in found]

    def tries(self, keys: list[str]) -> list[int]:
        """How often a request with each of these keys was run before."""
        with self.transaction() as database:
            query = "select coalesce((select count from tries where key = ?), 0)"
            return [database.execute(query, [key]).fetchone()[0] for key in keys]

    def count_tries(self, keys: list[str]) -> None:
        """Notes that a request with each of these keys was run."""
        with self.transaction() as database:
            database.executemany(
                "insert into tries values (?, 1) on conflict (key) do update set count = count + 1",
                [[key] for key in keys],
            )


def _new_id(prefix: str, content: str, number: int) -> str:
    return prefix + hashlib.sha256(f"{content}/{number}".encode()).hexdigest()[:24]
