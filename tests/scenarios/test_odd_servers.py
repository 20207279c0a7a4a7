"""Servers that answer in other ways than the API documents: paid work is collected all the same."""

import datetime
import email.utils
import json
import re
import time

import httpx2
import pytest

import helpers
from faults import Faults
from helpers.replay import create_app
from support import CREATE, LIST, UPLOAD, Wire, connect, forget, no_pause, on, recorded, run


@pytest.fixture
def client(wire):
    return connect(wire, max_retries=0)


@pytest.fixture
def shards(tmp_path):
    return helpers.write(recorded()[:4], tmp_path / "films")


def giving(wire, **facts):
    """Has every batch come with these fields, once it has ended."""

    def changed(call, exchange):
        response = exchange()
        if not call.startswith("GET /v1/batches/"):
            return response
        batch = json.loads(response.read())
        if batch["status"] == "completed":
            batch |= facts
        return httpx2.Response(200, json=batch, headers={"openai-poll-after-ms": "1"})

    wire.disturb = changed


# batch objects


@pytest.mark.parametrize(
    "facts",
    [
        {"error_file_id": "", "errors": ""},
        {"usage": {"input_tokens": 5}},
        {"usage": "none"},
        {"request_counts": None},
        {"request_counts": {"total": 4}},
        {"request_counts": {"completed": "4"}},
        {"completion_window": None, "metadata": None},
        {"created_at": 1.5},
        {"created_at": 1_795_000_000_000, "expires_at": 1_795_000_000_000},
        {"weather": {"fine": True}},
    ],
    ids=str,
)
def test_a_batch_with_odd_fields_is_read_again_and_again(client, wire, shards, facts):
    giving(wire, **facts)
    for _ in range(2):
        job = run(client, shards)
        outcomes = helpers.collect(client, job, sleep=no_pause)
        assert outcomes["outcome"].tolist() == ["ok"] * 4
    assert wire.calls.count(CREATE) == 1
    assert len(helpers.list_batches(client)) == 1


def test_an_unknown_status_is_waited_for(client, wire, shards):
    looks = []

    def resting(call, exchange):
        response = exchange()
        if call.startswith("GET /v1/batches/") and len(looks) < 3:
            looks.append(call)
            batch = json.loads(response.read()) | {"status": "resting"}
            return httpx2.Response(200, json=batch)
        return response

    wire.disturb = resting
    job = run(client, shards)
    assert len(looks) == 3
    assert helpers.collect(client, job)["outcome"].tolist() == ["ok"] * 4


def test_times_in_milliseconds_are_shown_in_this_century(client, wire, shards):
    lines = []
    giving(wire, status="in_progress", expires_at=1_795_000_000_000)
    job = helpers.submit(client, shards)
    with pytest.raises(helpers.JobError, match="Not finished"):
        helpers.wait(client, job, sleep=no_pause, limit=0.2, say=lines.append)
    said = "\n".join(lines)
    assert "58" + "866" not in said
    assert "ends by 2026-11-1" in said


def test_a_batch_that_failed_without_a_time_says_why(client, wire, shards):
    lines = []
    errors = {"data": [{"code": "x", "message": "Bad \x1b[2Jnews\nfrom here", "line": 1}]}
    giving(wire, status="failed", errors=errors, failed_at=None, completed_at=None)
    job = helpers.submit(client, shards)
    helpers.wait(client, job, sleep=no_pause, say=lines.append)
    assert lines[-1].endswith(r"failed, Bad \x1b[2Jnews\nfrom here")


# pages in the place of the API


@pytest.mark.parametrize("call", [LIST, UPLOAD, CREATE, "GET /v1/models/gpt-6-luna"])
def test_a_page_in_the_place_of_an_answer_is_told_in_a_sentence(client, wire, shards, call):
    page = {"content": "<html>Welcome</html>", "headers": {"content-type": "text/html"}}
    wire.disturb = on(call, lambda exchange: httpx2.Response(200, **page))
    with pytest.raises(helpers.JobError, match=r"something else than the Batch API.*Welcome"):
        helpers.submit(client, shards, sleep=no_pause)


def test_a_page_in_the_place_of_a_batch_is_told_in_a_sentence(client, wire, shards):
    job = helpers.submit(client, shards)
    page = {"content": "<html>Welcome</html>", "headers": {"content-type": "text/html"}}
    wire.disturb = lambda call, exchange: httpx2.Response(200, **page)
    with pytest.raises(helpers.JobError, match=r"something else.*stays submitted"):
        helpers.wait(client, job, sleep=no_pause)


def test_a_batch_that_the_server_does_not_know_names_the_record(client, wire, shards, tmp_path):
    helpers.submit(client, shards)
    other = connect(Wire(create_app(tmp_path / "other.sqlite")))
    job = helpers.submit(other, shards)
    with pytest.raises(helpers.JobError, match=r"knows no batch batch_\w+.*delete .*\.json"):
        helpers.wait(other, job)
    shards[0].path.with_suffix(".json").unlink()
    assert run(other, shards).shards == shards


# second batches


def test_a_server_that_keeps_no_metadata_makes_no_second_batch(client, wire, shards):
    def forgetful(call, exchange):
        response = exchange()
        if call == CREATE:
            raise httpx2.ReadTimeout("no answer")
        if call == LIST:
            answer = json.loads(response.read())
            answer["data"] = [batch | {"metadata": None} for batch in answer["data"]]
            return httpx2.Response(200, json=answer)
        return response

    wire.disturb = forgetful
    for _ in range(2):
        job = helpers.submit(client, shards, sleep=no_pause)
        assert [batch.id for batch in client.batches.list()] == job.batch_ids
        forget(job.folder)
    assert wire.calls.count(CREATE) == 1


def test_shards_in_another_order_make_no_second_round(client, wire, tmp_path):
    films = [*recorded()[:3], *recorded("apollo-13-1995", "the-silence-of-the-lambs-1991")]
    shards = helpers.write(films, tmp_path / "films", max_requests=2)
    for order in (shards, shards[::-1]):
        job = run(client, order)
        outcomes = helpers.collect(client, job)
        again = helpers.retry(job, outcomes.assign(retry=outcomes["outcome"] == "failed"))
        run(client, again)
        for folder in job.folder.glob("round-*"):
            forget(folder)
    assert wire.calls.count(CREATE) == len(shards) + 1


def test_an_id_in_two_batch_files_is_refused_before_anything_is_sent(client, wire, tmp_path):
    first = helpers.write(recorded()[:2], tmp_path / "one")
    second = helpers.write(recorded()[1:3], tmp_path / "two")
    with pytest.raises(helpers.BatchFileError, match=r"nothing was uploaded(.|\n)*in two of the"):
        helpers.submit(client, [*first, *second])
    assert wire.calls == []


def test_after_a_lost_answer_it_is_said_until_when_the_batch_is_looked_for(client, wire, shards):
    def hidden(call, exchange):
        if call == CREATE:
            raise httpx2.ReadTimeout("no answer")
        if call == LIST:
            return httpx2.Response(200, json={"object": "list", "data": [], "has_more": False})
        return exchange()

    wire.disturb, pauses, said = hidden, [], []
    for _ in range(2):
        with pytest.raises(helpers.JobError):
            helpers.submit(client, shards, sleep=pauses.append, say=said.append)
    assert sum(pauses) > 500
    (moment,) = {re.search(r"until (\d\d:\d\d):\d\d at the latest", line)[1] for line in said}
    ends = (datetime.datetime.now() + datetime.timedelta(minutes=m) for m in (9, 10))
    assert moment in {f"{end:%H:%M}" for end in ends}


# a full queue, and pauses


def test_a_queue_that_is_full_at_the_creation_is_waited_for(client, wire, shards):
    full = {"error": {"code": "token_limit_exceeded", "message": "Too many enqueued tokens."}}
    refused = []

    def azure(call, exchange):
        if call == CREATE and not refused:
            refused.append(call)
            return httpx2.Response(400, json=full)
        return exchange()

    wire.disturb, said = azure, []
    job = helpers.submit(client, shards)
    batches = helpers.wait(client, job, sleep=no_pause, say=said.append)
    assert said[0].endswith("waits for room in the queue")
    assert [batch.status for batch in batches] == ["completed"]
    assert helpers.collect(client, job)["outcome"].tolist() == ["ok"] * 4
    assert wire.calls.count(CREATE) == 2


def test_a_job_of_others_that_leaves_the_queue_is_no_sign_of_a_file_too_large(tmp_path, shards):
    wire = Wire(create_app(tmp_path / "replay.sqlite", faults=Faults()))
    client = connect(wire, max_retries=0)
    full = {"code": "token_limit_exceeded", "message": "The queue is full.", "line": None}
    fault = {"at": "validation", "fault": "errors", "value": [full], "times": 2}
    client.put("/replay", body={"faults": [fault]}, cast_to=object)
    job = helpers.submit(client, shards)

    def others_run(call, exchange):
        response = exchange()
        # Until our second try they fill the queue; then it is empty.
        if call != LIST or wire.calls.count(CREATE) > 1:
            return response
        answer = json.loads(response.read())
        other = {"id": "batch_9", "status": "in_progress", "input_file_id": "file-9"}
        answer["data"].append({**answer["data"][0], **other, "metadata": {"of": "others"}})
        return httpx2.Response(200, json=answer)

    wire.disturb = others_run
    helpers.wait(client, job, sleep=no_pause, show=lambda batches: None)
    assert helpers.collect(client, job)["outcome"].tolist() == ["ok"] * 4
    assert wire.calls.count(CREATE) == 3


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        (email.utils.formatdate(time.time() + 3_000_000, usegmt=True), None),
        ("999999999999", None),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_the_server_says_how_long_to_wait_and_no_pause_is_endless(
    client, wire, shards, header, seconds
):
    tries, pauses, said = [], [], []

    def early(call, exchange):
        if call == CREATE and not tries:
            tries.append(call)
            answer = {"error": {"message": "Too early."}}
            return httpx2.Response(429, json=answer, headers={"retry-after": header})
        return exchange()

    wire.disturb = early
    if seconds is None:
        with pytest.raises(helpers.JobError, match="Too early"):
            helpers.submit(client, shards, sleep=pauses.append, say=said.append)
    helpers.submit(client, shards, sleep=pauses.append, say=said.append)
    assert pauses == ([] if seconds is None else [seconds])
    assert len(said) == len(pauses)


def test_a_date_in_retry_after_is_waited_for(client, wire, shards):
    tries, pauses = [], []

    def early(call, exchange):
        if call == CREATE and not tries:
            tries.append(call)
            when = email.utils.formatdate(time.time() + 60, usegmt=True)
            return httpx2.Response(429, json={"error": {}}, headers={"retry-after": when})
        return exchange()

    wire.disturb = early
    helpers.submit(client, shards, sleep=pauses.append)
    assert 50 < pauses[0] <= 60


def test_a_server_that_wants_to_be_left_alone_for_years_is_asked_in_ten_minutes(
    client, wire, shards
):
    def later(call, exchange):
        response = exchange()
        response.headers["openai-poll-after-ms"] = "999999999"
        return response

    wire.disturb, pauses = later, []
    helpers.wait(client, helpers.submit(client, shards), sleep=pauses.append)
    assert 600 <= max(pauses) <= 600 * 1.25


def test_an_upload_outlasts_an_outage_and_a_longer_one_says_so(client, wire, shards):
    failed = []

    def down(call, exchange):
        if call == UPLOAD and len(failed) < 2:
            failed.append(call)
            raise httpx2.ConnectError("no connection")
        return exchange()

    wire.disturb = down
    helpers.submit(client, shards, sleep=no_pause)
    assert wire.calls.count(UPLOAD) == 3


def test_an_upload_that_never_arrives_is_an_error_with_a_way_on(client, wire, shards):
    def down(call, exchange):
        if call == UPLOAD:
            raise httpx2.ConnectError("no connection")
        return exchange()

    wire.disturb = down
    with pytest.raises(helpers.JobError, match=r"could not be uploaded.*Run the same line again"):
        helpers.submit(client, shards, sleep=no_pause)


def test_an_upload_that_is_refused_is_an_error_with_a_way_on(client, wire, shards):
    refusal = httpx2.Response(413, json={"error": {"message": "Too large."}})
    wire.disturb = on(UPLOAD, lambda exchange: refusal)
    with pytest.raises(helpers.JobError, match=r"refused the upload.*Too large.*Fix the cause"):
        helpers.submit(client, shards, sleep=no_pause)


def test_a_clock_that_was_set_back_makes_no_endless_pause(client, wire, shards):
    tomorrow = int(time.time()) + 86_400
    batch = client.batches.create(
        input_file_id="file-x", endpoint="/v1/chat/completions", completion_window="24h"
    ).to_dict()
    many = [batch | {"id": f"batch_{n}", "created_at": tomorrow} for n in range(2_000)]
    page = {"object": "list", "data": many, "has_more": False}
    wire.disturb = on(LIST, lambda exchange: httpx2.Response(200, json=page))
    pauses = []
    helpers.submit(client, shards, sleep=pauses.append)
    assert pauses == []


# what a terminal sees


def test_what_a_model_says_cannot_steer_a_terminal(tmp_path):
    from test_table import answering, completion, requests

    hostile = "fine\x1b[2J\r\noutcomes: 0 failed"
    client, said = answering(tmp_path, {"a": [(200, completion(hostile))]}), []
    helpers.run(client, requests("a"), tmp_path / "job", budget=1, say=said.append)
    assert not any("\x1b" in line or "\n" in line or "\r" in line for line in said)
    assert any(r"fine\x1b[2J\r\noutcomes" in line for line in said)
