"""The life of a batch: validated, run line by line, ended; one step each time it is looked at.

Statuses, counts and result files are those of the Batch guide,
https://developers.openai.com/api/docs/guides/batch, and of openai/types/batch.py.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from helpers.replay.recordings import Recordings, key_of
from helpers.replay.store import Store
from helpers.replay.validation import batch_error, validation_errors

_STEP = 20
_EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


@dataclass
class Life:
    """Moves batches on. ``queue_tokens`` and ``expire_after`` bring about what seldom happens.

    ``models`` are those that exist; ``queue_tokens`` is the limit of enqueued prompt tokens;
    ``expire_after`` the number of lines that a batch finishes before its 24 hours are over.
    """

    store: Store
    recordings: Recordings
    models: set[str]
    queue_tokens: int | None = None
    expire_after: int | None = None

    def step(self, batch: dict) -> dict:
        """The batch after one more look at it: validating, in progress twice, finalizing, done."""
        look = self.store.poll(batch["id"])
        total = batch["request_counts"]["total"]
        if batch["status"] == "validating":
            self._validate(batch)
        elif batch["status"] == "in_progress" and self.expire_after is not None and look > 1:
            self._end(batch, "expired", self.expire_after, unfinished=_EXPIRED)
        elif batch["status"] == "in_progress" and look == 1:
            batch["request_counts"]["completed"] = total // 2
        elif batch["status"] == "in_progress":
            self._enter(batch, "finalizing")
        elif batch["status"] == "finalizing":
            self._end(batch, "completed", total)
        elif batch["status"] == "cancelling":
            # Which error line the API writes for cancelled requests is not documented: none here.
            self._end(batch, "cancelled", batch["request_counts"]["completed"])
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
            message = f"Cannot find file {batch['input_file_id']}, or you do not have access to it."
            errors = [batch_error("invalid_request", message, None, "file_id")]
        else:
            errors = list(validation_errors(content, batch["endpoint"], self.models))
        if not errors:
            requests = _requests(content)
            batch["model"] = requests[0]["body"]["model"]
            errors = list(self._queue_errors(batch, requests))
        if errors:
            batch["errors"] = {"object": "list", "data": errors}
            self._enter(batch, "failed")
        else:
            batch["request_counts"]["total"] = len(requests)
            self._enter(batch, "in_progress")

    def _queue_errors(self, batch: dict, requests: list[dict]) -> Iterator[dict]:
        if self.queue_tokens is None:
            return
        waiting = [b for b in self.store.all("batches") if b["status"] == "in_progress"]
        files = [_requests(self.store.content(b["input_file_id"])) for b in waiting]
        lines = [line for file in (requests, *files) for line in file]
        if sum(self.recordings.prompt_tokens(line["body"]) for line in lines) > self.queue_tokens:
            message = (
                f"Enqueued token limit reached for {batch['model']} in organization replay. "
                f"Limit: {self.queue_tokens:,} enqueued tokens. Please try again once some "
                "in_progress batches have been completed."
            )
            yield batch_error("token_limit_exceeded", message, None, None)

    def _end(self, batch: dict, status: str, done: int, unfinished: dict | None = None) -> None:
        # A fixed shuffle: results come back in another order than the input, as they do live.
        order = sorted(
            _requests(self.store.content(batch["input_file_id"])),
            key=lambda r: hashlib.sha256((batch["id"] + r["custom_id"]).encode()).digest(),
        )
        tries = self.store.count_tries([key_of(request["body"]) for request in order[:done]])
        lines = [self._run(batch, *pair) for pair in zip(order[:done], tries, strict=True)]
        good = [line for line in lines if line["response"]["status_code"] == 200]
        bad = [line for line in lines if line["response"]["status_code"] != 200]
        counts = {"total": len(order), "completed": len(good), "failed": len(bad)}
        if unfinished:
            bad += [_line(batch, request, None, unfinished) for request in order[done:]]
        batch["request_counts"], batch["usage"] = counts, _usage(good)
        self._enter(batch, status)
        for field, found in (("output_file_id", good), ("error_file_id", bad)):
            if found:
                name = f"{batch['id']}_{field.split('_')[0]}.jsonl"
                content = b"".join(orjson.dumps(line) + b"\n" for line in found)
                batch[field] = self.store.add_file(name, "batch_output", content, 30 * 86_400)["id"]

    def _run(self, batch: dict, request: dict, earlier_tries: int) -> dict:
        status, body = self.recordings.answer(request["body"], earlier_tries)
        return _line(batch, request, {"status_code": status, "body": body}, None)

    def _enter(self, batch: dict, status: str) -> None:
        passed = sum(batch.get(f"{step}_at") is not None for step in ("in_progress", "finalizing"))
        batch["status"] = status
        batch[f"{status}_at"] = batch["created_at"] + _STEP * (passed + 1)


def _requests(content: bytes) -> list[dict]:
    return [orjson.loads(line) for line in content.splitlines() if line.strip()]


def _line(batch: dict, request: dict, response: dict | None, error: dict | None) -> dict:
    name = hashlib.sha256((batch["id"] + request["custom_id"]).encode()).hexdigest()[:24]
    if response:
        response = {
            "status_code": response["status_code"],
            "request_id": f"req_{name}",
            "body": response["body"],
        }
    return {
        "id": f"batch_req_{name}",
        "custom_id": request["custom_id"],
        "response": response,
        "error": error,
    }


def _usage(lines: list[dict]) -> dict:
    usages = [line["response"]["body"].get("usage") or {} for line in lines]
    prompt, answer = (
        sum(usage.get(field, 0) for usage in usages)
        for field in ("prompt_tokens", "completion_tokens")
    )
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + answer,
    }
