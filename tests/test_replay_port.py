"""The replay over real HTTP: the same bytes as in process, in the SDK's exact types."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import httpx2
import openai
import pydantic
import pytest
from openai.types import Batch, FileDeleted, FileObject, Model
from openai.types.chat import ChatCompletion
from openai.types.shared import ErrorObject

from helpers.replay import create_app
from support import RECORDED, recorded, request

FINAL = {"completed", "failed", "expired", "cancelled"}
LINES = [*recorded()[:5], request("not-recorded")]


@contextlib.contextmanager
def serve(state, *options):
    """The address of ``python -m helpers.replay`` on a free port, while the block runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "helpers.replay", "--port", str(port), "--state", str(state)]
    log = state.with_suffix(".log")
    with log.open("wb") as output:
        server = subprocess.Popen([*command, *options], stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 20
        while not answers(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"no answer on the port: {log.read_text()}"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def sdk(address, transport=None):
    """The official client, and the list of all that it was answered: method, path, response."""
    seen = []

    def note(response):
        response.read()
        seen.append((response.request.method, response.request.url.path, response))

    with httpx2.Client(transport=transport, event_hooks={"response": [note]}) as http:
        client = openai.OpenAI(
            api_key="any", base_url=f"{address}/v1", http_client=http, max_retries=0
        )
        yield client, seen


def finish(client, *lines):
    """The whole road: upload, create, poll, content."""
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file = client.files.create(file=("requests.jsonl", content), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"round": "1"},
    )
    while batch.status not in FINAL:
        batch = client.batches.retrieve(batch.id)
    for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
        client.files.content(file_id)
    return batch


def travel(client):
    """Calls of every kind, with batches that end in different ways."""
    completed = finish(client, *LINES)
    finish(client, request("stream", stream=True), request("model", model="gpt-6-sol"))
    second = client.batches.create(
        input_file_id=completed.input_file_id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
    )
    client.batches.cancel(second.id)
    client.batches.retrieve(second.id)
    list(client.batches.list(limit=2))
    list(client.files.list(limit=2))
    notes = client.files.create(file=("notes.txt", b"text"), purpose="user_data")
    client.files.retrieve(notes.id)
    client.files.delete(notes.id)
    client.models.list()
    client.models.retrieve("gpt-6-luna")
    client.chat.completions.create(**LINES[0]["body"])
    for call in (
        lambda: client.files.retrieve(notes.id),
        lambda: client.batches.cancel(completed.id),
        lambda: client.chat.completions.create(**request()["body"]),
        lambda: client.get("/nothing-here", cast_to=object),
    ):
        with pytest.raises(openai.APIStatusError):
            call()
    return completed


@pytest.fixture(scope="module")
def over_the_port(tmp_path_factory):
    """What a new server on a port answers on the whole road."""
    state = tmp_path_factory.mktemp("port") / "replay.sqlite"
    with serve(state) as address, sdk(address) as (client, seen):
        yield travel(client), list(seen), address


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    """What a new app in this process answers on the whole road."""
    app = create_app(tmp_path_factory.mktemp("app") / "replay.sqlite")
    transport = httpx2.WSGITransport(app=app)
    with sdk("http://replay.invalid", transport) as (client, seen):
        yield travel(client), list(seen)


@pytest.fixture(scope="module")
def address(over_the_port):
    return over_the_port[2]


@pytest.fixture(params=["in_process", "over_the_port"])
def seen(request):
    return request.getfixturevalue(request.param)[1]


# The same over the port as in process


def timeless(text):
    """The text without the times at which things happened."""
    return re.sub(r'("\w+_at": ?)\d+', r"\1...", text)


def test_a_batch_over_the_port_ends_as_in_process(over_the_port, in_process):
    batch = over_the_port[0]
    assert timeless(batch.to_json()) == timeless(in_process[0].to_json())
    assert (batch.status, batch.request_counts.completed) == ("completed", 5)
    assert (batch.request_counts.failed, batch.request_counts.total) == (1, 6)


def test_every_answer_over_the_port_is_that_of_the_client_in_process(over_the_port, in_process):
    there, here = (
        [(method, path, answer.status_code, timeless(answer.text)) for method, path, answer in seen]
        for seen in (over_the_port[1], in_process[1])
    )
    assert there == here


def test_a_content_type_says_json_for_objects_and_bytes_for_contents(seen):
    for _method, path, answer in seen:
        is_content = path.endswith("/content")
        expected = "application/octet-stream" if is_content else "application/json"
        assert answer.headers["content-type"] == expected


def test_the_server_on_the_port_remembers_a_batch_after_a_restart(tmp_path):
    state = tmp_path / "replay.sqlite"
    with serve(state) as address, sdk(address) as (client, _):
        batch = finish(client, *LINES)
    assert state.exists()
    with serve(state) as address, sdk(address) as (client, _):
        assert client.batches.retrieve(batch.id) == batch


def test_expiry_and_queue_can_be_asked_for_on_the_command_line(tmp_path):
    options = ("--expire-after", "1", "--queue-tokens", "2000")
    with serve(tmp_path / "replay.sqlite", *options) as address, sdk(address) as (client, _):
        assert finish(client, *LINES[:2]).status == "expired"
        assert finish(client, *recorded()[:50]).errors.data[0].code == "token_limit_exceeded"


def test_how_long_a_batch_runs_can_be_asked_for_on_the_command_line(tmp_path):
    with (
        serve(tmp_path / "replay.sqlite", "--seconds", "1") as address,
        sdk(address) as (client, _),
    ):
        begun = time.monotonic()
        assert finish(client, *LINES[:2]).status == "completed"
        assert time.monotonic() - begun >= 1


# Other clients


def fetch(url, body=None, **headers):
    """Status and JSON of a plain urllib request."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_plain_get_works(address):
    status, model = fetch(f"{address}/v1/models/gpt-6-luna", Authorization="Bearer any")
    assert (status, model["id"], model["object"]) == (200, "gpt-6-luna", "model")


def test_a_plain_post_works(address):
    body = LINES[0]["body"]
    status, answer = fetch(f"{address}/v1/chat/completions", body, Authorization="Bearer any")
    assert (status, answer["object"]) == (200, "chat.completion")


def test_a_plain_request_without_a_key_is_unauthorized(address):
    status, answer = fetch(f"{address}/v1/models")
    assert (status, answer["error"]["type"]) == (401, "invalid_request_error")


def test_a_plain_request_to_an_unknown_route_is_not_found(address):
    status, answer = fetch(f"{address}/v1/nothing-here", Authorization="Bearer any")
    assert status == 404
    assert "GET /v1/nothing-here" in answer["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{}", b"-1\r\n{}\r\n"], ids=["size", "end", "sign"]
)
@pytest.mark.parametrize("path", ["/v1/batches", "/v1/files"])
def test_a_body_that_is_framed_wrongly_is_a_bad_request(address, path, body):
    port = int(address.rsplit(":", 1)[1])
    kind = "application/json" if path == "/v1/batches" else "multipart/form-data; boundary=x"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer any\r\n"
        f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.split()[1] == b"400"


# Strict types


def check(type_, raw):
    """The raw JSON has the fields of an SDK type, each of its exact type, and no others."""
    value = pydantic.TypeAdapter(type_).validate_python(raw, strict=True)
    assert list(undeclared(value, type_.__name__)) == []


def undeclared(value, place):
    if isinstance(value, pydantic.BaseModel):
        yield from (f"{place}.{name}" for name in set(value.model_dump()) - declared(value))
        for name in declared(value):
            yield from undeclared(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from undeclared(part, f"{place}[]")


def declared(value):
    return set(type(value).model_fields)


def bodies(seen, method, path, status=200):
    found = [
        answer.json()
        for asked, where, answer in seen
        if (asked, answer.status_code) == (method, status) and re.fullmatch(path, where)
    ]
    assert found, f"no {method} {path} on the road"
    return found


def test_file_objects_have_the_exact_types_of_the_sdk(seen):
    files = bodies(seen, "POST", "/v1/files") + bodies(seen, "GET", "/v1/files/[^/]+")
    for page in bodies(seen, "GET", "/v1/files"):
        files += page["data"]
    assert {file["purpose"] for file in files} == {"batch", "batch_output", "user_data"}
    for file in files:
        check(FileObject, file)


def test_a_deleted_file_has_the_exact_type_of_the_sdk(seen):
    for deleted in bodies(seen, "DELETE", "/v1/files/[^/]+"):
        check(FileDeleted, deleted)


def test_batches_have_the_exact_types_of_the_sdk_in_every_status(seen):
    batches = bodies(seen, "POST", "/v1/batches") + bodies(seen, "GET", "/v1/batches/[^/]+")
    batches += bodies(seen, "POST", "/v1/batches/[^/]+/cancel")
    for page in bodies(seen, "GET", "/v1/batches"):
        batches += page["data"]
    assert {batch["status"] for batch in batches} == {
        "validating", "failed", "in_progress", "finalizing", "completed", "cancelling", "cancelled",
    }  # fmt: skip
    for batch in batches:
        check(Batch, batch)


def test_an_expired_batch_has_the_exact_type_of_the_sdk(tmp_path):
    transport = httpx2.WSGITransport(app=create_app(tmp_path / "replay.sqlite", expire_after=1))
    with sdk("http://replay.invalid", transport) as (client, seen):
        assert finish(client, *LINES).status == "expired"
    for batch in bodies(seen, "GET", "/v1/batches/[^/]+"):
        check(Batch, batch)


def test_pages_have_the_fields_of_a_cursor_page(seen):
    for page in bodies(seen, "GET", "/v1/batches") + bodies(seen, "GET", "/v1/files"):
        assert set(page) == {"object", "data", "first_id", "last_id", "has_more"}
        assert (page["object"], type(page["has_more"])) == ("list", bool)
        assert (page["first_id"], page["last_id"]) == (
            page["data"][0]["id"],
            page["data"][-1]["id"],
        )


def test_models_have_the_exact_type_of_the_sdk(seen):
    (page,) = bodies(seen, "GET", "/v1/models")
    assert set(page) == {"object", "data"}
    for model in page["data"] + bodies(seen, "GET", "/v1/models/.+"):
        check(Model, model)


def test_chat_completions_have_the_exact_type_of_the_sdk(seen):
    for completion in bodies(seen, "POST", "/v1/chat/completions"):
        check(ChatCompletion, completion)


def test_result_lines_hold_bodies_of_the_exact_types_of_the_sdk(seen):
    contents = [answer.text for _, path, answer in seen if path.endswith("/content")]
    lines = [json.loads(line) for content in contents for line in content.splitlines()]
    assert {line["response"]["status_code"] for line in lines} == {200, 404}
    for line in lines:
        response = line["response"]
        if response["status_code"] == 200:
            check(ChatCompletion, response["body"])
        else:
            check(ErrorObject, response["body"]["error"])


def test_errors_have_the_exact_type_of_the_sdk(seen):
    errors = [answer for _, _, answer in seen if answer.status_code >= 400]
    assert sorted(answer.status_code for answer in errors) == [404, 404, 404, 409]
    for answer in errors:
        assert set(answer.json()) == {"error"}
        check(ErrorObject, answer.json()["error"])


GOOD = {"id": "m", "object": "model", "created": 0, "owned_by": "me", "shutdown_date": None}


@pytest.mark.parametrize(
    "raw",
    [{**GOOD, "created": "0"}, {**GOOD, "created": 0.0}, {**GOOD, "id": None}, {"id": "m"}],
)
def test_the_check_of_types_refuses_a_value_of_a_wrong_type(raw):
    check(Model, GOOD)
    with pytest.raises(pydantic.ValidationError):
        check(Model, raw)


def test_the_check_of_types_refuses_an_undeclared_field_at_any_depth():
    answer = json.loads(json.dumps(RECORDED[0]["answers"][0]["body"]))
    check(ChatCompletion, answer)
    answer["choices"][0]["message"]["mood"] = "good"
    with pytest.raises(AssertionError, match=r"ChatCompletion\.choices\[\]\.message\.mood"):
        check(ChatCompletion, answer)
