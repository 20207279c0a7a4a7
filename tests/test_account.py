"""The account at the server: batches listed, cancelled, found; uploads used again and deleted."""

import re
import time

import httpx2
import numpy as np
import pandas as pd
import pytest

import helpers
from helpers import account
from helpers.job import Records, server_of
from helpers.replay.clients import replay_client
from support import CREATE, LIST, UPLOAD, connect, forget, no_pause, on, recorded, request, run


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


# list of jobs


def job_line(client, shards):
    """The line of the job of these batch files, as a dict."""
    return helpers.list_jobs(client, shards[0].path.parents[1]).loc[shards[0].path.parent.name]


def test_a_job_is_listed_from_its_submission_to_its_end(client, wire, shards):
    before = time.time()
    job = helpers.submit(client, shards)
    line = job_line(client, shards)
    assert line[["rows", "batch_files", "state"]].tolist() == [4, 2, "2 in_progress"]
    assert (line["next"], line["created"].timestamp()) == (
        "wait, then collect",
        pytest.approx(before, abs=60),
    )
    helpers.wait(client, job, sleep=no_pause)
    line = job_line(client, shards)
    assert (line["state"], line["next"]) == ("2 completed", "collect")
    helpers.collect(client, job)
    calls = len(wire.calls)
    line = job_line(client, shards)
    assert (line["state"], line["next"]) == ("2 completed", "nothing: collected")
    # All of it is known from disk.
    assert len(wire.calls) == calls


def test_a_job_costs_what_its_batches_used_where_the_price_is_known(client, shards, tmp_path):
    job = run(client, shards)
    cost = helpers.actual(helpers.collect(client, job), "gpt-6-luna")["batch_usd"].sum()
    assert job_line(client, shards)["usd"] == pytest.approx(cost)
    unpriced = {"model": "text-embedding-3-small", "input": "hello"}
    line = {**request(), "url": "/v1/embeddings", "body": unpriced}
    other = helpers.write([line], tmp_path / "unpriced")
    run(client, other)
    assert np.isnan(job_line(client, other)["usd"])


def test_the_newest_job_comes_first_and_other_servers_jobs_are_not_listed(client, tmp_path):
    names = []
    for number, created in enumerate([1_000_000_000, 3_000_000_000, 2_000_000_000]):
        shards = helpers.write(recorded()[number : number + 1], tmp_path / f"films-{number}")
        names.append(shards[0].path.parent.name)
        job = run(client, shards)
        with Records(server_of(client)).change(shards[0]) as record:
            record.batch["created_at"] = created
    helpers.write(recorded()[4:5], tmp_path / "never-sent")
    elsewhere = client.with_options(base_url="http://elsewhere.invalid/v1")
    with Records(server_of(elsewhere)).change(job.shards[0]) as record:
        record.file_id = "file-1"
    table = helpers.list_jobs(client, tmp_path)
    assert table.index.tolist() == [names[1], names[2], names[0]]
    assert helpers.list_jobs(elsewhere, tmp_path).index.tolist() == [names[2]]


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_no_jobs_are_an_empty_table_of_the_same_kind(client, shards, tmp_path, folder):
    run(client, shards)
    (tmp_path / "empty").mkdir()
    full, none = (helpers.list_jobs(client, path) for path in (tmp_path, tmp_path / folder))
    assert none.empty
    assert len(full) == 1
    assert none.dtypes.to_dict() == full.dtypes.to_dict()
    assert (none.index.name, none.index.dtype) == (full.index.name, full.index.dtype)


@pytest.mark.parametrize("made", [0, 1])
def test_batch_files_without_a_batch_are_to_be_sent_by_the_same_lines(client, wire, shards, made):
    answers = []

    def refuse(exchange):
        answers.append(exchange() if len(answers) < made else httpx2.Response(429, json={}))
        return answers[-1]

    wire.disturb = on(CREATE, refuse)
    with pytest.raises(helpers.JobError, match="refused to create"):
        helpers.submit(client, shards, sleep=no_pause)
    wire.reset()
    line = job_line(client, shards)
    batches = {0: "2 no batch yet", 1: "1 in_progress, 1 no batch yet"}[made]
    assert line[["rows", "batch_files", "state"]].tolist() == [4, 2, batches]
    assert (line["next"], pd.isna(line["created"])) == ("run the same lines again", not made)
    helpers.collect(client, run(client, shards))
    assert job_line(client, shards)["next"] == "nothing: collected"


def test_a_batch_file_that_was_never_uploaded_counts_as_well(client, shards):
    run(client, shards[:1])
    line = job_line(client, shards)
    assert line[["rows", "state"]].tolist() == [4, "1 completed, 1 no batch yet"]


@pytest.mark.parametrize(
    ("rounds", "batches", "step"),
    [
        (1, [5, 1, "1 expired"], "nothing: collected, 2 rows without an answer"),
        (2, [5, 2, "2 expired"], "nothing: collected"),
    ],
)
def test_the_rounds_of_a_job_are_in_its_line(tmp_path, rounds, batches, step):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=3)
    helpers.run(client, recorded()[:5], tmp_path / "films", budget=1, rounds=rounds)
    (line,) = helpers.list_jobs(client, tmp_path).to_dict("records")
    assert [line[name] for name in ("rows", "batch_files", "state")] == batches
    assert line["next"] == step


def test_a_job_is_collected_when_every_result_file_is_on_disk(tmp_path):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=3)
    shards = helpers.write(recorded()[:5], tmp_path / "films")
    helpers.collect(client, run(client, shards))
    with Records(server_of(client)).change(shards[0]) as record:
        record.batch["request_counts"] = None
    # How many rows have an answer is not known then.
    assert job_line(client, shards)["next"] == "nothing: collected"
    (errors,) = shards[0].path.parent.glob("*-errors.jsonl")
    errors.unlink()
    assert job_line(client, shards)["next"] == "collect"


def test_a_batch_that_ran_nothing_is_to_be_created_again(client, shards):
    failed = {"at": "validation", "fault": "errors", "value": [{"code": "x", "message": "Later."}]}
    client.put("/replay", body={"faults": [failed]}, cast_to=object)
    run(client, shards[:1])
    line = job_line(client, shards[:1])
    assert line["state"].startswith("1 failed before it ran")
    assert line["next"] == "run the same lines again"


def test_a_batch_that_waits_for_room_is_to_be_waited_for(client, tmp_path):
    client.put("/replay", body={"queue_tokens": 1_000}, cast_to=object)
    shards = helpers.write(recorded()[:5], tmp_path / "films", max_requests=1)
    helpers.submit(client, shards)
    job_line(client, shards)
    line = job_line(client, shards)
    assert "waiting for room" in line["state"]
    assert line["next"] == "wait, then collect"


def test_a_batch_larger_than_the_queue_is_to_be_sent_in_halves(client, tmp_path):
    client.put("/replay", body={"queue_tokens": 1_000}, cast_to=object)
    shards = helpers.write(recorded()[:5], tmp_path / "films")
    outcomes = helpers.collect(client, job := run(client, shards))
    line = job_line(client, shards)
    assert (line["state"], line["next"]) == ("1 failed before it ran", "run the same lines again")
    while again := helpers.retry(job, outcomes):
        outcomes = helpers.merge(outcomes, helpers.collect(client, run(client, again)))
    line = job_line(client, shards)
    assert outcomes["outcome"].tolist() == ["ok"] * line["rows"]
    assert line["next"] == "nothing: collected"


def test_a_list_without_its_server_has_what_was_last_seen(client, wire, shards, tmp_path):
    done, under_way, other = (
        helpers.write(recorded()[at : at + 1], tmp_path / f"films-{at}") for at in (0, 1, 2)
    )
    helpers.collect(client, run(client, done))
    helpers.submit(client, under_way)
    helpers.submit(client, other)
    calls = len(wire.calls)

    def fail(call, exchange):
        raise httpx2.ConnectError("refused")

    wire.disturb = fail
    alone = client.with_options(max_retries=0)
    with pytest.warns(UserWarning, match=r"replay.invalid/v1/ could not be asked \(Conn"):
        table = helpers.list_jobs(alone, tmp_path)
    names = [shards[0].path.parent.name for shards in (done, under_way, other)]
    assert table.loc[names, "state"].tolist() == [
        "1 completed", *["1 validating, when last seen"] * 2
    ]  # fmt: skip
    assert table.loc[names, "next"].tolist() == ["nothing: collected", *["wait, then collect"] * 2]
    # Once is enough to know.
    assert len(wire.calls) == calls + 1


def test_a_batch_that_the_server_does_not_know_leaves_the_list_whole(client, shards, tmp_path):
    run(client, shards)
    strange = helpers.write(recorded()[5:6], tmp_path / "strange")
    helpers.submit(client, strange)
    with Records(server_of(client)).change(strange[0]) as record:
        record.batch["id"] = "batch_of_another_key"
    line = job_line(client, strange)
    assert line["state"] == "1 validating, when last seen"
    assert "knows no batch batch_of_another_key" in line["next"]
    assert job_line(client, shards)["next"] == "collect"


@pytest.mark.parametrize("damage", ["{", '{"shard": {}, "servers": {}}'])
def test_a_damaged_record_is_said_in_the_line_of_its_job(client, shards, tmp_path, damage):
    run(client, shards)
    other = helpers.write(recorded()[5:6], tmp_path / "other")
    run(client, other)
    shards[0].path.with_suffix(".json").write_text(damage, "utf-8")
    line = job_line(client, shards)
    facts = line[["rows", "batch_files", "state"]].tolist()
    assert facts == [4, 2, "1 completed, 1 unreadable record"]
    assert re.search(r"requests-001.json is damaged.*Delete it and run again", line["next"])
    assert job_line(client, other)["next"] == "collect"


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
