"""What happens when something breaks on the way: nothing is paid twice, mixed up or lost."""

import json

import httpx2
import openai
import pytest
from pydantic import BaseModel

import helpers
from helpers.replay import create_app
from support import CREATE, LIST, Wire, connect, forget, lost, on, recorded, run


@pytest.fixture
def client(wire):
    return connect(wire, max_retries=0)


@pytest.fixture
def shards(tmp_path):
    return helpers.write(recorded()[:4], tmp_path / "films")


def refused(call):
    raise httpx2.ConnectError("refused")


def test_answers_of_one_server_are_never_taken_for_those_of_another(client, shards, tmp_path):
    run(client, shards)
    other = Wire(create_app(tmp_path / "other.sqlite"))
    elsewhere = openai.OpenAI(
        api_key="x",
        base_url="http://elsewhere.invalid/v1",
        http_client=httpx2.Client(transport=other),
    )
    job = run(elsewhere, shards)
    helpers.collect(elsewhere, job)
    assert other.calls.count(CREATE) == 1
    assert sum(call.endswith("/content") for call in other.calls) == 1


def test_a_lost_create_on_a_dead_connection_says_what_is_safe(client, wire, shards):
    def dead(call, exchange):
        if call == CREATE:
            lost(exchange)
        return refused(call) if CREATE in wire.calls else exchange()

    wire.disturb = dead
    with pytest.raises(helpers.JobError, match="looks for the batch before it creates one"):
        helpers.submit(client, shards, sleep=lambda seconds: None)
    wire.reset()
    helpers.submit(client, shards, sleep=lambda seconds: None)
    assert wire.calls.count(CREATE) == 1
    assert wire.calls.count(LIST) >= 2


def test_a_refused_create_names_the_file_and_the_way_on(client, wire, shards):
    limit = httpx2.Response(429, json={"error": {"message": "Too many batches."}})
    wire.disturb = on(CREATE, lambda exchange: limit)
    with pytest.raises(
        helpers.JobError, match=r"requests-001.*Too many batches.*run the same line"
    ):
        helpers.submit(client, shards)


def test_a_request_timeout_at_create_leads_to_the_batch_that_was_created(client, wire, shards):
    def answer(exchange):
        exchange()
        return httpx2.Response(408, json={"error": {"message": "Timeout."}})

    wire.disturb = on(CREATE, answer)
    job = helpers.submit(client, shards)
    assert [batch.id for batch in client.batches.list()] == job.batch_ids


def test_a_batch_file_that_was_changed_is_not_uploaded(client, wire, shards):
    shards[0].path.write_text("{}\n")
    with pytest.raises(helpers.JobError, match=r"requests-001.jsonl was changed.*Write it again"):
        helpers.submit(client, shards)
    assert CREATE not in wire.calls
    assert helpers.write(recorded()[:4], shards[0].path.parent.parent / "films") == shards
    assert len(helpers.submit(client, shards).batch_ids) == 1


def test_waiting_outlasts_a_short_outage(client, wire, shards):
    job, pauses = helpers.submit(client, shards), []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            wire.reset()

    wire.disturb = lambda call, exchange: refused(call)
    assert [batch.status for batch in helpers.wait(client, job, sleep=sleep)] == ["completed"]


def test_waiting_for_a_server_that_is_gone_ends_with_a_word(client, wire, shards):
    job = helpers.submit(client, shards)
    wire.disturb = lambda call, exchange: refused(call)
    with pytest.raises(
        helpers.JobError, match=r"No answer from http://replay.invalid.*stay submitted"
    ):
        helpers.wait(client, job, sleep=lambda seconds: None)


def test_an_interrupt_during_a_look_says_how_to_come_back(client, wire, shards):
    job = helpers.submit(client, shards)

    def interrupt(call, exchange):
        raise KeyboardInterrupt

    wire.disturb = interrupt
    with pytest.raises(KeyboardInterrupt, match="The batches stay submitted"):
        helpers.wait(client, job)


def test_a_result_file_deleted_at_the_server_is_an_error_that_names_it(client, shards):
    job = run(client, shards)
    client.files.delete(client.batches.retrieve(job.batch_ids[0]).output_file_id)
    with pytest.raises(helpers.JobError, match=r"-output.jsonl is gone.*30 days"):
        helpers.collect(client, job, sleep=lambda seconds: None)


def aged(wire, days):
    """Makes every batch older by so many days."""

    def older(call, exchange):
        response = exchange()
        if not call.startswith("GET /v1/batches"):
            return response
        answer = json.loads(response.read())
        for batch in answer.get("data", [answer]):
            for name in [name for name in batch if name.endswith("_at") and batch[name]]:
                batch[name] -= days * 86_400
        return httpx2.Response(200, json=answer, headers={"openai-poll-after-ms": "1"})

    wire.disturb = older


def test_a_batch_whose_results_are_gone_after_30_days_is_asked_anew_once_its_folder_is_gone(
    client, wire, shards
):
    job = run(client, shards)
    client.files.delete(client.batches.retrieve(job.batch_ids[0]).output_file_id)
    forget(job.folder)
    aged(wire, 31)
    again = run(client, shards)
    assert again.batch_ids != job.batch_ids
    wire.reset()
    assert helpers.collect(client, again)["outcome"].tolist() == ["ok"] * 4


def test_a_young_result_that_is_not_found_makes_no_second_batch(client, wire, shards):
    job = run(client, shards)
    client.files.delete(client.batches.retrieve(job.batch_ids[0]).output_file_id)
    forget(job.folder)
    assert run(client, shards) == job
    with pytest.raises(helpers.JobError, match=r"is gone from the server.*a space in the prompt"):
        helpers.collect(client, job, sleep=lambda seconds: None)
    assert wire.calls.count(CREATE) == 1


def test_a_poll_header_that_is_not_a_number_is_ignored(client, wire, shards):
    job = helpers.submit(client, shards)

    def odd(call, exchange):
        response = exchange()
        response.headers["openai-poll-after-ms"] = "soon"
        return response

    wire.disturb = odd
    pauses = []
    helpers.wait(client, job, sleep=pauses.append)
    assert 5 <= pauses[0] <= 5 * 1.25


class Clash(BaseModel):
    reason: str
    answer: str


def line(**response):
    return {"custom_id": "a", "response": {"request_id": "r", **response}, "error": None}


def test_answer_fields_named_like_a_column_get_a_longer_name(client, shards, tmp_path):
    columns = helpers.collect(client, run(client, shards), Clash).columns
    assert {"reason", "answer_reason", "answer_answer"} <= set(columns)
    assert "answer" not in columns


@pytest.mark.parametrize(
    ("found", "code", "reason"),
    [
        (line(status_code=502, body="<html>Bad gateway</html>"), "http_502", "Bad gateway"),
        (line(status_code=200, body="plain"), "http_200", "plain"),
        (line(status_code=400, body={"error": "no such thing"}), "http_400", "no such thing"),
        (line(status_code=500, body={"error": {"code": 500, "message": "x"}}), "500", "x"),
        ({"custom_id": "a", "response": None, "error": "out of memory"}, "unknown_error", "memory"),
        (line(status_code=200, body={"choices": []}), "no_content", "no text"),
    ],
)
def test_a_line_of_another_shape_is_a_failed_row_with_a_reason(found, code, reason):
    outcome = helpers.outcome_of(found)
    assert (outcome.outcome, outcome.code) == ("failed", code)
    assert reason in outcome.reason


@pytest.mark.parametrize(
    ("finish", "content", "code", "reason"),
    [
        ("content_filter", "half an ans", "content_filter", "filter"),
        ("content_filter", None, "content_filter", "filter"),
        ("stop", None, "no_content", "no text"),
    ],
)
def test_missing_text_and_filtered_text_have_different_reasons(finish, content, code, reason):
    choice = {"message": {"content": content}, "finish_reason": finish}
    outcome = helpers.outcome_of(line(status_code=200, body={"choices": [choice], "usage": None}))
    assert (outcome.code, outcome.prompt_tokens) == (code, 0)
    assert reason in outcome.reason


def test_a_row_that_fails_again_goes_into_a_third_round(client, tmp_path):
    job = run(client, helpers.write(recorded("apollo-13-1995"), tmp_path / "films"))
    outcomes = helpers.collect(client, job)
    merged = helpers.merge(outcomes, outcomes.assign(round=2))
    rounds = [helpers.retry(job, frame)[0] for frame in (outcomes, merged)]
    assert [shard.round for shard in rounds] == [2, 3]
    assert rounds[0].sha256 == rounds[1].sha256
    batches = [helpers.submit(client, [shard]).batch_ids[0] for shard in rounds]
    assert len({*job.batch_ids, *batches}) == 3
