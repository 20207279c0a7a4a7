"""Batches in front of a server that has only Chat Completions: each line sent once, none lost."""

import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

import httpx2
import openai
import pytest
from filelock import FileLock
from werkzeug.wrappers import Request, Response

import helpers
from helpers.paths import ROOT
from helpers.replay import create_app
from helpers.replay.clients import local_client
from helpers.replay.local import Upstream
from support import connect, request, served

MODEL = "org/tiny-1"
IDS = [f"row-{number}" for number in range(10)]
REQUESTS = [request(custom_id, f"question {custom_id}", model=MODEL) for custom_id in IDS]


class Server:
    """A server with Chat Completions and a list of models, as vLLM has them.

    ``asked`` counts the questions, ``answers`` gives some of them an answer of their own,
    ``hold`` keeps all of them waiting while it is cleared, ``headers`` are those of the last call.
    """

    def __init__(self):
        self.asked, self.answers, self.headers = Counter(), {}, {}
        self.models = 200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
        self.others = {}
        self.busy, self.retry_after = [], None
        self.hold = threading.Event()
        self.hold.set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @Request.application
    def app(self, request):
        self.headers = dict(request.headers)
        if request.path == "/v1/models":
            return self.respond(*self.models)
        if request.path != "/v1/chat/completions":
            return self.respond(*self.others.get(request.path, (404, {"detail": "Not Found"})))
        if self.busy:
            response = self.respond(self.busy.pop(), {"error": {"message": "busy"}})
            response.headers.update({"retry-after": self.retry_after} if self.retry_after else {})
            return response
        question = request.json["messages"][0]["content"]
        with self.lock:
            self.asked[question] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.hold.wait(20)
        with self.lock:
            self.at_once -= 1
        return self.respond(*self.answers.get(question, (200, completion(f"answer to {question}"))))

    def respond(self, status, body):
        if isinstance(body, str):
            return Response(body, status, mimetype="text/html")
        return Response(json.dumps(body), status, mimetype="application/json")

    def asked_once(self, *custom_ids):
        return self.asked == Counter(f"question {custom_id}" for custom_id in custom_ids)


def completion(text):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


@contextmanager
def upstream(server):
    """The base URL of the server while the block runs."""
    with served(server.app) as url:
        try:
            yield url
        finally:
            server.hold.set()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def url(server):
    with upstream(server) as url:
        yield url


@pytest.fixture
def new_client(url, tmp_path):
    """Makes clients, each as a new kernel would; they do not wait for a server that is busy."""
    with ExitStack() as open_clients:

        def make(url=url, timeout=20, state=tmp_path / "local.sqlite", **pace):
            http = open_clients.enter_context(httpx2.Client(base_url=url, timeout=timeout))
            upstream = Upstream(http, pauses=(), **pace)
            app = create_app(state, upstream=upstream)
            return connect(httpx2.WSGITransport(app=app), max_retries=0)

        yield make


@pytest.fixture
def client(new_client):
    return new_client()


@pytest.fixture
def shards(tmp_path):
    return helpers.write(REQUESTS, tmp_path / "rows")


def run(client, shards):
    """The job of these shards, waited for without pauses; an error if it takes too long."""
    job = helpers.submit(client, shards)
    helpers.wait(client, job, sleep=lambda seconds: None, limit=30)
    return job


def look(client, job):
    """The counts of the job's only batch at one more look: done, failed."""
    counts = client.batches.retrieve(job.batch_ids[0]).request_counts
    return counts.completed, counts.failed


def outcome_of_one(client, folder, custom_id="row-0"):
    """The outcome of one row, the job, and the outcomes."""
    requests = [line for line in REQUESTS if line["custom_id"] == custom_id]
    job = run(client, helpers.write(requests, folder / "one"))
    outcomes = helpers.collect(client, job)
    return outcomes.loc[custom_id], job, outcomes


# a whole job


def test_every_row_comes_back_with_its_answer_and_was_sent_once(client, shards, server):
    job = run(client, shards)
    outcomes = helpers.collect(client, job)
    assert outcomes["answer"].to_dict() == {i: f"answer to question {i}" for i in IDS}
    assert outcomes["prompt_tokens"].sum() == 70
    assert server.asked_once(*IDS)


def test_the_same_rows_lead_to_the_same_batch_and_are_not_sent_again(new_client, tmp_path, server):
    for _ in range(2):
        client = new_client()
        job = run(client, helpers.write(REQUESTS, tmp_path / "rows"))
        assert set(helpers.collect(client, job)["outcome"]) == {"ok"}
    assert len(helpers.list_batches(client)) == 1
    assert server.asked_once(*IDS)


def test_the_batch_counts_the_tokens_and_bears_the_time_of_the_clock(client, shards):
    begun = int(time.time())
    job = run(client, shards)
    batch = client.batches.retrieve(job.batch_ids[0])
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == (70, 30)
    assert begun <= batch.created_at <= batch.in_progress_at <= batch.completed_at <= time.time()


def test_several_batch_files_make_several_batches(client, tmp_path, server):
    job = run(client, helpers.write(REQUESTS, tmp_path / "rows", max_requests=4))
    assert len(set(job.batch_ids)) == 3
    assert helpers.collect(client, job).index.tolist() == IDS
    assert server.asked_once(*IDS)


# looks


def test_lines_go_on_being_sent_between_the_looks(client, shards, server):
    job = helpers.submit(client, shards)
    assert [look(client, job) for _ in range(2)] == [(0, 0), (0, 0)]
    until(lambda: server.asked_once(*IDS))
    until(lambda: look(client, job) == (10, 0))


def test_lines_are_sent_at_the_same_time_and_no_more_than_asked_for(new_client, shards, server):
    client = new_client(at_once=4)
    server.hold.clear()
    job = helpers.submit(client, shards)
    for _ in range(2):
        look(client, job)
    until(lambda: server.at_once == 4)
    server.hold.set()
    run(client, shards)
    assert server.most_at_once == 4


def test_the_counts_grow_with_the_answers(new_client, shards, server):
    client = new_client(at_once=4)
    server.hold = OpenFor(3)
    job = helpers.submit(client, shards)
    until(lambda: look(client, job) == (3, 0))
    server.hold.set()
    until(lambda: look(client, job) == (10, 0))


def test_several_batches_end_for_whoever_only_lists(client, tmp_path, server):
    helpers.submit(client, helpers.write(REQUESTS, tmp_path / "rows", max_requests=4))
    until(lambda: {batch.status for batch in client.batches.list()} == {"completed"})
    assert server.asked_once(*IDS)


def test_a_second_kernel_sees_what_came_and_sends_nothing_itself(new_client, shards, tmp_path):
    client = new_client()
    with FileLock(tmp_path / "local.lock"):
        job = helpers.submit(client, shards)
        assert [look(client, job) for _ in range(5)] == [(0, 0)] * 5
    until(lambda: look(client, job) == (10, 0))


def test_a_cancelled_batch_keeps_the_answers_it_has_and_asks_nothing_more(
    new_client, shards, server
):
    client = new_client(at_once=4)
    server.hold = OpenFor(4)
    job = helpers.submit(client, shards)
    until(lambda: look(client, job) == (4, 0))
    until(lambda: server.asked.total() == 8)
    helpers.cancel(client, job, say=lambda line: None)
    server.hold.set()
    outcomes = helpers.collect(client, run(client, shards))
    ok = (outcomes["outcome"] == "ok").sum()
    assert 4 <= ok <= 8
    assert outcomes["outcome"].tolist().count("missing") == 10 - ok
    time.sleep(0.2)
    assert server.asked.total() == 8


def test_a_batch_goes_on_when_its_file_is_deleted(client, shards, server):
    server.hold.clear()
    job = helpers.submit(client, shards)
    for _ in range(2):
        look(client, job)
    client.files.delete(client.batches.retrieve(job.batch_ids[0]).input_file_id)
    server.hold.set()
    [batch] = helpers.wait(client, job, sleep=lambda seconds: None, limit=30)
    assert (batch.status, batch.request_counts.completed) == ("completed", 10)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("after", "pause"), [(None, 1), ("7", 7), ("0.5", 0.5), ("soon", 1)])
def test_a_server_that_is_busy_is_asked_again_after_a_pause(
    url, server, tmp_path, status, after, pause
):
    pauses = []
    server.busy = [status] * 2
    server.retry_after = after
    with httpx2.Client(base_url=url) as http:
        upstream = Upstream(http, pauses=(1, 1, 1), sleep=pauses.append)
        app = create_app(tmp_path / "busy.sqlite", upstream=upstream)
        client = connect(httpx2.WSGITransport(app=app), max_retries=0)
        row, _, _ = outcome_of_one(client, tmp_path)
    assert row["outcome"] == "ok"
    assert len(pauses) == 2
    assert all(pause <= waited <= 1.25 * pause for waited in pauses)


def test_a_kept_connection_that_the_server_has_closed_costs_no_line_its_answer(tmp_path):
    """A server that answers once on each connection, says that it keeps it, and closes it."""
    body = json.dumps(completion("here")).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        while b"question" not in connection.recv(65_536):
                            pass
                        connection.sendall(f"{head}\r\n".encode() + body)

        threading.Thread(target=serve, daemon=True).start()
        with httpx2.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}/v1") as http:
            app = create_app(tmp_path / "s", upstream=Upstream(http, at_once=1))
            client = connect(httpx2.WSGITransport(app=app), max_retries=0)
            for line in REQUESTS:
                answer = client.chat.completions.create(**line["body"])
                assert answer.choices[0].message.content == "here"
        listening.shutdown(socket.SHUT_RDWR)


# a kernel that ends


def test_a_killed_kernel_loses_only_the_lines_in_flight(server, tmp_path):
    kernel = """
        import helpers
        from test_local import REQUESTS, run

        client = helpers.connect()
        job = run(client, helpers.write(REQUESTS, helpers.JOBS / "rows"))
        print(helpers.collect(client, job)["outcome"].tolist())
    """
    command = [sys.executable, "-c", textwrap.dedent(kernel)]
    with upstream(server) as url:
        local = {"COOKBOOK_MODE": "local", "COOKBOOK_UPSTREAM": url, "COOKBOOK_JOBS": str(tmp_path)}
        local["COOKBOOK_AT_ONCE"] = "4"
        options = {"cwd": ROOT / "tests", "env": {**os.environ, **local}, "text": True}
        server.answers = {f"question {i}": (200, completion("first")) for i in IDS}
        # The third question and all after it wait until the kernel is dead.
        server.hold = OpenFor(2)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, **options) as killed:
            until(lambda: server.asked.total() == 6)
            until(lambda: answers_in(*tmp_path.glob("local-*.sqlite")) == 2)
            killed.kill()
        server.hold.set()
        in_flight = 4
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, **options)
    assert done.stdout.splitlines()[-1] == str(["ok"] * 10)
    assert server.asked.total() == 10 + in_flight
    assert sorted(server.asked.values()) == [1] * 6 + [2] * 4


class OpenFor(threading.Event):
    """Lets the first ``count`` pass without being set."""

    def __init__(self, count):
        super().__init__()
        self.places = threading.Semaphore(count)

    def wait(self, timeout=None):
        return self.places.acquire(blocking=False) or super().wait(timeout)


def answers_in(state):
    with contextlib.closing(sqlite3.connect(state)) as database:
        return database.execute("select count(status) from lines").fetchone()[0]


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


# errors


@pytest.mark.parametrize(
    ("status", "body", "code", "reason", "again"),
    [
        (400, {"error": {"message": "too long", "code": 400}}, "400", "too long", False),
        (400, {"object": "error", "message": "no", "code": 400}, "400", "no", False),
        (404, "404 page not found", "upstream_not_json", "page not found.*ends in /v1", False),
        (429, {"error": {"message": "slow down"}}, "http_429", "slow down", True),
        (500, {"error": {"message": "out of memory"}}, "http_500", "out of memory", True),
        (502, "<html>Bad Gateway</html>", "upstream_not_json", "502 .*Bad Gateway", True),
        (200, "<html>a page</html>", "upstream_not_json", "200 .*a page", True),
        (200, [1], "upstream_not_json", "200 without a JSON object", True),
        (200, {"choices": []}, "no_content", "no text", False),
    ],
)
def test_an_error_of_the_server_is_an_outcome_with_its_reason(
    client, tmp_path, server, status, body, code, reason, again
):
    server.answers["question row-0"] = status, body
    row, job, outcomes = outcome_of_one(client, tmp_path)
    assert (row["outcome"], row["code"], row["retry"]) == ("failed", code, again)
    assert re.search(reason, row["reason"])
    assert bool(helpers.retry(job, outcomes)) == again


def test_the_body_of_an_error_is_that_of_the_server(client, tmp_path, server):
    body = {"error": {"message": "too long", "type": "BadRequestError", "code": 400, "more": [1]}}
    server.answers["question row-0"] = 400, body
    _, job, _ = outcome_of_one(client, tmp_path)
    batch = client.batches.retrieve(job.batch_ids[0])
    assert batch.output_file_id is None
    line = json.loads(client.files.content(batch.error_file_id).text)
    assert (line["response"]["status_code"], line["response"]["body"]) == (400, body)


def test_rows_that_failed_for_now_are_sent_again_as_a_new_batch(client, shards, server):
    server.answers = {f"question {i}": (500, {"error": {"message": "busy"}}) for i in IDS[:3]}
    job = run(client, shards)
    outcomes = helpers.collect(client, job)
    server.answers = {}
    second = run(client, helpers.retry(job, outcomes))
    outcomes = helpers.merge(outcomes, helpers.collect(client, second))
    assert set(outcomes["outcome"]) == {"ok"}
    assert len(helpers.list_batches(client)) == 2
    assert [server.asked[f"question {i}"] for i in IDS] == [2] * 3 + [1] * 7


def test_a_server_that_dies_gives_every_row_a_reason_and_a_retry(server, new_client, tmp_path):
    with upstream(server) as url:
        client = new_client(url, at_once=4)
        server.hold = OpenFor(4)
        job = helpers.submit(client, helpers.write(REQUESTS, tmp_path / "rows"))
        until(lambda: look(client, job) == (4, 0))
        until(lambda: server.asked.total() == 8)
    helpers.wait(client, job, sleep=lambda seconds: None, limit=30)
    outcomes = helpers.collect(client, job)
    failed = outcomes[outcomes["outcome"] == "failed"]
    # Those in flight were answered before the server ended.
    assert len(failed) == 2
    assert set(failed["code"]) == {"upstream_unreachable"}
    assert failed["reason"].str.contains(f"No answer from {url}/chat/completions").all()
    assert failed["retry"].all()


def test_an_answer_that_comes_too_late_can_be_retried(new_client, tmp_path, server):
    server.hold.clear()
    row, _, _ = outcome_of_one(new_client(timeout=0.1), tmp_path)
    assert (row["code"], row["retry"]) == ("upstream_unreachable", True)
    assert "timed out" in row["reason"]


def test_a_job_for_a_server_that_is_not_there_does_not_start(server, new_client, shards):
    with upstream(server) as url:
        client = new_client(url)
    with pytest.raises(openai.InternalServerError, match=f"No answer from {url}/models"):
        helpers.submit(client, shards)
    assert helpers.list_batches(client).empty


def test_a_batch_for_another_endpoint_is_passed_on_to_it(client, tmp_path, server):
    vectors = [{"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    server.others["/v1/embeddings"] = 200, {"object": "list", "data": vectors, "usage": usage}
    body = {"model": MODEL, "input": "one"}
    lines = [{**line, "url": "/v1/embeddings", "body": body} for line in REQUESTS[:2]]
    job = run(client, helpers.write(lines, tmp_path / "vectors"))
    assert helpers.collect(client, job)["answer"].tolist() == [[1.0, 2.0]] * 2
    assert client.batches.retrieve(job.batch_ids[0]).usage.input_tokens == 8
    assert client.embeddings.create(**body).usage.total_tokens == 4


def test_responses_are_passed_on_and_their_tokens_counted(client, tmp_path, server):
    text = {"type": "output_text", "text": "fine", "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    server.others["/v1/responses"] = 200, {
        "id": "r", "object": "response", "status": "completed", "created_at": 1, "model": MODEL,
        "output": [{**message, "content": [text]}],
        "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
    }  # fmt: skip
    body = {"model": MODEL, "input": "one"}
    lines = [{**line, "url": "/v1/responses", "body": body} for line in REQUESTS[:2]]
    job = run(client, helpers.write(lines, tmp_path / "responses"))
    assert helpers.collect(client, job)["answer"].tolist() == ["fine"] * 2
    usage = client.batches.retrieve(job.batch_ids[0]).usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (10, 4, 14)


def test_an_endpoint_that_the_server_does_not_have_gives_every_row_its_reason(
    client, tmp_path, server
):
    body = {"model": MODEL, "input": "one"}
    lines = [{**line, "url": "/v1/embeddings", "body": body} for line in REQUESTS[:2]]
    outcomes = helpers.collect(client, run(client, helpers.write(lines, tmp_path / "vectors")))
    assert outcomes["reason"].str.contains("Not Found").tolist() == [True] * 2
    assert not server.asked


# models and direct calls


def test_the_models_are_those_of_the_server(client):
    assert [model.id for model in client.models.list()] == [MODEL]
    found = client.models.retrieve(MODEL)
    assert (found.id, found.shutdown_date) == (MODEL, None)


@pytest.mark.parametrize("name", ["/models/x.gguf", "a/b/c", "C:\\models\\x.gguf", "模型"])
def test_a_model_may_be_named_by_its_path(client, tmp_path, server, name):
    server.models = 200, {"object": "list", "data": [{"id": name, "object": "model"}]}
    assert client.models.retrieve(name).id == name
    job = run(client, helpers.write([request(model=name)], tmp_path / "rows"))
    assert helpers.collect(client, job)["outcome"].tolist() == ["ok"]


def test_a_model_that_the_server_does_not_list_is_an_error_before_any_upload(client, tmp_path):
    shards = helpers.write([request(model="other")], tmp_path / "other")
    with pytest.raises(helpers.JobError, match="no model 'other'"):
        helpers.submit(client, shards)
    assert list(client.files.list()) == []


def test_without_a_list_of_models_every_model_is_taken_as_existing(client, shards, server):
    server.models = 404, {"detail": "Not Found"}
    assert client.models.retrieve("anything").id == "anything"
    assert set(helpers.collect(client, run(client, shards))["outcome"]) == {"ok"}
    with pytest.raises(openai.NotFoundError, match="Not Found"):
        client.models.list()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"error": {"message": "wrong key"}}, openai.AuthenticationError),
        (200, {"error": "wrong key"}, openai.InternalServerError),
        (200, "wrong key", openai.InternalServerError),
    ],
)
def test_a_server_that_refuses_to_list_its_models_is_heard(client, server, status, body, error):
    server.models = status, body
    with pytest.raises(error, match="wrong key"):
        client.models.retrieve(MODEL)


def test_a_request_can_be_tried_first(client, server):
    answer = client.chat.completions.create(**REQUESTS[0]["body"])
    assert answer.choices[0].message.content == "answer to question row-0"
    server.answers["question row-0"] = 400, {"error": {"message": "too long"}}
    with pytest.raises(openai.BadRequestError, match="too long"):
        client.chat.completions.create(**REQUESTS[0]["body"])


def test_a_local_model_without_a_price_costs_nothing(client, tmp_path, monkeypatch):
    with pytest.raises(LookupError, match=r"no standard price for 'org/tiny-1'.*COOKBOOK_PRICES"):
        helpers.run(client, REQUESTS, tmp_path / "rows", budget=1)
    monkeypatch.setenv("COOKBOOK_MODE", "local")
    outcomes = helpers.run(client, REQUESTS, tmp_path / "rows", budget=0)
    assert set(outcomes["outcome"]) == {"ok"}


# the mode


@pytest.fixture
def environment(monkeypatch):
    for name in ("COOKBOOK_MODE", "COOKBOOK_UPSTREAM", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_mode_needs_no_key_and_says_where_it_leads(environment, url, server):
    environment.setenv("COOKBOOK_MODE", "local")
    environment.setenv("COOKBOOK_UPSTREAM", f"{url}/")
    said = []
    client = helpers.connect(say=said.append)
    assert type(client) is openai.OpenAI
    assert len(said) == 1
    assert said[0].startswith(f"local: the answers come from {url}, asked without a key;")
    assert [model.id for model in client.models.list()] == [MODEL]
    assert "Authorization" not in server.headers


def test_a_key_is_passed_on_and_not_said(environment, url, server):
    environment.setenv("OPENAI_API_KEY", "canary")
    environment.setenv("COOKBOOK_UPSTREAM", url)
    said = []
    client = helpers.connect("local", say=said.append)
    client.models.list()
    assert server.headers["Authorization"] == "Bearer canary"
    assert f"{url}, asked with OPENAI_API_KEY;" in said[0]
    assert "canary" not in said[0]


def test_a_password_in_the_address_is_used_and_not_said(environment, url, server):
    environment.setenv("COOKBOOK_UPSTREAM", url.replace("//", "//me:secret@"))
    said = []
    client = helpers.connect("local", say=said.append)
    client.models.list()
    assert server.headers["Authorization"].startswith("Basic ")
    server.models = 200, "a page"
    with pytest.raises(openai.InternalServerError, match=f"{url}/models answered 200") as error:
        client.with_options(max_retries=0).models.list()
    assert "secret" not in said[0] + str(error.value)


def test_what_one_server_answered_is_never_taken_for_the_answer_of_another(tmp_path):
    answers = {}
    for text in ("one", "two"):
        server = Server()
        server.answers = {f"question {custom_id}": (200, completion(text)) for custom_id in IDS}
        with upstream(server) as url:
            client = local_client(url, tmp_path / f"{text}.sqlite")
            job = run(client, helpers.write(REQUESTS, tmp_path / "rows"))
            answers[text] = set(helpers.collect(client, job)["answer"])
    assert answers == {"one": {"one"}, "two": {"two"}}


def test_each_server_has_its_own_batches(environment, url, tmp_path):
    environment.setenv("COOKBOOK_UPSTREAM", url)
    here = helpers.connect("local", say=lambda line: None)
    there = local_client("http://127.0.0.1:9/v1", tmp_path / "there.sqlite")
    assert here.base_url != there.base_url


@pytest.mark.parametrize(
    ("url", "found"),
    [(None, "is not set"), ("", "is not set"), ("localhost:11434/v1", "is 'localhost:11434/v1'")],
)
def test_local_without_a_server_says_what_to_set(environment, url, found):
    if url is not None:
        environment.setenv("COOKBOOK_UPSTREAM", url)
    said = []
    with pytest.raises(helpers.ModeError, match=f"COOKBOOK_UPSTREAM {found}.*localhost:11434/v1"):
        helpers.connect("local", say=said.append)
    assert said == []
