"""Jobs larger than the queue: whatever comes between, every row comes once and is paid once."""

import json
from collections import Counter

import httpx2
import pytest

import helpers
from faults import Faults
from helpers.job import Records, server_of
from helpers.replay import create_app
from support import CREATE, LIST, Wire, connect, forget, no_pause, recorded

FAILS_ONCE = "apollo-13-1995"
FILMS = [request for request in recorded() if request["custom_id"] != FAILS_ONCE][:8]
# A film has about 275 tokens, so one fits, and two do not.
ONE, MANY = 300, 10**6
FULL = {"code": "token_limit_exceeded", "message": "The queue is full.", "line": None}


@pytest.fixture
def wire(tmp_path):
    return Wire(create_app(tmp_path / "replay.sqlite", faults=Faults()))


@pytest.fixture
def client(wire):
    return connect(wire, max_retries=0)


@pytest.fixture
def queue(client):
    """Sets how many tokens the queue has."""

    def of(tokens, *faults):
        script = {"faults": [*faults], "queue_tokens": tokens}
        client.put("/replay", body=script, cast_to=object)

    of(ONE)
    return of


def paid(client):
    """How often each row was answered, over all batches."""
    files = (batch.output_file_id for batch in client.batches.list())
    lines = (line for one in files if one for line in client.files.content(one).text.splitlines())
    answered = (line for line in map(json.loads, lines) if line["response"]["status_code"] == 200)
    return Counter(line["custom_id"] for line in answered)


def run(client, requests, folder, **options):
    return helpers.run(client, requests, folder, budget=1, **options)


def is_whole(client, outcomes, requests):
    """Whether every row has its answer, and was paid once."""
    assert outcomes["outcome"].tolist() == ["ok"] * len(requests)
    assert paid(client) == Counter(request["custom_id"] for request in requests)
    return True


def stopped_at(look):
    """A `show` that interrupts at this look."""
    looks = iter(range(1_000))

    def show(batches):
        if next(looks) == look:
            raise KeyboardInterrupt

    return show


@pytest.mark.parametrize("first", range(3))
def test_a_job_interrupted_at_any_look_goes_on_and_pays_no_row_twice(tmp_path, first):
    requests = [*FILMS[:6], *recorded(FAILS_ONCE)]
    for look in range(first, 1_000, 3):
        place = tmp_path / str(look)
        place.mkdir()
        client = connect(Wire(create_app(place / "replay.sqlite", queue_tokens=ONE)), max_retries=0)
        parts = [
            shard
            for rows in (requests[:4], requests[4:])
            for shard in helpers.write(rows, place / "parts" / rows[0]["custom_id"])
        ]
        try:
            outcomes = run(client, parts, place / "films", show=stopped_at(look))
            break
        except KeyboardInterrupt:
            outcomes = run(client, parts, place / "films")
        assert is_whole(client, outcomes, requests)
    assert look > 15


@pytest.mark.parametrize("tokens", [ONE, MANY])
def test_a_record_that_is_lost_leads_to_no_second_payment(client, queue, tmp_path, tokens):
    folder = tmp_path / "jobs"
    run(client, FILMS, folder / "films")
    records = sorted(path.relative_to(folder) for path in folder.rglob("requests-*.json"))
    assert len(records) > 5
    queue(tokens)
    for name in records:
        (folder / name).unlink()
        assert is_whole(client, run(client, FILMS, folder / "films"), FILMS)
    for name in records:
        (folder / name).unlink(missing_ok=True)
    assert is_whole(client, run(client, FILMS, folder / "films"), FILMS)


def test_a_part_that_was_halved_alone_is_not_sent_again_with_others(client, queue, tmp_path):
    one, two = (
        helpers.write(FILMS[at : at + 4], tmp_path / "parts" / f"part-{at}") for at in (0, 4)
    )
    run(client, one, tmp_path / "alone", reuse=False)
    queue(MANY)
    together = run(client, [*one, *two], tmp_path / "films", reuse=False)
    assert is_whole(client, together, FILMS)


def test_parts_collected_one_by_one_go_on_in_halves_as_often_as_needed(client, queue, tmp_path):
    shards, outcomes = helpers.write(FILMS, tmp_path / "films"), {}
    while shards:
        job = helpers.submit(client, shards)
        helpers.wait(client, job, sleep=no_pause)
        tables = [(part, helpers.collect(client, part)) for part in job.parts]
        for _, table in tables:
            outcomes |= table["outcome"].to_dict()
        shards = [shard for one in tables for shard in helpers.retry(*one, rounds=1)]
    assert outcomes == {request["custom_id"]: "ok" for request in FILMS}
    assert set(paid(client).values()) == {1}


def test_the_same_file_named_twice_is_one_batch(client, wire, tmp_path):
    shards = helpers.write(FILMS, tmp_path / "films")
    job = helpers.submit(client, [*shards, *shards])
    assert len(job.batch_ids) == wire.calls.count(CREATE) == 1


def test_a_row_larger_than_the_queue_is_asked_again_when_the_limit_has_risen(
    client, queue, tmp_path
):
    queue(100)
    first = run(client, FILMS[:1], tmp_path / "film")
    assert first["code"].tolist() == ["larger_than_queue"]
    queue(ONE)
    assert is_whole(client, run(client, FILMS[:1], tmp_path / "film"), FILMS[:1])


def test_an_outage_while_a_file_is_tried_alone_says_nothing_of_its_size(
    client, wire, queue, tmp_path
):
    queue(ONE, {"at": "validation", "fault": "errors", "value": [FULL]})
    lists = iter([False, True])

    def unreachable_once(call, exchange):
        if call == LIST and next(lists, False):
            raise httpx2.ReadTimeout("no answer")
        return exchange()

    wire.disturb = unreachable_once
    job = helpers.submit(client, helpers.write(FILMS[:1], tmp_path / "film"))
    helpers.wait(client, job, sleep=no_pause)
    assert next(lists, None) is None
    assert is_whole(client, helpers.collect(client, job), FILMS[:1])


def test_one_large_row_leaves_the_files_of_the_others_as_large_as_they_were(
    client, queue, tmp_path
):
    body = FILMS[7]["body"]
    large = {**FILMS[7], "body": {**body, "messages": body["messages"] * 12}}
    shards = helpers.write([*FILMS[:7], large], tmp_path / "films", max_requests=7)
    queue(2_200)
    job = helpers.submit(client, shards)
    helpers.wait(client, job, sleep=no_pause)
    outcomes = helpers.collect(client, job)
    assert outcomes["outcome"].tolist() == ["ok"] * 7 + ["failed"]
    again = helpers.retry(job, outcomes.assign(retry=True))
    assert sorted(shard.requests for shard in again) == [1, 7]


@pytest.mark.parametrize("limit", [" Limit: 2,000,000 enqueued tokens.", ""])
def test_a_queue_that_others_fill_unseen_is_waited_for(client, wire, queue, tmp_path, limit):
    full = {**FULL, "message": FULL["message"] + limit}
    queue(MANY, {"at": "validation", "fault": "errors", "value": [full], "times": 4})
    assert is_whole(client, run(client, FILMS, tmp_path / "films"), FILMS)
    assert wire.calls.count(CREATE) == 5


def test_what_was_cancelled_is_not_sent_in_halves(client, queue, tmp_path):
    shards = helpers.write(FILMS, tmp_path / "films")
    job = helpers.submit(client, shards)
    helpers.wait(client, job, sleep=no_pause)
    said = []
    helpers.cancel(client, job, say=said.append)
    assert said[0].startswith("Cancelling 1 of 1 batches")
    outcomes = helpers.collect(client, job)
    assert helpers.retry(job, outcomes, rounds=1) == []
    assert not paid(client)


@pytest.mark.parametrize("spoil", ["queue", "error"])
def test_rows_that_were_added_come_though_none_of_them_was_answered_at_first(
    client, queue, tmp_path, spoil
):
    queue(MANY)
    run(client, FILMS[:2], tmp_path / "films")
    bad = {"code": "billing_hard_limit_reached", "message": "Pay first.", "line": None}
    if spoil == "queue":
        queue(600)
    else:
        queue(MANY, {"at": "validation", "fault": "errors", "value": [bad]})
    run(client, FILMS, tmp_path / "films")
    queue(MANY)
    assert is_whole(client, run(client, FILMS, tmp_path / "films"), FILMS)


def test_what_is_larger_than_the_queue_goes_on_in_halves_without_waiting(client, queue, tmp_path):
    for _ in range(60):
        outcomes = run(client, FILMS[:2], tmp_path / "films", wait=False)
        if outcomes["outcome"].eq("ok").all():
            break
    assert is_whole(client, outcomes, FILMS[:2])


def test_files_of_several_folders_go_on_in_halves(client, queue, tmp_path):
    shards = [
        shard
        for at in (0, 2)
        for shard in helpers.write(FILMS[at : at + 2], tmp_path / f"part-{at}")
    ]
    job = helpers.submit(client, shards)
    helpers.wait(client, job, sleep=no_pause)
    outcomes = helpers.collect(client, job)
    again = helpers.retry(job, outcomes)
    assert [shard.requests for shard in again] == [1, 1, 1, 1]
    second = helpers.submit(client, again)
    helpers.wait(client, second, sleep=no_pause)
    assert is_whole(client, helpers.merge(outcomes, helpers.collect(client, second)), FILMS[:4])
    forget(shards[1].home)
    assert helpers.submit(client, shards).batch_ids[1] in {b.id for b in client.batches.list()}
    assert Records(server_of(client))[shards[1]].carried_over == 2
