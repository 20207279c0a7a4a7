"""What is said of a job: a line per change of status, the same if watched or found finished."""

import re

import openai
import pytest
from openai.types import Batch, BatchRequestCounts

import helpers
from helpers.display.progress import _cancel_button
from helpers.replay.clients import replay_client
from support import recorded, request, run


@pytest.fixture
def said():
    return []


def watch(client, shards, said):
    job = helpers.submit(client, shards)
    helpers.wait(client, job, show=helpers.Progress(say=said.append), sleep=lambda seconds: None)
    return job


def finished_and_running(client, tmp_path):
    shards = helpers.write(recorded()[:4], tmp_path / "films", max_requests=2)
    job = run(client, shards)
    done, other = (client.batches.retrieve(batch_id) for batch_id in job.batch_ids)
    half = BatchRequestCounts(completed=1, failed=0, total=2)
    return done, other.model_copy(
        update={"status": "in_progress", "request_counts": half, "usage": None}
    )


def without_ids(lines):
    return [line.split(": ", 1)[1] for line in lines]


def changes(lines):
    """Without the lines of what happens between two changes of status."""
    return [line for line in lines if "waited" not in line]


def test_every_status_is_said_once(client, tmp_path, said):
    job = watch(client, helpers.write(recorded()[:4], tmp_path / "films"), said)
    assert {line.split(": ")[0] for line in said} == set(job.batch_ids)
    assert without_ids(changes(said)) == [
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
    assert said == changes(watched)
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
    helpers.wait(client, helpers.Job(shards, [batch.id]), show=helpers.Progress(say=said.append))
    assert said[-1].split(": ", 1)[1] == "failed, Missing required parameter: 'method'."


def test_an_expired_batch_says_what_it_finished(tmp_path, said):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=1)
    watch(client, helpers.write(recorded()[:3], tmp_path / "films"), said)
    assert without_ids(said)[-1] == "expired, 1 ok and 0 failed of 3"


def test_a_cancelled_batch_says_so(client, tmp_path, said):
    job = helpers.submit(client, helpers.write([request()], tmp_path / "films"))
    client.batches.cancel(job.batch_ids[0])
    helpers.wait(client, job, show=helpers.Progress(say=said.append), sleep=lambda seconds: None)
    assert without_ids(said)[-2:] == ["cancelling", "cancelled, 0 ok and 0 failed of 1"]


def test_a_job_without_batches_says_nothing(client, said):
    helpers.wait(client, helpers.Job([], []), show=helpers.Progress(say=said.append))
    assert said == []


# between two changes of status


def test_outside_of_jupyter_there_is_a_line_with_counts_time_and_latest_end(client, tmp_path, said):
    watch(client, helpers.write(recorded()[:40], tmp_path / "films"), said)
    (line,) = (line for line in said if "waited" in line)
    counts, waited, end = line.split(": ", 1)[1].split(", ")
    assert counts == "20 of 40"
    assert re.fullmatch(r"waited 0:00:\d\d", waited)
    assert re.fullmatch(r"ends by \d{4}-\d\d-\d\d \d\d:\d\d at the latest", end)


@pytest.mark.parametrize(
    ("model", "end"),
    [("gpt-6-luna", "0.0018 US dollars so far"), ("unpriced", "at the latest")],
)
def test_the_cost_of_what_has_ended_is_said_where_it_is_known(client, tmp_path, said, model, end):
    done, running = finished_and_running(client, tmp_path)
    usage = done.usage.model_copy(update={"input_tokens": 10_000, "output_tokens": 5_000})
    done = done.model_copy(update={"usage": usage, "model": model})
    helpers.Progress(say=said.append)([done, running])
    assert said[-1].endswith(end)


def test_what_waits_for_room_is_said_once(client, tmp_path, said):
    shards = helpers.write(recorded()[:2], tmp_path / "films")
    batch = client.batches.retrieve(helpers.submit(client, shards).batch_ids[0])
    errors = {"data": [{"code": "token_limit_exceeded", "message": "full"}]}
    refused = Batch.model_validate(batch.to_dict() | {"status": "failed", "errors": errors})
    progress = helpers.Progress(say=said.append)
    progress([refused])
    progress([refused])
    assert said == [f"{batch.id}: waits for room in the queue"]


# the button


@pytest.fixture
def button():
    calls = []
    box = _cancel_button(lambda say: (calls.append("cancel"), say("Cancelling 1 of 1 batches.")))
    box.calls = calls
    return box


def shown(box):
    texts = (getattr(part, "value", "") or part.description for part in box.children)
    return [re.sub("<.*?>", "", text) for text in texts]


def test_the_button_asks_before_it_cancels(button):
    button.children[0].click()
    assert shown(button)[1:] == ["Yes, cancel", "No"]
    assert "billed and kept" in shown(button)[0]
    assert button.calls == []


def test_no_leaves_the_job_alone(button):
    button.children[0].click()
    button.children[2].click()
    assert shown(button) == ["Cancel the job"]
    assert button.calls == []


def test_yes_cancels_and_says_what_was_done(button):
    button.children[0].click()
    button.children[1].click()
    assert button.calls == ["cancel"]
    assert shown(button) == ["Cancelling 1 of 1 batches."]


def test_a_cancellation_that_fails_can_be_tried_again():
    def refuse(say):
        raise openai.OpenAIError("no connection")

    box = _cancel_button(refuse)
    box.children[0].click()
    box.children[1].click()
    assert shown(box) == ["Not cancelled: no connection", "Cancel the job"]


def test_what_a_server_names_cannot_steer_a_terminal(client, tmp_path, said):
    shards = helpers.write(recorded()[:2], tmp_path / "films")
    batch = client.batches.retrieve(helpers.submit(client, shards).batch_ids[0])
    helpers.Progress(say=said.append)([batch.model_copy(update={"id": "batch_\x1b[2J\n1"})])
    assert said[0] == r"batch_\x1b[2J\n1: validating"
