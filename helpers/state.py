"""What a job knows of its batches, on disk."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from helpers.batchfile import Shard


@contextmanager
def locked(path: Path, patience: float = 600) -> Iterator[None]:
    """Holds a lock; another process waits for it up to ``patience`` seconds, then `TimeoutError`.

    The lock is an open transaction of SQLite, which ends with the process that holds it, however
    that ends, on every system.
    """
    with ExitStack() as stack:
        try:
            connection = sqlite3.connect(path, patience, isolation_level=None)
            stack.enter_context(closing(connection)).execute("begin exclusive")
        except sqlite3.OperationalError as error:
            raise TimeoutError(
                f"{path} could not be locked ({error}). Either another process works on this job: "
                "wait for it. Or the folder is gone. Then run again, from the first cell."
            ) from error
        yield


class State:
    """The facts about each shard, in ``job.json`` beside the batch file, by the shard's sha256.

    Each server has its own: what the replay answered is never taken for what the live API did.
    ``intent`` is there while a batch is being created, ``batch_id`` after it, ``batch`` (the API's
    whole object) when its status is final. Every change replaces the whole file, so that a crash
    leaves the old one or the new one, and begins with what other kernels have written meanwhile.
    """

    def __init__(self, server: str):
        self.server = server

    def __getitem__(self, shard: Shard) -> dict:
        return _read(shard.path.parent).get(self.server, {}).get(shard.sha256, {})

    def ended(self, shard: Shard, batch_id: str) -> dict:
        """The API's object of this batch of the shard; empty unless it is known to have ended."""
        batch = self[shard].get("batch", {})
        return batch if batch.get("id") == batch_id else {}

    def begun(self, folder: Path) -> bool:
        """Whether anything was sent from this folder."""
        return self.server in _read(folder)

    def save(self, shard: Shard, **facts: object) -> None:
        folder = shard.path.parent
        with locked(folder / "state.lock"):
            servers = _read(folder)
            known = servers.setdefault(self.server, {}).setdefault(shard.sha256, {})
            known.update({"file": shard.path.name, **facts})
            temporary = folder / "job.tmp"
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(servers, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / "job.json")


def _read(folder: Path) -> dict:
    path = folder / "job.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}
