"""A job, all batches of one table: waited for, and its results brought to disk.

Its folder holds the batch files, ``job.json`` with what is known of every batch, and later the
result files, so the same code run again goes on where it stopped.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openai
from openai.types import Batch

from helpers.batchfile import Shard
from helpers.state import State

# The statuses of a batch that will not change any more: openai/types/batch.py and the Batch guide.
FINAL = {"completed", "failed", "expired", "cancelled"}

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
_PATIENCE = 10
_GO_ON = "The batches go on. Run this again to wait for them."


class JobError(RuntimeError):
    """A job cannot go on. The message says what is safe and what to do next."""


@dataclass(frozen=True)
class Job:
    """The shards of one table and the id of the batch of each, in the same order."""

    shards: list[Shard]
    batch_ids: list[str]

    @property
    def folder(self) -> Path:
        return self.shards[0].path.parent


def wait(
    client: openai.OpenAI,
    job: Job,
    show: Callable[[list[Batch]], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Batch]:
    """The batches of the job, one per shard, when all have reached a status in `FINAL`.

    ``show`` is called with the batches after every look at the server. The pause between two
    looks grows from 5 to 60 seconds, or is what the server asks for. Interrupting is safe: the
    batches go on, and the same line waits for them again. Looks that fail are repeated; after
    `_PATIENCE` of them in a row a `JobError` says so.
    """
    pause, failures = _FIRST_PAUSE, 0
    try:
        while True:
            try:
                batches, asked = refresh(client, job)
            except (openai.APIConnectionError, openai.InternalServerError) as error:
                failures += 1
                if failures == _PATIENCE:
                    raise JobError(
                        f"No answer from {client.base_url} ({error}). {_GO_ON}"
                    ) from error
                asked = None
            else:
                failures = 0
                if show:
                    show(batches)
                if all(batch.status in FINAL for batch in batches):
                    return batches
            sleep(pause if asked is None else asked)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_GO_ON) from None


def refresh(client: openai.OpenAI, job: Job) -> tuple[list[Batch], float | None]:
    """The batches of the job as they are now, and the pause in seconds that the server asks for.

    A batch with a final status is read from ``job.json``. The pause comes from the header
    ``openai-poll-after-ms``, which the SDK's own polling helpers honour (openai/resources/videos.py).
    """
    batches, asked = [], []
    for shard, batch_id in zip(job.shards, job.batch_ids, strict=True):
        state = State(job.folder, str(client.base_url))
        known = state[shard].get("batch", {})
        if known.get("id") == batch_id:
            batches.append(Batch.model_validate(known))
            continue
        answer = client.batches.with_raw_response.retrieve(batch_id)
        batches.append(answer.parse())
        milliseconds = answer.headers.get("openai-poll-after-ms", "")
        asked += [int(milliseconds) / 1000] if milliseconds.isdecimal() else []
        if batches[-1].status in FINAL:
            state.save(shard, batch=batches[-1].to_dict())
    return batches, max(asked, default=None)


def download(client: openai.OpenAI, job: Job) -> list[tuple[Shard, Batch, list[Path]]]:
    """For every shard its batch and the result files of the batch, on disk.

    A batch has an output file, an error file, both, or (not finished, or refused) none. Files
    stream to a temporary name first; one that is there already is not fetched again. The API
    deletes output files 30 days after the batch (Batch guide); these copies stay.
    """
    results = []
    for shard, batch in zip(job.shards, refresh(client, job)[0], strict=True):
        paths = []
        for kind, file_id in (("errors", batch.error_file_id), ("output", batch.output_file_id)):
            if file_id is None:
                continue
            paths.append(job.folder / f"{batch.id}-{kind}.jsonl")
            if not paths[-1].exists():
                _fetch(client, file_id, paths[-1])
        results.append((shard, batch, paths))
    return results


def _fetch(client: openai.OpenAI, file_id: str, path: Path) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        with client.files.with_streaming_response.content(file_id) as response:
            response.stream_to_file(temporary)
    except openai.NotFoundError:
        raise JobError(
            f"{path.name} is gone from the server ({file_id}): results are deleted 30 days after "
            "the batch. To ask these rows again, move the job's folder away and run all cells."
        ) from None
    temporary.replace(path)
