"""The whole road in one call: every row comes back, and nothing is paid twice or above budget."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from pydantic import BaseModel, ConfigDict

import helpers
from faults import Faults
from helpers.replay import create_app
from helpers.replay.clients import replay_client
from support import CREATE, LIST, UPLOAD, Wire, connect, on, recorded, request

MODEL = "GET /v1/models/gpt-6-luna"
CHAT = "POST /v1/chat/completions"
SERVER_ERROR = "apollo-13-1995"


class MovieAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    categories: list[str]
    summary: str


@pytest.fixture
def client(wire):
    return connect(wire, max_retries=0)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "films"


@pytest.fixture(scope="module")
def requests():
    """Four films; the server has an error with the last one on its first try."""
    others = [r for r in recorded() if r["custom_id"] != SERVER_ERROR]
    return [*others[:3], *recorded(SERVER_ERROR)]


class Finished:
    """A run that has ended, with all that was seen on the way."""

    def __init__(self, place, requests):
        self.wire = Wire(create_app(place / "replay.sqlite"))
        self.client = connect(self.wire, max_retries=0)
        self.folder, self.said = place / "films", []
        show = helpers.Progress(say=self.said.append)
        given = (request for request in requests)
        self.outcomes = helpers.run(self.client, given, self.folder, budget=1, show=show)
        self.calls = tuple(self.wire.calls)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, requests):
    """Read, and run again, but not disturbed by the tests that share it."""
    return Finished(tmp_path_factory.mktemp("finished"), requests)


def test_all_rows_come_back_in_order(finished, requests):
    assert finished.outcomes.index.tolist() == [request["custom_id"] for request in requests]
    assert finished.outcomes["outcome"].tolist() == ["ok"] * 4


def test_a_server_error_is_tried_again_in_a_second_round(finished):
    assert finished.outcomes["round"].to_dict()[SERVER_ERROR] == 2
    assert finished.outcomes["round"].tolist() == [1, 1, 1, 2]
    assert finished.calls.count(CREATE) == 2


def test_the_second_round_sends_only_what_failed(finished):
    counts = [batch.request_counts.total for batch in finished.client.batches.list()]
    assert sorted(counts) == [1, 4]


def test_one_round_does_not_try_again(client, wire, folder, requests):
    outcomes = helpers.run(client, requests, folder, budget=1, rounds=1)
    assert outcomes.loc[SERVER_ERROR, ["outcome", "code", "retry"]].tolist() == [
        "failed",
        "http_500",
        True,
    ]
    assert wire.calls.count(CREATE) == 1


def test_a_second_round_can_follow_later(client, wire, folder, requests):
    helpers.run(client, requests, folder, budget=1, rounds=1)
    wire.calls.clear()
    outcomes = helpers.run(client, requests, folder, budget=1, rounds=2)
    assert outcomes["outcome"].tolist() == ["ok"] * 4
    assert [wire.calls.count(call) for call in (CHAT, UPLOAD, CREATE)] == [0, 1, 1]


def test_nothing_to_try_again_means_one_batch(client, wire, folder, requests):
    helpers.run(client, requests[:3], folder, budget=1, rounds=5)
    assert wire.calls.count(CREATE) == 1


def test_what_cannot_succeed_is_not_tried_again_and_is_said_with_an_example(
    client, wire, folder, requests
):
    unknown, said = request("unknown", max_completion_tokens=5), []
    given = [*requests[:3], unknown]
    outcomes = helpers.run(client, given, folder, budget=1, rounds=5, say=said.append)
    assert said[-3] == "outcomes: 3 ok, 1 failed"
    assert said[-2].startswith("1 not_recorded, such as unknown: Not recorded")
    shown = said[-1].removeprefix("All of them: ")
    assert eval(shown, {"outcomes": outcomes}).index.tolist() == ["unknown"]
    assert outcomes.loc["unknown", ["outcome", "code", "retry"]].tolist() == [
        "failed",
        "not_recorded",
        False,
    ]
    assert wire.calls.count(CREATE) == 1


def test_rounds_end_when_the_error_stays(tmp_path, folder):
    answer = {
        "choices": [{"message": {"content": "Fine."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
    failure = {"status_code": 500, "body": {"error": {"message": "Sorry."}}}
    good = {"status_code": 200, "body": answer}
    asked = request("row-1")
    line = {
        "custom_id": "row-1",
        "request": asked["body"],
        "answers": [failure, failure, failure, good],
    }
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    (recordings / "own.jsonl").write_text(json.dumps(line), "utf-8")
    client = replay_client(tmp_path / "replay.sqlite", recordings=recordings)
    outcomes = helpers.run(client, [asked], folder, budget=1, rounds=3)
    assert outcomes.loc["row-1", ["outcome", "reason", "round"]].tolist() == ["failed", "Sorry.", 3]


def test_running_twice_pays_nothing_again_and_says_the_same(finished, requests):
    before = len(finished.wire.calls)
    second = helpers.run(finished.client, requests, finished.folder, budget=1)
    again = finished.wire.calls[before:]
    assert [call for call in again if call.startswith("POST")] == []
    assert second.equals(finished.outcomes)


def test_the_first_requests_are_tried_once_each(client, wire, folder, requests):
    for _ in range(2):
        with pytest.raises(helpers.BudgetError):
            helpers.run(client, requests, folder, budget=0.0001, try_first=2)
    assert wire.calls == [LIST, MODEL, CHAT, CHAT, LIST]


def test_trials_end_where_they_alone_cost_more_than_the_budget(client, wire, folder):
    with pytest.raises(helpers.BudgetError):
        helpers.run(client, recorded()[:50], folder, budget=0.0001, try_first=10**6)
    assert 1 < wire.calls.count(CHAT) < 10


def test_nothing_stands_between_a_reader_and_a_batch_that_exists(client, wire, folder, requests):
    job = helpers.submit(client, helpers.write(requests[:3], folder))
    wire.disturb = on(CHAT, lambda exchange: httpx2.Response(429, json={"error": {}}))
    outcomes = helpers.run(client, requests[:3], folder, budget=0)
    assert outcomes["outcome"].tolist() == ["ok"] * 3
    assert [batch.id for batch in client.batches.list()] == job.batch_ids


def test_another_round_keeps_within_the_budget_too(client, wire, folder, requests):
    said = []
    helpers.run(client, requests, folder, budget=1, rounds=1)
    outcomes = helpers.run(client, requests, folder, budget=0, rounds=2, say=said.append)
    assert outcomes.loc[SERVER_ERROR, "outcome"] == "failed"
    assert any(line.startswith("not asked again: This job could cost") for line in said)
    assert wire.calls.count(CREATE) == 1


def test_a_batch_that_ran_nothing_is_no_round_and_is_created_again(tmp_path, folder, requests):
    wire = Wire(create_app(tmp_path / "replay.sqlite", faults=Faults()))
    client = connect(wire, max_retries=0)
    bad = {"code": "billing_hard_limit_reached", "message": "Pay first.", "line": None}
    fault = {"at": "validation", "fault": "errors", "value": [bad]}
    client.put("/replay", body={"faults": [fault]}, cast_to=object)
    first = helpers.run(client, requests[:3], folder, budget=1, rounds=3)
    assert first["reason"].tolist() == ["The batch was refused: Pay first."] * 3
    assert wire.calls.count(CREATE) == 1
    second = helpers.run(client, requests[:3], folder, budget=1)
    assert second["outcome"].tolist() == ["ok"] * 3
    assert second["round"].tolist() == [1] * 3
    assert wire.calls.count(CREATE) == 2


def test_the_first_requests_are_tried_before_anything_is_uploaded(finished):
    assert finished.calls[:5] == (LIST, MODEL, CHAT, CHAT, CHAT)
    assert finished.calls.count(CHAT) == 3


def test_fewer_requests_than_are_to_be_tried_are_enough(client, wire, folder, requests):
    outcomes = helpers.run(client, requests[:1], folder, budget=1, try_first=3)
    assert outcomes["outcome"].tolist() == ["ok"]
    assert wire.calls.count(CHAT) == 1


def test_a_budget_too_small_stops_before_anything_is_uploaded(client, wire, folder, requests):
    with pytest.raises(helpers.BudgetError, match=r"budget is .*It is not submitted.*Raise"):
        helpers.run(client, requests, folder, budget=0.00001)
    assert set(wire.calls) == {LIST, MODEL, CHAT}


def test_a_raised_budget_goes_on_without_paying_for_the_trial_again(client, wire, folder, requests):
    with pytest.raises(helpers.BudgetError):
        helpers.run(client, requests, folder, budget=0.00001)
    outcomes = helpers.run(client, requests, folder, budget=1)
    assert len(outcomes) == 4
    assert wire.calls.count(CHAT) == 3


def test_the_fields_of_the_answer_model_become_columns(finished, requests):
    given = (finished.client, requests, finished.folder)
    outcomes = helpers.run(*given, budget=1, answer=MovieAnswer)
    assert "answer" not in outcomes.columns
    assert all(isinstance(kinds, list) and kinds for kinds in outcomes["categories"])
    assert outcomes["summary"].str.len().min() > 10


def test_without_an_answer_model_the_text_is_in_one_column(finished):
    answers = finished.outcomes["answer"].map(json.loads)
    assert answers.map(sorted).tolist() == [["categories", "summary"]] * 4


def test_tokens_of_every_answer_are_counted(finished):
    assert (finished.outcomes[["prompt_tokens", "completion_tokens"]] > 0).all(axis=None)


def test_trials_that_all_fail_leave_no_batch_and_no_file(client, wire, folder):
    unknown = [request(f"unknown-{n}", f"{n}", max_completion_tokens=5) for n in range(2)]
    with pytest.raises(helpers.JobError, match=r"(?s)None of the answers tried.*Not recorded"):
        helpers.run(client, unknown, folder, budget=1)
    assert wire.calls == [LIST, MODEL, CHAT, CHAT]


def test_one_row_that_is_refused_in_the_trial_does_not_stop_the_others(client, folder, requests):
    unknown, said = request("unknown", max_completion_tokens=5), []
    given = [unknown, *requests[:3]]
    outcomes = helpers.run(client, given, folder, budget=1, say=said.append)
    assert outcomes["outcome"].tolist() == ["failed", "ok", "ok", "ok"]
    assert any(line.startswith("cannot be used: unknown: Not recorded") for line in said)


def test_a_server_error_in_the_trial_leaves_no_batch_and_no_file(client, wire, folder, requests):
    wire.disturb = on(CHAT, lambda exchange: httpx2.Response(500, json={"error": {}}))
    with pytest.raises(helpers.JobError):
        helpers.run(client, requests, folder, budget=1)
    wire.reset()
    assert not {UPLOAD, CREATE} & set(wire.calls)
    assert helpers.run(client, requests[:3], folder, budget=1)["outcome"].eq("ok").all()


def test_requests_that_the_api_would_refuse_reach_no_server(client, wire, folder, requests):
    with pytest.raises(helpers.BatchFileError, match=r"line 2.*same custom_id"):
        helpers.run(client, [requests[0], requests[0]], folder, budget=1)
    assert wire.calls == []


def test_no_requests_are_refused(client, wire, folder):
    with pytest.raises(helpers.BatchFileError, match="there are no requests"):
        helpers.run(client, [], folder, budget=1)
    assert wire.calls == []


def test_what_is_said_of_the_batches_is_passed_to_show(finished):
    assert any(line.endswith("completed, 3 ok and 1 failed of 4") for line in finished.said)


def test_a_batch_that_expired_is_completed_by_the_next_round(tmp_path, folder, requests):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=2)
    outcomes = helpers.run(client, requests[:3], folder, budget=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 3
    assert sorted(outcomes["round"]) == [1, 1, 2]


def test_a_run_interrupted_after_its_upload_goes_on(client, wire, folder, requests):
    def interrupted(call, exchange):
        answer = exchange()
        if call == CREATE:
            raise KeyboardInterrupt
        return answer

    wire.disturb = interrupted
    with pytest.raises(KeyboardInterrupt):
        helpers.run(client, requests[:3], folder, budget=1)
    wire.reset()
    outcomes = helpers.run(client, requests[:3], folder, budget=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 3
    assert [wire.calls.count(call) for call in (CHAT, UPLOAD, CREATE)] == [3, 1, 1]


def test_a_trial_that_fails_in_the_middle_pays_no_request_twice(tmp_path):
    wire = Wire(create_app(tmp_path / "replay.sqlite"))
    client = connect(wire, max_retries=0)
    tries = []

    def fail_second(call, exchange):
        tries.extend([call] if call == CHAT else [])
        broken = call == CHAT and len(tries) == 2
        return httpx2.Response(403, json={"error": {"message": "x"}}) if broken else exchange()

    wire.disturb = fail_second
    with pytest.raises(helpers.JobError, match=r"The trial of .* failed, nothing was submitted"):
        helpers.run(client, recorded()[:4], tmp_path / "films", budget=1)
    outcomes = helpers.run(client, recorded()[:4], tmp_path / "films", budget=1)
    assert len(tries) == 4
    assert outcomes["outcome"].tolist() == ["ok"] * 4


def test_a_server_error_in_one_trial_does_not_stop_the_job(tmp_path):
    wire = Wire(create_app(tmp_path / "replay.sqlite"))
    client, said, tries = connect(wire, max_retries=0), [], []

    def fail_second(call, exchange):
        tries.extend([call] if call == CHAT else [])
        broken = call == CHAT and len(tries) == 2
        return httpx2.Response(500, json={"error": {"message": "x"}}) if broken else exchange()

    wire.disturb = fail_second
    films = recorded()[:4]
    outcomes = helpers.run(client, films, tmp_path / "films", budget=1, say=said.append)
    assert outcomes["outcome"].tolist() == ["ok"] * 4
    assert said[2].startswith("tried: 3, 2 can be used")
    assert said[3] == f"cannot be used: {films[1]['custom_id']}: x"


def test_another_number_of_trials_on_the_same_rows_is_fine(client, tmp_path):
    for count in (3, 2, 4, 100):
        outcomes = helpers.run(
            client, recorded()[:4], tmp_path / "films", budget=1, try_first=count
        )
        assert len(outcomes) == 4


def test_no_trial_at_all_is_refused_with_another_way(client, tmp_path):
    with pytest.raises(ValueError, match="take the steps one by one"):
        helpers.run(client, recorded()[:4], tmp_path / "films", budget=1, try_first=0)


def test_another_endpoint_is_refused_before_anything_is_sent(tmp_path):
    wire = Wire(create_app(tmp_path / "replay.sqlite"))
    body = {"model": "text-embedding-3-small", "input": "hello"}
    embedding = {**request(), "url": "/v1/embeddings", "body": body}
    with pytest.raises(ValueError, match="take the steps one by one"):
        helpers.run(connect(wire), [embedding], tmp_path / "vectors", budget=1)
    assert wire.calls == []


def test_a_line_is_said_for_all_that_is_in_order_and_then_the_progress(client, tmp_path):
    said = []
    helpers.run(client, recorded()[:4], tmp_path / "films", budget=1, say=said.append)
    assert said[0] == "checked: 4 requests to gpt-6-luna, batch files: 1"
    assert said[1] == "model: gpt-6-luna, no shutdown announced"
    assert said[2].startswith("tried: 3, 3 can be used; the first: {")
    price = r"price: 0\.0\d+ US dollars expected, 0\.0\d+ with the longest answers, 1\.0000 allowed"
    assert re.fullmatch(price, said[3])
    assert said[-2].endswith("completed, 4 ok and 0 failed of 4")
    assert said[-1] == "outcomes: 4 ok"


def test_with_one_round_what_was_cancelled_is_collected_and_not_sent_again(
    client, wire, folder, requests
):
    job = helpers.submit(client, helpers.write(requests, folder))
    client.batches.cancel(job.batch_ids[0])
    outcomes = helpers.run(client, requests, folder, budget=1, rounds=1)
    assert set(outcomes["outcome"]) <= {"ok", "missing"}
    assert (outcomes["outcome"] == "missing").any()
    assert wire.calls.count(CREATE) == 1


def test_smaller_files_can_be_asked_for(client, tmp_path):
    outcomes = helpers.run(client, recorded()[:5], tmp_path / "films", budget=1, max_requests=2)
    assert outcomes["outcome"].tolist() == ["ok"] * 5
    assert len(list(client.batches.list())) == 3


def test_a_tried_answer_of_no_use_is_said_with_its_reason(client, tmp_path):
    said = []
    films = recorded("the-silence-of-the-lambs-1991", "jaws-1975")
    helpers.run(client, films, tmp_path / "films", budget=1, answer=MovieAnswer, say=said.append)
    assert said[2].startswith("tried: 2, 1 can be used; the first: categories=")
    assert said[3].startswith("cannot be used: the-silence-of-the-lambs-1991: refusal, I'm sorry")


def test_a_run_stops_where_no_tried_answer_fits_and_tries_again_after_the_change(
    client, wire, folder, requests
):
    class Other(BaseModel):
        mood: str

    for _ in range(2):
        with pytest.raises(helpers.JobError, match="mood: Field required"):
            helpers.run(client, requests[:3], folder, budget=1, answer=Other)
    assert set(wire.calls) == {LIST, MODEL, CHAT}
    assert wire.calls.count(CHAT) == 3
    outcomes = helpers.run(client, requests[:3], folder, budget=1, answer=MovieAnswer)
    assert outcomes["outcome"].tolist() == ["ok"] * 3


def test_both_rounds_show_their_progress(client, tmp_path):
    said = []
    films = recorded("apollo-13-1995", "jaws-1975")
    helpers.run(client, films, tmp_path / "films", budget=1, try_first=1, say=said.append)
    assert sum("completed" in line for line in said) == 2


def test_a_model_that_was_shut_down_is_not_even_tried(wire, client, tmp_path):
    old = [request(model="gpt-4-turbo")]
    with pytest.raises(helpers.JobError, match=r"shut down on 2026-10-23"):
        helpers.run(client, old, tmp_path / "old", budget=1)
    assert wire.calls == [LIST, "GET /v1/models/gpt-4-turbo"]


def test_four_at_once_try_and_pay_as_one(client, wire, folder, requests):
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(helpers.run, client, requests[:3], folder, budget=1, say=lambda line: None)
            for _ in range(4)
        ]
        outcomes = [one.result() for one in runs]
    assert all(one["outcome"].eq("ok").all() for one in outcomes)
    assert [wire.calls.count(call) for call in (CHAT, UPLOAD, CREATE)] == [3, 1, 1]


def test_a_job_can_be_submitted_today_and_collected_tomorrow(client, wire, folder, requests):
    said = []
    today = helpers.run(client, requests, folder, budget=1, wait=False, say=said.append)
    assert today["outcome"].tolist() == ["missing"] * 4
    assert said[-2:] == [
        "submitted: batches on their way: 1; rows with an answer: 0 of 4",
        "Run the same lines again to collect them.",
    ]
    for _ in range(5):
        client.batches.retrieve(next(iter(client.batches.list())).id)
    tomorrow = helpers.run(client, requests, folder, budget=1, wait=False)
    assert tomorrow["outcome"].tolist() in ([*["ok"] * 3, "missing"], ["ok"] * 4)
    after = helpers.run(client, requests, folder, budget=1)
    assert after["outcome"].tolist() == ["ok"] * 4
    assert wire.calls.count(CREATE) == 2


def test_files_larger_than_the_queue_halve_themselves_until_all_rows_have_come(tmp_path, folder):
    wire = Wire(create_app(tmp_path / "replay.sqlite", faults=Faults()))
    client, given = connect(wire, max_retries=0), recorded()[:8]
    client.put("/replay", body={"faults": [], "queue_tokens": 1_000}, cast_to=object)
    outcomes = helpers.run(client, given, folder, budget=1, rounds=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 8
    made = wire.calls.count(CREATE)
    again = helpers.run(client, given, folder, budget=1, rounds=1)
    assert again.equals(outcomes)
    assert wire.calls.count(CREATE) == made


def test_a_request_larger_than_the_queue_fails_alone(tmp_path, folder):
    wire = Wire(create_app(tmp_path / "replay.sqlite", faults=Faults()))
    client = connect(wire, max_retries=0)
    large = {**recorded()[0], "custom_id": "large"}
    large["body"] = {**large["body"], "messages": large["body"]["messages"] * 9}
    client.put("/replay", body={"faults": [], "queue_tokens": 1_000}, cast_to=object)
    outcomes = helpers.run(client, [*recorded()[:3], large], folder, budget=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 3 + ["failed"]
    assert outcomes.loc["large", "code"] == "larger_than_queue"


def test_batch_files_written_in_parts_run_as_one_job_in_any_order(client, wire, tmp_path):
    parts = [
        helpers.write(recorded()[at : at + 2], tmp_path / f"part-{at}", may_be_empty=True)
        for at in (0, 2, 4, 300)
    ]
    files = [shard for part in parts for shard in part]
    outcomes = helpers.run(client, files, tmp_path / "films", budget=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 6
    assert outcomes.index.tolist() == [request["custom_id"] for request in recorded()[:6]]
    turned = helpers.run(client, files[::-1], tmp_path / "films", budget=1)
    assert turned.loc[outcomes.index].equals(outcomes)
    assert [wire.calls.count(call) for call in (UPLOAD, CREATE)] == [3, 3]
