"""What the account holds at the server: its batches, known by their content, and its files."""

import bisect
import datetime
import functools
from collections import defaultdict
from collections.abc import Callable

import openai
import pandas as pd
from openai.types import Batch

from helpers.batchfile import Shard
from helpers.job import (
    FINAL,
    Job,
    JobError,
    Records,
    counts_of,
    listed,
    look,
    moment,
    ran_nothing,
    server_of,
    visible,
)


def label(shard: Shard) -> dict[str, str]:
    """The metadata by which the batch of a shard is known again."""
    known = {"sha256": shard.sha256, "round": str(shard.round), "file": upload_name(shard)}
    return known | ({"part_of": shard.part_of} if shard.part_of else {})


def upload_name(shard: Shard) -> str:
    """The name of a shard at the server: that of its job's folder, of its round's, and its own."""
    return "-".join([shard.home.name, *shard.path.relative_to(shard.home).parts])


class Account:
    """The account's batches as they were listed, known by their content."""

    def __init__(self, client: openai.OpenAI):
        self._client = client
        self.batches: list[Batch] = []
        # The times of creation in Unix seconds, ascending.
        self.created: list[float] = []
        self._by_content: dict[tuple[str, str], list[Batch]] = defaultdict(list)
        self._by_file: dict[str, list[Batch]] = defaultdict(list)
        self._parts: dict[str, int] = {}
        for batch in listed(client)[0]:
            self.add(batch)

    def add(self, batch: Batch) -> None:
        self.batches.append(batch)
        bisect.insort(self.created, moment(batch.created_at) or 0)
        metadata = batch.metadata or {}
        self._by_content[metadata.get("sha256", ""), metadata.get("round", "")].append(batch)
        self._by_file[batch.input_file_id].append(batch)
        if (number := metadata.get("round", "")).isdecimal() and (whole := metadata.get("part_of")):
            self._parts[whole] = max(int(number), self._parts.get(whole, 0))

    def find(self, shard: Shard, *, file_id: str | None = None) -> Batch | None:
        """The newest batch of this content and round, or of this uploaded file.

        Some servers keep no metadata; then the files they hold tell. A batch that ran nothing
        counts only if no other did.
        """
        found = self._by_content.get((shard.sha256, str(shard.round)), [])
        found = found or self._by_file.get(file_id or "", [])
        if not found and not all(batch.metadata for batch in self.batches):
            # The name of the upload stands for the content, too.
            same = self._uploads.get(upload_name(shard), [])
            found = [batch for upload in same for batch in self._by_file[upload]]
        return max(found, key=lambda b: (not ran_nothing(b), b.created_at), default=None)

    def carried_over(self, shard: Shard) -> int:
        """The round in which the rows of the shard went on in smaller files, 0 if they did not.

        Where its record is lost, this alone tells it.
        """
        return self._parts.get(shard.sha256, 0)

    @functools.cached_property
    def _uploads(self) -> dict[str, list[str]]:
        """The ids of the uploaded batch files by their names."""
        found = defaultdict(list)
        for file in self._client.files.list(purpose="batch"):
            found[file.filename].append(file.id)
        return found

    @property
    def unfinished(self) -> int:
        """How many batches are on their way."""
        return sum(batch.status not in FINAL for batch in self.batches)


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
    lines = {batch.id: _line(batch) for batch in Account(client).batches}
    table = pd.DataFrame.from_dict(lines, orient="index", columns=_COLUMNS)
    return table.rename_axis("batch").sort_values("created", ascending=False, kind="stable")


def cancel(client: openai.OpenAI, job: Job, *, say: Callable[[str], None] = print) -> list[Batch]:
    """The batches of the job, after asking the API to cancel those that are on their way.

    A batch takes up to ten minutes to become ``cancelled``; what it finished by then is billed and
    kept (openai/resources/batches.py), so `wait` and `collect` come next. What still waits for room
    in the queue is not created any more, neither as it is nor in parts. A retry is a job of its
    own.
    """
    records, stopped = Records(server_of(client)), 0
    # Not looked at before: where answers come from a model of one's own, a look asks for more.
    for shard, batch_id in zip(job.shards, job.batch_ids, strict=True):
        record = records[shard]
        current = record.id_of(batch_id)
        if record.ended(current):
            continue
        try:
            client.batches.cancel(current)
        except openai.ConflictError:
            continue  # It has ended since it was last looked at.
        stopped += 1
    now = look(client, job)
    for shard in job.shards:
        with records.change(shard) as record:
            if record.waits_for_room or record.to_be_divided:
                record.cancelled = True
                stopped += 1
    if not stopped:
        say("Nothing to cancel: all batches have ended.")
        return now.batches
    done = sum(counts_of(batch)[0] for batch in now.batches)
    say(
        f"Cancelling {stopped} of {len(now.batches)} batches, which takes up to ten minutes. The "
        f"{done:,} requests answered so far, and those that end meanwhile, are billed and kept: "
        "wait, then collect. A retry would send the rest, and so would run, unless with rounds=1."
    )
    return now.batches


def clean_up(client: openai.OpenAI, job: Job, *, say: Callable[[str], None] = print) -> int:
    """The number of batch files of the job that were deleted at the server.

    Uploads that no batch came of are among them; those of a retry are not, it is a job of its own.
    Result files stay, so that the job is not paid again if its folder is lost; the API deletes them
    30 days after the batch (Batch guide). Raises `JobError` while a batch is on its way: it reads
    its file.
    """
    for shard, batch in zip(job.shards, look(client, job).batches, strict=True):
        if batch.status not in FINAL:
            raise JobError(
                f"The batch of {shard.path.name} is {batch.status} and needs its file. Nothing was "
                "deleted. Wait for it, or cancel it and wait, then clean up."
            )
    if not job.shards:
        return 0
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
    done, failed, total = counts_of(batch)
    tokens = (getattr(batch.usage, name, 0) or 0 for name in ("input_tokens", "output_tokens"))
    created = datetime.datetime.fromtimestamp(moment(batch.created_at) or 0, datetime.UTC)
    file = visible((batch.metadata or {}).get("file", ""))
    return file, visible(batch.status), created, total, done, failed, *tokens
