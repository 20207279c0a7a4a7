"""No input breaks the replay: every call gets an answer of the API, every line an end."""

import contextlib
import json
import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from helpers.replay import create_app
from helpers.replay.clients import replay_client
from support import connect, recorded, request
from test_replay import counts, create, finish, lines_of, upload

KEY = {"Authorization": "Bearer any"}


@pytest.fixture(scope="module")
def transport(tmp_path_factory):
    state = tmp_path_factory.mktemp("inputs") / "replay.sqlite"
    return httpx2.WSGITransport(app=create_app(state))


@pytest.fixture(scope="module")
def server(transport):
    return connect(transport, max_retries=0)


@pytest.fixture(scope="module")
def http(transport):
    with httpx2.Client(transport=transport, base_url="http://replay.invalid") as http:
        yield http


# Lines that cannot be matched, encoded or answered


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1e30},
        {"seed": -1e300},
        {"seed": 2**63},
        {"messages": [{"role": "user", "content": {"url": "data:image/png;base64,ähm"}}]},
        {"messages": [{"role": "user", "content": "data:image/png;base64,é"}]},
        {"messages": [{"role": "user", "content": "data:image/png;base64,A"}]},
        {"messages": "none", "": "", "a.b[0]": []},
        {"messages": [None, 1, [], {}, [[]]]},
    ],
    ids=range(8),
)
def test_a_line_that_cannot_be_matched_fails_alone(server, change):
    known = recorded("jaws-1975")
    strange = [{**line, "body": {**line["body"], **change}} for line in [request("strange")]]
    batch = finish(server, *known, *strange)
    assert (batch.status, counts(batch)) == ("completed", (2, 1, 1))
    [line] = lines_of(server, batch.error_file_id)
    assert line["response"]["status_code"] in (400, 404)
    assert line["response"]["body"]["error"]["message"]


def test_a_line_of_any_depth_fails_alone(server):
    deep = json.loads("[" * 900 + "]" * 900)
    batch = finish(server, *recorded("jaws-1975"), request("deep", messages=deep))
    assert (batch.status, counts(batch)) == ("completed", (2, 1, 1))
    with pytest.raises(openai.BadRequestError, match="cannot be read"):
        server.post("/chat/completions", body={"model": "m", "a": deep}, cast_to=object)


@pytest.mark.parametrize("model", [["x"], {"a": 1}, 1, True, 1.5])
def test_a_model_that_is_no_text_is_named(server, model):
    batch = finish(server, request("good"), request("bad", model=model))
    [error] = batch.errors.data
    assert (batch.status, error.line, error.param) == ("failed", 2, "body.model")


@pytest.mark.parametrize("content", [b"{}\n", b"1\n", b"null", b'{"a": 1}\n\n\n'])
def test_a_file_without_a_request_fails_its_batch(server, content):
    batch = finish(server, content)
    assert (batch.status, counts(batch)) == ("failed", (0, 0, 0))
    assert batch.errors.data


def test_a_file_for_another_purpose_fails_the_batch_with_that_reason(server):
    note = upload(server, request(), purpose="user_data")
    [error] = finish(server, input_file_id=note.id).errors.data
    assert (error.param, error.line) == ("file_id", None)
    assert "The purpose of the file is 'user_data'" in error.message


def test_a_batch_whose_file_is_deleted_while_it_runs_answers_every_line(client):
    batch = create(client, *recorded("jaws-1975", "alien-1979", "m-1931"))
    for _ in range(2):
        client.batches.retrieve(batch.id)
    client.files.delete(batch.input_file_id)
    for _ in range(2):
        batch = client.batches.retrieve(batch.id)
    assert (batch.status, counts(batch)) == ("completed", (3, 3, 0))
    assert len(lines_of(client, batch.output_file_id)) == 3
    with pytest.raises(openai.NotFoundError):
        client.files.content(batch.input_file_id)


# Arguments


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"endpoint": []}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"input_file_id": 1}, "input_file_id"),
        ({"metadata": []}, "metadata"),
        ({"metadata": ""}, "metadata"),
        ({"metadata": 0}, "metadata"),
        ({"output_expires_after": "abc"}, "output_expires_after"),
        ({"output_expires_after": [1]}, "output_expires_after"),
        ({"output_expires_after": {"anchor": "completed_at", "seconds": 3600}},
         "output_expires_after.anchor"),
        ({"output_expires_after": {"seconds": None}}, "output_expires_after.seconds"),
        ({"output_expires_after": {"seconds": "9" * 5_000}}, "output_expires_after.seconds"),
        ({"output_expires_after": {"seconds": 3600.5}}, "output_expires_after.seconds"),
        ({"output_expires_after": {"seconds": "\u0663\u0666\u0660\u0660"}},
         "output_expires_after.seconds"),
    ],
)  # fmt: skip
def test_a_wrong_argument_of_create_is_a_400_that_names_it(http, body, param):
    right = {"endpoint": "/v1/chat/completions", "completion_window": "24h", "input_file_id": "f"}
    answer = http.post("/v1/batches", json={**right, **body}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_file_id_with_a_nul_may_be_used_twice(http):
    asked = {"endpoint": "/v1/embeddings", "completion_window": "24h", "input_file_id": "a\0b"}
    ids = {http.post("/v1/batches", json=asked, headers=KEY).json()["id"] for _ in range(2)}
    assert len(ids) == 2
    assert {http.get(f"/v1/batches/{id}", headers=KEY).json()["status"] for id in ids} == {"failed"}


@pytest.mark.parametrize(
    ("path", "most"), [("/v1/batches", 100), ("/v1/files", 10_000)], ids=["batches", "files"]
)
def test_a_limit_counts_from_one_to_its_maximum(http, path, most):
    for limit in (1, most):
        assert http.get(path, params={"limit": limit}, headers=KEY).status_code == 200
    for limit in (0, -1, most + 1, "abc", "", "1.5", "9" * 5_000, "\u0663"):
        answer = http.get(path, params={"limit": limit}, headers=KEY)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


def test_an_order_that_does_not_exist_is_refused(http):
    answer = http.get("/v1/files", params={"order": "foo"}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "order")


def test_a_list_goes_on_after_a_file_that_was_deleted_meanwhile(client):
    ids = [upload(client, request(f"row-{number}")).id for number in range(4)]
    page = client.files.list(limit=2)
    client.files.delete(page.data[-1].id)
    assert [file.id for file in page.get_next_page().data] == [ids[1], ids[0]]
    with pytest.raises(openai.NotFoundError, match="No such id: file-nowhere"):
        client.files.list(after="file-nowhere")


@pytest.mark.parametrize(
    "model", ["é", "模型", "a b", "models/x.gguf", "/models/x.gguf", "%2F", "?"]
)
def test_a_model_of_any_name_is_looked_up_by_that_name(server, model):
    with pytest.raises(openai.NotFoundError) as caught:
        server.models.retrieve(model)
    assert caught.value.body["message"] == f"The model '{model}' does not exist."


def test_every_endpoint_that_the_sdk_names_makes_a_batch(server):
    line = {**request(), "url": "/v1/videos"}
    batch = create(server, line, endpoint="/v1/videos")
    assert batch.endpoint == "/v1/videos"


def test_every_answer_has_a_request_id_of_its_own(http):
    paths = ["/v1/files", "/v1/models", "/v1/nothing", "/v1/batches/nothing"]
    ids = {http.get(path, headers=KEY).headers["x-request-id"] for path in paths}
    assert len(ids) == len(paths)
    assert all(id.startswith("req_") for id in ids)


@pytest.mark.parametrize("path", ["/v1//files", "//v1/files", "/v1/files//", "/v1/batches//cancel"])
def test_a_path_with_too_many_slashes_is_not_found_and_not_redirected(http, path):
    assert http.get(path, headers=KEY).status_code in (404, 405)


@pytest.mark.parametrize("name", ["upload", "requests.jsonl"])
def test_bytes_that_the_sdk_names_itself_are_taken(server, name):
    assert upload(server, request(), name=name).filename == name


@pytest.mark.parametrize("content", [b'{"a": "\xff"}\n', '{"a": "é"}\n'.encode("latin-1")])
def test_a_batch_file_that_is_not_utf_8_is_refused_at_upload(server, content):
    with pytest.raises(openai.BadRequestError, match="Must be utf-8 encoded"):
        upload(server, content)


@pytest.mark.parametrize(
    "script",
    [{"queue_tokens": "many"}, {"expire_after": -1}, {"faults": {"a": 1}}, {"faults": [1]}],
)
def test_a_script_that_is_none_is_refused_and_can_be_taken_back(server, script):
    with pytest.raises(openai.BadRequestError):
        server.put("/replay", body=script, cast_to=object)
    server.put("/replay", body={}, cast_to=object)
    assert finish(server, *recorded("jaws-1975")).status == "completed"


# Any input at all

texts = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["data:image/png;base64,ä", "data:image/png;base64,AAAA", "gpt-6-luna"]),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(
    st.sampled_from([
        "model", "messages", "input", "stream", "seed", "endpoint", "completion_window",
        "input_file_id", "metadata", "output_expires_after", "faults", "queue_tokens",
        "expire_after",
    ]) | texts,
    values,
    max_size=5,
)  # fmt: skip
right = st.just({
    "endpoint": "/v1/chat/completions", "completion_window": "24h", "input_file_id": "file-1",
})  # fmt: skip
lines = st.one_of(
    st.builds(lambda body: json.dumps(request("x", **body)).encode(), bodies),
    st.builds(lambda body: json.dumps(body).encode(), bodies),
    st.builds(lambda value: json.dumps(value).encode(), values),
    st.binary(max_size=20),
)
requests_of_any_kind = st.builds(
    lambda ids, body: [request(id, **body) for id in ids],
    st.lists(texts.filter(bool), min_size=1, max_size=4, unique=True),
    bodies.map(lambda body: {k: v for k, v in body.items() if k not in ("model", "stream")}),
)
segments = st.sampled_from([
    "v1", "files", "batches", "models", "chat", "completions", "content", "cancel", "replay",
    "embeddings", "responses", "file-1", "batch_1", "gpt-6-luna", "",
]) | texts  # fmt: skip
paths = st.lists(segments, max_size=4).map(lambda parts: "/v1/" + "/".join(parts))
known_paths = st.sampled_from([
    "/v1/files", "/v1/batches", "/v1/models", "/v1/chat/completions", "/v1/replay",
    "/v1/embeddings",
])  # fmt: skip
queries = st.dictionaries(
    st.sampled_from(["limit", "after", "order", "purpose"]), texts | st.integers().map(str)
)
contents = (
    st.binary(max_size=30)
    | bodies.map(lambda body: json.dumps(body).encode())
    | st.builds(lambda asked, body: json.dumps({**asked, **body}).encode(), right, bodies)
)
kinds = st.sampled_from([
    "application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain",
    "application/x-www-form-urlencoded",
])  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=known_paths | paths,
    query=queries,
    content=contents,
    kind=kinds,
)
def test_no_call_is_answered_with_an_error_of_the_server(http, method, path, query, content, kind):
    url = f"http://replay.invalid{quote(path)}"
    headers = {**KEY, "content-type": kind}
    answer = http.request(method, url, params=query, content=content, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert sorted(answer.json()["error"]) == ["code", "message", "param", "type"]
    http.put("/v1/replay", json={}, headers=KEY)


@settings(deadline=None, max_examples=150)
@given(parts=st.lists(lines, max_size=4))
def test_any_file_that_was_taken_comes_to_an_end(server, parts):
    try:
        file = upload(server, b"\n".join(parts))
    except openai.BadRequestError:
        return
    batch = finish(server, input_file_id=file.id)
    assert batch.status in ("failed", "completed")
    assert (batch.status == "failed") == bool(batch.errors and batch.errors.data)


@settings(deadline=None, max_examples=150)
@given(asked=requests_of_any_kind)
def test_every_request_that_is_valid_gets_one_line_whatever_stands_in_it(server, asked):
    batch = finish(server, *(json.dumps(line).encode() + b"\n" for line in asked))
    if batch.status == "failed":
        assert all(error.param in ("body.messages", None) for error in batch.errors.data)
        return
    files = [id for id in (batch.output_file_id, batch.error_file_id) if id]
    found = [line["custom_id"] for file_id in files for line in lines_of(server, file_id)]
    assert sorted(found) == sorted(line["custom_id"] for line in asked)
    assert counts(batch)[0] == counts(batch)[1] + counts(batch)[2] == len(asked)


ORDER = ["validating", "in_progress", "finalizing", "cancelling"]


class Calls(RuleBasedStateMachine):
    """Calls in any order, on files and batches that are there, gone, running or over."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.client = replay_client(Path(self.folder.name, "replay.sqlite")).with_options(
            max_retries=0
        )
        self.files, self.batches = ["file-nowhere"], {"batch_nowhere": None}

    def teardown(self):
        with self.folder:
            for batch in [*self.batches.values()]:
                if batch:
                    assert self.ended(batch.id).status in ("failed", "completed", "cancelled")

    def ended(self, batch_id):
        for _ in range(6):
            batch = self.client.batches.retrieve(batch_id)
            self.see(batch)
        return batch

    def see(self, batch):
        """A batch only goes on, and one that has ended stays as it is."""
        before, self.batches[batch.id] = self.batches.get(batch.id), batch
        if before and before.status not in ORDER:
            assert batch == before
        elif before and batch.status in ORDER:
            assert ORDER.index(batch.status) >= ORDER.index(before.status)
        done = batch.request_counts.completed + batch.request_counts.failed
        # Three good lines, and a bad one where the batch was cancelled before it was validated.
        assert 0 <= done <= batch.request_counts.total <= 4
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            if file_id not in self.files:
                self.files.append(file_id)

    @rule(
        known=st.lists(st.sampled_from(["jaws-1975", "alien-1979"]), unique=True), bad=st.booleans()
    )
    def upload(self, known, bad):
        lines = [*recorded(*known), request()] if known else [request()]
        self.files.append(upload(self.client, *lines, *([b"no json\n"] if bad else [])).id)

    @rule(data=st.data())
    def create(self, data):
        self.see(create(self.client, input_file_id=data.draw(st.sampled_from(self.files))))

    @rule(data=st.data(), call=st.sampled_from(["retrieve", "cancel"]))
    def look_or_cancel(self, data, call):
        batch_id = data.draw(st.sampled_from([*self.batches]))
        try:
            self.see(getattr(self.client.batches, call)(batch_id))
        except (openai.NotFoundError, openai.ConflictError) as error:
            self.error = error

    @rule(data=st.data(), call=st.sampled_from(["retrieve", "content", "delete"]))
    def take_a_file(self, data, call):
        file_id = data.draw(st.sampled_from(self.files))
        with contextlib.suppress(openai.NotFoundError):
            getattr(self.client.files, call)(file_id)

    @rule(limit=st.integers(1, 3))
    def list_all(self, limit):
        found = list(self.client.batches.list(limit=limit))
        assert [batch.id for batch in found] == [
            id for id in self.batches if id != "batch_nowhere"
        ][::-1]
        for batch in found:
            self.see(batch)
        for file in self.client.files.list(limit=limit):
            assert file.id in self.files


Calls.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=25)
TestCallsInAnyOrder = Calls.TestCase


# Many at once


def test_many_clients_on_one_replay_all_come_to_an_end(tmp_path):
    state, ended, errors = tmp_path / "replay.sqlite", [], []
    app = create_app(state)

    def work(name):
        try:
            client = connect(httpx2.WSGITransport(app=app), max_retries=0)
            asked = [request(f"{name}-{number}", f"{name}-{number}") for number in range(300)]
            ended.append(counts(finish(client, *asked)))
            client.files.list()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is shown below)
            errors.append(error)

    threads = [threading.Thread(target=work, args=[f"client-{n}"]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ended == [(300, 0, 300)] * 8


def test_looks_at_the_same_batch_from_many_sides_count_every_line_once(tmp_path):
    state = tmp_path / "replay.sqlite"
    clients = [replay_client(state) for _ in range(4)]
    batch = create(clients[0], *recorded()[:60])

    def look(client):
        while client.batches.retrieve(batch.id).status != "completed":
            pass

    threads = [threading.Thread(target=look, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch = clients[0].batches.retrieve(batch.id)
    files = [file for file in clients[0].files.list() if file.purpose == "batch_output"]
    assert len(files) == len({batch.output_file_id, batch.error_file_id} - {None})
    assert counts(batch)[1] + counts(batch)[2] == 60


def test_a_state_of_an_earlier_version_is_continued():
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "replay.sqlite")
        client = replay_client(state)
        batch = finish(client, *recorded("jaws-1975"))
        other = create(client, *recorded("alien-1979"))
        client.batches.retrieve(other.id)
        make_old(state)
        again = replay_client(state)
        assert again.batches.retrieve(batch.id) == batch
        assert again.files.content(batch.output_file_id).text
        for _ in range(4):
            other = again.batches.retrieve(other.id)
        assert (other.status, counts(other)) == ("completed", (1, 1, 0))


def make_old(state):
    """Leaves the tables as they were when lines were worked off at each look."""
    with closing(sqlite3.connect(state)) as database:
        database.executescript("""
            drop table lines; drop index batches_input; drop index files_sha256;
            create table old (number integer primary key, id text unique,
                polls integer default 0, keep integer, object text);
            insert into old select number, id, looks, keep, object from batches;
            drop table batches; alter table old rename to batches;
        """)
