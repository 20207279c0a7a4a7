"""batch file -> batch: created once, whatever happens to the connection or the kernel."""

import datetime

import openai
from openai.types import Batch

from helpers.batchfile import Shard, sha256_of
from helpers.jobs import Job, JobError
from helpers.state import State


def submit(client: openai.OpenAI, shards: list[Shard]) -> Job:
    """The job with one batch per shard: those that exist are picked up, the others created.

    A batch is looked for in ``job.json``, then at the server by the sha256 in its metadata, before
    it is created: running this line again, in this kernel or another, never pays twice. Raises
    `JobError` for a model that is unknown or shut down and for a batch file that was changed,
    before anything is uploaded, and when a create call was refused or its answer lost.
    """
    if not shards:
        return Job([], [])
    state = State(shards[0].path.parent, str(client.base_url))
    if todo := [shard for shard in shards if "batch_id" not in state[shard]]:
        check_model(client, todo[0].model)
        existing = _batches_by_content(client)
        for shard in todo:
            batch = existing.get((shard.sha256, str(shard.round))) or _create(client, shard, state)
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


def _create(client: openai.OpenAI, shard: Shard, state: State) -> Batch:
    name = f"{shard.path.parent.name}-{shard.path.name}"
    if not shard.path.exists() or sha256_of(shard.path) != shard.sha256:
        raise JobError(f"{shard.path} was changed or deleted after it was written. Write it again.")
    state.save(shard, intent="create")
    with shard.path.open("rb") as content:
        uploaded = client.files.create(file=(name, content), purpose="batch")
    try:
        # The SDK repeats a POST whose answer was lost, without an idempotency key: a second batch.
        return client.with_options(max_retries=0).batches.create(
            input_file_id=uploaded.id,
            endpoint=shard.endpoint,
            completion_window="24h",
            metadata={"sha256": shard.sha256, "round": str(shard.round)},
        )
    except openai.APIStatusError as error:
        if error.status_code != 408 and error.status_code < 500:
            raise JobError(
                f"The API refused to create the batch for {name}: {error}. The batches created "
                "before it go on. Mend the cause, then run the same line again."
            ) from error
        return _created_after_all(client, shard, error)
    except openai.APIConnectionError as error:
        return _created_after_all(client, shard, error)


def _created_after_all(client: openai.OpenAI, shard: Shard, lost: Exception) -> Batch:
    """The batch whose create call got no answer, if the server has it."""
    try:
        found = _batches_by_content(client).get((shard.sha256, str(shard.round)))
    except openai.APIError:
        found = None
    if found is None:
        raise JobError(
            f"No answer came to the creation of the batch for {shard.path.name} ({lost}). "
            "Run the same line again: it looks for the batch before it creates one."
        ) from lost
    return found


def _batches_by_content(client: openai.OpenAI) -> dict[tuple[str, str], Batch]:
    """The account's batches by the sha256 and the round in their metadata.

    A batch that failed its validation ran nothing and cost nothing, so it does not count.
    """
    return {
        (batch.metadata.get("sha256", ""), batch.metadata.get("round", "")): batch
        for batch in client.batches.list(limit=100)
        if batch.metadata and batch.status != "failed"
    }
