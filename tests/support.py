"""What the tests share: recorded requests, a job run to its end, a wire that can be disturbed."""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator

import httpx2
import openai
from werkzeug.serving import make_server

import helpers
from helpers.paths import DATA

CREATE, UPLOAD, LIST = "POST /v1/batches", "POST /v1/files", "GET /v1/batches"

RECORDED = [
    json.loads(line)
    for line in (DATA / "recordings" / "movies.jsonl").read_text("utf-8").splitlines()
]


def request(custom_id: str = "row-1", text: str = "hello", **body) -> dict:
    """A request of the right form that is not recorded."""
    messages = [{"role": "user", "content": text}]
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-6-luna", "messages": messages, **body},
    }


def recorded(*custom_ids: str) -> list[dict]:
    """The recorded requests with these ids, or all of them, in the order of the file."""
    return [
        {**request(r["custom_id"]), "body": r["request"]}
        for r in RECORDED
        if not custom_ids or r["custom_id"] in custom_ids
    ]


def completion(content="fine", finish="stop", refusal=None) -> dict:
    """The body of an answer of Chat Completions."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}


def error(message: str, code: str | None = None) -> dict:
    """The body of a request that was rejected."""
    return {"error": {"message": message, "type": "some_error", "param": None, "code": code}}


def line(status: int, body) -> dict:
    """A line of a result file."""
    response = {"status_code": status, "request_id": "req_1", "body": body}
    return {"id": "batch_req_1", "custom_id": "row-1", "response": response, "error": None}


def run(client: openai.OpenAI, shards: list[helpers.Shard]) -> helpers.Job:
    """The job of these shards, waited for without pauses."""
    job = helpers.submit(client, shards)
    helpers.wait(client, job, sleep=no_pause)
    return job


def no_pause(seconds: float) -> None:
    """A sleep that takes no time."""


def forget(folder) -> None:
    """Loses what is known of the batches whose files lie in this folder."""
    for record in folder.glob("requests-*.json"):
        record.unlink()


class Wire(httpx2.BaseTransport):
    """The way into a replay: lists the calls, and lets a test change what comes back."""

    def __init__(self, app):
        self.replay = httpx2.WSGITransport(app=app)
        self.calls = []
        self.reset()

    def reset(self):
        self.disturb = lambda call, exchange: exchange()

    def handle_request(self, request):
        call = f"{request.method} {request.url.path}"
        self.calls.append(call)
        return self.disturb(call, lambda: self.replay.handle_request(request))


@contextlib.contextmanager
def served(app) -> Iterator[str]:
    """The base URL of an app on a free port, while the block runs."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(transport, **options):
    http_client = httpx2.Client(transport=transport)
    return openai.OpenAI(
        api_key="x", base_url="http://replay.invalid/v1", http_client=http_client, **options
    )


def on(call_to_disturb, answer):
    """A disturbance of one call; ``answer`` gets the undisturbed exchange."""
    return lambda call, exchange: answer(exchange) if call == call_to_disturb else exchange()


def lost(exchange):
    exchange()
    raise httpx2.ReadTimeout("no answer")
