"""What is said of a job: a line per change of status, the same whether watched or found finished."""

import pytest

import helpers
from helpers.client import replay_client
from support import recorded, request


@pytest.fixture
def said():
    return []


def watch(client, shards, said):
    job = helpers.submit(client, shards)
    helpers.wait(client, job, show=helpers.Progress(said.append), sleep=lambda seconds: None)
    return job


def without_ids(lines):
    return [line.split(": ", 1)[1] for line in lines]


def test_every_status_is_said_once(client, tmp_path, said):
    job = watch(client, helpers.write(recorded()[:4], tmp_path / "films"), said)
    assert {line.split(": ")[0] for line in said} == set(job.batch_ids)
    assert without_ids(said) == [
        "validating",
        "in_progress",
        "finalizing",
        "completed, 4 ok and 0 failed of 4",
    ]


def test_a_job_found_finished_leaves_the_same_lines(client, tmp_path, said):
    shards = helpers.write(recorded()[:6], tmp_path / "films", max_requests=2)
    watch(client, shards, said)
    watched = said.copy()
    said.clear()
    watch(client, shards, said)
    assert said == watched
    assert len(said) == 12


def test_the_lines_of_one_batch_stay_together(client, tmp_path, said):
    job = watch(client, helpers.write(recorded()[:6], tmp_path / "films", max_requests=2), said)
    assert list(dict.fromkeys(line.split(": ")[0] for line in said)) == job.batch_ids


def test_a_refused_batch_says_why(tmp_path, said):
    client = replay_client(tmp_path / "replay.sqlite")
    shards = helpers.write(recorded()[:2], tmp_path / "films")
    upload = client.files.create(file=("a.jsonl", b'{"custom_id": "a"}'), purpose="batch")
    batch = client.batches.create(
        input_file_id=upload.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    helpers.wait(client, helpers.Job(shards, [batch.id]), show=helpers.Progress(said.append))
    assert said[-1].split(": ", 1)[1] == "failed, Missing required parameter: 'method'."


def test_an_expired_batch_says_what_it_finished(tmp_path, said):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=1)
    watch(client, helpers.write(recorded()[:3], tmp_path / "films"), said)
    assert without_ids(said)[-1] == "expired, 1 ok and 0 failed of 3"


def test_a_cancelled_batch_says_so(client, tmp_path, said):
    job = helpers.submit(client, helpers.write([request()], tmp_path / "films"))
    client.batches.cancel(job.batch_ids[0])
    helpers.wait(client, job, show=helpers.Progress(said.append), sleep=lambda seconds: None)
    assert without_ids(said)[-2:] == ["cancelling", "cancelled, 0 ok and 0 failed of 1"]


def test_a_job_without_batches_says_nothing(client, said):
    helpers.wait(client, helpers.Job([], []), show=helpers.Progress(said.append))
    assert said == []
