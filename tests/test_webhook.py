"""The webhook of the written recipe: what OpenAI signed collects the job, nothing else does."""

import base64
import hashlib
import hmac
import json
import threading
import time
from pathlib import Path

import httpx2
import pytest

import helpers
from helpers.paths import ROOT
from support import CREATE, connect, recorded

BLOCKS = (ROOT / "helpers" / "README.md").read_text("utf-8").split("```python\n")[1:]
RECIPE, SET_UP = (
    block.split("```")[0] for block in BLOCKS if "client.webhooks." in block.split("```")[0]
)
SECRET = "whsec_" + base64.b64encode(b"a secret of the tests").decode()


def event(kind="batch.completed"):
    """An event as openai/types/webhooks/batch_completed_webhook_event.py has it."""
    facts = {"id": "evt_1", "object": "event", "type": kind, "created_at": int(time.time())}
    return json.dumps(facts | {"data": {"id": "batch_1"}}).encode()


def signed(payload, secret=SECRET, age=0.0, **changes):
    """The headers of an event (openai/lib/_webhooks.py)."""
    stamp = str(int(time.time() - age))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mark = hmac.new(key, f"msg_1.{stamp}.".encode() + payload, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mark).decode()}"
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}
    return headers | changes


def until(condition):
    """Waits for what another thread does."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def receiver(wire, tmp_path):
    """The names of the recipe, which runs on a free port; its batch has ended."""
    client = connect(wire, webhook_secret=SECRET)
    names = {"helpers": helpers, "client": client, "requests": recorded()[:3]}
    names["folder"] = tmp_path / "films"
    recipe = compile(RECIPE.replace("8000", "0"), "helpers/README.md", "exec")
    process = threading.Thread(target=exec, args=(recipe, names))
    process.start()
    until(lambda: "server" in names or not process.is_alive())
    try:
        until(lambda: next(iter(client.batches.list())).status == "completed")
        yield names
    finally:
        names["server"].shutdown()
        names["server"].server_close()
        process.join()


def post(receiver, payload, headers):
    port = receiver["server"].server_address[1]
    return httpx2.post(f"http://localhost:{port}/", content=payload, headers=headers).status_code


def table_of(receiver) -> Path:
    return Path(f"{receiver['folder']}-outcomes.csv")


def step(receiver):
    """What is to be run next."""
    (line,) = helpers.list_jobs(receiver["client"], receiver["folder"].parent)["next"]
    return line


@pytest.mark.parametrize("end", ["completed", "failed", "expired", "cancelled"])
def test_a_signed_event_collects_the_job_and_a_second_one_pays_nothing(receiver, wire, end):
    payload = event(f"batch.{end}")
    for _ in range(2):
        table_of(receiver).unlink()
        assert post(receiver, payload, signed(payload)) == 204
        until(table_of(receiver).exists)
        with receiver["one_at_a_time"]:
            assert table_of(receiver).read_text("utf-8").count(",ok,") == 3
        assert step(receiver) == "nothing: collected"
    assert wire.calls.count(CREATE) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(event(), secret="whsec_c29tZWJvZHkgZWxzZQ=="),
        signed(b"another event"),
        signed(event(), age=600),
        signed(event(), **{"webhook-timestamp": "today"}),
    ],
    ids=["unsigned", "other secret", "other event", "old", "no time"],
)
def test_an_event_that_is_not_signed_as_it_should_be_is_refused(receiver, headers):
    table_of(receiver).unlink()
    assert post(receiver, event(), headers) == 400
    assert step(receiver) == "collect"
    assert not table_of(receiver).exists()


def test_an_event_of_something_else_than_a_batch_is_taken_and_leaves_the_job_alone(receiver):
    table_of(receiver).unlink()
    payload = event("response.completed")
    assert post(receiver, payload, signed(payload)) == 204
    assert step(receiver) == "collect"


def test_the_lines_that_set_the_webhook_up_ask_for_every_end_and_show_the_secret(capsys):
    sent = []

    def answer(request):
        sent.append(json.loads(request.content))
        made = {"id": "we_1", "object": "webhook_endpoint", "signing_secret": SECRET}
        return httpx2.Response(200, json=sent[0] | made)

    exec(SET_UP, {"client": connect(httpx2.MockTransport(answer))})  # noqa: S102 (our own)
    assert sent[0]["event_types"] == [
        "batch.completed", "batch.failed", "batch.expired", "batch.cancelled"
    ]  # fmt: skip
    assert capsys.readouterr().out == f"{SECRET}\n"
