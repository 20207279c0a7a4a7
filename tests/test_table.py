"""The table: every row comes back in order, ok or failed with a reason or missing; retry; merge."""

import contextlib
import datetime
import enum
import gc
import json
import os
import re
import resource
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pandas as pd
import pytest
from pydantic import BaseModel, computed_field, field_validator

import helpers
from helpers.job import Records
from helpers.replay import create_app
from helpers.replay.clients import replay_client
from helpers.table import collector_paused
from support import CREATE, Wire, completion, connect, error, line, no_pause, recorded, request, run

SERVER_ERROR_ONCE = "apollo-13-1995"
REFUSED = "the-silence-of-the-lambs-1991"
CUT_OFF = "everything-everywhere-all-at-once-2022"
TOKENS = ["prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens"]


class Film(BaseModel):
    categories: list[str]
    summary: str


class Changed(httpx2.BaseTransport):
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
    transport = Changed(create_app(folder / "replay.sqlite"), path_end, disturb)
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


def unreachable(request):
    raise httpx2.ConnectError("no server")


def ids_in(path):
    return {json.loads(line)["custom_id"] for line in path.read_text("utf-8").splitlines()}


@pytest.fixture
def shards(films, tmp_path):
    return helpers.write(films, tmp_path / "films")


@pytest.fixture
def three_shards(films, tmp_path):
    return helpers.write(films, tmp_path / "films", max_requests=2)


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


def test_the_row_of_a_line_that_breaks_off_is_failed_and_not_asked_again_by_itself(films, tmp_path):
    client = disturbed(tmp_path, "/content", lambda content: content[:-40])
    outcomes = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")))
    [broken] = outcomes[outcomes["outcome"] != "ok"].itertuples()
    assert (broken.outcome, broken.code, broken.retry) == ("failed", "unreadable_line", False)


def test_rows_without_a_line_are_missing(films, tmp_path):
    client = disturbed(tmp_path, "/content", lambda content: b"\n".join(content.splitlines()[:2]))
    job = run(client, helpers.write(films, tmp_path / "job"))
    with pytest.warns(UserWarning, match="count 3 more requests as done"):
        outcomes = helpers.collect(client, job, sleep=no_pause)
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
    assert Records(job.server).family(job) == [*job.shards, shard]
    assert Records(elsewhere.server).family(elsewhere) == job.shards


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


def test_a_larger_cap_is_asked_for_in_any_round_and_the_same_one_never_again(tmp_path):
    client = answering(tmp_path, {"a": [(200, completion("half", "length"))]})
    job = run(client, helpers.write(requests("a"), tmp_path / "job"))
    outcomes, caps = helpers.collect(client, job), []
    for cap in (300, 300, 200, 600, 600):
        while again := helpers.retry(job, outcomes, rounds=1, max_completion_tokens=cap):
            caps += [
                r["body"]["max_completion_tokens"] for r in helpers.batchfile.read(again[0].path)
            ]
            # The replay knows no such request, so the row is said to be cut off once more.
            second = helpers.collect(client, run(client, again)).assign(code="truncated")
            outcomes = helpers.merge(outcomes, second)
    assert caps == [300, 600]


def test_no_row_goes_into_more_rounds_than_asked_for(tmp_path):
    client = answering(tmp_path, {"a": [(500, error("Oops."))]})
    job = run(client, helpers.write(requests("a"), tmp_path / "job"))
    outcomes, sent = helpers.collect(client, job), 1
    while again := helpers.retry(job, outcomes, rounds=3):
        sent += 1
        outcomes = helpers.merge(outcomes, helpers.collect(client, run(client, again)))
    assert (sent, outcomes["round"].tolist(), outcomes["retry"].tolist()) == (3, [3], [True])


def test_rounds_of_many_parts_are_submitted_without_a_lock_for_each(tmp_path):
    ids = [f"row-{n}" for n in range(150)]
    client = answering(tmp_path, {custom_id: [(500, error("Oops."))] for custom_id in ids})
    job = run(client, helpers.write(requests(*ids), tmp_path / "job", max_requests=1))
    again = [s for part in job.parts for s in helpers.retry(part, helpers.collect(client, part))]
    assert len({shard.path.parent for shard in again}) == 150
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        assert len(helpers.submit(client, again).batch_ids) == 150
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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


# result files on disk


def result_files(job, kind="output"):
    return sorted(job.folder.glob(f"requests-*-{kind}.jsonl"))


def test_output_and_error_file_land_beside_the_batch_file(client, tmp_path):
    films = recorded()[:3] + recorded(SERVER_ERROR_ONCE)
    job = run(client, helpers.write(films, tmp_path / "films"))
    helpers.collect(client, job)
    batch = client.batches.retrieve(job.batch_ids[0])
    for kind, file_id in (("errors", batch.error_file_id), ("output", batch.output_file_id)):
        [path] = result_files(job, kind)
        assert path.read_bytes() == client.files.content(file_id).content
        assert re.fullmatch(rf"requests-001-\w{{12}}-{kind}\.jsonl", path.name)
        assert path.stat().st_mode & 0o077 == 0


def test_what_was_downloaded_is_not_fetched_again(client, wire, shards):
    job = run(client, shards)
    first = helpers.collect(client, job)
    fetched = sum(call.endswith("/content") for call in wire.calls)
    assert helpers.collect(client, job).equals(first)
    assert sum(call.endswith("/content") for call in wire.calls) == fetched == 1


def test_every_shard_has_result_files_of_its_own(client, three_shards):
    job = run(client, three_shards)
    helpers.collect(client, job)
    for shard, path in zip(three_shards, result_files(job), strict=True):
        assert ids_in(path) == ids_in(shard.path)


def test_a_batch_that_was_refused_has_no_result_files(tmp_path, shards):
    client = connect(Wire(create_app(tmp_path / "replay.sqlite", queue_tokens=1)))
    job = helpers.submit(client, shards)
    assert set(helpers.collect(client, job)["outcome"]) == {"failed"}
    assert result_files(job) == result_files(job, "errors") == []


def test_a_download_that_breaks_off_is_fetched_again_in_full(client, wire, shards):
    job = run(client, shards)

    def half():
        yield b'{"custom_id": "the-'
        raise httpx2.ReadError("broken off")

    wire.disturb = lambda call, exchange: (
        httpx2.Response(200, content=half()) if call.endswith("/content") else exchange()
    )
    with pytest.raises(helpers.JobError, match=r"could not be fetched.*Run the same line again"):
        helpers.collect(client, job, sleep=no_pause)
    assert not [*job.folder.glob(".*.part")]
    wire.reset()
    assert set(helpers.collect(client, job)["outcome"]) == {"ok"}


def test_a_download_ends_where_the_server_said_that_the_file_ends(client, wire, shards):
    job, sent = run(client, shards), []

    def endless():
        while len(sent) < 10_000:
            sent.append(1)
            yield b"x" * 10_000

    wire.disturb = lambda call, exchange: (
        httpx2.Response(200, content=endless()) if call.endswith("/content") else exchange()
    )
    with pytest.raises(helpers.JobError, match=r"longer than the [\d,]+ bytes .* announced"):
        helpers.collect(client, job, sleep=no_pause)
    assert len(sent) < 100
    assert not [*job.folder.glob(".*.part")]


def test_a_young_result_file_that_is_not_found_is_asked_for_again(client, wire, shards):
    job, missed = run(client, shards), []

    def not_yet(call, exchange):
        if call.startswith("GET /v1/files/") and len(missed) < 2:
            missed.append(call)
            return httpx2.Response(404, json={"error": {"message": "No such file."}})
        return exchange()

    wire.disturb = not_yet
    assert set(helpers.collect(client, job, sleep=no_pause)["outcome"]) == {"ok"}
    assert len(missed) == 2


@pytest.mark.parametrize("file_id", ["../../../x", "/abs/x", "..", "a\x00b"])
def test_an_id_of_a_server_is_no_path(tmp_path, shards, file_id):
    content = b'{"custom_id": "jaws-1975"}'

    def answer(asked):
        if asked.url.path.endswith("/content"):
            return httpx2.Response(200, content=content)
        if "/files/" in asked.url.path:
            return httpx2.Response(200, json={"id": "f", "bytes": 0})
        batch = {"id": "batch_1", "status": "completed", "output_file_id": file_id}
        return httpx2.Response(200, json=batch)

    before = {*tmp_path.rglob("*")}
    client = connect(httpx2.MockTransport(answer))
    with contextlib.suppress(helpers.JobError):
        helpers.collect(client, helpers.Job(shards, ["batch_1"]), sleep=no_pause)
    new = {*tmp_path.rglob("*")} - before
    assert {path.parent for path in new} == {shards[0].path.parent}


def test_results_of_two_servers_with_the_same_ids_are_not_taken_for_each_other(tmp_path, shards):
    def server(text):
        lines = [
            {"custom_id": i, "response": {"status_code": 200, "body": completion(text)}}
            for i in ids_in(shards[0].path)
        ]
        content = b"\n".join(json.dumps(one).encode() for one in lines)

        def answer(asked):
            if asked.url.path.endswith("/content"):
                return httpx2.Response(200, content=content)
            if "/files/" in asked.url.path:
                return httpx2.Response(200, json={"id": "file-1", "bytes": len(content)})
            batch = {"id": "batch_1", "status": "completed", "output_file_id": "file-1"}
            return httpx2.Response(200, json=batch)

        return connect(httpx2.MockTransport(answer)).with_options(base_url=f"http://{text}.invalid")

    for name in ("one", "two"):
        job = helpers.Job(shards, ["batch_1"], f"http://{name}.invalid/")
        assert set(helpers.collect(server(name), job)["answer"]) == {name}


def test_the_output_is_read_although_the_error_file_is_gone(client, wire, tmp_path):
    films = recorded()[:3] + recorded(SERVER_ERROR_ONCE)
    job = run(client, helpers.write(films, tmp_path / "films"))
    client.files.delete(client.batches.retrieve(job.batch_ids[0]).error_file_id)
    with pytest.warns(UserWarning) as warned:
        outcomes = helpers.collect(client, job, sleep=no_pause)
    assert outcomes["outcome"].value_counts().to_dict() == {"ok": 3, "missing": 1}
    assert any("errors.jsonl is gone from the server" in str(w.message) for w in warned)


# what the counts promise


def counted_but_not_shown(wire, times, hide):
    """Hides something of a completed batch so many times."""
    hidden = []

    def disturb(call, exchange):
        response = exchange()
        if call.startswith("GET /v1/batches/") and len(hidden) < times:
            batch = json.loads(response.read())
            if batch["status"] == "completed":
                hidden.append(call)
                return httpx2.Response(200, json=batch | hide)
        return response

    wire.disturb = disturb
    return hidden


def test_an_output_file_that_the_counts_promise_is_looked_for_again(client, wire, shards):
    job = helpers.submit(client, shards)
    counted_but_not_shown(wire, 1, {"output_file_id": None})
    helpers.wait(client, job, sleep=no_pause)
    outcomes = helpers.collect(client, job, sleep=no_pause)
    assert set(outcomes["outcome"]) == {"ok"}
    assert wire.calls.count(CREATE) == 1


def test_what_the_counts_promise_and_nothing_shows_is_said_before_a_retry_pays_it(
    client, wire, shards
):
    job = helpers.submit(client, shards)
    counted_but_not_shown(wire, 9, {"output_file_id": ""})
    helpers.wait(client, job, sleep=no_pause)
    with pytest.warns(UserWarning, match=r"count 5 more requests as done.*retry would ask and pay"):
        outcomes = helpers.collect(client, job, sleep=no_pause)
    assert set(outcomes["outcome"]) == {"missing"}
    wire.reset()
    assert set(helpers.collect(client, job, sleep=no_pause)["outcome"]) == {"ok"}


def test_an_answer_wins_over_an_error_for_the_same_row(films, tmp_path):
    late = json.dumps(line(500, error("Oops.")) | {"custom_id": films[0]["custom_id"]}).encode()
    client = disturbed(tmp_path, "/content", lambda content: late + b"\n" + content + late)
    outcomes = helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")))
    assert set(outcomes["outcome"]) == {"ok"}


# columns


class Kind(enum.Enum):
    RED = "red"


class Inner(BaseModel):
    n: str


class Rich(BaseModel):
    kind: Kind
    inner: Inner
    day: datetime.date
    reason: str
    answer_reason: str
    custom_id: str

    @computed_field
    @property
    def twice(self) -> str:
        return self.inner.n * 2


RICH = {
    "kind": "red", "inner": {"n": "x"}, "day": "2026-11-26", "reason": "a", "answer_reason": "b",
    "custom_id": "c",
}  # fmt: skip


def test_columns_hold_what_json_holds_and_no_two_have_the_same_name(tmp_path):
    answers = {"a": [(200, completion(json.dumps(RICH)))], "b": [(400, error("No."))]}
    client = answering(tmp_path, answers)
    job = run(client, helpers.write(requests("a", "b"), tmp_path / "job"))
    outcomes = helpers.collect(client, job, Rich)
    row = outcomes.loc["a"]
    assert (row["kind"], row["inner"], row["day"]) == ("red", {"n": "x"}, "2026-11-26")
    assert (row["answer_answer_reason"], row["answer_reason"], row["twice"]) == ("a", "b", "xx")
    assert row["answer_custom_id"] == "c"
    assert outcomes.columns.is_unique
    assert outcomes.loc["b", ["kind", "inner", "twice"]].isna().all()
    assert ",red,{'n': 'x'},2026-11-26," in outcomes.to_csv()


def test_a_finished_job_needs_no_server(client, films, tmp_path):
    before = helpers.collect(client, run(client, helpers.write(films, tmp_path / "films")))
    nowhere = connect(httpx2.MockTransport(unreachable), max_retries=0)
    job = run(nowhere, helpers.write(films, tmp_path / "films"))
    assert helpers.collect(nowhere, job).equals(before)


def test_a_reason_cannot_steer_a_terminal_and_an_answer_stays_as_it_is(tmp_path):
    answers = {"a": [(400, error("No\x1b[2J\nok"))], "b": [(200, completion("\x1b[2J"))]}
    client = answering(tmp_path, answers)
    job = run(client, helpers.write(requests("a", "b"), tmp_path / "job"))
    outcomes = helpers.collect(client, job)
    assert outcomes.loc["a", "reason"] == r"No\x1b[2J\nok"
    assert outcomes.loc["b", "answer"] == "\x1b[2J"


def test_the_collector_of_cycles_rests_while_a_table_is_filled(client, films, tmp_path):
    class Noting(Film):
        @field_validator("summary")
        @classmethod
        def note(cls, summary):
            at_work.append(gc.isenabled())
            return summary

    at_work: list[bool] = []
    helpers.collect(client, run(client, helpers.write(films, tmp_path / "job")), Noting)
    assert at_work == [False] * len(films)
    assert gc.isenabled()


def test_the_collector_goes_on_when_the_last_of_several_has_left_also_with_an_error():
    first, second = collector_paused(), collector_paused()
    first.__enter__()
    with pytest.raises(ZeroDivisionError), second:
        first.__exit__(None, None, None)
        assert not gc.isenabled()
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_two_that_collect_at_once_get_all_rows_each(client, tmp_path):
    job = run(client, helpers.write(recorded()[:40], tmp_path / "films", max_requests=5))
    with ThreadPoolExecutor(4) as pool:
        tables = [pool.submit(helpers.collect, client, job) for _ in range(4)]
        first, *others = [table.result() for table in tables]
    assert "missing" not in set(first["outcome"])
    assert all(other.equals(first) for other in others)


def test_what_dead_processes_left_unfinished_is_cleared_away_after_a_day(client, shards):
    job = run(client, shards)
    old, young = (job.folder / f".requests-001-{name}.part" for name in ("old", "young"))
    for path in (old, young):
        path.write_text("{", "utf-8")
    os.utime(old, times=(time.time() - 90_000,) * 2)
    helpers.collect(client, job)
    assert (old.exists(), young.exists()) == (False, True)
