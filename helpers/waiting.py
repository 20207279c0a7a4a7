"""batch -> its end: looked at until it is final, created again where the queue had no room."""

import random
import time
from collections.abc import Callable

import openai
from openai.types import Batch

from helpers.account import unfinished
from helpers.jobs import FINAL, Job, JobError, refresh, waits_for_room
from helpers.submission import submit

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
_PATIENCE = 10
_OUTAGES = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)
_GO_ON = "The batches stay submitted. Run this again to wait for them."


def wait(
    client: openai.OpenAI,
    job: Job,
    show: Callable[[list[Batch]], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    limit: float | None = None,
) -> list[Batch]:
    """The batches of the job, one per shard, when all have reached a status in `FINAL`.

    ``show`` is called with the batches after every look at the server. The pause between two
    looks grows from 5 to 60 seconds, or is what the server asks for, and up to a quarter longer by
    chance, so that many who wait do not ask at once. A batch that the full queue of enqueued tokens
    refused is created again when there may be room.

    Interrupting is safe: the batches go on, and the same line waits for them again. After ``limit``
    seconds, after `_PATIENCE` looks in a row without an answer, and for a batch that is larger than
    the whole queue a `JobError` says how to go on.
    """
    begun, pause, failures, queue = time.monotonic(), _FIRST_PAUSE, 0, _Queue(client, job, sleep)
    try:
        while True:
            try:
                batches, asked = refresh(client, job)
                if show:
                    show(batches)
                refused = [
                    place
                    for place, (shard, batch) in enumerate(zip(job.shards, batches, strict=True))
                    if waits_for_room(shard, batch, str(client.base_url))
                ]
                if all(batch.status in FINAL for batch in batches) and not refused:
                    return batches
                queue.fill(batches, refused)
                failures = 0
            except _OUTAGES as error:
                failures += 1
                if failures == _PATIENCE:
                    raise JobError(
                        f"No answer from {client.base_url} ({error}). {_GO_ON}"
                    ) from error
                asked = None
            if limit is not None and time.monotonic() - begun > limit:
                raise JobError(f"Not finished after {limit:g} seconds. {_GO_ON}")
            sleep((pause if asked is None else asked) * random.uniform(1, 1.25))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_GO_ON) from None


class _Queue:
    """Creates refused batches again, one at a time, when something has changed at the server."""

    def __init__(self, client: openai.OpenAI, job: Job, sleep: Callable[[float], None]):
        self.client, self.job, self.sleep = client, job, sleep
        self.running_at_last_try: int | None = None

    def fill(self, batches: list[Batch], refused: list[int]) -> None:
        running = sum(batch.status not in FINAL for batch in batches)
        validating = any(batch.status == "validating" for batch in batches)
        if not refused or validating or (running and running == self.running_at_last_try):
            return
        place = refused[0]
        shard = self.job.shards[place]
        if running == self.running_at_last_try and not unfinished(self.client):
            raise JobError(
                f"{shard.path.name} is larger than the whole queue: "
                f"{batches[place].errors.data[0].message} Send its rows in smaller files: collect, "
                "then retry(job, outcomes, max_requests=...). Rows that have an answer stay."
            )
        self.running_at_last_try = running
        self.job.batch_ids[place] = submit(self.client, [shard], self.sleep).batch_ids[0]
