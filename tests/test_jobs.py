"""The list of jobs: every job on this disk, how it stands, and what to run next."""

import re
import time

import httpx2
import numpy as np
import pandas as pd
import pytest

import helpers
from helpers.job import Records, server_of
from helpers.replay.clients import replay_client
from support import CREATE, no_pause, on, recorded, request, run


@pytest.fixture
def shards(tmp_path):
    return helpers.write(recorded()[:4], tmp_path / "films", max_requests=2)


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
        (1, [5, 1, "1 expired"], "nothing: collected, 2 rows failed at the server"),
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
