"""Misbehaviour on request: what networks, full queues and other servers do to a client.

`create_app` takes `Faults` as its hook. A test puts a script to ``/v1/replay``:

    {"faults": [{"at": "POST /v1/batches", "fault": "lost", "times": 1}], "queue_tokens": 900}

``GET`` of the same route gives the script back, with how often each fault has ``happened``.
``at`` is a route as in the table of routes, ``results`` for the result files of the next batch that
ends, or ``validation`` for the next that is validated. Every fault happens ``times`` times, after
it was passed over ``after`` times.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx2
import orjson
from werkzeug.wrappers import Response

from helpers.replay.wire import ApiError

_PIECES = 5


class Faults:
    """The faults that are still to come."""

    def __init__(self):
        self.planned: list[dict] = []
        self._lock = threading.Lock()

    def plan(self, faults: list[dict]) -> None:
        """Replaces the plan. A 400 for a fault that does not exist."""
        for fault in faults:
            if not isinstance(fault.get("at"), str):
                raise ApiError(400, f"A fault needs a place, 'at': {fault}.", None, "faults")
            known = _SPOILED if fault.get("at") == "results" else (*_CALLS, "errors")
            if fault.get("fault") not in known:
                message = f"No such fault: {fault}. There are: {', '.join(known)}."
                raise ApiError(400, message, None, "faults")
        self.planned = [{"times": 1, "after": 0, "happened": 0, **fault} for fault in faults]

    def take(self, at: str) -> dict | None:
        """The fault that is due at this place, if there is one."""
        with self._lock:
            for fault in self.planned:
                if fault["at"] != at or not fault["times"]:
                    continue
                if fault["after"]:
                    fault["after"] -= 1
                else:
                    fault["times"] -= 1
                    fault["happened"] += 1
                    return fault
        return None

    def call(self, at: str, environ: dict, work: Callable[[], Response]) -> Response:
        """The answer to a call, or what a fault makes of it."""
        fault = self.take(at)
        return _CALLS[fault["fault"]](fault, environ, work) if fault else work()

    def validation_errors(self) -> list[dict]:
        """The errors with which the next validation ends, if so planned."""
        fault = self.take("validation")
        return fault["value"] if fault else []

    def results(self, output: bytes, errors: bytes) -> tuple[bytes, bytes]:
        """Output and error file, or what a fault makes of their lines."""
        fault = self.take("results")
        if not fault:
            return output, errors
        good, bad = (
            [orjson.loads(line) for line in file.splitlines()] for file in (output, errors)
        )
        good, bad = _SPOILED[fault["fault"]](good, bad)
        return _jsonl(good), _jsonl(bad)


def _status(fault: dict, environ: dict, work: Callable[[], Response]) -> Response:
    status = fault["value"]
    message = f"The replay was asked to answer with {status}."
    body = orjson.dumps({"error": ApiError(status, message).error})
    return Response(body, status, fault.get("headers"), mimetype="application/json")


def _reset(fault: dict, environ: dict, work: Callable[[], Response]) -> Response:
    return _cut(environ)


def _lost(fault: dict, environ: dict, work: Callable[[], Response]) -> Response:
    work()
    return _cut(environ)


def _late(fault: dict, environ: dict, work: Callable[[], Response]) -> Response:
    response = work()
    time.sleep(fault["value"])
    return response


def _truncated(fault: dict, environ: dict, work: Callable[[], Response]) -> Response:
    return _in_pieces(work(), lambda: _cut(environ))


def _slow(fault: dict, environ: dict, work: Callable[[], Response]) -> Response:
    return _in_pieces(work(), lambda: time.sleep(fault["value"]))


def _stale(fault: dict, environ: dict, work: Callable[[], Response]) -> Response:
    response = work()
    body = orjson.loads(response.get_data())
    body["data"] = body["data"][fault["value"] :]
    response.set_data(orjson.dumps(body))
    return response


def _in_pieces(response: Response, between: Callable[[], object]) -> Response:
    content, headers = response.get_data(), dict(response.headers)
    size = len(content) // _PIECES + 1

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), size):
            if start:
                between()
            yield content[start : start + size]

    return Response(pieces(), response.status, headers)


def _cut(environ: dict) -> Response:
    """Ends the connection as a broken line would; in process there is none, so this raises."""
    connection = environ.get("werkzeug.socket")
    if connection is None:
        raise httpx2.ReadError("The replay was asked to cut the connection.")
    connection.shutdown(socket.SHUT_RDWR)
    return Response()


def _failing(line: dict) -> dict:
    error = ApiError(500, "The server had an error while processing this request.").error
    return {**line, "response": {**line["response"], "status_code": 500, "body": {"error": error}}}


def _zero(line: dict) -> dict:
    return {**line, "response": {**line["response"], "status_code": 0, "body": {}}}


def _vllm(line: dict) -> dict:
    # vllm/entrypoints/openai/run_batch.py: the cause stands in ``error``, there is no body.
    error = {"message": "This model's maximum context length is 16 tokens.", "code": 400}
    response = {"status_code": 400, "request_id": "vllm-batch-1", "body": None}
    return {**line, "response": response, "error": {"error": error}}


def _stranger(line: dict) -> dict:
    return {**line, "custom_id": "nobody-asked-for-this"}


_CALLS = {
    "status": _status, "reset": _reset, "lost": _lost, "late": _late, "truncated": _truncated,
    "slow": _slow, "stale": _stale,
}  # fmt: skip

# What becomes of the lines of the output file and of the error file.
_SPOILED: dict[str, Callable[[list, list], tuple[list, list]]] = {
    "all_failed": lambda good, bad: ([], [*bad, *map(_failing, good)]),
    "status_0": lambda good, bad: ([*map(_zero, good[:1]), *good[1:]], bad),
    "missing_lines": lambda good, bad: (good[1:], bad),
    "duplicate_lines": lambda good, bad: (good + good, bad + bad),
    "unknown_ids": lambda good, bad: ([*map(_stranger, good[:1]), *good], bad),
    "blank_lines": lambda good, bad: ([None, *good, None], bad),
    "vllm_errors": lambda good, bad: ([*map(_vllm, good[:1]), *good[1:]], bad),
}


def _jsonl(lines: list[dict | None]) -> bytes:
    return b"".join((orjson.dumps(line) if line else b"  ") + b"\n" for line in lines)
