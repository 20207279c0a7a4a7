"""Faults over real HTTP, scripted in the replay: named by what comes out all the same."""

import warnings

import openai
import pytest

import helpers
from faults import Faults
from helpers.replay import create_app
from helpers.replay.clients import replay_client
from support import forget, no_pause, recorded, served

FILMS = ["jaws-1975", "alien-1979", "once-2007", "psycho-1960", "m-1931"]
GOOD = [request["custom_id"] for request in recorded(*FILMS)]

MODEL, LIST, UPLOAD = "GET /v1/models/<id>", "GET /v1/batches", "POST /v1/files"
CREATE, LOOK = "POST /v1/batches", "GET /v1/batches/<id>"
SIZE, CONTENT = "GET /v1/files/<id>", "GET /v1/files/<id>/content"
ALL_BUT_CREATE = [MODEL, LIST, UPLOAD, LOOK, SIZE, CONTENT]
SOON = {"retry-after-ms": "1"}


@pytest.fixture
def address(tmp_path):
    with served(create_app(tmp_path / "replay.sqlite", faults=Faults())) as address:
        yield address


@pytest.fixture
def client(address):
    with openai.OpenAI(api_key="any", base_url=address, timeout=0.5) as client:
        yield client


@pytest.fixture
def script(client):
    """Tells the replay what is to go wrong."""

    def tell(*faults, **options):
        client.put("/replay", body={"faults": [*faults], **options}, cast_to=object)

    yield tell
    planned = client.get("/replay", cast_to=object)["faults"]
    assert all(fault["happened"] for fault in planned), "a fault that was planned never happened"


@pytest.fixture
def shards(tmp_path):
    return helpers.write(recorded(*GOOD), tmp_path / "films")


def finished(client, shards):
    job = helpers.submit(client, shards, sleep=no_pause)
    helpers.wait(client, job, sleep=no_pause)
    return job


def live_batches(client):
    return [batch for batch in client.batches.list() if batch.status != "failed"]


def everything_came(client, shards):
    """Whether the job ends with one batch per shard and an answer in every row."""
    outcomes = helpers.collect(client, finished(client, shards))
    assert list(outcomes.index) == GOOD
    assert outcomes["outcome"].tolist() == ["ok"] * len(GOOD)
    assert len(live_batches(client)) == len(shards)
    return True


# calls that go wrong


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize("at", ALL_BUT_CREATE)
def test_an_error_of_the_server_is_outlasted(client, script, shards, at, status):
    script({"at": at, "fault": "status", "value": status, "headers": SOON})
    assert everything_came(client, shards)


@pytest.mark.parametrize("fault", ["reset", "lost"])
@pytest.mark.parametrize("at", ALL_BUT_CREATE)
def test_a_cut_connection_is_outlasted(client, script, shards, at, fault):
    script({"at": at, "fault": fault})
    assert everything_came(client, shards)


@pytest.mark.parametrize("at", ALL_BUT_CREATE)
def test_an_answer_that_is_too_late_is_asked_for_again(client, script, shards, at):
    script({"at": at, "fault": "late", "value": 0.7})
    assert everything_came(client, shards)


def test_a_create_call_that_came_too_early_waits_as_long_as_it_is_told(client, script, shards):
    too_early = {"at": CREATE, "fault": "status", "value": 429, "headers": {"retry-after": "7"}}
    script({**too_early, "times": 2})
    pauses = []
    helpers.submit(client, shards, sleep=pauses.append)
    assert pauses == [7, 7]
    assert len(live_batches(client)) == 1


def test_a_create_call_that_always_comes_too_early_ends_with_a_word(client, script, shards):
    too_early = {"at": CREATE, "fault": "status", "value": 429, "headers": {"retry-after": "1"}}
    script({**too_early, "times": 100})
    with pytest.raises(helpers.JobError, match=r"refused to create.*run the same line again"):
        helpers.submit(client, shards, sleep=no_pause)
    assert live_batches(client) == []


@pytest.mark.parametrize(
    "fault", [{"fault": "lost"}, {"fault": "late", "value": 0.7}], ids=["lost", "late"]
)
def test_a_lost_answer_to_create_leads_to_the_batch_that_was_made(client, script, shards, fault):
    script({"at": CREATE, **fault})
    assert everything_came(client, shards)


def test_a_lost_answer_and_a_stale_list_lead_to_the_batch_that_was_made(client, script, shards):
    stale = {"at": LIST, "fault": "stale", "value": 1, "after": 1, "times": 2}
    script({"at": CREATE, "fault": "lost"}, stale)
    assert everything_came(client, shards)


@pytest.mark.parametrize(
    "fault",
    [{"fault": "reset"}, {"fault": "status", "value": 500}, {"fault": "status", "value": 503}],
    ids=["reset", "500", "503"],
)
def test_a_create_call_that_failed_is_made_once_when_the_line_is_run_again(
    client, script, shards, fault
):
    script({"at": CREATE, **fault})
    with pytest.raises(helpers.JobError, match="Run the same line again"):
        helpers.submit(client, shards, sleep=no_pause)
    assert everything_came(client, shards)


@pytest.mark.parametrize("times", [1, 3])
def test_a_download_that_breaks_off_is_begun_again(client, script, shards, times):
    job = finished(client, shards)
    script({"at": CONTENT, "fault": "truncated", "times": times})
    outcomes = helpers.collect(client, job, sleep=no_pause)
    assert outcomes["outcome"].tolist() == ["ok"] * len(GOOD)


def test_a_download_that_always_breaks_off_is_no_result_and_can_be_had_later(
    client, script, shards
):
    job = finished(client, shards)
    script({"at": CONTENT, "fault": "truncated", "times": 9})
    with pytest.raises(helpers.JobError, match=r"-output.jsonl could not be fetched"):
        helpers.collect(client, job, sleep=no_pause)
    assert not [*job.folder.glob("*-output.jsonl")]
    script()
    assert helpers.collect(client, job)["outcome"].tolist() == ["ok"] * len(GOOD)


def test_a_slow_download_arrives(client, script, shards):
    script({"at": CONTENT, "fault": "slow", "value": 0.05})
    assert everything_came(client, shards)


# batches that go wrong


def test_a_refused_batch_gives_every_row_its_reason(client, script, shards):
    bad = {"code": "invalid_url", "line": 2, "message": "The URL is wrong.", "param": "url"}
    script({"at": "validation", "fault": "errors", "value": [bad]})
    outcomes = helpers.collect(client, finished(client, shards))
    assert outcomes["reason"].tolist()[1] == "The URL is wrong."
    assert set(outcomes["reason"].tolist()) - {"The URL is wrong."} == {
        "The batch was refused: The URL is wrong."
    }
    assert not outcomes["retry"].any()


def test_batches_wait_for_room_in_the_queue_and_all_rows_come(client, script, tmp_path):
    script(queue_tokens=1_000)
    shards = helpers.write(recorded(*GOOD), tmp_path / "films", max_requests=1)
    assert len(shards) == 5
    assert everything_came(client, shards)
    assert any(batch.status == "failed" for batch in client.batches.list())


def test_a_job_that_waits_for_room_goes_on_in_another_kernel(client, script, address, tmp_path):
    script(queue_tokens=1_000)
    shards = helpers.write(recorded(*GOOD), tmp_path / "films", max_requests=1)
    job = helpers.submit(client, shards)
    with pytest.raises(
        helpers.JobError, match=r"Not finished after 0 seconds. The batches stay submitted"
    ):
        helpers.wait(client, job, sleep=no_pause, limit=0)
    with openai.OpenAI(api_key="any", base_url=address) as other:
        assert everything_came(other, shards)


def test_a_job_waits_for_room_that_batches_of_others_take(client, script, tmp_path):
    script(queue_tokens=1_500)
    others = helpers.submit(client, helpers.write(recorded(*GOOD[:4]), tmp_path / "others"))
    assert client.batches.retrieve(others.batch_ids[0]).status == "in_progress"
    shards = helpers.write(recorded(*GOOD), tmp_path / "films", max_requests=4)
    outcomes = helpers.collect(client, finished(client, shards))
    assert outcomes["outcome"].tolist() == ["ok"] * len(GOOD)


@pytest.mark.parametrize("max_requests", [None, 1])
def test_a_batch_larger_than_the_queue_goes_in_smaller_files(client, script, shards, max_requests):
    script(queue_tokens=1_000)
    job, said = helpers.submit(client, shards, sleep=no_pause), []
    helpers.wait(client, job, sleep=no_pause, say=said.append)
    assert "failed, Larger than the whole queue: Enqueued token limit reached" in said[-1]
    outcomes, sizes = helpers.collect(client, job), []
    while again := helpers.retry(job, outcomes, rounds=1, max_requests=max_requests):
        sizes.append([shard.requests for shard in again])
        outcomes = helpers.merge(outcomes, helpers.collect(client, finished(client, again)))
    assert outcomes["outcome"].tolist() == ["ok"] * len(GOOD)
    assert sizes[0] == ([1] * 5 if max_requests else [3, 2])
    # All cells once more: the rows belong to later rounds now, the first is not created again.
    script()
    made = len(live_batches(client))
    finished(client, shards)
    forget(shards[0].path.parent)
    finished(client, shards)
    assert len(live_batches(client)) == made


@pytest.mark.parametrize("line", range(len(GOOD) + 1))
def test_the_rest_of_an_expired_batch_goes_over_to_a_new_one(client, script, shards, line):
    script(expire_after=line)
    job = finished(client, shards)
    first = helpers.collect(client, job)
    assert first["outcome"].eq("ok").sum() == line
    script()
    again = helpers.retry(job, first)
    assert sum(shard.requests for shard in again) == len(GOOD) - line
    outcomes = helpers.merge(first, helpers.collect(client, finished(client, again)))
    assert outcomes["outcome"].tolist() == ["ok"] * len(GOOD)
    assert outcomes["round"].tolist().count(2) == len(GOOD) - line


@pytest.mark.parametrize("looks", [0, 1, 2, 3])
def test_a_cancelled_job_keeps_its_answers_and_gives_the_other_rows_back(client, shards, looks):
    job, said = helpers.submit(client, shards), []
    for _ in range(looks):
        client.batches.retrieve(job.batch_ids[0])
    helpers.cancel(client, job, say=said.append)
    helpers.wait(client, job, sleep=no_pause)
    outcomes = helpers.collect(client, job)
    kept = outcomes["outcome"].eq("ok")
    assert outcomes["retry"].tolist() == (~kept).tolist()
    assert f"{kept.sum()} requests answered so far" in said[0]
    assert "billed" in said[0]


# result files that go wrong


def spoiled(client, script, shards, fault):
    """The outcomes after a fault in the result files, and after a retry."""
    script({"at": "results", "fault": fault})
    job = finished(client, shards)
    first = helpers.collect(client, job, sleep=no_pause)
    again = helpers.retry(job, first)
    return first, helpers.merge(first, helpers.collect(client, finished(client, again)))


def counts_of(outcomes):
    return outcomes["outcome"].value_counts().to_dict()


def test_a_batch_whose_requests_all_failed_has_no_output_and_is_asked_again(client, script, shards):
    first, second = spoiled(client, script, shards, "all_failed")
    assert set(first["code"]) == {"http_500"}
    assert counts_of(second) == {"ok": 5}


@pytest.mark.parametrize("fault", ["missing_lines", "status_0"])
def test_a_line_that_is_missing_or_never_ran_is_asked_again(client, script, shards, fault):
    with warnings.catch_warnings():
        # Of a line that the batch counts a retry may not be silent; test_table says when.
        warnings.simplefilter("ignore")
        first, second = spoiled(client, script, shards, fault)
    assert counts_of(first)["ok"] == 4
    assert counts_of(second) == {"ok": 5}
    assert sorted(second["round"]) == [1, 1, 1, 1, 2]


@pytest.mark.parametrize("fault", ["duplicate_lines", "unknown_ids", "blank_lines"])
def test_lines_that_are_double_strange_or_blank_change_nothing(client, script, shards, fault):
    first, second = spoiled(client, script, shards, fault)
    assert list(first.index) == GOOD
    assert counts_of(first) == counts_of(second) == {"ok": 5}


def test_an_error_line_of_vllm_gives_its_reason(client, script, shards):
    first, _ = spoiled(client, script, shards, "vllm_errors")
    [row] = first[first["outcome"] == "failed"].itertuples()
    assert (row.code, row.retry) == ("400", False)
    assert row.reason == "This model's maximum context length is 16 tokens."


# the script itself


def test_a_fault_that_does_not_exist_is_refused_with_those_that_do(script):
    with pytest.raises(openai.BadRequestError, match=r"No such fault.*There are: status, reset"):
        script({"at": CREATE, "fault": "gremlins"})
    with pytest.raises(openai.BadRequestError, match="There are: all_failed"):
        script({"at": "results", "fault": "lost"})


@pytest.mark.parametrize("fault", [{"fault": "reset"}, {"at": 1, "fault": "reset"}, {}])
def test_a_fault_without_a_place_is_refused_and_changes_nothing(client, script, fault):
    with pytest.raises(openai.BadRequestError, match="A fault needs a place"):
        script(fault)
    assert list(client.batches.list()) == []


def test_a_replay_without_a_hook_makes_no_faults(tmp_path):
    client = replay_client(tmp_path / "replay.sqlite")
    script = {"faults": [{"at": LIST, "fault": "reset"}]}
    with pytest.raises(openai.BadRequestError, match="makes no faults"):
        client.put("/replay", body=script, cast_to=object)
    assert list(client.batches.list()) == []


def test_in_process_a_cut_connection_is_a_connection_error(tmp_path):
    state = tmp_path / "replay.sqlite"
    client = replay_client(state, faults=Faults()).with_options(max_retries=0)
    script = {"faults": [{"at": LIST, "fault": "reset"}]}
    client.put("/replay", body=script, cast_to=object)
    with pytest.raises(openai.APIConnectionError):
        client.batches.list()
    assert list(client.batches.list()) == []
