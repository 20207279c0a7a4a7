"""What a job knows of its batches, on disk."""

import json
import os
from pathlib import Path

from helpers.batchfile import Shard


class State:
    """The facts about each shard, in ``job.json`` beside the batch files, by the shard's sha256.

    Each server has its own: what the replay answered is never taken for what the live API did.
    ``intent`` is there before a batch is created, ``batch_id`` after it, ``batch`` (the API's whole
    object) when its status is final. Every change replaces the whole file, so that a crash leaves
    the old one or the new one.
    """

    def __init__(self, folder: Path, server: str):
        self.path = folder / "job.json"
        self.servers = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
        self.shards = self.servers.setdefault(server, {})

    def __getitem__(self, shard: Shard) -> dict:
        return self.shards.get(shard.sha256, {})

    def save(self, shard: Shard, **facts: object) -> None:
        self.shards[shard.sha256] = {**self[shard], "file": shard.path.name, **facts}
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self.servers, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
