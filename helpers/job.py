"""A job and what is known of its batches, on disk."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai
from openai.types import Batch

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


# The statuses of a batch that will not change any more: openai/types/batch.py and the Batch guide.
FINAL = {"completed", "failed", "expired", "cancelled"}

# Pauses in seconds before a download that broke off is begun again.
_PAUSES = (1, 5, 20)


class JobError(RuntimeError):
    """A job cannot go on. The message says what is safe and what to do next."""


@dataclass(frozen=True)
class Job:
    """The shards of one table and the id of the batch of each, in the same order.

    ``server`` is the base URL of the client that submitted them, where it is known.
    `wait` puts a new id in the place of a batch that found no room in the queue.
    """

    shards: list[Shard]
    batch_ids: list[str]
    server: str = ""

    @property
    def folder(self) -> Path:
        return self.shards[0].path.parent


def refresh(client: openai.OpenAI, job: Job) -> tuple[list[Batch], float | None]:
    """The batches of the job as they are now, and the pause in seconds that the server asks for.

    A batch with a final status is read from ``job.json``. The pause comes from the header
    ``openai-poll-after-ms``, which the SDK's polling helpers honour (openai/resources/videos.py).
    """
    batches, asked = [], []
    state = State(str(client.base_url))
    for shard, batch_id in zip(job.shards, job.batch_ids, strict=True):
        if known := state.ended(shard, batch_id):
            batches.append(Batch.model_validate(known))
            continue
        answer = client.batches.with_raw_response.retrieve(batch_id)
        batches.append(answer.parse())
        milliseconds = answer.headers.get("openai-poll-after-ms", "")
        asked += [int(milliseconds) / 1000] if milliseconds.isdecimal() else []
        if batches[-1].status in FINAL:
            state.save(shard, batch=batches[-1].to_dict())
    return batches, max(asked, default=None)


def found_no_room(batch: Batch) -> bool:
    """Whether the batch was refused only because the queue of enqueued tokens was full.

    That shows after the creation, as a batch that failed with ``token_limit_exceeded``
    (https://github.com/openai/openai-python/issues/2084). It ran nothing and cost nothing.
    """
    errors = (batch.errors.data if batch.errors else None) or []
    return batch.status == "failed" and any(e.code == "token_limit_exceeded" for e in errors)


def waits_for_room(shard: Shard, batch: Batch, server: str) -> bool:
    """Whether the batch found no room and is to be created again."""
    if not found_no_room(batch):
        return False
    return not (State(server)[shard].get("cancelled") or was_retried(shard, server))


def was_retried(shard: Shard, server: str) -> bool:
    """Whether a retry was submitted: what the batch left over belongs to the next round."""
    return any(map(State(server).begun, shard.path.parent.glob("round-*")))


def download(
    client: openai.OpenAI, job: Job, sleep: Callable[[float], None] = time.sleep
) -> list[tuple[Shard, Batch, list[Path]]]:
    """For every shard its batch and the result files of the batch, on disk.

    A batch has an output file, an error file, both, or (not finished, or refused) none. Files
    stream to a temporary name first and count only in full length; one that is there already is
    not fetched again. The API deletes output files 30 days after the batch (Batch guide); these
    copies stay. Raises `JobError` when a file is gone, or breaks off again and again.
    """
    results = []
    for shard, batch in zip(job.shards, refresh(client, job)[0], strict=True):
        paths = []
        for kind, file_id in (("errors", batch.error_file_id), ("output", batch.output_file_id)):
            if file_id is None:
                continue
            paths.append(shard.path.parent / f"{file_id}-{kind}.jsonl")
            if not paths[-1].exists():
                _fetch(client, file_id, paths[-1], sleep)
        results.append((shard, batch, paths))
    return results


def _fetch(client: openai.OpenAI, file_id: str, path: Path, sleep: Callable[[float], None]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.part")
    for pause in (*_PAUSES, None):
        try:
            size = client.files.retrieve(file_id).bytes or 0
            with client.files.with_streaming_response.content(file_id) as response:
                response.stream_to_file(temporary)
        except openai.NotFoundError:
            raise JobError(
                f"{path.name} is gone from the server ({file_id}): results are deleted 30 days "
                "after the batch. To ask these rows again, move the job's folder away and run all "
                "cells."
            ) from None
        except (httpx2.TransportError, openai.APIConnectionError) as error:
            broken = str(error)
        else:
            arrived = temporary.stat().st_size
            if arrived >= size:
                temporary.replace(path)
                return
            broken = f"{arrived:,} of {size:,} bytes arrived"
        if pause is None:
            temporary.unlink(missing_ok=True)
            raise JobError(
                f"{path.name} could not be fetched ({broken}). Nothing is lost: it stays at the "
                "server for 30 days. Run the same line again."
            )
        sleep(pause)
