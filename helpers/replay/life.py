"""The life of a batch: validated, run line by line, ended; one step each time it is looked at.

Statuses, counts and result files are those of the Batch guide,
https://developers.openai.com/api/docs/guides/batch, and of openai/types/batch.py.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from helpers.replay.faults import Faults
from helpers.replay.lines import requests_of, result_line, usage_of
from helpers.replay.recordings import Recordings, key_of
from helpers.replay.store import Store
from helpers.replay.validation import batch_error, validation_errors

_STEP = 20
_STEPS = ("in_progress", "finalizing", "cancelling")
_EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


@dataclass
class Life:
    """Moves batches on. ``queue_tokens`` and ``expire_after`` bring about what seldom happens.

    ``models`` are those that exist; ``faults`` what is to go wrong; ``queue_tokens`` is the limit
    of enqueued prompt tokens; ``expire_after`` the number of lines that a batch finishes before its
    24 hours are over.
    """

    store: Store
    recordings: Recordings
    models: dict[str, dict]
    faults: Faults
    queue_tokens: int | None = None
    expire_after: int | None = None

    def ask(self, batch_ids: list[str]) -> None:
        """Gets answers for the next step, outside any transaction: recordings need no time."""

    def step(self, batch: dict) -> dict:
        """The batch after one more look at it: validating, in progress twice, finalizing, done."""
        look = self.store.poll(batch["id"])
        if batch["status"] == "validating":
            self._validate(batch)
        elif batch["status"] == "in_progress" and look == 1:
            self._count(batch, batch["request_counts"]["total"] // 2)
        elif batch["status"] == "in_progress" and self.expire_after is not None:
            self._end(batch, "expired", self.expire_after, unfinished=_EXPIRED)
        elif batch["status"] == "in_progress":
            self._count(batch, batch["request_counts"]["total"])
            self._enter(batch, "finalizing")
        elif batch["status"] == "finalizing":
            self._end(batch, "completed", _done(batch))
        elif batch["status"] == "cancelling":
            # Which error line the API writes for cancelled requests is not documented: none here.
            self._end(batch, "cancelled", _done(batch))
        self.store.save_batch(batch)
        return batch

    def cancel(self, batch: dict) -> dict:
        """The batch on its way to cancelled; what it has finished stays finished."""
        self._enter(batch, "cancelling")
        self.store.save_batch(batch)
        return batch

    def _validate(self, batch: dict) -> None:
        content = self.store.content(batch["input_file_id"])
        if content is None:
            message = (
                f"Cannot find file {batch['input_file_id']}, or organization replay does not have "
                "access to it."
            )
            errors = [batch_error("invalid_request", message, None, "file_id")]
        else:
            errors = list(validation_errors(content, batch["endpoint"], self.models))
        if not errors:
            requests = requests_of(content)
            batch["model"] = requests[0]["body"]["model"]
            errors = list(self._queue_errors(batch, requests))
        if errors := errors or self.faults.validation_errors():
            batch["errors"] = {"object": "list", "data": errors}
            self._enter(batch, "failed")
        else:
            batch["request_counts"]["total"] = len(requests)
            self._enter(batch, "in_progress")

    def _queue_errors(self, batch: dict, requests: list[dict]) -> Iterator[dict]:
        if self.queue_tokens is None:
            return
        waiting = [b for b in self.store.all("batches") if b["status"] == "in_progress"]
        files = [requests_of(self.store.content(b["input_file_id"])) for b in waiting]
        lines = [line for file in (requests, *files) for line in file]
        if sum(self.recordings.prompt_tokens(line["body"]) for line in lines) > self.queue_tokens:
            message = (
                f"Enqueued token limit reached for {batch['model']} in organization replay. "
                f"Limit: {self.queue_tokens:,} enqueued tokens. Please try again once some "
                "in_progress batches have been completed."
            )
            yield batch_error("token_limit_exceeded", message, None, None)
            # Time passes for the others, even if nobody looks at them.
            for other in waiting:
                self.step(other)

    def _count(self, batch: dict, done: int) -> None:
        """Counts what came of the first ``done`` lines."""
        limit = done if self.expire_after is None else min(done, self.expire_after)
        lines = self._run(batch, self._order(batch)[:limit])
        good = sum(line["response"]["status_code"] == 200 for line in lines)
        batch["request_counts"] |= {"completed": good, "failed": len(lines) - good}

    def _end(self, batch: dict, status: str, done: int, unfinished: dict | None = None) -> None:
        order = self._order(batch)
        lines = self._run(batch, order[:done])
        self._count_tries(order[:done])
        good = [line for line in lines if line["response"]["status_code"] == 200]
        bad = [line for line in lines if line["response"]["status_code"] != 200]
        counts = {"total": len(order), "completed": len(good), "failed": len(bad)}
        if unfinished:
            bad += [result_line(batch, request, None, unfinished) for request in order[done:]]
        batch["request_counts"], batch["usage"] = counts, usage_of(good)
        self._enter(batch, status)
        contents = self.faults.results(good, bad)
        for field, content in zip(("output_file_id", "error_file_id"), contents, strict=True):
            if content:
                name = f"{batch['id']}_{field.split('_')[0]}.jsonl"
                keep = self.store.keeps_results(batch["id"])
                batch[field] = self.store.add_file(name, "batch_output", content, keep)["id"]

    def _order(self, batch: dict) -> list[dict]:
        # A fixed shuffle: results come back in another order than the input, as they do live.
        return sorted(
            requests_of(self.store.content(batch["input_file_id"])),
            key=lambda r: hashlib.sha256((batch["id"] + r["custom_id"]).encode()).digest(),
        )

    def _run(self, batch: dict, requests: list[dict]) -> list[dict]:
        tries = self.store.tries([key_of(request["body"]) for request in requests])
        answers = map(self.recordings.answer, (request["body"] for request in requests), tries)
        return [
            result_line(batch, request, {"status_code": status, "body": body}, None)
            for request, (status, body) in zip(requests, answers, strict=True)
        ]

    def _count_tries(self, requests: list[dict]) -> None:
        self.store.count_tries([key_of(request["body"]) for request in requests])

    def _enter(self, batch: dict, status: str) -> None:
        times = [batch["created_at"], *(batch[f"{step}_at"] or 0 for step in _STEPS)]
        batch["status"] = status
        batch[f"{status}_at"] = batch["expires_at"] if status == "expired" else max(times) + _STEP


def _done(batch: dict) -> int:
    return batch["request_counts"]["completed"] + batch["request_counts"]["failed"]
