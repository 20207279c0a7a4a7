"""Jobs: submitted once, waited for, found again after a restart, downloaded once."""

import datetime
import itertools
import json
import threading
import time
from dataclasses import replace

import httpx2
import pytest

import helpers
from helpers.job import Records
from helpers.replay import create_app
from support import (
    CREATE,
    LIST,
    UPLOAD,
    Wire,
    connect,
    forget,
    lost,
    no_pause,
    on,
    recorded,
    request,
    run,
)

SERVER = "http://replay.invalid/v1/"
SERVER_ERROR = {"error": {"message": "The server had an error.", "type": "server_error"}}
FAILS_ONCE = "apollo-13-1995"


def error_after_all(exchange):
    exchange()
    return httpx2.Response(500, json=SERVER_ERROR)


def never_arrived(exchange):
    raise httpx2.ConnectError("no connection")


def refused(exchange):
    return httpx2.Response(500, json=SERVER_ERROR)


def unreachable(request):
    raise httpx2.ConnectError("no server")


def without_pause_header(call, exchange):
    response = exchange()
    response.headers.pop("openai-poll-after-ms", None)
    return response


def interrupt(seconds):
    raise KeyboardInterrupt


def ids_in(path):
    return {json.loads(line)["custom_id"] for line in path.read_text("utf-8").splitlines()}


@pytest.fixture
def films():
    return recorded()[:5]


@pytest.fixture
def shards(films, tmp_path):
    return helpers.write(films, tmp_path / "films")


@pytest.fixture
def three_shards(films, tmp_path):
    return helpers.write(films, tmp_path / "films", max_requests=2)


# submit


def test_submitting_twice_creates_one_batch(client, wire, shards):
    assert helpers.submit(client, shards) == helpers.submit(client, shards)
    assert wire.calls.count(CREATE) == 1


def test_a_new_process_goes_on_with_the_batch_that_exists(client, wire, films, tmp_path):
    first = helpers.submit(client, helpers.write(films, tmp_path / "films"))
    second = helpers.submit(connect(wire), helpers.write(films, tmp_path / "films"))
    assert second == first
    assert wire.calls.count(CREATE) == 1


def test_a_batch_is_found_by_its_metadata_when_job_json_is_gone(client, wire, shards):
    job = helpers.submit(client, shards)
    forget(job.folder)
    assert helpers.submit(client, shards) == job
    assert (wire.calls.count(UPLOAD), wire.calls.count(CREATE)) == (1, 1)


def test_a_finished_batch_is_found_by_its_metadata_too(client, wire, shards):
    job = run(client, shards)
    forget(job.folder)
    assert helpers.submit(client, shards) == job
    assert wire.calls.count(CREATE) == 1


def test_a_batch_is_found_behind_a_hundred_others(client, wire, shards):
    job = helpers.submit(client, shards)
    for _ in range(100):
        client.batches.create(
            input_file_id="file-x", endpoint="/v1/chat/completions", completion_window="24h"
        )
    forget(job.folder)
    assert helpers.submit(client, shards) == job


def test_a_batch_that_was_refused_is_not_taken_for_the_batch_of_the_job(tmp_path, shards):
    client = connect(Wire(create_app(tmp_path / "replay.sqlite", queue_tokens=1)))
    job = helpers.submit(client, shards)
    client.batches.retrieve(job.batch_ids[0])
    forget(job.folder)
    assert helpers.submit(client, shards).batch_ids != job.batch_ids


def test_the_same_requests_in_another_round_are_another_batch(client, shards):
    first = helpers.submit(client, shards)
    forget(first.folder)
    second = helpers.submit(client, [replace(shards[0], round=2)])
    assert second.batch_ids != first.batch_ids


def test_a_batch_of_a_later_round_is_found_by_its_metadata_too(client, shards):
    later = [replace(shards[0], round=2)]
    job = helpers.submit(client, later)
    forget(job.folder)
    assert helpers.submit(client, later) == job


def test_other_requests_are_another_batch(client, films, tmp_path):
    first = helpers.submit(client, helpers.write(films[:2], tmp_path / "films"))
    second = helpers.submit(client, helpers.write(films[2:], tmp_path / "films"))
    assert second.batch_ids != first.batch_ids


def test_a_batch_carries_the_digest_of_its_file(client, shards):
    job = helpers.submit(client, shards)
    batch = client.batches.retrieve(job.batch_ids[0])
    name = f"{job.folder.name}-requests-001.jsonl"
    assert batch.metadata == {"sha256": shards[0].sha256, "round": "1", "file": name}


def test_the_batch_file_arrives_byte_for_byte(client, shards):
    job = helpers.submit(client, shards)
    file_id = client.batches.retrieve(job.batch_ids[0]).input_file_id
    assert client.files.content(file_id).content == shards[0].path.read_bytes()


def test_every_shard_gets_a_batch_of_its_own_in_order(client, three_shards):
    job = helpers.submit(client, three_shards)
    marks = [client.batches.retrieve(batch_id).metadata["sha256"] for batch_id in job.batch_ids]
    assert marks == [shard.sha256 for shard in three_shards]
    assert len(set(marks)) == 3


def test_no_shards_are_a_job_without_batches(client, wire):
    job = helpers.submit(client, [])
    assert (job.shards, job.batch_ids) == ([], [])
    assert helpers.wait(client, job) == helpers.cancel(client, job, say=lambda line: None) == []
    assert helpers.collect(client, job).empty
    assert helpers.clean_up(client, job, say=lambda line: None) == 0
    assert helpers.retry(job, helpers.collect(client, job)) == []
    assert wire.calls == []


# the create call


@pytest.mark.parametrize("answer", [lost, error_after_all])
def test_a_batch_that_was_created_although_its_answer_was_lost_is_the_batch_of_the_job(
    client, wire, shards, answer
):
    wire.disturb = on(CREATE, answer)
    job = helpers.submit(client, shards)
    assert wire.calls.count(CREATE) == 1
    assert [batch.id for batch in client.batches.list()] == job.batch_ids


@pytest.mark.parametrize("answer", [never_arrived, refused])
def test_a_create_call_without_a_batch_is_not_repeated_but_explained(client, wire, shards, answer):
    wire.disturb = on(CREATE, answer)
    with pytest.raises(helpers.JobError, match="Run the same line again") as caught:
        helpers.submit(client, shards, sleep=no_pause)
    assert "requests-001.jsonl" in str(caught.value)
    assert wire.calls.count(CREATE) == 1


@pytest.mark.parametrize("answer", [never_arrived, refused])
def test_the_line_that_failed_creates_one_batch_when_it_is_run_again(client, wire, shards, answer):
    wire.disturb = on(CREATE, answer)
    with pytest.raises(helpers.JobError):
        helpers.submit(client, shards, sleep=no_pause)
    wire.reset()
    job = helpers.submit(client, shards, sleep=no_pause)
    assert [batch.id for batch in client.batches.list()] == job.batch_ids


def test_a_batch_that_shows_up_late_is_found_when_the_line_is_run_again(client, wire, shards):
    created = []

    def late(call, exchange):
        if call == CREATE:
            created.append(exchange())
            raise httpx2.ReadTimeout("no answer")
        if call == "GET /v1/batches":
            return httpx2.Response(200, json={"object": "list", "data": [], "has_more": False})
        return exchange()

    wire.disturb = late
    with pytest.raises(helpers.JobError):
        helpers.submit(client, shards, sleep=no_pause)
    wire.reset()
    helpers.submit(client, shards, sleep=no_pause)
    assert (len(created), wire.calls.count(CREATE)) == (1, 1)


def test_shards_before_the_one_that_failed_are_not_sent_again(client, wire, three_shards):
    def fail_second(call, exchange):
        failing = call == CREATE and wire.calls.count(CREATE) == 2
        return refused(exchange) if failing else exchange()

    wire.disturb = fail_second
    with pytest.raises(helpers.JobError, match="requests-002"):
        helpers.submit(client, three_shards, sleep=no_pause)
    wire.reset()
    helpers.submit(client, three_shards, sleep=no_pause)
    assert len(list(client.batches.list())) == 3


def test_calls_other_than_create_keep_the_retries_of_the_sdk(client, wire, shards):
    def fail_first_upload(call, exchange):
        if call == UPLOAD and wire.calls.count(UPLOAD) == 1:
            return httpx2.Response(500, json=SERVER_ERROR, headers={"retry-after-ms": "1"})
        return exchange()

    wire.disturb = fail_first_upload
    helpers.submit(client, shards)
    assert (wire.calls.count(UPLOAD), wire.calls.count(CREATE)) == (2, 1)


def test_the_intent_is_on_disk_before_the_batch_is_created(client, wire, shards):
    seen = []

    def look(exchange):
        seen.append(Records(SERVER)[shards[0]])
        return exchange()

    wire.disturb = on(CREATE, look)
    helpers.submit(client, shards)
    assert time.time() - 60 < seen[0].intent <= time.time()
    assert seen[0].batch is None
    assert Records(SERVER)[shards[0]].intent is None


# many files


@pytest.fixture
def a_create_call(wire):
    """Has every upload after the fourth wait for the first create call, which does ``then``."""

    def before(then):
        begun, uploads = threading.Event(), itertools.count()

        def disturb(call, exchange):
            if call == CREATE:
                begun.set()
                return then(exchange)
            if call == UPLOAD and next(uploads) >= 4:
                assert begun.wait(20), "no batch was created before all files were uploaded"
            return exchange()

        wire.disturb = disturb

    return before


def test_a_batch_begins_while_later_files_are_still_uploaded(client, a_create_call, tmp_path):
    a_create_call(lambda exchange: exchange())
    job = run(client, helpers.write(recorded()[:8], tmp_path / "films", max_requests=1))
    assert len({*job.batch_ids}) == 8


def test_an_interrupt_ends_the_uploads_and_loses_none(client, wire, a_create_call, tmp_path):
    def interrupted(exchange):
        raise KeyboardInterrupt

    a_create_call(interrupted)
    shards = helpers.write(recorded()[:40], tmp_path / "films", max_requests=1)
    with pytest.raises(KeyboardInterrupt):
        helpers.submit(client, shards)
    assert wire.calls.count(UPLOAD) < 20
    wire.reset()
    helpers.submit(client, shards, sleep=no_pause, say=lambda line: None)
    assert [wire.calls.count(call) for call in (UPLOAD, CREATE)] == [40, 41]


# the model


def test_an_unknown_model_is_an_error_before_any_upload(client, wire, tmp_path):
    asked = request()
    asked["body"]["model"] = "gpt-9-nova"
    with pytest.raises(helpers.JobError, match=r"no model 'gpt-9-nova'.*Nothing was submitted"):
        helpers.submit(client, helpers.write([asked], tmp_path / "job"))
    assert wire.calls == [LIST, "GET /v1/models/gpt-9-nova"]


def test_a_model_that_was_shut_down_is_an_error_before_any_upload(client, wire, tmp_path):
    asked = request()
    asked["body"]["model"] = "gpt-4-turbo"
    with pytest.raises(helpers.JobError, match=r"shut down on 2026-10-23.*Change MODEL") as caught:
        helpers.submit(client, helpers.write([asked], tmp_path / "job"))
    assert "deprecations" in str(caught.value)
    assert wire.calls == [LIST, "GET /v1/models/gpt-4-turbo"]


def test_a_model_serves_until_the_day_before_its_shutdown(client):
    found = helpers.check_model(client, "gpt-4o-mini", today=datetime.date(2027, 1, 13))
    assert found == "model: gpt-4o-mini, to be shut down on 2027-01-14"
    with pytest.raises(helpers.JobError, match="2027-01-14"):
        helpers.check_model(client, "gpt-4o-mini", today=datetime.date(2027, 1, 14))


def test_a_model_without_a_shutdown_date_serves(client):
    found = helpers.check_model(client, "gpt-6-luna", today=datetime.date(2100, 1, 1))
    assert found == "model: gpt-6-luna, no shutdown announced"


# wait


def test_every_look_is_shown(client, wire, shards):
    job, looks = helpers.submit(client, shards), []
    helpers.wait(client, job, show=lambda batches: looks.append(batches[0].status), sleep=no_pause)
    assert len(looks) == wire.calls.count(f"GET /v1/batches/{job.batch_ids[0]}")
    assert looks[0] == "in_progress"
    assert looks[-1] == "completed"


def test_the_batches_come_back_finished_one_per_shard(client, three_shards):
    job = helpers.submit(client, three_shards)
    batches = helpers.wait(client, job, sleep=no_pause)
    assert [batch.id for batch in batches] == job.batch_ids
    assert {batch.status for batch in batches} == {"completed"}


def test_the_pause_is_what_the_server_asks_for(client, wire, shards):
    def ask(call, exchange):
        response = exchange()
        response.headers["openai-poll-after-ms"] = "1500"
        return response

    wire.disturb, pauses = ask, []
    helpers.wait(client, helpers.submit(client, shards), sleep=pauses.append)
    assert pauses
    assert all(1.5 <= pause <= 1.5 * 1.25 for pause in pauses)


def test_pauses_grow_from_5_to_60_seconds_when_the_server_asks_for_none(client, wire, shards):
    job, pauses = helpers.submit(client, shards), []

    def slow(call, exchange):
        return httpx2.Response(200, json=json.loads(exchange().read()) | {"status": "in_progress"})

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 12:
            wire.disturb = without_pause_header

    wire.disturb = slow
    helpers.wait(client, job, sleep=sleep)
    exact = [min(5 * 1.5**number, 60) for number in range(len(pauses))]
    assert exact[-1] == 60
    assert all(e <= pause <= e * 1.25 for e, pause in zip(exact, pauses, strict=True))
    assert len({pause / e for e, pause in zip(exact, pauses, strict=True)}) > 1


def test_a_batch_that_is_finished_costs_no_pause(client, shards):
    job = run(client, shards)
    assert helpers.wait(client, job, sleep=interrupt)[0].status == "completed"


def test_an_interrupt_says_how_to_come_back(client, shards):
    job = helpers.submit(client, shards)
    with pytest.raises(KeyboardInterrupt, match=r"batches stay submitted.*Run this again"):
        helpers.wait(client, job, sleep=interrupt)


def test_after_an_interrupt_the_same_batch_is_waited_for(client, wire, shards):
    job = helpers.submit(client, shards)
    with pytest.raises(KeyboardInterrupt):
        helpers.wait(client, job, sleep=interrupt)
    batches = helpers.wait(client, helpers.submit(client, shards), sleep=no_pause)
    assert [(batch.id, batch.status) for batch in batches] == [(job.batch_ids[0], "completed")]
    assert wire.calls.count(CREATE) == 1


def test_a_shard_that_is_finished_is_not_looked_at_again(client, wire, three_shards):
    job = helpers.submit(client, three_shards)
    first = f"GET /v1/batches/{job.batch_ids[0]}"
    helpers.wait(
        client, replace(job, shards=job.shards[:1], batch_ids=job.batch_ids[:1]), sleep=no_pause
    )
    looks = wire.calls.count(first)
    helpers.wait(client, job, sleep=no_pause)
    assert wire.calls.count(first) == looks
