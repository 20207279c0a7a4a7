"""The life of a batch whose lines are sent to another server, each of them once.

An answer is stored as soon as it has come, so a process that was killed goes on with the lines that
have none. Only those in flight are lost with it.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson

from helpers.job import JobError, locked
from helpers.replay.life import Life
from helpers.replay.lines import result_line
from helpers.replay.store import Store
from helpers.replay.upstream import Upstream, UpstreamModels
from helpers.replay.validation import batch_error

_ENDPOINT = "/v1/chat/completions"
_TABLE = """
create table if not exists answers (
    batch text, custom_id text, status integer, body blob, primary key (batch, custom_id));
"""


class KeptAnswers(Store):
    """The store with the answers of each batch; its time is that of the clock."""

    def __init__(self, path: Path):
        super().__init__(path)
        with self.transaction() as database:
            database.execute(_TABLE)

    def now(self) -> int:
        return int(time.time())

    def keep(self, batch_id: str, custom_id: str, status: int, body: dict) -> None:
        with self.transaction() as database:
            row = [batch_id, custom_id, status, orjson.dumps(body)]
            database.execute("insert or ignore into answers values (?, ?, ?, ?)", row)

    def answered(self, batch_id: str) -> dict[str, int]:
        """The status of each answer there is, by custom_id."""
        query = "select custom_id, status from answers where batch = ?"
        with self.transaction() as database:
            return dict(database.execute(query, [batch_id]).fetchall())

    def answer(self, batch_id: str, custom_id: str) -> tuple[int, dict] | None:
        query = "select status, body from answers where batch = ? and custom_id = ?"
        with self.transaction() as database:
            row = database.execute(query, [batch_id, custom_id]).fetchone()
        return row and (row[0], orjson.loads(row[1]))


@dataclass
class Asking(Life):
    """Sends the next lines at every look, a few at a time, and ends when all have an answer."""

    store: KeptAnswers
    recordings: Upstream
    models: UpstreamModels

    def ask(self, batch_ids: list[str]) -> None:
        """Sends lines of one batch in progress for `Upstream.seconds`, and waits for their answers.

        It is the oldest of them. Does nothing while another process does the same: this look shows
        what that one has got.
        """
        batches = [self.store.get("batches", batch_id) for batch_id in batch_ids]
        running = [b for b in batches if b and b["status"] == "in_progress"]
        if not running:
            return
        with ExitStack() as turn:
            try:
                turn.enter_context(locked(self.store.path.with_suffix(".lock"), patience=0))
            except JobError:
                return
            self._ask(running[-1])

    def _ask(self, batch: dict) -> None:
        answered = self.store.answered(batch["id"])
        lines = iter([r for r in self._order(batch) if r["custom_id"] not in answered])
        until = time.monotonic() + self.recordings.seconds

        def work() -> None:
            for line in lines:
                status, body = self.recordings.answer(line["body"])
                self.store.keep(batch["id"], line["custom_id"], status, body)
                if time.monotonic() > until:
                    return

        with ThreadPoolExecutor(self.recordings.at_once) as pool:
            for worker in [pool.submit(work) for _ in range(self.recordings.at_once)]:
                worker.result()

    def step(self, batch: dict) -> dict:
        """The batch as its answers stand; without a file that could go on it ends as well."""
        counts = batch["request_counts"]
        if batch["status"] == "validating":
            self._validate(batch)
        elif batch["status"] == "in_progress":
            statuses = [*self.store.answered(batch["id"]).values()]
            counts["completed"] = statuses.count(200)
            counts["failed"] = len(statuses) - counts["completed"]
            if len(statuses) == counts["total"] or not self.store.get(
                "files", batch["input_file_id"]
            ):
                self._enter(batch, "finalizing")
        elif batch["status"] == "finalizing":
            self._end(batch, "completed", counts["total"])
        elif batch["status"] == "cancelling":
            self._end(batch, "cancelled", counts["total"])
        self.store.save_batch(batch)
        return batch

    def _validate(self, batch: dict) -> None:
        content = self.store.content(batch["input_file_id"])
        if batch["endpoint"] == _ENDPOINT or content is None:
            super()._validate(batch)
            return
        message = f"Only {_ENDPOINT} can be passed on to the server, not {batch['endpoint']}."
        errors = [
            batch_error("invalid_request", message, number, "url")
            for number in range(1, len(content.splitlines()) + 1)
        ]
        batch["errors"] = {"object": "list", "data": errors}
        self._enter(batch, "failed")

    def _run(self, batch: dict, requests: list[dict]) -> list[dict]:
        found = ((r, self.store.answer(batch["id"], r["custom_id"])) for r in requests)
        return [
            result_line(batch, request, {"status_code": answer[0], "body": answer[1]}, None)
            for request, answer in found
            if answer
        ]

    def _count_tries(self, requests: list[dict]) -> None:
        """Nothing: no answer here depends on how often a request was sent."""

    def _enter(self, batch: dict, status: str) -> None:
        batch["status"] = status
        batch[f"{status}_at"] = self.store.now()
