"""Batches in front of a server of one's own that answers single requests and knows no batches.

Such are vLLM, llama.cpp and Ollama. Only the endpoint that a batch asks for is needed; of
``/models`` they have the list, one model each (as Ollama), or nothing.
"""

import contextlib
import math
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import httpx2
import orjson
from filelock import FileLock, Timeout

from helpers.replay.batches import Answer, Batches, Faults, kept_of
from helpers.replay.store import Kept, Store
from helpers.replay.wire import ApiError

_NO_SUCH_ROUTE = {404, 405, 501}
_SHOWN = 300
# Busy, or a model that is still being loaded.
_LATER = {429, 503}
_LONGEST_PAUSE = 60.0


@dataclass
class Upstream:
    """The server that ``http`` leads to by its base URL.

    A batch sends it up to ``at_once`` lines at the same time. A request that the server refuses for
    now (429 or 503) is sent again after each of ``pauses``, in seconds, or when the server says.
    """

    http: httpx2.Client
    at_once: int = 16
    pauses: tuple[float, ...] = (1, 2, 4, 8, 16)
    sleep: Callable[[float], None] = time.sleep
    models: "UpstreamModels" = field(init=False)

    def __post_init__(self) -> None:
        self.models = UpstreamModels(self)

    def answer(self, endpoint: str, body: dict, tries: Callable[[str], int]) -> Answer:
        """The server's answer to the request; 503 when none came."""
        return Answer(*self.call("POST", endpoint.removeprefix("/v1/"), body))

    def prompt_tokens(self, body: dict) -> int:
        """A guess of the prompt's tokens: four bytes each."""
        return len(orjson.dumps(body)) // 4

    def call(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        """Status and JSON object of one exchange.

        Where the server gives none, the object is an error that says so: with 503 if no answer came
        (refused, broken off, too late), 502 for a success that is no JSON object, and else with the
        server's own status.
        """
        url = f"{str(self.http.base_url.copy_with(userinfo=b'')).rstrip('/')}/{path}"
        try:
            response = self._outlasted(method, path, body)
        except httpx2.RequestError as error:
            reason = str(error) or type(error).__name__
            return 503, _error(503, "upstream_unreachable", f"No answer from {url} ({reason}).")
        try:
            answer = orjson.loads(response.content)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return response.status_code, answer
        message = (
            f"{url} answered {response.status_code} without a JSON object: "
            f"{response.text[:_SHOWN]!r}. Is the base URL right? It mostly ends in /v1."
        )
        status = 502 if response.is_success else response.status_code
        return status, _error(status, "upstream_not_json", message)

    def _outlasted(self, method: str, path: str, body: dict | None) -> httpx2.Response:
        """The response; while the server says that it is busy, the call is made again."""
        for pause in self.pauses:
            response = self._exchange(method, path, body)
            if response.status_code not in _LATER:
                return response
            asked = _seconds_of(response.headers.get("retry-after"))
            # By chance longer, so that those who were refused together do not come together.
            self.sleep((pause if asked is None else asked) * random.uniform(1, 1.25))
        return self._exchange(method, path, body)

    def _exchange(self, method: str, path: str, body: dict | None) -> httpx2.Response:
        content = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": "application/json"} if content else None
        try:
            return self.http.request(method, path, content=content, headers=headers)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            # A kept connection that the server had closed. Once: the next one is new.
            return self.http.request(method, path, content=content, headers=headers)


def _seconds_of(retry_after: str | None) -> float | None:
    """Retry-After in seconds or as a date (RFC 9110), at most a minute; None for neither."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after or "").timestamp() - time.time()
        except ValueError:
            return None
    return min(_LONGEST_PAUSE, max(0.0, seconds)) if math.isfinite(seconds) else None


@dataclass
class UpstreamModels:
    """The models of a server, in the place of those of the price table."""

    upstream: Upstream

    def __contains__(self, model: object) -> bool:
        # A model that was asked for is judged by the server itself, line by line.
        return True

    def all(self) -> list[dict]:
        """All models that the server lists; `ApiError` if it has no list."""
        return _listed(*self.upstream.call("GET", "models"))

    def get(self, model: str) -> dict | None:
        """The model; None if the server does not know it.

        vLLM and llama.cpp have only the list. Where there is no list either, the model is taken as
        existing. Raises `ApiError` when the server does not answer or refuses.
        """
        unknown = {"id": model, "object": "model", "created": 0, "owned_by": "upstream"}
        status, found = self.upstream.call("GET", f"models/{quote(model, safe='')}")
        if status == 200:
            return {**unknown, **found}
        if status in _NO_SUCH_ROUTE:
            status, found = self.upstream.call("GET", "models")
        if status in _NO_SUCH_ROUTE:
            return unknown
        return next((m for m in _listed(status, found) if m.get("id") == model), None)


def _listed(status: int, answer: dict) -> list[dict]:
    if status == 200 and isinstance(answer.get("data"), list):
        return [model for model in answer["data"] if isinstance(model, dict)]
    error = answer.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    raise ApiError(502 if status == 200 else status, str(message or answer)[:_SHOWN])


def _error(status: int, code: str, message: str) -> dict:
    return {"error": ApiError(status, message, code).error}


class LocalBatches(Batches):
    """Sends every line once; each look shows what has come.

    Lines are sent between the looks too, as long as this process lives. An answer is stored as soon
    as it has come, so a process that was killed goes on with the lines that have none: only those
    in flight are lost with it.
    """

    def __init__(self, store: Store, upstream: Upstream, faults: Faults):
        super().__init__(store, upstream, faults)
        self._sender = _Sender(store, upstream.at_once, self.answered)

    @property
    def pause_ms(self) -> int:
        return 200

    def cancel(self, batch_id: str) -> dict | None:
        self._sender.forget(batch_id)
        return super().cancel(batch_id)

    def _validate(self, batch: dict) -> None:
        super()._validate(batch)
        self._sender.wake()

    def _run(self, batch: dict) -> None:
        self._count(batch)
        counts = batch["request_counts"]
        if counts["completed"] + counts["failed"] < counts["total"]:
            self._sender.wake()
            self.store.save_batch(batch, "in_progress")
            return
        self._enter(batch, "finalizing")
        if self.store.save_batch(batch, "in_progress"):
            self._end(batch, "completed")


class _Task:
    """A line to be sent, and what came of it."""

    def __init__(self, batch: dict, place: int, text: bytes):
        self.batch, self.place, self.text = batch, place, text
        self.answer: Answer | None = None


class _Sender:
    """One thread that gives out lines and stores answers, and as many as needed that wait for them.

    Of all processes on one store only one sends at a time.
    """

    def __init__(self, store: Store, at_once: int, answered: Callable[[str, dict], Answer]) -> None:
        self._store, self._at_once, self._answered = store, at_once, answered
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._forgotten: set[str] = set()

    def forget(self, batch_id: str) -> None:
        """Sends no more lines of this batch."""
        self._forgotten.add(batch_id)

    def wake(self) -> None:
        """Sees to it that the lines of all batches in progress are being sent."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                # A daemon, as those below: a kernel that ends does not wait for a model.
                self._thread = threading.Thread(target=self._send_all, daemon=True)
                self._thread.start()

    def _send_all(self) -> None:
        try:
            with FileLock(self._store.path.with_suffix(".lock"), timeout=0, mode=0o600):
                self._give_out(queue.SimpleQueue(), queue.SimpleQueue())
        except Timeout:
            return  # Another process sends, and stores its answers where we look.
        except (sqlite3.Error, OSError):
            return  # The folder is gone or full. The next look says so, or begins again.

    def _give_out(
        self, todo: "queue.SimpleQueue[_Task | None]", done: "queue.SimpleQueue[_Task]"
    ) -> None:
        for _ in range(self._at_once):
            threading.Thread(target=self._work, args=[todo, done], daemon=True).start()
        waiting, under_way = self._tasks(), 0
        try:
            while True:
                # As many again lie ready, so that nobody waits while answers are stored.
                while under_way < 2 * self._at_once and (task := next(waiting, None)):
                    todo.put(task)
                    under_way += 1
                if not under_way:
                    return
                came = [done.get()]
                while not done.empty():
                    came.append(done.get())
                under_way -= len(came)
                self._keep(came)
        finally:
            for _ in range(self._at_once):
                todo.put(None)

    def _tasks(self) -> Iterator[_Task]:
        """The lines without an answer, batch by batch; also of those that come meanwhile."""
        sent: set[str] = set()
        while batches := [b for b in self._store.batches("in_progress") if b["id"] not in sent]:
            batch, begin = batches[0], 0
            sent.add(batch["id"])
            while lines := self._store.open_lines(batch, begin, 2**62, 100):
                for place, _, text in lines:
                    yield _Task(batch, place, text)
                begin = lines[-1][0] + 1
                now = self._store.get("batches", batch["id"])
                if now is None or now["status"] != "in_progress":
                    break  # Cancelled, perhaps in another process.

    def _work(
        self, todo: "queue.SimpleQueue[_Task | None]", done: "queue.SimpleQueue[_Task]"
    ) -> None:
        while task := todo.get():
            # The client was closed: the line stays without an answer.
            with contextlib.suppress(RuntimeError):
                if task.batch["id"] not in self._forgotten:
                    body = orjson.loads(task.text)["body"]
                    task.answer = self._answered(task.batch["endpoint"], body)
            done.put(task)

    def _keep(self, tasks: list[_Task]) -> None:
        by_batch: dict[str, list[Kept]] = {}
        for task in tasks:
            if task.answer:
                kept = kept_of(task.place, task.answer)
                by_batch.setdefault(task.batch["id"], []).append(kept)
        for batch_id, answers in by_batch.items():
            self._store.keep(batch_id, answers)
