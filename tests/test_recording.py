"""What came back live is what the replay then answers; nothing else gets into the file."""

import datetime
import gzip
import json
import os
import re

import httpx2
import openai
import pandas as pd
import pytest
from PIL import Image

import crashing
import helpers
from helpers.replay import create_app
from helpers.replay.clients import replay_client
from helpers.replay.record import Recorder
from helpers.replay.recordings import key_of
from support import RECORDED, connect, lost, on, recorded, request, run
from test_crashes import PROCESSES, server

SIZE = 10_000
KEY, COMPANY, UNKNOWN = "canary-7f3a9c51e0", "canary-company", "canary-field"
MASKED = "sk-" + "proj-****abcd"
FILMS = [
    "jaws-1975", "apollo-13-1995", "the-silence-of-the-lambs-1991",
    "everything-everywhere-all-at-once-2022",
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recordings" / "films.jsonl"


@pytest.fixture
def said():
    return []


@pytest.fixture
def recorder(wire, path, said):
    return Recorder(path, wire, said.append)


@pytest.fixture
def live(recorder):
    """A client whose exchange with the replay, here the live API, is recorded."""
    return connect(recorder)


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def named(path):
    return {line["custom_id"]: line for line in lines_of(path)}


def bodies(requests):
    return [line["body"] for line in requests]


def replayed(path, tmp_path):
    """A client of a replay that knows this recording and no other."""
    return replay_client(tmp_path / "again.sqlite", recordings=path.parent)


def ask(client, body):
    return client.chat.completions.create(**body)


def whole_job(client, folder):
    """Four films and a request that fails, over two files and a retry round."""
    shards = helpers.write([*recorded(*FILMS), request("unknown")], folder, max_requests=3)
    job = run(client, shards)
    first = helpers.collect(client, job)
    second = helpers.collect(client, run(client, helpers.retry(job, first)))
    return first, second, helpers.merge(first, second)


# The same outcomes again


def test_a_replay_of_the_recording_gives_the_same_outcomes(live, path, tmp_path):
    (film,) = recorded("jaws-1975")
    answer = ask(live, film["body"])
    tables = whole_job(live, tmp_path / "live")
    assert tables[0]["code"].tolist().count("http_500") == 1
    assert tables[1]["outcome"].tolist() == ["ok"]
    codes = ["", "", "not_recorded", "refusal", "truncated"]
    assert sorted(tables[2]["code"]) == codes

    replay = replayed(path, tmp_path)
    assert ask(replay, film["body"]).choices == answer.choices
    for table, again in zip(tables, whole_job(replay, tmp_path / "again"), strict=True):
        pd.testing.assert_frame_equal(table, again)


def test_the_road_in_one_call_is_recorded_and_replayed(live, path, tmp_path):
    films = recorded(*FILMS)
    outcomes = helpers.run(live, films, tmp_path / "live", budget=1)
    replay = replayed(path, tmp_path)
    again = helpers.run(replay, films, tmp_path / "again", budget=1, reuse=False)
    pd.testing.assert_frame_equal(outcomes, again)
    assert list(named(path)) == [film["custom_id"] for film in films]


def test_a_retry_round_is_a_second_answer(live, path, tmp_path):
    whole_job(live, tmp_path / "live")
    tries = {name: [a["status_code"] for a in r["answers"]] for name, r in named(path).items()}
    assert tries.pop("apollo-13-1995") == [500, 200]
    assert tries.pop("unknown") == [404]
    assert tries == {name: [200] for name in FILMS if name != "apollo-13-1995"}


def test_each_line_says_when_and_from_which_model(live, path, tmp_path):
    before = datetime.datetime.now(datetime.UTC).date().isoformat()
    whole_job(live, tmp_path / "live")
    after = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name, line in named(path).items():
        answered = None if name == "unknown" else "sample-written-for-this-cookbook"
        assert before <= line["recorded"].pop("date") <= after
        assert line["recorded"] == {"model": answered, "sdk": openai.__version__}


def test_two_batches_with_the_same_ids_are_not_mixed_up(live, path, tmp_path):
    films = recorded("jaws-1975", "alien-1979", "once-2007", "m-1931")
    numbered = [{**film, "custom_id": f"row-{place % 2}"} for place, film in enumerate(films)]
    files = [
        helpers.write(numbered[:2], tmp_path / "one"),
        helpers.write(numbered[2:], tmp_path / "two"),
    ]
    for job in reversed([run(live, shards) for shards in files]):
        helpers.collect(live, job)
    truth = [r["answers"][0]["body"]["id"] for r in RECORDED if r["request"] in bodies(films)]
    by_key = {key_of(line["request"]): line for line in lines_of(path)}
    came = [by_key[key_of(film["body"])]["answers"][0]["body"]["id"] for film in films]
    assert came == truth
    assert len(set(truth)) == 4


def test_lines_stand_in_the_order_of_the_batch_file(live, path, tmp_path):
    films = recorded()[:20]
    helpers.collect(live, run(live, helpers.write(films, tmp_path / "films")))
    assert [line["request"] for line in lines_of(path)] == bodies(films)


PICTURE = helpers.image_part(Image.new("RGB", (2, 2), "red"))["image_url"]["url"]


@pytest.mark.parametrize("by_hand", [True, False])
def test_pictures_are_recorded_by_their_digest(live, path, tmp_path, by_hand):
    part = {"type": "image_url", "image_url": {"url": PICTURE}}
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": [part]}]}
    if by_hand:
        with pytest.raises(openai.NotFoundError):
            ask(live, body)
    else:
        line = {**request(), "body": body}
        helpers.collect(live, run(live, helpers.write([line], tmp_path / "pictures")))
    (line,) = lines_of(path)
    assert line["request"]["messages"][0]["content"][0]["image_url"]["url"].startswith("picture ")
    assert key_of(line["request"]) == key_of(body)
    assert b"base64" not in path.read_bytes()


# What a call by hand counts


def test_an_answer_by_hand_is_no_try_of_a_batch(live, path, tmp_path):
    (film,) = recorded("apollo-13-1995")
    ask(live, film["body"])
    assert [a["status_code"] for a in lines_of(path)[0]["answers"]] == [200]
    helpers.collect(live, run(live, helpers.write([film], tmp_path / "films")))
    (line,) = lines_of(path)
    assert [a["status_code"] for a in line["answers"]] == [500, 200]
    assert line["custom_id"] == "apollo-13-1995"


@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_error_that_is_not_about_the_request_is_not_recorded(wire, recorder, path, status):
    (film,) = recorded("jaws-1975")
    ask(connect(recorder), film["body"])
    before = path.read_bytes()
    error = {"error": {"message": "no", "type": "t", "param": None, "code": None}}
    wire.disturb = lambda call, exchange: httpx2.Response(status, json=error)
    with pytest.raises(openai.APIStatusError):
        ask(connect(recorder, max_retries=0), film["body"])
    assert path.read_bytes() == before


def test_an_error_about_the_request_is_recorded_and_replayed(live, path, tmp_path):
    with pytest.raises(openai.NotFoundError, match="Not recorded: no recorded request"):
        ask(live, request()["body"])
    with pytest.raises(openai.NotFoundError, match="Not recorded: no recorded request"):
        ask(replayed(path, tmp_path), request()["body"])


# What the file holds


def careless(wire):
    """A live API that puts private things wherever it can."""

    def disturb(call, exchange):
        response = exchange()
        response.headers["openai-organization"] = COMPANY
        if re.fullmatch(r"GET /v1/files/[\w-]+", call):
            return httpx2.Response(200, json={**json.loads(response.read()), "bytes": SIZE})
        if "chat" not in call and "content" not in call:
            return response
        lines = [json.loads(text) for text in response.read().splitlines()]
        for line in lines:
            body = line["response"]["body"] if "response" in line else line
            body["system_fingerprint"] = body["organization"] = UNKNOWN
            for choice in body.get("choices", []):
                choice["logprobs"] = {"content": [UNKNOWN]}
                choice["message"]["annotations"] = [UNKNOWN]
                body["usage"]["prompt_tokens_details"]["who"] = UNKNOWN
            if "error" in body:
                body["error"]["internal"] = UNKNOWN
                body["error"]["message"] = (
                    f"Incorrect key {KEY} or {MASKED} in organization {COMPANY} "
                    "(org-A1b2C3d4E5f6G7h8I9j0K1l2), project proj_A1b2C3d4E5f6G7h8I9j0K1l2."
                )
        content = b"\n".join(json.dumps(line).encode() for line in lines)
        # As long as its file object says, or it is fetched again.
        content = content.ljust(SIZE)
        return httpx2.Response(response.status_code, headers=dict(private), content=content)

    private = {"openai-organization": COMPANY, "content-type": "application/json"}
    wire.disturb = disturb


def test_no_key_no_organisation_and_no_unknown_field_is_written(wire, recorder, path, tmp_path):
    careless(wire)
    client = openai.OpenAI(
        api_key=KEY,
        organization=COMPANY,
        base_url="http://replay.invalid/v1",
        http_client=httpx2.Client(transport=recorder),
    )
    (film,) = recorded("jaws-1975")
    assert ask(client, film["body"]).system_fingerprint == UNKNOWN
    whole_job(client, tmp_path / "films")
    lines = named(path)
    assert len(lines) == 5
    text = path.read_text("utf-8")
    for private in (KEY, COMPANY, UNKNOWN, "sk-", "org-", "proj_", "logprobs", "annotations"):
        assert private not in text, private
    (answer,) = lines["unknown"]["answers"]
    assert answer["body"]["error"] == {
        "message": "Incorrect key ... or ... in organization ... (...), project ....",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_recorded",
    }
    (answer,) = lines["jaws-1975"]["answers"]
    assert set(answer) == {"status_code", "body"}
    assert set(answer["body"]) == {"id", "object", "created", "model", "choices", "usage"}


def test_other_requests_keep_their_line_and_the_same_one_gets_a_new_one(wire, path, tmp_path):
    jaws, alien = recorded("jaws-1975", "alien-1979")
    old = [
        {
            "custom_id": name,
            "request": film["body"],
            "answers": [{"status_code": 200, "body": {"old": "é"}}] * 2,
        }
        for name, film in (("a shark, by hand", jaws), ("alien", alien))
    ]
    path.parent.mkdir(exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in old)
    path.write_text(text, "utf-8")
    client = connect(Recorder(path, wire, print))
    helpers.collect(client, run(client, helpers.write([jaws], tmp_path / "films")))
    first, second = path.read_text("utf-8").splitlines()
    assert second == text.splitlines()[1]
    line = json.loads(first)
    assert line["custom_id"] == "a shark, by hand"
    assert [set(answer["body"]) & {"old", "choices"} for answer in line["answers"]] == [{"choices"}]
    ask(client, alien["body"])
    assert [line["custom_id"] for line in lines_of(path)] == ["a shark, by hand", "alien"]


def test_two_kernels_record_into_the_same_file(wire, path):
    jaws, alien = recorded("jaws-1975", "alien-1979")
    one, two = (connect(Recorder(path, wire)) for _ in range(2))
    for client, film in ((one, jaws), (two, alien), (one, jaws)):
        ask(client, film["body"])
    assert [line["request"] for line in lines_of(path)] == [jaws["body"], alien["body"]]


def record_many(path, state, names):
    client = connect(Recorder(path, httpx2.WSGITransport(app=create_app(state))))
    for film in recorded(*names):
        ask(client, film["body"])


def test_kernels_that_record_at_the_same_time_keep_every_answer(path, tmp_path):
    names = [film["custom_id"] for film in recorded()[:40]]
    kernels = [
        PROCESSES.Process(target=record_many, args=(path, tmp_path / f"{n}.sqlite", names[n::4]))
        for n in range(4)
    ]
    path.parent.mkdir(exist_ok=True)
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join()
    assert {line["custom_id"] for line in lines_of(path)} == {
        f"call-{key_of(film['body'])[:12]}" for film in recorded()[:40]
    }
    assert sorted(file.name for file in path.parent.iterdir()) == [".films.jsonl.lock", path.name]


# What could not be recorded


def test_what_another_process_uploaded_is_counted_but_not_recorded(
    live, wire, path, said, tmp_path
):
    shards = helpers.write(recorded("jaws-1975", "alien-1979"), tmp_path / "films")
    run(live, shards)
    later = []
    client = connect(Recorder(path, wire, later.append))
    outcomes = helpers.collect(client, helpers.submit(client, shards))
    assert outcomes["outcome"].tolist() == ["ok", "ok"]
    assert not path.exists()
    (line,) = later
    assert line.startswith("record: 0 answers written to films.jsonl; 2 not: uploaded by another")
    assert said == []


@pytest.mark.parametrize(
    ("finished", "reports"),
    [(1, ["1 answers written", "0 answers written"]), (None, ["2 answers written"])],
)
def test_lines_that_never_ran_are_counted(path, said, tmp_path, finished, reports):
    app = create_app(tmp_path / "replay.sqlite", expire_after=finished)
    client = connect(Recorder(path, httpx2.WSGITransport(app=app), said.append))
    films = recorded("jaws-1975", "alien-1979")
    helpers.collect(client, run(client, helpers.write(films, tmp_path / "films")))
    assert len(lines_of(path)) == (finished or 2)
    assert sorted(line[8:25] for line in said) == sorted(reports)
    skipped = [line for line in said if line.endswith("; 1 not: the request never ran.")]
    assert len(skipped) == len(reports) - 1


@pytest.mark.parametrize("fault", ["unknown_ids", "status_0", "vllm_errors", "duplicate_lines"])
def test_strange_lines_are_counted_or_give_the_same_outcome(live, path, said, tmp_path, fault):
    live.put("/replay", body={"faults": [{"at": "results", "fault": fault}]}, cast_to=object)
    films = recorded("jaws-1975", "alien-1979")
    outcomes = helpers.collect(live, run(live, helpers.write(films, tmp_path / "films")))
    client = replayed(path, tmp_path)
    again = helpers.collect(client, run(client, helpers.write(films, tmp_path / "again")))
    if fault == "status_0":
        assert len(lines_of(path)) == 1
        outcomes, again = (table[outcomes["outcome"] == "ok"] for table in (outcomes, again))
    counted = any(" 1 not: " in line for line in said)
    assert counted == (fault in ("unknown_ids", "status_0"))
    pd.testing.assert_frame_equal(outcomes, again)


def test_another_endpoint_is_not_recorded(live, path, said, tmp_path):
    body = {"model": "gpt-6-luna", "input": "hello"}
    line = {**request(), "url": "/v1/responses", "body": body}
    helpers.collect(live, run(live, helpers.write([line], tmp_path / "films")))
    assert not path.exists()
    assert said[0].endswith("1 not: the replay answers /v1/chat/completions only.")


# The exchange is as it was


def test_a_download_is_passed_on_piece_by_piece(path):
    sent = []

    def pieces():
        for number in range(3):
            sent.append(number)
            yield b"piece"

    wire = httpx2.MockTransport(lambda request: httpx2.Response(200, content=pieces()))
    client = connect(Recorder(path, wire))
    with client.files.with_streaming_response.content("file-1") as response:
        seen = [(piece, len(sent)) for piece in response.iter_bytes()]
    assert seen == [(b"piece", 1), (b"piece", 2), (b"piece", 3)]


def test_a_compressed_answer_is_passed_on_and_recorded(path):
    (film,) = recorded("jaws-1975")
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    content = gzip.compress(json.dumps(answer).encode())
    packed = httpx2.MockTransport(
        lambda request: httpx2.Response(
            200, headers={"content-encoding": "gzip", "content-type": "application/json"},
            stream=httpx2.ByteStream(content),
        )
    )  # fmt: skip
    assert ask(connect(Recorder(path, packed)), film["body"]).model == "m"
    assert lines_of(path)[0]["answers"] == [{"status_code": 200, "body": answer}]


def test_a_download_that_breaks_off_is_recorded_once(wire, live, path, said, tmp_path):
    films, broken = recorded("jaws-1975", "apollo-13-1995"), []
    job = run(live, helpers.write(films, tmp_path / "films"))

    def disturb(call, exchange):
        response = exchange()
        if not call.endswith("/content") or broken.count(call) == 2:
            return response
        broken.append(call)
        content = response.read()
        # Once within the line, once behind it, so that only its end is missing.
        return httpx2.Response(
            200, content=content[: len(content) // 2 if broken.count(call) == 1 else -1]
        )

    wire.disturb = disturb
    outcomes = helpers.collect(live, job, sleep=lambda seconds: None)
    assert sorted(outcomes["code"]) == ["", "http_500"]
    assert len(broken) == 4
    assert [len(line["answers"]) for line in lines_of(path)] == [1, 1]
    assert said == ["record: 1 answers written to films.jsonl."] * 4


def test_a_lost_answer_is_lost_as_without_a_recorder(wire, recorder, path):
    (film,) = recorded("jaws-1975")
    wire.disturb = on("POST /v1/chat/completions", lost)
    with pytest.raises(openai.APITimeoutError):
        ask(connect(recorder, max_retries=0), film["body"])
    assert not path.exists()


def test_a_streamed_call_is_passed_on_and_said_to_be_missing(path, said):
    (film,) = recorded("jaws-1975")
    event = b'data: {"id":"1","object":"chat.completion.chunk","choices":[]}\n\ndata: [DONE]\n\n'
    kind = {"content-type": "text/event-stream; charset=utf-8"}
    stream = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=kind, content=event))
    client = connect(Recorder(path, stream, said.append))
    assert [chunk.id for chunk in ask(client, {**film["body"], "stream": True})] == ["1"]
    assert not path.exists()
    assert said == ["record: a streamed call is not recorded, because the replay streams nothing."]


# The file is whole


def test_a_file_that_cannot_be_written_costs_no_answer(live, path, said):
    jaws, alien = recorded("jaws-1975", "alien-1979")
    # A folder in the file's place cannot be replaced by a file.
    path.mkdir(parents=True)
    assert ask(live, jaws["body"]).choices[0].message.content
    assert list(path.parent.glob("*.part")) == []
    assert "films.jsonl was not written" in said[0]
    path.rmdir()
    ask(live, alien["body"])
    assert [line["request"] for line in lines_of(path)] == [jaws["body"], alien["body"]]


def record_and_die(path, state, kill_at):
    client = connect(Recorder(path, httpx2.WSGITransport(app=create_app(state))))
    points = crashing.Points(path.parent, kill_at)
    ask(client, recorded("alien-1979")[0]["body"])
    os._exit(len(points.names))


def test_an_interrupted_write_leaves_the_old_file(live, path, tmp_path):
    ask(live, recorded("jaws-1975")[0]["body"])
    before = path.read_bytes()
    for kill_at, ended in ((1, -9), (2, -9), (3, -9), (0, 3)):
        process = PROCESSES.Process(target=record_and_die, args=(path, tmp_path / "s", kill_at))
        process.start()
        process.join()
        assert process.exitcode == ended
        assert (path.read_bytes() == before) == (ended == -9)
    assert len(lines_of(path)) == 2


# The mode


@pytest.fixture
def environment(monkeypatch, path):
    for name in ("OPENAI_BASE_URL", "COOKBOOK_RECORDINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COOKBOOK_MODE", "record")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return monkeypatch


def test_record_talks_to_the_base_url_and_writes_the_file(environment, path, said, tmp_path):
    with server(tmp_path / "server.sqlite") as port:
        environment.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
        environment.setenv("COOKBOOK_RECORDINGS", str(path))
        with helpers.connect(say=said.append) as client:
            outcomes = whole_job(client, tmp_path / "films")[2]
    assert said[0].startswith(f"record: http://127.0.0.1:{port}/v1/, paid with OPENAI_API_KEY.")
    assert str(path) in said[0]
    assert KEY not in "".join(said)
    assert len(lines_of(path)) == len(outcomes) == 5


def test_a_relative_path_begins_at_the_project(environment, said):
    environment.setenv("COOKBOOK_RECORDINGS", "data/recordings/movies.jsonl")
    before = (helpers.DATA / "recordings" / "movies.jsonl").read_bytes()
    with helpers.connect(say=said.append):
        assert str(helpers.DATA / "recordings" / "movies.jsonl") in said[0]
    assert (helpers.DATA / "recordings" / "movies.jsonl").read_bytes() == before


@pytest.mark.parametrize("lacking", ["OPENAI_API_KEY", "COOKBOOK_RECORDINGS"])
def test_record_without_what_it_needs_says_what_is_missing(environment, path, said, lacking):
    environment.setenv("COOKBOOK_RECORDINGS", str(path))
    environment.delenv(lacking)
    with pytest.raises(helpers.ModeError, match=f"Not set: {lacking}. .*unset COOKBOOK_MODE"):
        helpers.connect(say=said.append)
    assert said == []
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("films.txt", None, "does not end in .jsonl"),
        ("films.jsonl", '{"custom_id": "a", "body": {}}\n', "line 1: not a recording"),
        ("films.jsonl", "my notes\n", "line 1: not a recording"),
        ("notes.txt/films.jsonl", None, "notes.txt"),
    ],
)
def test_a_file_that_holds_something_else_is_not_written_over(
    environment, tmp_path, said, name, content, reason
):
    file = tmp_path / name
    (tmp_path / "notes.txt").touch()
    if content:
        file.write_text(content)
    environment.setenv("COOKBOOK_RECORDINGS", str(file))
    with pytest.raises(helpers.ModeError, match=f"{reason}.*Name a new .jsonl file"):
        helpers.connect(say=said.append)
    assert said == []
