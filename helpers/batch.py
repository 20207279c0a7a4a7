"""batch file -> batch -> its end: created once, whatever happens; then waited for."""

import datetime
import functools
import math
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai
import pandas as pd
from openai.types import Batch, FileObject, Model

from helpers.account import Account, cancel, has_file, label, upload_name
from helpers.bars import BYTES, Bar, Counted
from helpers.batchfile import Shard, one_of_each_id, sha256_of
from helpers.costs import check_budget
from helpers.display.progress import Progress
from helpers.job import (
    FINAL,
    LONGEST_PAUSE,
    Job,
    JobError,
    Look,
    Record,
    Records,
    Watch,
    age_of,
    batch_of,
    errors_of,
    given,
    locked,
    ran_nothing,
    server_of,
    visible,
)
from helpers.paths import clear_away

# The account's limit, in the Batch guide: https://developers.openai.com/api/docs/guides/batch
_BATCHES_PER_HOUR = 2_000
_HOUR = 3_600
_TIMES_TO_WAIT = 5
_UPLOADS_AT_ONCE = 4
# Pauses in seconds before looking again for a batch whose creation was not answered, so long after
# the call as a list may lag; those that are longer are said.
_LOOKS, _SILENT, _LAG = (0, 5, 10, 45, 120, 180, 240), 10, 600
# Pauses before an upload that failed is begun again.
_UPLOAD_PAUSES = (5, 30)
# A result file that is not found is believed to be gone only when it is about 30 days old.
_LIFE = 29 * 86_400

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
_PATIENCE = 10
OUTAGES = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)
_GO_ON = "The batches stay submitted. Run this again to wait for them."


def submit(
    client: openai.OpenAI,
    shards: list[Shard],
    *,
    expected: pd.DataFrame | None = None,
    budget: float | None = None,
    say: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> Job:
    """The job with one batch per shard: those that exist are picked up, the others created.

    A batch is looked for in the shard's record, then at the server by its content, before it is
    created: running this line again, in this kernel or another, even at the same time, does not pay
    twice. After an earlier call that may have created a batch unseen, the server is asked again and
    again for ten minutes, because its list may lag. A batch that ran nothing is created again,
    after ``say`` was told why it failed; ``say`` is also told of pauses. No more are created than
    the account may in an hour.

    With ``budget``, in US dollars, the batches that are still to be created are compared with
    ``expected``, the table of `estimate`: a `BudgetError` if they could cost more, or if the table
    is of other files. Batches that exist are never in its way.

    Raises `BatchFileError` for an id that stands in two batch files, `JobError` for a model that is
    unknown or shut down and for a batch file that was changed, before anything is uploaded, and
    when a create call was refused or its answer lost.
    """
    shards = one_of_each_id(shards)
    while True:
        with ExitStack() as locks:
            for home in sorted({shard.home for shard in shards}):
                locks.enter_context(locked(home / "job.lock"))
            for folder in {shard.path.parent for shard in shards}:
                clear_away(folder)
            submission = _Submission(client, say, sleep)
            if todo := submission.without_batch(shards):
                if budget is not None:
                    check_budget(pd.DataFrame() if expected is None else expected, todo, budget)
                check_model(client, todo[0].model)
                submission.create(todo)
            if not submission.pause:
                server = submission.records.server
                return Job(shards, [submission.batch_id(shard) for shard in shards], server)
        # Without the lock: others may work on the job meanwhile.
        say(
            f"The account may create {_BATCHES_PER_HOUR:,} batches in an hour; going on in "
            f"{submission.pause:.0f} seconds."
        )
        sleep(submission.pause)


def unsubmitted(client: openai.OpenAI, shards: list[Shard]) -> list[Shard]:
    """The shards that `submit` would create a batch of, after a look at the server."""
    return _Submission(client, lambda line: None, lambda seconds: None).without_batch(shards)


def check_model(client: openai.OpenAI, model: str, *, today: datetime.date | None = None) -> str:
    """A sentence about the model; a `JobError` if the API does not know it or has shut it down.

    ``shutdown_date`` is a field of the model object: openai/types/model.py.
    """
    try:
        found = given(client.models.retrieve(model), Model, client)
        shutdown = getattr(found, "shutdown_date", None)
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

    def __init__(
        self,
        client: openai.OpenAI,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
    ):
        self.client, self.say, self.sleep = client, say, sleep
        self.records = Records(server_of(client))
        self.pause = 0.0
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
        # One request alone fits into no smaller file: it may have room at another time.
        todo = [
            shard
            for shard in shards
            if self._record(shard).may_run
            or (self._record(shard).too_large and shard.requests == 1)
        ]
        return [shard for shard in todo if not self._found(shard)]

    def create(self, todo: list[Shard]) -> None:
        """Uploads the files, a few at a time, and creates the batch of each that has arrived.

        Ends early where the account may create no more; ``pause`` says for how long.
        """
        self.uploading = Bar("uploading", total=sum(shard.bytes for shard in todo), unit=BYTES)
        pool = ThreadPoolExecutor(_UPLOADS_AT_ONCE)
        with self.uploading:
            try:
                for shard, file_id in zip(todo, pool.map(self._uploaded, todo), strict=True):
                    self.pause = self._until_there_is_room()
                    if self.pause:
                        return
                    # Before the creation: a kernel that dies in between must not send rows twice.
                    self.records.carried_over(shard)
                    batch = self._create(shard, file_id)
                    self.account.add(batch)
                    self._note(shard, batch)
            finally:
                pool.shutdown(cancel_futures=True)

    def _record(self, shard: Shard) -> Record:
        if shard not in self._known:
            self._known[shard] = self.records[shard]
        return self._known[shard]

    def _note(self, shard: Shard, batch: Batch, carried_over: int = 0) -> None:
        with self.records.change(shard) as record:
            record.carried_over = carried_over
            record.now_has(batch)
        self._known[shard] = record

    def _found(self, shard: Shard) -> bool:
        """Whether the server has a batch of the shard that counts; then it is noted."""
        record = self._record(shard)
        if record.batch:
            errors = errors_of(batch_of(record.batch))
            reason = visible(errors[0].message) if errors else "the server gave no reason"
            if not record.waits_for_room:
                self.say(f"{upload_name(shard)}: created again, its batch ran nothing ({reason})")
        batch = self.account.find(shard, file_id=record.file_id)
        later = self.account.carried_over(shard) if batch and ran_nothing(batch) else 0
        if batch and ran_nothing(batch) and not later:
            batch = None
        if batch and _results_are_gone(self.client, batch):
            batch = None
        elif batch is None and record.intent:
            batch = self._seen_later(shard, record.file_id, record.intent)
        if batch is None:
            return False
        self._note(shard, batch, carried_over=later)
        return True

    def _seen_later(self, shard: Shard, file_id: str | None, since: float) -> Batch | None:
        """The batch that an unanswered call may have created, if the server comes to list it.

        Looked for until a list may not be behind any more; ``since`` is the time of the call.
        """
        until = since + _LAG
        for pause in _LOOKS:
            if pause > _SILENT:
                if time.time() > until:
                    return None
                moment = datetime.datetime.fromtimestamp(until)
                self.say(
                    f"{upload_name(shard)}: looking for its batch, whose creation was not "
                    f"confirmed, until {moment:%H:%M:%S} at the latest."
                )
            self.sleep(pause)
            try:
                found = Account(self.client).find(shard, file_id=file_id)
            except openai.APIError:
                continue
            if found and found.id not in self._record(shard).earlier:
                return found
        return None

    def _until_there_is_room(self) -> float:
        """Seconds until the account may create another batch."""
        created = self.account.created
        if len(created) < _BATCHES_PER_HOUR:
            return 0
        pause = created[-_BATCHES_PER_HOUR] + _HOUR - time.time()
        # A clock that was set back says nothing of how long an hour is.
        return pause if 0 < pause <= _HOUR else 0

    def _uploaded(self, shard: Shard) -> str:
        """The id of the shard's file at the server, uploaded now if it is not there."""
        if not shard.path.exists() or sha256_of(shard.path) != shard.sha256:
            raise JobError(
                f"{shard.path} was changed or deleted after it was written. Write it again."
            )
        file_id = self._record(shard).file_id
        if file_id is None or not has_file(self.client, file_id):
            file_id = self._upload(shard)
            with self.records.change(shard) as record:
                record.file_id = file_id
            self._known[shard] = record
        return file_id

    def _upload(self, shard: Shard) -> str:
        name = upload_name(shard)
        for pause in (*_UPLOAD_PAUSES, None):
            try:
                with Counted(shard.path, self.uploading) as content:
                    upload = self.client.files.create(file=(name, content), purpose="batch")
                return given(upload, FileObject, self.client).id
            except OUTAGES as error:
                if pause is None:
                    raise JobError(
                        f"{name} could not be uploaded ({visible(error)}). What was uploaded "
                        "before stays. Run the same line again."
                    ) from error
                self.sleep(pause)
            except openai.APIStatusError as error:
                raise JobError(
                    f"The API refused the upload of {name}: {visible(error)}. Nothing was paid for "
                    "it. Fix the cause, then run the same line again."
                ) from error
        raise AssertionError("the last pause is None")

    def _create(self, shard: Shard, file_id: str) -> Batch:
        name = upload_name(shard)
        begun = time.time()
        with self.records.change(shard) as record:
            # Only an empty queue that refuses a batch once more is too small for it.
            retried = record.waits_for_room and not self.account.unfinished
            record.alone = shard.tokens if retried else 0.0
            record.intent = begun
        try:
            return given(self._post(shard, file_id), Batch, self.client)
        except (openai.APIStatusError, openai.APIConnectionError) as error:
            status = getattr(error, "status_code", 0)
            if getattr(error, "code", None) == "token_limit_exceeded":
                return _not_created(shard, file_id, error)
            refused = 400 <= status < 500 and status != 408
            never_sent = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
            if refused or never_sent:
                with self.records.change(shard) as record:
                    record.intent = None
            if refused:
                raise JobError(
                    f"The API refused to create the batch for {name}: {visible(error)}. The "
                    "batches created before it go on. Fix the cause, then run the same line again."
                ) from error
            found = None if never_sent else self._seen_later(shard, file_id, begun - _LAG)
            if found is None:
                raise JobError(
                    f"The creation of the batch for {name} was not confirmed ({visible(error)}). "
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
                # A call that came too early made no batch, so this one may be repeated. A longer
                # pause is the reader's: nobody can work on the job while this call holds its lock.
                pause = _retry_after(error.response.headers.get("retry-after", ""))
                if pause is None or pause > LONGEST_PAUSE:
                    raise
                self.say(f"{upload_name(shard)}: too early, says the server; again in {pause:g} s.")
                self.sleep(pause)
        return post()


def _retry_after(text: str) -> float | None:
    """The seconds of a Retry-After header, which may be a number or a date (RFC 9110, 10.2.3)."""
    with suppress(ValueError):
        seconds = float(text)
        return seconds if 0 <= seconds < math.inf else None
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _not_created(shard: Shard, file_id: str, error: openai.APIError) -> Batch:
    """A batch that found no room, where the server refuses to create it instead.

    OpenAI creates it, and it fails; Azure answers the call with an error
    (https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/batch).
    """
    errors = {"data": [{"code": "token_limit_exceeded", "message": error.message, "line": None}]}
    return Batch.construct(
        id=f"none-{shard.sha256[:16]}-{time.time_ns()}", object="batch", status="failed",
        created_at=int(time.time()), endpoint=shard.endpoint, input_file_id=file_id,
        completion_window="24h", errors=errors,
    )  # fmt: skip


def _results_are_gone(client: openai.OpenAI, batch: Batch) -> bool:
    """Whether the batch is done and its result file was deleted, as happens after 30 days."""
    file_id = batch.output_file_id or batch.error_file_id
    if batch.status not in FINAL or not file_id or age_of(batch) < _LIFE:
        return False
    return not has_file(client, file_id)


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
    refused is created again when there may be room; one that is larger than the whole queue is
    given up, and `retry` puts its rows into smaller files.

    Interrupting is safe: the batches go on, and the same line waits for them again. After ``limit``
    seconds, and after `_PATIENCE` looks in a row without an answer, a `JobError` says how to go on.
    """
    show = show or Progress(job, cancel=functools.partial(cancel, client, job), say=say)
    begun, pause, failures = time.time(), _FIRST_PAUSE, 0
    watch = Watch(client, job)
    queue = _Queue(watch, say, sleep)
    try:
        while True:
            try:
                now = watch.look()
                show(now.batches)
                if now.over:
                    return now.batches
                queue.fill(now)
                asked, failures = now.pause, 0
            except OUTAGES as error:
                failures += 1
                if failures == _PATIENCE:
                    server = server_of(client)
                    raise JobError(
                        f"No answer from {server} ({visible(error)}). {_GO_ON}"
                    ) from error
                asked = None
            # Not the time that the machine was awake: a laptop sleeps.
            if limit is not None and time.time() - begun > limit:
                raise JobError(f"Not finished after {limit:g} seconds. {_GO_ON}")
            sleep((pause if asked is None else asked) * random.uniform(1, 1.25))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_GO_ON) from None


class _Queue:
    """Creates refused batches again, one at a time, when something has changed at the server."""

    def __init__(self, watch: Watch, say: Callable[[str], None], sleep: Callable[[float], None]):
        self.watch, self.say, self.sleep = watch, say, sleep
        self.running_at_last_try: int | None = None

    def fill(self, now: Look) -> None:
        running = sum(batch.status not in FINAL for batch in now.batches)
        validating = any(batch.status == "validating" for batch in now.batches)
        if not now.waiting or validating or (running and running == self.running_at_last_try):
            return
        self.running_at_last_try = running
        place = now.waiting[0]
        try:
            shard = self.watch.job.shards[place]
            submit(self.watch.client, [shard], say=self.say, sleep=self.sleep)
        finally:
            self.watch.forget(place)
