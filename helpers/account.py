"""What the account holds at the server: its batches, known by their content, and its files."""

import datetime
from collections.abc import Callable

import openai
import pandas as pd
from openai.types import Batch

from helpers.batchfile import Shard
from helpers.job import FINAL, Job, JobError, State, refresh, waits_for_room

# Pauses in seconds before looking again for a batch whose creation was not answered.
_LOOKS = (0, 5, 10)


def label(shard: Shard) -> dict[str, str]:
    """The metadata by which the batch of a shard is known again."""
    return {"sha256": shard.sha256, "round": str(shard.round), "file": upload_name(shard)}


def upload_name(shard: Shard) -> str:
    """The name of a shard at the server: that of its job's folder, of its round's, and its own."""
    folders = [folder.name for folder in shard.path.parents[: 2 if shard.round > 1 else 1]]
    return "-".join([*reversed(folders), shard.path.name])


def find(batches: list[Batch], shard: Shard, or_failed: bool = False) -> Batch | None:
    """The newest of the account's batches for this content and round.

    A batch that failed its validation ran nothing and cost nothing, so it counts only on request.
    """
    mark = (shard.sha256, str(shard.round))
    found = [
        batch
        for batch in batches
        if (or_failed or batch.status != "failed")
        and mark == tuple((batch.metadata or {}).get(key) for key in ("sha256", "round"))
    ]
    return max(found, key=lambda batch: batch.created_at, default=None)


def all_batches(client: openai.OpenAI) -> list[Batch]:
    """Every batch of the account."""
    return list(client.batches.list(limit=100))


def seen_later(client: openai.OpenAI, shard: Shard, sleep: Callable[[float], None]) -> Batch | None:
    """The batch that an unanswered call may have created, if the server comes to list it."""
    for pause in _LOOKS:
        sleep(pause)
        try:
            found = find(all_batches(client), shard)
        except openai.APIError:
            continue
        if found:
            return found
    return None


def unfinished(client: openai.OpenAI) -> int:
    """How many batches of the account are on their way."""
    return sum(batch.status not in FINAL for batch in all_batches(client))


def results_are_gone(client: openai.OpenAI, batch: Batch) -> bool:
    """Whether the batch is done and its result file was deleted, as happens after 30 days."""
    file_id = batch.output_file_id or batch.error_file_id
    return batch.status in FINAL and file_id is not None and not has_file(client, file_id)


def has_file(client: openai.OpenAI, file_id: str) -> bool:
    """Whether the server still has the file."""
    try:
        client.files.retrieve(file_id)
    except openai.NotFoundError:
        return False
    return True


def list_batches(client: openai.OpenAI) -> pd.DataFrame:
    """The account's batches, newest first, indexed by id: one line each.

    Columns: file (that of the job, empty for a batch made elsewhere), status, created (UTC),
    requests, ok, failed, input_tokens, output_tokens (what is billed so far, where the API says).
    """
    lines = {batch.id: _line(batch) for batch in all_batches(client)}
    table = pd.DataFrame.from_dict(lines, orient="index", columns=_COLUMNS)
    return table.rename_axis("batch").sort_values("created", ascending=False, kind="stable")


def cancel(client: openai.OpenAI, job: Job, say: Callable[[str], None] = print) -> list[Batch]:
    """The batches of the job, after asking the API to cancel those that are on their way.

    A batch takes up to ten minutes to become ``cancelled``; what it finished by then is billed and
    kept (openai/resources/batches.py), so `wait` and `collect` come next. What still waits for room
    in the queue is not created any more. A retry is a job of its own.
    """
    state, stopped = State(str(client.base_url)), 0
    # Not looked at before: where answers come from a model of one's own, a look asks for more.
    for shard, batch_id in zip(job.shards, job.batch_ids, strict=True):
        if state.ended(shard, batch_id):
            continue
        try:
            client.batches.cancel(batch_id)
        except openai.ConflictError:
            continue  # It has ended since it was last looked at.
        stopped += 1
    batches = refresh(client, job)[0]
    for shard, batch in zip(job.shards, batches, strict=True):
        if waits_for_room(shard, batch, state.server):
            state.save(shard, cancelled=True)
            stopped += 1
    if not stopped:
        say("Nothing to cancel: all batches have ended.")
        return batches
    done = sum(batch.request_counts.completed for batch in batches if batch.request_counts)
    say(
        f"Cancelling {stopped} of {len(batches)} batches, which takes up to ten minutes. The "
        f"{done:,} requests answered so far, and those that end meanwhile, are billed and kept: "
        "wait, then collect. A retry would send the rest, and so would run, unless with rounds=1."
    )
    return batches


def clean_up(client: openai.OpenAI, job: Job, say: Callable[[str], None] = print) -> int:
    """The number of batch files of the job that were deleted at the server.

    Uploads that no batch came of are among them; those of a retry are not, it is a job of its own.
    Result files stay, so that the job is not paid again if its folder is lost; the API deletes them
    30 days after the batch (Batch guide). Raises `JobError` while a batch is on its way: it reads
    its file.
    """
    for shard, batch in zip(job.shards, refresh(client, job)[0], strict=True):
        if batch.status not in FINAL:
            raise JobError(
                f"The batch of {shard.path.name} is {batch.status} and needs its file. Nothing was "
                "deleted. Wait for it, or cancel it and wait, then clean up."
            )
    names = {upload_name(shard) for shard in job.shards}
    uploads = [file for file in client.files.list(purpose="batch") if file.filename in names]
    for file in uploads:
        client.files.delete(file.id)
    count = f"{len(uploads)} uploaded file{'' if len(uploads) == 1 else 's'}"
    say(
        f"{count} deleted. What the batches have answered stays billed, and their results stay: "
        f"here in {job.folder.name}, at the server for 30 days."
    )
    return len(uploads)


_COLUMNS = [
    "file", "status", "created", "requests", "ok", "failed", "input_tokens", "output_tokens",
]  # fmt: skip


def _line(batch: Batch) -> tuple:
    counts, usage = batch.request_counts, batch.usage
    return (
        (batch.metadata or {}).get("file", ""),
        batch.status,
        datetime.datetime.fromtimestamp(batch.created_at, datetime.UTC),
        *((counts.total, counts.completed, counts.failed) if counts else (0, 0, 0)),
        *((usage.input_tokens, usage.output_tokens) if usage else (0, 0)),
    )
