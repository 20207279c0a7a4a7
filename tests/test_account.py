"""The account at the server: batches listed, cancelled, found; uploads used again and deleted."""

import re
import time

import httpx2
import pytest

import helpers
from helpers import account
from helpers.replay.clients import replay_client
from support import CREATE, LIST, UPLOAD, connect, forget, no_pause, on, recorded, run


@pytest.fixture
def shards(tmp_path):
    return helpers.write(recorded()[:4], tmp_path / "films", max_requests=2)


# list


def test_every_batch_is_listed_with_its_file_its_counts_and_what_is_billed(client, shards):
    job = run(client, shards)
    client.batches.create(
        input_file_id="file-x", endpoint="/v1/chat/completions", completion_window="24h"
    )
    table = helpers.list_batches(client)
    assert table.loc[job.batch_ids, "file"].tolist() == [
        f"{job.folder.name}-{shard.path.name}" for shard in shards
    ]
    assert (
        table.loc[job.batch_ids, ["status", "requests", "ok"]].to_numpy().tolist()
        == [["completed", 2, 2]] * 2
    )
    usage = client.batches.retrieve(job.batch_ids[0]).usage
    billed = table.loc[job.batch_ids[0], ["input_tokens", "output_tokens"]].tolist()
    assert billed == [usage.input_tokens, usage.output_tokens]
    assert table["file"].iloc[0] == ""
    assert table["created"].is_monotonic_decreasing


def test_an_account_without_batches_is_an_empty_table(client):
    assert helpers.list_batches(client).empty


# cancel


def test_cancelling_names_how_many_batches_and_that_answers_are_billed(client, shards):
    job, said = helpers.submit(client, shards), []
    run(client, shards[:1])
    batches = helpers.cancel(client, job, say=said.append)
    assert [batch.status for batch in batches] == ["completed", "cancelled"]
    assert "Cancelling 1 of 2 batches" in said[0]
    assert "The 2 requests answered so far" in said[0]


def test_what_waits_for_room_is_not_created_after_the_job_was_cancelled(client, tmp_path):
    client.put("/replay", body={"queue_tokens": 1_000}, cast_to=object)
    shards = helpers.write(recorded()[:5], tmp_path / "films", max_requests=1)
    job = helpers.submit(client, shards)
    with pytest.raises(helpers.JobError, match="Not finished"):
        helpers.wait(client, job, sleep=no_pause, limit=0)
    created = len(list(client.batches.list()))
    helpers.cancel(client, job, say=lambda line: None)
    outcomes = helpers.collect(client, run(client, shards))
    assert len(list(client.batches.list())) == created
    assert "token_limit_exceeded" in outcomes["code"].tolist()
    again = helpers.retry(job, outcomes)
    client.put("/replay", body={}, cast_to=object)
    outcomes = helpers.merge(outcomes, helpers.collect(client, run(client, again)))
    assert outcomes["outcome"].tolist() == ["ok"] * 5


def test_a_batch_that_ends_while_it_is_cancelled_is_no_error(client, wire, shards):
    job = helpers.submit(client, shards[:1])
    ended = httpx2.Response(409, json={"error": {"message": "Cannot cancel."}})
    wire.disturb = on(f"POST /v1/batches/{job.batch_ids[0]}/cancel", lambda exchange: ended)
    helpers.cancel(client.with_options(max_retries=0), job, say=lambda line: None)
    assert helpers.wait(client, job, sleep=no_pause)[0].status == "completed"


# clean up


def test_cleaning_up_deletes_the_uploads_and_keeps_the_results(client, shards):
    job, said = run(client, shards), []
    other = client.files.create(file=("other.jsonl", b"{}"), purpose="batch")
    assert helpers.clean_up(client, job, say=said.append) == 2
    assert [file.id for file in client.files.list(purpose="batch")] == [other.id]
    assert helpers.collect(client, job)["outcome"].tolist() == ["ok"] * 4
    assert "2 uploaded files deleted" in said[0]
    assert "stays billed" in said[0]


def test_an_upload_that_no_batch_came_of_is_cleaned_up_too(client, shards):
    job = run(client, shards)
    with shards[0].path.open("rb") as content:
        name = account.upload_name(shards[0])
        client.files.create(file=(name, content), purpose="batch")
    assert helpers.clean_up(client, job, say=lambda line: None) == 3


def test_files_that_a_running_batch_needs_are_not_deleted(client, shards):
    job = helpers.submit(client, shards)
    with pytest.raises(helpers.JobError, match=r"requests-001.jsonl is in_progress.*Nothing was"):
        helpers.clean_up(client, job)
    assert len(list(client.files.list(purpose="batch"))) == 2


def test_a_job_that_was_cleaned_up_is_not_paid_again(client, wire, shards):
    helpers.clean_up(client, run(client, shards), say=lambda line: None)
    job = run(client, shards)
    forget(job.folder)
    run(client, shards)
    assert wire.calls.count(CREATE) == 2


# uploads and the hourly limit


def test_a_file_that_is_at_the_server_is_not_uploaded_again(client, wire, shards):
    limit = httpx2.Response(429, json={"error": {"message": "Too many batches."}})
    wire.disturb = on(CREATE, lambda exchange: limit)
    with pytest.raises(helpers.JobError):
        helpers.submit(client, shards[:1])
    wire.reset()
    helpers.submit(client, shards[:1])
    assert (wire.calls.count(UPLOAD), wire.calls.count(CREATE)) == (1, 2)


def test_a_file_that_is_gone_from_the_server_is_uploaded_again(client, wire, shards):
    limit = httpx2.Response(429, json={"error": {"message": "Too many batches."}})
    wire.disturb = on(CREATE, lambda exchange: limit)
    with pytest.raises(helpers.JobError):
        helpers.submit(client, shards[:1])
    wire.reset()
    for file in client.files.list():
        client.files.delete(file.id)
    job = run(client, shards[:1])
    assert client.batches.retrieve(job.batch_ids[0]).status == "completed"


@pytest.mark.parametrize(("made", "paused"), [(1_999, []), (2_000, [3_000]), (2_010, [3_000])])
def test_no_more_batches_are_created_than_the_account_may_in_an_hour(
    client, wire, shards, made, paused
):
    ten_minutes_ago = int(time.time()) - 600
    batch = client.batches.create(
        input_file_id="file-x", endpoint="/v1/chat/completions", completion_window="24h"
    ).to_dict()
    many = [batch | {"id": f"batch_{n}", "created_at": ten_minutes_ago} for n in range(made)]
    page = {"object": "list", "data": many, "has_more": False}
    wire.disturb = on(LIST, lambda exchange: httpx2.Response(200, json=page))
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        wire.reset()

    helpers.submit(client, shards[:1], sleep=sleep)
    assert [round(pause, -2) for pause in pauses] == paused


# one call


def test_in_one_call_the_rest_of_an_expired_batch_goes_over_to_a_new_one(tmp_path):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=3)
    outcomes = helpers.run(client, recorded()[:5], tmp_path / "films", budget=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 5
    assert sorted(outcomes["round"]) == [1, 1, 1, 2, 2]


def test_the_list_names_the_job_of_every_round(tmp_path):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=3)
    helpers.run(client, recorded()[:5], tmp_path / "films", budget=1)
    second, first = helpers.list_batches(client)["file"]
    assert re.fullmatch(r"films-\w{16}-requests-001\.jsonl", first)
    assert re.fullmatch(r"films-\w{16}-round-2-\w{16}-requests-001\.jsonl", second)


def test_waiting_for_room_outlasts_an_outage(client, wire, tmp_path):
    script = {"queue_tokens": 1_000}
    client.put("/replay", body=script, cast_to=object)
    shards = helpers.write(recorded()[:5], tmp_path / "films", max_requests=1)
    job, calls = helpers.submit(client, shards), []

    def disturb(call, exchange):
        calls.append(call)
        if call == LIST and calls.count(LIST) == 1:
            raise httpx2.ConnectError("refused")
        return exchange()

    wire.disturb = disturb
    once = connect(wire, max_retries=0)
    helpers.wait(once, job, sleep=no_pause)
    assert calls.count(LIST) > 1
    assert helpers.collect(once, job)["outcome"].tolist() == ["ok"] * 5


def test_a_limit_of_time_ends_the_waiting_and_not_the_batches(client, shards):
    job = helpers.submit(client, shards)
    with pytest.raises(
        helpers.JobError, match=r"Not finished after 0 seconds. The batches stay submitted"
    ):
        helpers.wait(client, job, sleep=no_pause, limit=0)
    assert helpers.wait(client, job, sleep=no_pause, limit=60)[0].status == "completed"


def test_a_job_that_has_ended_has_nothing_to_cancel(client, shards):
    said = []
    helpers.cancel(client, run(client, shards), say=said.append)
    assert said == ["Nothing to cancel: all batches have ended."]
