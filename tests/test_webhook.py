"""The webhook of the written recipe: what OpenAI signed collects the job, nothing else does."""

import base64
import hashlib
import hmac
import json
import re
import threading
import time

import httpx2
import pandas as pd
import pytest
from pydantic import BaseModel

import helpers
from helpers.paths import ROOT
from support import CREATE, connect, recorded

BLOCKS = (ROOT / "helpers" / "README.md").read_text("utf-8").split("```python\n")[1:]
RECIPE, SET_UP = (
    block.split("```")[0] for block in BLOCKS if "client.webhooks." in block.split("```")[0]
)


class Answer(BaseModel):
    categories: list[str]
    summary: str


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
    names |= {"folder": tmp_path / "films", "Answer": Answer}
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
    """The status of the answer, when what it led to is done."""
    port, before = receiver["server"].server_address[1], threading.active_count()
    answer = httpx2.post(f"http://localhost:{port}/", content=payload, headers=headers)
    until(lambda: threading.active_count() <= before)
    return answer.status_code


def step(receiver):
    """What is to be run next."""
    (line,) = helpers.list_jobs(receiver["client"], receiver["folder"].parent)["next"]
    return line


@pytest.mark.parametrize("end", ["completed", "expired"])
def test_a_signed_event_collects_the_job_and_a_second_one_pays_nothing(receiver, wire, end):
    payload = event(f"batch.{end}")
    for _ in range(2):
        assert post(receiver, payload, signed(payload)) == 204
        assert step(receiver) == "nothing: collected"
    table = pd.read_csv(f"{receiver['folder']}-outcomes.csv")
    assert table["outcome"].tolist() == ["ok"] * 3
    assert wire.calls.count(CREATE) == 1


@pytest.mark.parametrize(
    "headers_of",
    [
        lambda payload: {},
        lambda payload: signed(payload, secret="whsec_c29tZWJvZHkgZWxzZQ=="),
        lambda payload: signed(payload + b" "),
        lambda payload: signed(payload, age=600),
        lambda payload: signed(payload, **{"webhook-timestamp": "today"}),
    ],
    ids=["unsigned", "other secret", "other event", "old", "no time"],
)
def test_an_event_that_is_not_signed_as_it_should_be_is_refused(receiver, headers_of):
    payload = event()
    assert post(receiver, payload, headers_of(payload)) == 400
    assert step(receiver) == "collect"


@pytest.mark.parametrize("kind", ["batch.failed", "batch.cancelled", "response.completed"])
def test_an_event_that_is_not_for_the_job_or_left_to_its_owner_runs_nothing(receiver, kind):
    payload = event(kind)
    assert post(receiver, payload, signed(payload)) == 204
    assert step(receiver) == "collect"


def test_the_lines_that_set_the_webhook_up_name_its_events_and_show_the_secret(capsys):
    sent = []

    def answer(request):
        sent.append(json.loads(request.content))
        made = {"id": "we_1", "object": "webhook_endpoint", "signing_secret": SECRET}
        return httpx2.Response(200, json=sent[0] | made)

    exec(SET_UP, {"client": connect(httpx2.MockTransport(answer))})  # noqa: S102 (our own)
    assert sent[0]["event_types"] == re.findall(r'"(batch\.\w+)"', RECIPE)
    assert capsys.readouterr().out == f"{SECRET}\n"
