"""batch file -> batch -> its end: submit, wait."""

import datetime
import functools
import random
import time
from collections.abc import Callable
from contextlib import ExitStack

import openai
from openai.types import Batch

from helpers.account import (
    all_batches,
    find,
    has_file,
    label,
    results_are_gone,
    seen_later,
    unfinished,
    upload_name,
)
from helpers.batchfile import Shard, sha256_of
from helpers.job import FINAL, Job, JobError, State, locked, refresh, waits_for_room, was_retried

# The account's limit, in the Batch guide: https://developers.openai.com/api/docs/guides/batch
_BATCHES_PER_HOUR = 2_000
_HOUR = 3_600
_TIMES_TO_WAIT = 5


def submit(
    client: openai.OpenAI, shards: list[Shard], sleep: Callable[[float], None] = time.sleep
) -> Job:
    """The job with one batch per shard: those that exist are picked up, the others created.

    A batch is looked for in ``job.json``, then at the server by the sha256 in its metadata, before
    it is created: running this line again, in this kernel or another, even at the same time, does
    not pay twice. After an earlier call that may have created a batch unseen, the server is asked
    several times, because its list may lag; one that lags longer than the pauses in
    `helpers.account` is the one way left to a second batch. A batch that only found no room in the
    queue is created again. No more are created than the account may in an hour.

    Raises `JobError` for a model that is unknown or shut down and for a batch file that was
    changed, before anything is uploaded, and when a create call was refused or its answer lost.
    """
    if not shards:
        return Job([], [])
    state = State(str(client.base_url))
    with ExitStack() as locks:
        for folder in sorted({shard.path.parent for shard in shards}):
            locks.enter_context(locked(folder / "job.lock"))
        todo = [shard for shard in shards if not _has_a_batch(shard, state)]
        if todo:
            check_model(client, todo[0].model)
            existing = all_batches(client)
            created = [batch.created_at for batch in existing]
        for shard in todo:
            batch = find(existing, shard, or_failed=was_retried(shard, state.server))
            if batch and results_are_gone(client, batch):
                batch = None
            elif batch is None and state[shard].get("intent"):
                batch = seen_later(client, shard, sleep)
            if batch is None:
                _keep_to_the_hourly_limit(created, sleep)
                batch = _create(client, shard, state, sleep)
                created.append(batch.created_at)
            state.save(shard, batch_id=batch.id, intent=None)
    return Job(shards, [state[shard]["batch_id"] for shard in shards], state.server)


def check_model(client: openai.OpenAI, model: str, today: datetime.date | None = None) -> str:
    """A sentence about the model; a `JobError` if the API does not know it or has shut it down.

    ``shutdown_date`` is a field of the model object: openai/types/model.py.
    """
    try:
        shutdown = client.models.retrieve(model).shutdown_date
    except openai.NotFoundError:
        raise JobError(
            f"The API knows no model {model!r}. Nothing was submitted. Change MODEL; "
            "client.models.list() shows what your key can use."
        ) from None
    if shutdown and datetime.date.fromisoformat(shutdown) <= (today or datetime.date.today()):
        raise JobError(
            f"The model {model!r} was shut down on {shutdown}. Nothing was submitted. Change "
            "MODEL; https://developers.openai.com/api/docs/deprecations names its replacement."
        )
    end = f"to be shut down on {shutdown}" if shutdown else "no shutdown announced"
    return f"model: {model}, {end}"


def _has_a_batch(shard: Shard, state: State) -> bool:
    batch_id = state[shard].get("batch_id")
    if batch_id is None:
        return False
    batch = state.ended(shard, batch_id)
    return not batch or not waits_for_room(shard, Batch.model_validate(batch), state.server)


def _keep_to_the_hourly_limit(created: list[int], sleep: Callable[[float], None]) -> None:
    if len(created) >= _BATCHES_PER_HOUR:
        room_at = sorted(created)[-_BATCHES_PER_HOUR] + _HOUR
        sleep(max(0, room_at - time.time()))


def _create(
    client: openai.OpenAI, shard: Shard, state: State, sleep: Callable[[float], None]
) -> Batch:
    name = upload_name(shard)
    file_id = _uploaded(client, shard, state)
    state.save(shard, intent="create")
    try:
        return _post(client, shard, file_id, sleep)
    except (openai.APIStatusError, openai.APIConnectionError) as error:
        status = getattr(error, "status_code", 0)
        if 400 <= status < 500 and status != 408:
            state.save(shard, intent=None)
            raise JobError(
                f"The API refused to create the batch for {name}: {error}. The batches created "
                "before it go on. Fix the cause, then run the same line again."
            ) from error
        found = seen_later(client, shard, sleep)
        if found is None:
            raise JobError(
                f"The creation of the batch for {name} was not confirmed ({error}). "
                "Run the same line again: it looks for the batch before it creates one."
            ) from error
        return found


def _uploaded(client: openai.OpenAI, shard: Shard, state: State) -> str:
    """The id of the shard's file at the server, uploaded now if it is not there."""
    if not shard.path.exists() or sha256_of(shard.path) != shard.sha256:
        raise JobError(f"{shard.path} was changed or deleted after it was written. Write it again.")
    file_id = state[shard].get("file_id")
    if file_id is None or not has_file(client, file_id):
        with shard.path.open("rb") as content:
            upload = client.files.create(file=(upload_name(shard), content), purpose="batch")
        file_id = upload.id
        state.save(shard, file_id=file_id)
    return file_id


def _post(
    client: openai.OpenAI, shard: Shard, file_id: str, sleep: Callable[[float], None]
) -> Batch:
    # The SDK repeats a POST whose answer was lost, without an idempotency key: a second batch.
    post = functools.partial(
        client.with_options(max_retries=0).batches.create,
        input_file_id=file_id,
        endpoint=shard.endpoint,
        completion_window="24h",
        metadata=label(shard),
    )
    for _ in range(_TIMES_TO_WAIT):
        try:
            return post()
        except openai.RateLimitError as error:
            # A call that came too early made no batch, so this one may be repeated.
            pause = error.response.headers.get("retry-after", "")
            if not pause.isdecimal():
                raise
            sleep(int(pause))
    return post()


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
