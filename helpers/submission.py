"""batch file -> batch: created once, whatever happens to the connection or the kernel."""

import datetime
import time
from collections.abc import Callable

import openai
from openai.types import Batch

from helpers.batchfile import Shard, sha256_of
from helpers.jobs import FINAL, Job, JobError
from helpers.state import State, locked

# Pauses in seconds before looking again for a batch whose creation was not answered.
_LOOKS = (0, 5, 10)


def submit(
    client: openai.OpenAI, shards: list[Shard], sleep: Callable[[float], None] = time.sleep
) -> Job:
    """The job with one batch per shard: those that exist are picked up, the others created.

    A batch is looked for in ``job.json``, then at the server by the sha256 in its metadata, before
    it is created: running this line again, in this kernel or another, even at the same time, does
    not pay twice. After an earlier call that may have created a batch unseen, the server is asked
    several times, because its list may lag; one that lags longer than the pauses in `_LOOKS` is the
    one way left to a second batch.

    Raises `JobError` for a model that is unknown or shut down and for a batch file that was
    changed, before anything is uploaded, and when a create call was refused or its answer lost.
    """
    if not shards:
        return Job([], [])
    folder = shards[0].path.parent
    with locked(folder / "job.lock"):
        state = State(folder, str(client.base_url))
        todo = [shard for shard in shards if "batch_id" not in state[shard]]
        if todo:
            check_model(client, todo[0].model)
            existing = _batches_by_content(client)
        for shard in todo:
            batch = existing.get(_key(shard))
            if batch and _results_are_gone(client, batch):
                batch = None
            elif batch is None and state[shard].get("intent"):
                batch = _seen_later(client, shard, sleep)
            batch = batch or _create(client, shard, state, sleep)
            state.save(shard, batch_id=batch.id)
    return Job(shards, [state[shard]["batch_id"] for shard in shards])


def check_model(client: openai.OpenAI, model: str, today: datetime.date | None = None) -> None:
    """Nothing, or a `JobError` when the API does not know the model or has shut it down.

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
            f"The model {model!r} was shut down on {shutdown}. Nothing was submitted. Change MODEL; "
            "https://developers.openai.com/api/docs/deprecations names its replacement."
        )


def _create(
    client: openai.OpenAI, shard: Shard, state: State, sleep: Callable[[float], None]
) -> Batch:
    name = f"{shard.path.parent.name}-{shard.path.name}"
    if not shard.path.exists() or sha256_of(shard.path) != shard.sha256:
        raise JobError(f"{shard.path} was changed or deleted after it was written. Write it again.")
    with shard.path.open("rb") as content:
        uploaded = client.files.create(file=(name, content), purpose="batch")
    state.save(shard, intent="create")
    try:
        # The SDK repeats a POST whose answer was lost, without an idempotency key: a second batch.
        return client.with_options(max_retries=0).batches.create(
            input_file_id=uploaded.id,
            endpoint=shard.endpoint,
            completion_window="24h",
            metadata=dict(zip(("sha256", "round"), _key(shard), strict=True)),
        )
    except (openai.APIStatusError, openai.APIConnectionError) as error:
        status = getattr(error, "status_code", 0)
        if 400 <= status < 500 and status != 408:
            state.save(shard, intent=None)
            raise JobError(
                f"The API refused to create the batch for {name}: {error}. The batches created "
                "before it go on. Mend the cause, then run the same line again."
            ) from error
        found = _seen_later(client, shard, sleep)
        if found is None:
            raise JobError(
                f"No answer came to the creation of the batch for {name} ({error}). "
                "Run the same line again: it looks for the batch before it creates one."
            ) from error
        return found


def _seen_later(
    client: openai.OpenAI, shard: Shard, sleep: Callable[[float], None]
) -> Batch | None:
    """The batch that an unanswered call may have created, if the server comes to list it."""
    for pause in _LOOKS:
        sleep(pause)
        try:
            found = _batches_by_content(client).get(_key(shard))
        except openai.APIError:
            continue
        if found:
            return found
    return None


def _results_are_gone(client: openai.OpenAI, batch: Batch) -> bool:
    """Whether the batch is done and its result file was deleted, as happens after 30 days."""
    file_id = batch.output_file_id or batch.error_file_id
    if batch.status not in FINAL or file_id is None:
        return False
    try:
        client.files.retrieve(file_id)
    except openai.NotFoundError:
        return True
    return False


def _batches_by_content(client: openai.OpenAI) -> dict[tuple[str, str], Batch]:
    """The account's batches by the sha256 and the round in their metadata, the newest of each.

    A batch that failed its validation ran nothing and cost nothing, so it does not count.
    """
    batches = sorted(client.batches.list(limit=100), key=lambda batch: batch.created_at)
    return {
        (batch.metadata.get("sha256", ""), batch.metadata.get("round", "")): batch
        for batch in batches
        if batch.metadata and batch.status != "failed"
    }


def _key(shard: Shard) -> tuple[str, str]:
    return shard.sha256, str(shard.round)
