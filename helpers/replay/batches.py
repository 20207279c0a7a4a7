"""The life of a batch: validated, worked off line by line, ended; a step each time it is looked at.

Statuses, counts and result files are those of the Batch guide,
https://developers.openai.com/api/docs/guides/batch, and of openai/types/batch.py.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import orjson
from werkzeug.wrappers import Response

from helpers.outcome import tokens_of
from helpers.replay.store import Kept, Line, Store
from helpers.replay.validation import FileOfRequests, Models, batch_error
from helpers.replay.wire import ApiError, unhurried

_RESULTS = "output", "error"
ENDED = {"completed", "failed", "expired", "cancelled"}
_EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}
# So many answers are stored at a time.
_GROUP = 200


class Answer(NamedTuple):
    """What came of a request: HTTP status and JSON body.

    ``counted`` is the key under which tries of the request count, None where that is no matter.
    """

    status: int
    body: dict
    counted: str | None = None


class Answers(Protocol):
    """Where answers come from: recordings, or a model's server."""

    @property
    def models(self) -> Models:
        """The models that can be asked for."""

    def answer(self, endpoint: str, body: dict, tries: Callable[[str], int]) -> Answer:
        """The answer to a request; ``tries`` gives the number of earlier tries for a key."""

    def prompt_tokens(self, body: dict) -> int:
        """How many tokens the prompt has, or a guess."""


class Faults(Protocol):
    """A hook for tests: what is to go wrong."""

    planned: list[dict]

    def plan(self, faults: list[dict]) -> None:
        """Replaces what is planned; `ApiError` for a fault that does not exist."""

    def call(self, at: str, environ: dict, work: Callable[[], Response]) -> Response:
        """The answer to a call of the route ``at``; ``work`` gives the right one."""

    def validation_errors(self) -> list[dict]:
        """Errors with which the next validation ends."""

    def results(self, output: bytes, errors: bytes) -> tuple[bytes, bytes]:
        """What the two result files of a batch hold."""


class NoFaults:
    """Nothing goes wrong."""

    planned: list[dict] = []  # noqa: RUF012 (it is never changed)

    def plan(self, faults: list[dict]) -> None:
        if faults:
            raise ApiError(400, "This replay makes no faults.", None, "faults")

    def call(self, at: str, environ: dict, work: Callable[[], Response]) -> Response:
        return work()

    def validation_errors(self) -> list[dict]:
        return []

    def results(self, output: bytes, errors: bytes) -> tuple[bytes, bytes]:
        return output, errors


@dataclass
class Batches:
    """Moves batches on.

    ``queue_tokens`` is the limit of enqueued prompt tokens. ``expire_after`` is the number of lines
    that a batch finishes before its 24 hours are over. ``seconds`` is how long a batch runs; it
    takes two looks without them.
    """

    store: Store
    answers: Answers
    faults: Faults = field(default_factory=NoFaults)
    queue_tokens: int | None = None
    expire_after: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        self._lock, self._busy = threading.Lock(), set[str]()

    @property
    def pause_ms(self) -> int:
        """How long to wait between two looks, in milliseconds."""
        return min(1_000, max(20, round(25 * (self.seconds or 0))))

    def look(self, batch_id: str) -> dict | None:
        """The batch after one more look at it: validating, in progress twice, finalizing, done.

        Work on its lines happens outside of transactions, so other calls go on meanwhile; where
        another thread is at it, this look shows what that one has got.
        """
        with self._turn(batch_id) as mine:
            batch = self.store.get("batches", batch_id)
            if batch is None or batch["status"] in ENDED or not mine:
                return batch
            self._step(batch)
        return self.store.get("batches", batch_id)

    def cancel(self, batch_id: str) -> dict | None:
        """The batch on its way to cancelled; what it has finished stays finished.

        An `ApiError` with 409 for one that has ended in another way.
        """
        with self.store.transaction():
            batch = self.store.get("batches", batch_id)
            if batch is None or batch["status"] in ("cancelling", "cancelled"):
                return batch
            if batch["status"] in ENDED:
                raise ApiError(409, f"Cannot cancel a batch with status '{batch['status']}'.")
            was = batch["status"]
            if was == "validating":
                content = self.store.content(batch["input_file_id"]) or b""
                total = sum(1 for line in content.split(b"\n") if line.strip())
                batch["request_counts"]["total"] = total
            self._count(batch)
            self._enter(batch, "cancelling")
            self.store.save_batch(batch, was)
        return batch

    @contextmanager
    def _turn(self, batch_id: str) -> Iterator[bool]:
        with self._lock:
            mine = batch_id not in self._busy
            if mine:
                self._busy.add(batch_id)
        try:
            yield mine
        finally:
            if mine:
                with self._lock:
                    self._busy.discard(batch_id)

    def _step(self, batch: dict) -> None:
        if batch["status"] == "validating":
            self._validate(batch)
        elif batch["status"] == "in_progress":
            self._run(batch)
        elif batch["status"] == "finalizing":
            self._end(batch, "completed")
        elif batch["status"] == "cancelling":
            # Which error line the API writes for cancelled requests is not documented: none here.
            self._end(batch, "cancelled")

    # validation

    def _validate(self, batch: dict) -> None:
        file = self.store.get("files", batch["input_file_id"])
        content = self.store.content(batch["input_file_id"]) if file else None
        found = None
        if file is None or content is None:
            message = (
                f"Cannot find file {batch['input_file_id']}, or organization replay does not have "
                "access to it."
            )
            errors = [batch_error("invalid_request", message, None, "file_id")]
        elif file["purpose"] != "batch":
            message = f"The purpose of the file is '{file['purpose']}', and has to be 'batch'."
            errors = [batch_error("invalid_request", message, None, "file_id")]
        else:
            found = FileOfRequests(content, batch["endpoint"], self.answers.models)
            batch["model"] = found.model or None
            errors = found.errors or list(self._queue_errors(batch))
        errors = errors or self.faults.validation_errors()
        if errors or found is None:
            batch["errors"] = {"object": "list", "data": errors}
            self._enter(batch, "failed")
        else:
            self.store.add_lines(batch["id"], _in_order(batch["id"], found))
            batch["request_counts"]["total"] = len(found.requests)
            self._enter(batch, "in_progress")
        self.store.save_batch(batch, "validating")

    def _queue_errors(self, batch: dict) -> Iterator[dict]:
        if self.queue_tokens is None:
            return
        waiting = self.store.batches("in_progress")
        if sum(map(self._tokens, (batch, *waiting))) > self.queue_tokens:
            message = (
                f"Enqueued token limit reached for {batch['model']} in organization replay. "
                f"Limit: {self.queue_tokens:,} enqueued tokens. Please try again once some "
                "in_progress batches have been completed."
            )
            yield batch_error("token_limit_exceeded", message, None, None)
            # Time passes for the others, even if nobody looks at them.
            for other in waiting:
                self.look(other["id"])

    def _tokens(self, batch: dict) -> int:
        known = self.store.tokens(batch["id"])
        if known is None:
            texts = (self.store.content(batch["input_file_id"]) or b"").split(b"\n")
            bodies = (orjson.loads(text)["body"] for text in texts if text.strip())
            known = sum(map(self.answers.prompt_tokens, bodies))
            self.store.save_tokens(batch["id"], known)
        return known

    # the run

    def _run(self, batch: dict) -> None:
        looks, begun = self.store.look(batch["id"])
        total = batch["request_counts"]["total"]
        if self.seconds is None:
            goal, is_over = (total if looks else total // 2), looks > 0
        else:
            share = (self.store.clock() - begun) / max(self.seconds, 0.001)
            goal, is_over = int(total * min(1, max(0, share))), share >= 1
        if self.expire_after is not None:
            goal = min(goal, self.expire_after)
        self._work(batch, goal)
        if is_over and self.expire_after is not None:
            self._end(batch, "expired", unfinished=_EXPIRED)
            return
        self._count(batch)
        if is_over:
            self._enter(batch, "finalizing")
        self.store.save_batch(batch, "in_progress")

    def _work(self, batch: dict, goal: int) -> None:
        """Answers the lines before the place ``goal`` that have no answer."""
        begin = 0
        while lines := self.store.open_lines(batch, begin, goal, _GROUP):
            endpoint = batch["endpoint"]
            kept = [
                kept_of(place, self.answered(endpoint, orjson.loads(text)["body"]))
                for place, _, text in unhurried(lines)
            ]
            self.store.keep(batch["id"], kept)
            begin = lines[-1][0] + 1

    def answered(
        self, endpoint: str, body: dict, tries: Callable[[str], int] | None = None
    ) -> Answer:
        """The answer to a request. Whatever is wrong with it is its own error."""
        try:
            return self.answers.answer(endpoint, body, tries or self.store.tries)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            message = f"This request cannot be read: {error!r:.300}"
            return Answer(400, {"error": ApiError(400, message, "unreadable_request").error})

    # the end

    def _end(self, batch: dict, status: str, unfinished: dict | None = None) -> None:
        was, good, bad, usage = batch["status"], [], [], _Usage()
        for custom_id, code, answer in unhurried(self.store.lines(batch["id"])):
            if code is None or answer is None:
                if unfinished:
                    bad.append(_result_line(batch, custom_id, None, None, unfinished))
            elif code == 200:
                good.append(_result_line(batch, custom_id, code, answer, None))
                usage.add(orjson.loads(answer).get("usage"))
            else:
                bad.append(_result_line(batch, custom_id, code, answer, None))
        self._count(batch)
        batch["usage"] = usage.total()
        self._enter(batch, status)
        contents = self.faults.results(b"".join(good), b"".join(bad))
        # Before the transaction, which others wait for.
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        with self.store.transaction():
            now = self.store.get("batches", batch["id"])
            if now is None or now["status"] != was:
                return  # Somebody has cancelled the batch meanwhile.
            for name, content, digest in zip(_RESULTS, contents, digests, strict=True):
                if content:
                    keep = self.store.keeps_results(batch["id"])
                    file_name = f"{batch['id']}_{name}.jsonl"
                    file = self.store.add_file(file_name, "batch_output", content, keep, digest)
                    batch[f"{name}_file_id"] = file["id"]
            self.store.count_tries(batch["id"])
            self.store.save_batch(batch, was)
        self.store.forget_lines(batch["id"])

    def _count(self, batch: dict) -> None:
        counts = self.store.counts(batch["id"])
        # A batch that was cancelled before its validation has no lines in the store.
        batch["request_counts"] |= counts if counts["total"] else {}

    def _enter(self, batch: dict, status: str) -> None:
        batch["status"] = status
        batch[f"{status}_at"] = self.store.now()


def kept_of(place: int, answer: Answer) -> Kept:
    """The answer as the store keeps it."""
    return Kept(place, answer.status, orjson.dumps(answer.body), answer.counted)


def _in_order(batch_id: str, file: FileOfRequests) -> list[Line]:
    # A fixed shuffle: results come back in another order than the input, as they do live.
    shuffled = sorted(
        file.requests, key=lambda r: hashlib.sha256((batch_id + r[0]).encode()).digest()
    )
    return [Line(place, *request) for place, request in enumerate(shuffled)]


def _result_line(
    batch: dict, custom_id: str, status: int | None, body: bytes | None, error: dict | None
) -> bytes:
    """One line of an output or error file: the envelope of the Batch guide."""
    name = hashlib.sha256((batch["id"] + custom_id).encode()).hexdigest()[:24]
    response = None
    if body is not None:
        response = {
            "status_code": status,
            "request_id": f"req_{name}",
            "body": orjson.Fragment(body),
        }
    line = {
        "id": f"batch_req_{name}", "custom_id": custom_id, "response": response, "error": error,
    }  # fmt: skip
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class _Usage:
    """The usage of a batch, summed over its answers: openai/types/batch_usage.py."""

    def __init__(self) -> None:
        self._prompt = self._cached = self._answer = self._reasoning = 0

    def add(self, usage: object) -> None:
        tokens = tokens_of(usage)
        self._prompt += tokens.prompt
        self._cached += tokens.cached
        self._answer += tokens.completion
        if isinstance(usage, dict):
            # openai/types/completion_usage.py, openai/types/responses/response_usage.py
            details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
            count = details.get("reasoning_tokens") if isinstance(details, dict) else 0
            self._reasoning += count if isinstance(count, int) and 0 < count < 2**53 else 0

    def total(self) -> dict:
        """The sums under the names of the API."""
        return {
            "input_tokens": self._prompt,
            "input_tokens_details": {"cached_tokens": self._cached},
            "output_tokens": self._answer,
            "output_tokens_details": {"reasoning_tokens": self._reasoning},
            "total_tokens": self._prompt + self._answer,
        }
