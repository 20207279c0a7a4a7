"""batch file -> batch: submitted once, waited for, found again after a restart.

A job is all batches of one table. Its folder holds the batch files, ``job.json`` with the id of
every batch, and later the result files, so the same code run again goes on where it stopped.
"""

import datetime
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


def submit(client: openai.OpenAI, shards: list[Shard]) -> Job:
    """The job with one batch per shard: those that exist are picked up, the others created.

    A batch is looked for in ``job.json``, then at the server by the sha256 in its metadata, before
    it is created: running this line again, in this kernel or another, never pays twice. Raises
    `JobError` for a model that is unknown or shut down, before anything is uploaded, and when the
    answer to a create call was lost.
    """
    if not shards:
        return Job([], [])
    state = State(shards[0].path.parent)
    if todo := [shard for shard in shards if "batch_id" not in state[shard]]:
        check_model(client, todo[0].model)
        existing = _batches_by_content(client)
        for shard in todo:
            batch = existing.get((shard.sha256, str(shard.round))) or _create(client, shard, state)
            state.save(shard, batch_id=batch.id)
    return Job(shards, [state[shard]["batch_id"] for shard in shards])


def wait(
    client: openai.OpenAI,
    job: Job,
    show: Callable[[list[Batch]], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Batch]:
    """The batches of the job, one per shard, when all have reached a status in `FINAL`.

    ``show`` is called with the batches after every look at the server. The pause between two
    looks grows from 5 to 60 seconds, or is what the server asks for. Interrupting is safe: the
    batches go on, and the same line waits for them again.
    """
    pause = _FIRST_PAUSE
    while True:
        batches, asked = refresh(client, job)
        if show:
            show(batches)
        if all(batch.status in FINAL for batch in batches):
            return batches
        try:
            sleep(pause if asked is None else asked)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("The batches go on. Run this again to wait for them.") from None
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def refresh(client: openai.OpenAI, job: Job) -> tuple[list[Batch], float | None]:
    """The batches of the job as they are now, and the pause in seconds that the server asks for.

    A batch with a final status is read from ``job.json``. The pause comes from the header
    ``openai-poll-after-ms``, which the SDK's own polling helpers honour (openai/resources/videos.py).
    """
    state = State(job.folder) if job.shards else {}
    batches, asked = [], None
    for shard, batch_id in zip(job.shards, job.batch_ids, strict=True):
        if "batch" in state[shard]:
            batches.append(Batch.model_validate(state[shard]["batch"]))
            continue
        answer = client.batches.with_raw_response.retrieve(batch_id)
        batches.append(answer.parse())
        if milliseconds := answer.headers.get("openai-poll-after-ms"):
            asked = float(milliseconds) / 1000
        if batches[-1].status in FINAL:
            state.save(shard, batch=batches[-1].to_dict())
    return batches, asked


def download(client: openai.OpenAI, job: Job) -> list[tuple[Shard, Batch, list[Path]]]:
    """For every shard its batch and the result files of the batch, on disk.

    A batch has an output file, an error file, both, or (not finished, or refused) none. Files
    stream to a temporary name first; one that is there already is not fetched again. The API
    deletes output files 30 days after the batch (Batch guide); these copies stay.
    """
    results = []
    for shard, batch in zip(job.shards, refresh(client, job)[0], strict=True):
        paths = []
        for kind, file_id in (("output", batch.output_file_id), ("errors", batch.error_file_id)):
            if file_id is None:
                continue
            paths.append(shard.path.with_name(shard.path.name.replace("requests", kind)))
            if not paths[-1].exists():
                _fetch(client, file_id, paths[-1])
        results.append((shard, batch, paths))
    return results


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
    state.save(shard, intent="create")
    with shard.path.open("rb") as content:
        name = f"{shard.path.parent.name}-{shard.path.name}"
        uploaded = client.files.create(file=(name, content), purpose="batch")
    try:
        # The SDK repeats a POST whose answer was lost, without an idempotency key: a second batch.
        return client.with_options(max_retries=0).batches.create(
            input_file_id=uploaded.id,
            endpoint=shard.endpoint,
            completion_window="24h",
            metadata={"sha256": shard.sha256, "round": str(shard.round)},
        )
    except (openai.APIConnectionError, openai.InternalServerError) as error:
        found = _batches_by_content(client).get((shard.sha256, str(shard.round)))
        if found is None:
            raise JobError(
                f"No answer came to the creation of the batch for {shard.path.name} ({error}). "
                "Run the same line again: it looks for the batch before it creates one."
            ) from error
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


def _fetch(client: openai.OpenAI, file_id: str, path: Path) -> None:
    temporary = path.with_suffix(".part")
    with client.files.with_streaming_response.content(file_id) as response:
        response.stream_to_file(temporary)
    temporary.replace(path)
