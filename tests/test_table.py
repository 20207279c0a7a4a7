"""Outcomes: every row comes back in order, ok or failed with a reason or missing; retry; merge."""

import json

import httpx2
import openai
import pandas as pd
import pytest
from pydantic import BaseModel

import helpers
from helpers import table as rounds
from helpers.client import replay_client
from helpers.replay import create_app
from support import completion, error, line, recorded, request, run

SERVER_ERROR_ONCE = "apollo-13-1995"
REFUSED = "the-silence-of-the-lambs-1991"
CUT_OFF = "everything-everywhere-all-at-once-2022"
TOKENS = ["prompt_tokens", "cached_tokens", "completion_tokens"]


class Film(BaseModel):
    categories: list[str]
    summary: str


class Wire(httpx2.BaseTransport):
    """The way into a replay; what ``disturb`` makes of a response's bytes is what arrives."""

    def __init__(self, app, path_end, disturb):
        self.replay = httpx2.WSGITransport(app=app)
        self.path_end, self.disturb = path_end, disturb

    def handle_request(self, request):
        response = self.replay.handle_request(request)
        if request.method == "GET" and request.url.path.endswith(self.path_end):
            return httpx2.Response(200, content=self.disturb(response.read()))
        if self.path_end == "/content" and "/files/" in request.url.path:
            return httpx2.Response(200, json=json.loads(response.read()) | {"bytes": 0})
        return response


def disturbed(folder, path_end, disturb):
    """A client to whom the GET responses of paths with this end arrive changed."""
    transport = Wire(create_app(folder / "replay.sqlite"), path_end, disturb)
    http_client = httpx2.Client(transport=transport)
    return openai.OpenAI(api_key="x", base_url="http://replay.invalid/v1", http_client=http_client)


def answering(folder, answers, **options):
    """A client of a replay that gives these answers, by id, to `requests` of the same ids."""
    (folder / "recordings").mkdir()
    lines = [
        {
            "custom_id": custom_id,
            "request": request(custom_id, custom_id)["body"],
            "answers": [{"status_code": status, "body": body} for status, body in tries],
        }
        for custom_id, tries in answers.items()
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "recordings" / "some.jsonl").write_text(text, "utf-8")
    recordings = folder / "recordings"
    return replay_client(folder / "replay.sqlite", recordings=recordings, **options)


def requests(*ids):
    return [request(custom_id, custom_id) for custom_id in ids]


def ids_of(asked):
    return [one["custom_id"] for one in asked]


@pytest.fixture
def films():
    return recorded()[:5]


# the table


def test_the_rows_are_in_the_order_of_the_requests_although_the_results_are_not(client, tmp_path):
    asked = recorded()[:30]
    job = run(client, helpers.write(asked, tmp_path / "job"))
    outcomes = helpers.collect(client, job)
    came = next(job.folder.glob("*-output.jsonl")).read_text("utf-8").splitlines()
    assert list(outcomes.index) == ids_of(asked)
    assert [json.loads(line)["custom_id"] for line in came] != ids_of(asked)


def test_each_row_has_its_own_answer(tmp_path):
    ids = [f"row-{number}" for number in range(1, 13)]
    client = answering(tmp_path, {i: [(200, completion(f"answer of {i}"))] for i in ids})
    outcomes = helpers.collect(client, run(client, helpers.write(requests(*ids), tmp_path / "job")))
    assert list(outcomes["answer"]) == [f"answer of {i}" for i in ids]


def test_the_fields_of_the_answer_model_are_columns(client, films, tmp_path):
    outcomes = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")), Film)
    outcome = ["outcome", "code", "reason", "retry"]
    assert list(outcomes.columns) == [*outcome, "categories", "summary", *TOKENS, "round"]
    assert all(isinstance(categories, list) for categories in outcomes["categories"])


def test_a_row_that_failed_has_empty_fields(client, tmp_path):
    asked = recorded(REFUSED)
    outcomes = helpers.collect(client, run(client, helpers.write(asked, tmp_path / "job")), Film)
    assert outcomes.loc[REFUSED, ["categories", "summary"]].isna().all()


def test_failures_of_every_kind_stand_in_the_table_with_their_codes(client, tmp_path):
    asked = [*recorded(SERVER_ERROR_ONCE, REFUSED, CUT_OFF), *requests("not-recorded")]
    outcomes = helpers.collect(client, run(client, helpers.write(asked, tmp_path / "job")), Film)
    assert set(outcomes["outcome"]) == {"failed"}
    assert outcomes["code"].to_dict() == {
        CUT_OFF: "truncated",
        SERVER_ERROR_ONCE: "http_500",
        REFUSED: "refusal",
        "not-recorded": "not_recorded",
    }
    assert list(outcomes.index[outcomes["retry"]]) == [SERVER_ERROR_ONCE]


def test_a_batch_whose_lines_all_fail_is_completed_without_an_output_file(tmp_path):
    client = answering(tmp_path, {i: [(400, error("No.", "bad"))] for i in ("a", "b")})
    job = run(client, helpers.write(requests("a", "b"), tmp_path / "job"))
    batch = client.batches.retrieve(job.batch_ids[0])
    outcomes = helpers.collect(client, job)
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert (
        outcomes[["outcome", "code", "reason"]].to_numpy().tolist()
        == [["failed", "bad", "No."]] * 2
    )


def test_the_rows_of_two_shards_come_back_in_one_table(client, tmp_path):
    asked = [*recorded()[:3], *recorded(SERVER_ERROR_ONCE, REFUSED)]
    job = run(client, helpers.write(asked, tmp_path / "job", max_requests=3))
    outcomes = helpers.collect(client, job)
    assert len(job.shards) == 2
    assert list(outcomes.index) == ids_of(asked)
    assert outcomes["outcome"].value_counts().to_dict() == {"ok": 3, "failed": 2}


def test_the_rows_of_a_batch_that_still_runs_are_missing_and_not_to_be_retried(
    client, films, tmp_path
):
    job = helpers.submit(client, helpers.write(films, tmp_path / "job"))
    with pytest.warns(UserWarning, match="1 of 1 batches have not ended.*Wait for the job"):
        outcomes = helpers.collect(client, job)
    assert set(outcomes["outcome"]) == {"missing"}
    assert not outcomes["retry"].any()
    assert "in_progress" in outcomes["reason"].iloc[0]


def test_a_batch_that_still_ran_when_it_was_collected_can_be_collected_later(
    client, films, tmp_path
):
    shards = helpers.write(films, tmp_path / "job")
    with pytest.warns(UserWarning, match="not ended"):
        helpers.collect(client, helpers.submit(client, shards))
    assert set(helpers.collect(client, run(client, shards))["outcome"]) == {"ok"}


# batches that end early


def test_an_expired_batch_keeps_what_it_finished(films, tmp_path):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=2)
    outcomes = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")))
    expired = outcomes[outcomes["code"] == "batch_expired"]
    assert outcomes["outcome"].value_counts().to_dict() == {"failed": 3, "ok": 2}
    assert len(expired) == 3
    assert expired["retry"].all()
    assert "window expired" in expired["reason"].iloc[0]


def test_a_retry_completes_an_expired_batch(films, tmp_path):
    hurried = replay_client(tmp_path / "replay.sqlite", expire_after=2)
    job = run(hurried, helpers.write(films, tmp_path / "job"))
    first = helpers.collect(hurried, job)
    client = replay_client(tmp_path / "replay.sqlite")
    second = helpers.collect(client, run(client, helpers.retry(job, first)))
    merged = helpers.merge(first, second)
    assert list(merged.index) == ids_of(films)
    assert set(merged["outcome"]) == {"ok"}


def test_a_cancelled_batch_keeps_what_it_finished_and_the_rest_can_be_retried(
    client, films, tmp_path
):
    job = helpers.submit(client, helpers.write(films, tmp_path / "job"))
    for _ in range(2):
        client.batches.retrieve(job.batch_ids[0])
    client.batches.cancel(job.batch_ids[0])
    helpers.wait(client, job, sleep=lambda seconds: None)
    outcomes = helpers.collect(client, job)
    unfinished = outcomes[outcomes["outcome"] != "ok"]
    assert list(outcomes.index) == ids_of(films)
    assert 0 < len(unfinished) < len(films)
    assert unfinished["retry"].all()


def refused_for(errors):
    """Makes a batch object one that failed its validation."""

    def disturb(content):
        batch = json.loads(content)
        if batch["object"] != "batch":
            return content
        errors_list = {"object": "list", "data": errors}
        return json.dumps(batch | {"status": "failed", "errors": errors_list}).encode()

    return disturb


def refused(folder, errors):
    """The outcomes of three rows whose batch was refused for these errors."""
    asked = requests("a", "b", "c")
    job = helpers.submit(
        replay_client(folder / "replay.sqlite"), helpers.write(asked, folder / "job")
    )
    client = disturbed(folder, job.batch_ids[0], refused_for(errors))
    return helpers.collect(client, job)


def test_each_bad_line_of_a_refused_batch_has_its_own_reason(tmp_path):
    lines = [
        {"code": "invalid_url", "line": 2, "message": "The URL is wrong.", "param": "url"},
        {"code": "mismatched_model", "line": 3, "message": "Another model.", "param": "body.model"},
    ]
    outcomes = refused(tmp_path, lines)
    assert list(outcomes.loc[["b", "c"], "code"]) == ["invalid_url", "mismatched_model"]
    assert list(outcomes.loc[["b", "c"], "reason"]) == ["The URL is wrong.", "Another model."]


def test_the_good_lines_of_a_refused_batch_are_failed_because_of_the_bad_one(tmp_path):
    bad = {"code": "invalid_url", "line": 2, "message": "The URL is wrong.", "param": "url"}
    outcomes = refused(tmp_path, [bad])
    assert set(outcomes["outcome"]) == {"failed"}
    assert outcomes.loc["a", "reason"] == "The batch was refused: The URL is wrong."
    assert not outcomes["retry"].any()


def test_an_error_of_a_whole_batch_is_the_reason_of_every_row(tmp_path):
    whole = {
        "code": "invalid_request",
        "line": None,
        "message": "Cannot find file x.",
        "param": None,
    }
    outcomes = refused(tmp_path, [whole])
    assert set(outcomes["code"]) == {"invalid_request"}
    assert outcomes["reason"].str.contains("Cannot find file x").all()


def test_a_batch_for_which_the_queue_was_full_is_retried_as_a_whole(films, tmp_path):
    crowded = replay_client(tmp_path / "replay.sqlite", queue_tokens=1)
    job = helpers.submit(crowded, helpers.write(films, tmp_path / "job"))
    crowded.batches.retrieve(job.batch_ids[0])
    first = helpers.collect(crowded, job)
    assert set(first["code"]) == {"token_limit_exceeded"}
    assert first["retry"].all()
    client = replay_client(tmp_path / "replay.sqlite")
    second = helpers.collect(client, run(client, helpers.retry(job, first)))
    assert set(helpers.merge(first, second)["outcome"]) == {"ok"}


# damaged result files


@pytest.mark.parametrize(
    "junk",
    [
        b"\n",
        b"   \n",
        b"<html>Bad Gateway</html>\n",
        b"[1, 2]\n",
        b'"text"\n',
        b"null\n",
        b"\xff\xfe\n",
        b'{"response": null}\n',
        b'{"custom_id": 7}\n',
        b'{"custom_id": ["row"]}\n',
        json.dumps({**line(200, completion()), "custom_id": "a-stranger"}).encode() + b"\n",
    ],
)
def test_junk_in_a_result_file_changes_nothing(films, tmp_path, junk):
    client = disturbed(tmp_path, "/content", lambda content: junk + content + junk)
    outcomes = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")))
    assert list(outcomes.index) == ids_of(films)
    assert set(outcomes["outcome"]) == {"ok"}


def test_the_row_of_a_line_that_breaks_off_is_missing_and_can_be_retried(films, tmp_path):
    client = disturbed(tmp_path, "/content", lambda content: content[:-40])
    outcomes = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")))
    [missing] = outcomes[outcomes["outcome"] != "ok"].itertuples()
    assert (missing.outcome, missing.retry) == ("missing", True)
    assert "without this line" in missing.reason


def test_rows_without_a_line_are_missing(films, tmp_path):
    client = disturbed(tmp_path, "/content", lambda content: b"\n".join(content.splitlines()[:2]))
    outcomes = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")))
    assert outcomes["outcome"].value_counts().to_dict() == {"missing": 3, "ok": 2}
    assert list(outcomes["retry"]) == [outcome == "missing" for outcome in outcomes["outcome"]]


# retry and merge


def test_only_what_can_succeed_is_retried(client, tmp_path):
    asked = [*recorded()[:3], *recorded(SERVER_ERROR_ONCE, REFUSED, CUT_OFF)]
    job = run(client, helpers.write(asked, tmp_path / "job"))
    [shard] = helpers.retry(job, helpers.collect(client, job))
    [again] = shard.path.read_text("utf-8").splitlines()
    assert json.loads(again) == recorded(SERVER_ERROR_ONCE)[0]


def test_a_retry_is_round_2_in_a_folder_inside_that_of_the_job(client, tmp_path):
    job = run(client, helpers.write(recorded(SERVER_ERROR_ONCE), tmp_path / "job"))
    [shard] = helpers.retry(job, helpers.collect(client, job))
    assert shard.round == 2
    assert shard.path.parent.parent == job.folder


def test_rows_of_several_shards_are_retried_together(tmp_path):
    answers = {i: [(500, error("Oops."))] for i in ("a", "c")} | {"b": [(200, completion())]}
    client = answering(tmp_path, answers)
    job = run(client, helpers.write(requests("a", "b", "c"), tmp_path / "job", max_requests=2))
    [shard] = helpers.retry(job, helpers.collect(client, job))
    retried = [json.loads(text) for text in shard.path.read_text("utf-8").splitlines()]
    assert ids_of(retried) == ["a", "c"]


def test_a_row_that_was_retried_early_is_not_sent_again_with_those_that_fail_later(tmp_path):
    fails_once, good = [(500, error("Oops.")), (200, completion())], [(200, completion())]
    answers = {"a": fails_once, "b": good, "c": fails_once, "d": good}
    client = answering(tmp_path, answers)
    shards = helpers.write(requests(*answers), tmp_path / "job", max_requests=2)
    job = helpers.submit(client, shards)
    run(client, shards[:1])
    with pytest.warns(UserWarning, match="1 of 2 batches have not ended"):
        early = helpers.collect(client, job)
    helpers.submit(client, helpers.retry(job, early))
    first = helpers.collect(client, run(client, shards))
    again = helpers.retry(job, first)
    assert [ids_of(helpers.batchfile.read(shard.path)) for shard in again] == [["a"], ["c"]]
    merged = helpers.merge(first, helpers.collect(client, run(client, again)))
    assert merged["outcome"].tolist() == ["ok"] * 4
    assert len(list(client.batches.list())) == 4


def test_a_round_of_another_server_is_not_part_of_this_one(tmp_path):
    client = answering(tmp_path, {"a": [(500, error("Oops.")), (200, completion())]})
    job = run(client, helpers.write(requests("a"), tmp_path / "job"))
    outcomes = helpers.collect(client, job)
    [shard] = helpers.retry(job, outcomes)
    run(client, [shard])
    elsewhere = helpers.Job(job.shards, job.batch_ids, "http://elsewhere.invalid/v1/")
    assert rounds._submitted(job, 2) == [shard]
    assert rounds._submitted(elsewhere, 2) == []


def test_answers_that_were_cut_off_are_asked_again_with_a_larger_cap_on_request(tmp_path):
    cut_off = {i: [(200, completion("hal", "length"))] for i in ("a", "b")}
    client = answering(tmp_path, cut_off | {"c": [(500, error("Oops."))]})
    job = run(client, helpers.write(requests("a", "b", "c"), tmp_path / "job"))
    outcomes = helpers.collect(client, job)
    [shard] = helpers.retry(job, outcomes)
    assert ids_of(helpers.batchfile.read(shard.path)) == ["c"]
    [shard] = helpers.retry(job, outcomes, max_completion_tokens=900)
    asked = {r["custom_id"]: r["body"] for r in helpers.batchfile.read(shard.path)}
    caps = {custom_id: body.get("max_completion_tokens") for custom_id, body in asked.items()}
    assert caps == {"a": 900, "b": 900, "c": None}


def test_no_row_goes_into_more_rounds_than_asked_for(tmp_path):
    client = answering(tmp_path, {"a": [(500, error("Oops."))]})
    job = run(client, helpers.write(requests("a"), tmp_path / "job"))
    outcomes, sent = helpers.collect(client, job), 1
    while again := helpers.retry(job, outcomes, rounds=3):
        sent += 1
        outcomes = helpers.merge(outcomes, helpers.collect(client, run(client, again)))
    assert (sent, outcomes["round"].tolist(), outcomes["retry"].tolist()) == (3, [3], [True])


def test_a_retry_of_a_retry_is_round_3(tmp_path):
    client = answering(tmp_path, {"a": [(500, error("Oops."))] * 2 + [(200, completion())]})
    job = run(client, helpers.write(requests("a"), tmp_path / "job"))
    second = run(client, helpers.retry(job, helpers.collect(client, job)))
    third = helpers.retry(second, helpers.collect(client, second))
    assert [shard.round for shard in third] == [3]
    assert list(helpers.collect(client, run(client, third))["outcome"]) == ["ok"]


def test_merged_outcomes_keep_their_order_and_take_the_second_try(client, tmp_path):
    asked = [*recorded(SERVER_ERROR_ONCE), *recorded()[:2], *recorded(REFUSED)]
    job = run(client, helpers.write(asked, tmp_path / "job"))
    first = helpers.collect(client, job, Film)
    second = helpers.collect(client, run(client, helpers.retry(job, first)), Film)
    merged = helpers.merge(first, second)
    assert list(merged.index) == ids_of(asked)
    assert list(merged["outcome"]) == ["ok", "ok", "ok", "failed"]
    assert merged.loc[SERVER_ERROR_ONCE, "summary"] == second.loc[SERVER_ERROR_ONCE, "summary"]
    assert list(merged.columns) == list(first.columns)


def test_merging_adds_up_the_tokens_of_both_tries(client, films, tmp_path):
    first = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")))
    again = ids_of(films)[1]
    merged = helpers.merge(first, first.loc[[again]])
    others = first.index != again
    assert (merged.loc[again, TOKENS] == 2 * first.loc[again, TOKENS]).all()
    assert merged.loc[again, "prompt_tokens"] > 0
    assert (merged.loc[others, TOKENS] == first.loc[others, TOKENS]).all(axis=None)


def test_merging_changes_neither_table(client, tmp_path):
    job = run(client, helpers.write(recorded(SERVER_ERROR_ONCE, REFUSED), tmp_path / "job"))
    first = helpers.collect(client, job)
    second = helpers.collect(client, run(client, helpers.retry(job, first)))
    before = first.copy(), second.copy()
    helpers.merge(first, second)
    assert first.equals(before[0])
    assert second.equals(before[1])


@pytest.mark.parametrize("model", [None, Film])
def test_with_nothing_to_retry_the_same_steps_change_nothing(client, films, tmp_path, model):
    job = run(client, helpers.write(films, tmp_path / "job"))
    outcomes = helpers.collect(client, job, model)
    shards = helpers.retry(job, outcomes)
    second = helpers.collect(client, run(client, shards), model)
    assert shards == []
    assert len(second) == 0
    merged = helpers.merge(outcomes, second)
    pd.testing.assert_frame_equal(merged, outcomes, check_index_type=False)


def test_running_the_retry_again_creates_no_other_batch(client, tmp_path):
    job = run(client, helpers.write(recorded(SERVER_ERROR_ONCE), tmp_path / "job"))
    jobs = [run(client, helpers.retry(job, helpers.collect(client, job))) for _ in range(2)]
    assert jobs[0] == jobs[1]
    assert len(list(client.batches.list())) == 2
