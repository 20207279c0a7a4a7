"""What is said of a job: a line per change of status, the same if watched or found finished.

And the bar of long work on this machine, in a terminal and in a kernel.
"""

import io
import re
import time

import openai
import pytest
from jupyter_client.manager import start_new_kernel
from openai.types import Batch, BatchRequestCounts

import helpers
from helpers.bars import Bar, Counted, along
from helpers.display.progress import _cancel_button
from helpers.paths import ROOT
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


def test_the_speed_is_that_of_the_rows_done_since_the_view_began(client, tmp_path, said):
    _, running = finished_and_running(client, tmp_path)
    now = [0.0]
    progress = helpers.Progress(say=said.append, clock=lambda: now[0])
    for now[0], done in ((0, 400), (30, 500), (120, 1_500), (180, 1_600)):
        counts = BatchRequestCounts(completed=done, failed=0, total=2_000)
        progress([running.model_copy(update={"request_counts": counts})])
    pieces = [line.split(": ", 1)[1].split(", ")[:3] for line in said if "waited" in line]
    # A speed of half a minute would say little.
    assert [speed for *_, speed in pieces if "minute" in speed] == [
        "550 rows a minute",
        "400 rows a minute",
    ]
    assert [waited for _, waited, _ in pieces][-2:] == ["waited 0:02:00", "waited 0:03:00"]


def test_what_waits_for_room_is_said_once(client, tmp_path, said):
    shards = helpers.write(recorded()[:2], tmp_path / "films")
    batch = client.batches.retrieve(helpers.submit(client, shards).batch_ids[0])
    errors = {"data": [{"code": "token_limit_exceeded", "message": "full"}]}
    refused = Batch.model_validate(batch.to_dict() | {"status": "failed", "errors": errors})
    progress = helpers.Progress(say=said.append)
    progress([refused])
    progress([refused])
    assert said == [f"{batch.id}: waits for room in the queue"]


# many batches


def test_many_batches_share_a_line_with_the_counts_by_status(client, tmp_path, said):
    done, running = finished_and_running(client, tmp_path)
    progress = helpers.Progress(say=said.append)
    for ended in (0, 0, 11, 22):
        progress([done] * ended + [running] * (22 - ended))
    # The beginning, then a line for every tenth of all rows, then the end.
    assert [re.sub(", waited .*", "", line) for line in said] == [
        "22 batches: 22 of 44, 22 in_progress",
        "22 batches: 33 of 44, 11 completed, 11 in_progress",
        "22 batches: 22 completed; 44 ok and 0 failed of 44",
    ]


def test_many_batches_found_finished_leave_the_same_lines(tmp_path, said):
    client = replay_client(tmp_path / "replay.sqlite", expire_after=1)
    shards = helpers.write(recorded()[:44], tmp_path / "films", max_requests=2)
    job = watch(client, shards, said)
    watched = changes(said)
    said.clear()
    watch(client, shards, said)
    assert said == watched
    assert said[0] == f"{job.batch_ids[0]}: expired, 1 ok and 0 failed of 2"
    # So many are named.
    assert len(said) == 20 + 1
    assert said[-1] == "22 batches: 22 expired; 22 ok and 0 failed of 44"


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


# work on this machine


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.getvalue().split("\r") if line.strip()]


def test_short_work_shows_nothing():
    terminal = Terminal()
    with Bar("writing", total=3, file=terminal) as bar:
        bar.update(3)
    assert terminal.getvalue() == ""


def test_long_work_shows_a_bar_that_goes_when_it_is_done_or_fails():
    terminal = Terminal()
    with pytest.raises(OSError), Bar("writing", total=50_000, after=0, file=terminal) as bar:
        time.sleep(0.6)
        bar.update(25_000)
        raise OSError
    assert terminal.lines[-1].startswith("writing:  50%|")
    assert "25000/50000" in terminal.lines[-1]
    assert terminal.getvalue().endswith(" \r")


def test_a_bar_goes_with_a_loop_that_fails():
    terminal = Terminal()
    with pytest.raises(OSError) as kept:
        for _ in along(["a", "b"], "collecting", after=0, file=terminal):
            raise OSError
    assert kept.tb
    assert terminal.lines[-1].startswith("collecting:   0%|")
    assert terminal.getvalue().endswith(" \r")


def test_what_is_uploaded_again_counts_once(tmp_path):
    path = tmp_path / "requests-001.jsonl"
    path.write_bytes(b"x" * 100)
    with Bar("uploading", file=Terminal()) as bar:
        with pytest.raises(OSError), Counted(path, bar) as content:
            content.read(60)
            raise OSError
        with Counted(path, bar) as content:
            content.read(60)
            content.seek(0)
            assert bar.n == 0
            assert content.read() == path.read_bytes()
        assert bar.n == 100


def test_a_log_is_not_filled():
    log = io.StringIO()
    with Bar("writing", after=0, file=log) as bar:
        bar.update(1)
    assert log.getvalue() == ""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Runs code in a kernel of its own, and returns the messages about what is on the page."""
    manager, client = start_new_kernel(cwd=str(ROOT / "tests"))

    def run_in_kernel(code):
        messages = []
        reply = client.execute_interactive(code, output_hook=messages.append, timeout=60)
        assert reply["content"]["status"] == "ok", reply["content"]
        return messages

    run_in_kernel(f"folder = {str(tmp_path_factory.mktemp('kernel'))!r}" + PREPARED)
    yield run_in_kernel
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def texts(messages):
    """The text of each display, None where it was taken away; nothing else may be on the page."""
    assert not [message for message in messages if message["msg_type"] in ("stream", "comm_open")]
    shown = (m["content"]["data"] for m in messages if m["msg_type"].endswith("display_data"))
    return [data.get("text/plain") for data in shown]


PREPARED = """
import time
from pathlib import Path
import httpx2
import helpers
from helpers.replay import create_app
from support import UPLOAD, Wire, connect, no_pause, recorded

folder = Path(folder)
wire = Wire(create_app(folder / "replay.sqlite"))
client = connect(wire)

def after_a_while(request):
    time.sleep(0.11)
    return request

def slow_uploads(call, exchange):
    time.sleep(1.1 * (call == UPLOAD))
    return exchange()

def one_slow_download(call, exchange):
    response = exchange()
    if not call.endswith("/content"):
        return response
    wire.reset()
    return httpx2.Response(200, content=slowly(response.read()))

def slowly(content):
    for start in range(0, len(content), len(content) // 8):
        time.sleep(0.4)
        yield content[start : start + len(content) // 8]
"""


WRITING = """
requests = map(after_a_while, recorded()[:32])
shards = helpers.write(requests, folder / "written", max_requests=2)
"""
UPLOADING = """
shards = helpers.write(recorded()[:32], folder / "uploaded", max_requests=2)
wire.disturb = slow_uploads
helpers.submit(client, shards)
wire.reset()
"""
COLLECTING = """
shards = helpers.write(recorded()[:8], folder / "collected", max_requests=2)
job = helpers.submit(client, shards)
helpers.wait(client, job, show=no_pause, sleep=no_pause)
wire.disturb = one_slow_download
table = helpers.collect(client, job)
"""
SHORT = """
job = helpers.submit(client, helpers.write(recorded()[:4], folder / "short"))
helpers.wait(client, job, show=no_pause, sleep=no_pause)
table = helpers.collect(client, job)
"""
MANY = """
shards = helpers.write(recorded()[:44], folder / "many", max_requests=2)
job = helpers.submit(client, shards)
helpers.wait(client, job, sleep=no_pause)
"""


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (WRITING, ["writing"]),
        (UPLOADING, ["uploading"]),
        (COLLECTING, ["downloading", "collecting"]),
    ],
)
def test_in_a_kernel_a_long_step_shows_text_that_is_taken_away(kernel, code, names):
    shown = texts(kernel(code))
    assert [*dict.fromkeys(text.split(":")[0] for text in shown if text)] == names
    assert shown.count(None) == len(names)
    assert shown[-1] is None


def test_in_a_kernel_short_steps_show_nothing(kernel):
    assert texts(kernel(SHORT)) == []


def test_in_a_kernel_many_batches_have_one_bar(kernel):
    opened = [m["content"]["data"]["state"] for m in kernel(MANY) if m["msg_type"] == "comm_open"]
    assert [state["_model_name"] for state in opened].count("IntProgressModel") == 1
