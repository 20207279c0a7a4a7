"""batch file -> batch -> its end: created once, whatever happens; then waited for."""

import datetime
import functools
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import openai
import pandas as pd
from openai.types import Batch

from helpers.account import Account, cancel, has_file, label, upload_name
from helpers.batchfile import Shard, sha256_of
from helpers.costs import check_budget
from helpers.display.progress import Progress
from helpers.job import (
    FINAL,
    Job,
    JobError,
    Look,
    Record,
    Records,
    Watch,
    errors_of,
    locked,
    ran_nothing,
    server_of,
)
from helpers.paths import clear_away

# The account's limit, in the Batch guide: https://developers.openai.com/api/docs/guides/batch
_BATCHES_PER_HOUR = 2_000
_HOUR = 3_600
_TIMES_TO_WAIT = 5
_UPLOADS_AT_ONCE = 4
# Pauses in seconds before looking again for a batch whose creation was not answered.
_LOOKS = (0, 5, 10)

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
_PATIENCE = 10
_OUTAGES = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)
_GO_ON = "The batches stay submitted. Run this again to wait for them."


def submit(
    client: openai.OpenAI,
    shards: list[Shard],
    *,
    expected: pd.DataFrame | None = None,
    budget: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Job:
    """The job with one batch per shard: those that exist are picked up, the others created.

    A batch is looked for in the shard's record, then at the server by its content, before it is
    created: running this line again, in this kernel or another, even at the same time, does not pay
    twice. After an earlier call that may have created a batch unseen, the server is asked several
    times, because its list may lag. A batch that ran nothing is created again. No more are created
    than the account may in an hour.

    With ``budget``, in US dollars, the batches that are still to be created are compared with
    ``expected``, the table of `estimate`: a `BudgetError` if they could cost more, or if the table
    is of other files. Batches that exist are never in its way.

    Raises `JobError` for a model that is unknown or shut down and for a batch file that was
    changed, before anything is uploaded, and when a create call was refused or its answer lost.
    """
    with ExitStack() as locks:
        for folder in sorted({shard.path.parent for shard in shards}):
            locks.enter_context(locked(folder / "job.lock"))
            clear_away(folder)
        submission = _Submission(client, sleep)
        if todo := submission.without_batch(shards):
            if budget is not None:
                check_budget(pd.DataFrame() if expected is None else expected, todo, budget)
            check_model(client, todo[0].model)
            submission.create(todo)
        server = submission.records.server
        return Job(shards, [submission.batch_id(shard) for shard in shards], server)


def unsubmitted(client: openai.OpenAI, shards: list[Shard]) -> list[Shard]:
    """The shards that `submit` would create a batch of, after a look at the server."""
    return _Submission(client, time.sleep).without_batch(shards)


def check_model(client: openai.OpenAI, model: str, *, today: datetime.date | None = None) -> str:
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


class _Submission:
    """What one call of `submit` knows: the records, read once, and the account's batches."""

    def __init__(self, client: openai.OpenAI, sleep: Callable[[float], None]):
        self.client, self.sleep = client, sleep
        self.records = Records(server_of(client))
        self._known: dict[Shard, Record] = {}
        self._account: Account | None = None

    @property
    def account(self) -> Account:
        self._account = self._account or Account(self.client)
        return self._account

    def batch_id(self, shard: Shard) -> str:
        batch = self._record(shard).batch
        assert batch is not None
        return batch["id"]

    def without_batch(self, shards: list[Shard]) -> list[Shard]:
        """The shards that have no batch yet, neither in their records nor at the server."""
        todo = [shard for shard in shards if self._record(shard).may_run]
        return [shard for shard in todo if not self._found(shard)]

    def create(self, todo: list[Shard]) -> None:
        """Uploads the files, a few at a time, then creates one batch after the other."""
        with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
            file_ids = list(pool.map(self._uploaded, todo))
        for shard, file_id in zip(todo, file_ids, strict=True):
            self._keep_to_the_hourly_limit()
            # Before the creation: a kernel that dies in between must not send these rows twice.
            self.records.carried_over(shard)
            batch = self._create(shard, file_id)
            self.account.add(batch)
            self._note(shard, batch)

    def _record(self, shard: Shard) -> Record:
        if shard not in self._known:
            self._known[shard] = self.records[shard]
        return self._known[shard]

    def _note(self, shard: Shard, batch: Batch, carried_over: int = 0) -> None:
        with self.records.change(shard) as record:
            record.now_has(batch)
            record.carried_over = carried_over
        self._known[shard] = record

    def _found(self, shard: Shard) -> bool:
        """Whether the server has a batch of the shard that counts; then it is noted."""
        record = self._record(shard)
        batch = self.account.find(shard, file_id=record.file_id)
        later = self.account.later_round(shard) if batch and ran_nothing(batch) else 0
        if batch and ran_nothing(batch) and not later:
            batch = None
        if batch and _results_are_gone(self.client, batch):
            batch = None
        elif batch is None and record.intent:
            batch = self._seen_later(shard, record.file_id)
        if batch is None:
            return False
        self._note(shard, batch, carried_over=later)
        return True

    def _seen_later(self, shard: Shard, file_id: str | None) -> Batch | None:
        """The batch that an unanswered call may have created, if the server comes to list it."""
        for pause in _LOOKS:
            self.sleep(pause)
            try:
                found = Account(self.client).find(shard, file_id=file_id)
            except openai.APIError:
                continue
            if found and found.id not in self._record(shard).earlier:
                return found
        return None

    def _keep_to_the_hourly_limit(self) -> None:
        created = self.account.created
        if len(created) >= _BATCHES_PER_HOUR:
            room_at = created[-_BATCHES_PER_HOUR] + _HOUR
            self.sleep(max(0, room_at - time.time()))

    def _uploaded(self, shard: Shard) -> str:
        """The id of the shard's file at the server, uploaded now if it is not there."""
        if not shard.path.exists() or sha256_of(shard.path) != shard.sha256:
            raise JobError(
                f"{shard.path} was changed or deleted after it was written. Write it again."
            )
        file_id = self._record(shard).file_id
        if file_id is None or not has_file(self.client, file_id):
            with shard.path.open("rb") as content:
                upload = self.client.files.create(
                    file=(upload_name(shard), content), purpose="batch"
                )
            file_id = upload.id
            with self.records.change(shard) as record:
                record.file_id = file_id
            self._known[shard] = record
        return file_id

    def _create(self, shard: Shard, file_id: str) -> Batch:
        name = upload_name(shard)
        with self.records.change(shard) as record:
            record.intent = time.time()
        try:
            return self._post(shard, file_id)
        except (openai.APIStatusError, openai.APIConnectionError) as error:
            status = getattr(error, "status_code", 0)
            if 400 <= status < 500 and status != 408:
                with self.records.change(shard) as record:
                    record.intent = None
                raise JobError(
                    f"The API refused to create the batch for {name}: {error}. The batches created "
                    "before it go on. Fix the cause, then run the same line again."
                ) from error
            found = self._seen_later(shard, file_id)
            if found is None:
                raise JobError(
                    f"The creation of the batch for {name} was not confirmed ({error}). "
                    "Run the same line again: it looks for the batch before it creates one."
                ) from error
            return found

    def _post(self, shard: Shard, file_id: str) -> Batch:
        # The SDK repeats a POST whose answer was lost, without an idempotency key: a second batch.
        post = functools.partial(
            self.client.with_options(max_retries=0).batches.create,
            input_file_id=file_id,
            endpoint=shard.endpoint,  # type: ignore[arg-type]  # checked against checks.ENDPOINTS
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
                self.sleep(int(pause))
        return post()


def _results_are_gone(client: openai.OpenAI, batch: Batch) -> bool:
    """Whether the batch is done and its result file was deleted, as happens after 30 days."""
    file_id = batch.output_file_id or batch.error_file_id
    return batch.status in FINAL and bool(file_id) and not has_file(client, str(file_id))


def wait(
    client: openai.OpenAI,
    job: Job,
    *,
    show: Callable[[list[Batch]], Any] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    limit: float | None = None,
    say: Callable[[str], None] = print,
) -> list[Batch]:
    """The batches of the job, one per shard, when all have reached a status in `FINAL`.

    Shows the progress while it waits, and passes its lines to ``say``; ``show`` takes its place,
    and is called with the batches after every look at the server. The pause between two looks
    grows from 5 to 60 seconds, or is what the server asks for, and up to a quarter longer by
    chance, so that many who wait do not ask at once. A batch that the full queue of enqueued tokens
    refused is created again when there may be room.

    Interrupting is safe: the batches go on, and the same line waits for them again. After ``limit``
    seconds, after `_PATIENCE` looks in a row without an answer, and for a batch that is larger than
    the whole queue a `JobError` says how to go on.
    """
    show = show or Progress(job, cancel=functools.partial(cancel, client, job), say=say)
    begun, pause, failures = time.monotonic(), _FIRST_PAUSE, 0
    watch = Watch(client, job)
    queue = _Queue(watch, sleep)
    try:
        while True:
            try:
                now = watch.look()
                show(now.batches)
                if now.over:
                    return now.batches
                queue.fill(now)
                asked, failures = now.pause, 0
            except _OUTAGES as error:
                failures += 1
                if failures == _PATIENCE:
                    server = server_of(client)
                    raise JobError(f"No answer from {server} ({error}). {_GO_ON}") from error
                asked = None
            if limit is not None and time.monotonic() - begun > limit:
                raise JobError(f"Not finished after {limit:g} seconds. {_GO_ON}")
            sleep((pause if asked is None else asked) * random.uniform(1, 1.25))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_GO_ON) from None


class _Queue:
    """Creates refused batches again, one at a time, when something has changed at the server."""

    def __init__(self, watch: Watch, sleep: Callable[[float], None]):
        self.watch, self.sleep = watch, sleep
        self.running_at_last_try: int | None = None
        self.tried_alone: set[int] = set()

    def fill(self, now: Look) -> None:
        running = sum(batch.status not in FINAL for batch in now.batches)
        validating = any(batch.status == "validating" for batch in now.batches)
        if not now.waiting or validating or (running and running == self.running_at_last_try):
            return
        place = now.waiting[0]
        shard = self.watch.job.shards[place]
        if place in self.tried_alone:
            raise JobError(
                f"{shard.path.name} is larger than the whole queue: "
                f"{errors_of(now.batches[place])[0].message} Send its rows in smaller files: "
                "collect, then retry(job, outcomes, max_requests=...). Rows that have an answer "
                "stay."
            )
        # Only an empty queue that refuses a batch is too small for it: others fill it, too.
        if not running and Account(self.watch.client).unfinished == 0:
            self.tried_alone.add(place)
        self.running_at_last_try = running
        try:
            submit(self.watch.client, [shard], sleep=self.sleep)
        finally:
            self.watch.forget(place)
