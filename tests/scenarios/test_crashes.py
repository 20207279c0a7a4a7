"""A job killed at any step and run again: one batch per shard and round, and the same result."""

import multiprocessing
from contextlib import contextmanager

import httpx2
import openai
import pytest

import crashing
import helpers
from support import CREATE, LIST, lost, recorded

PROCESSES = multiprocessing.get_context("fork")


@contextmanager
def server(state):
    """The port of a replay in a process of its own."""
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=crashing.serve, args=(state, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def run_job(port, folder, kill_at=0):
    """The result and the steps of a job in a process of its own, or None when it was killed."""
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=crashing.whole_job, args=(port, folder, kill_at, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return None
    finally:
        process.join()


def marks_at(port):
    """The metadata of every batch at the server that was not refused."""
    client = openai.OpenAI(api_key="any", base_url=f"http://127.0.0.1:{port}/v1")
    with client:
        return [tuple(sorted(b.metadata.items())) for b in client.batches.list() if b.metadata]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What comes of the job when nothing happens to it, and its steps."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with server(folder / "server.sqlite") as port:
        return run_job(port, folder / "jobs")


def test_the_steps_are_found_by_themselves(undisturbed):
    _, steps = undisturbed
    for step in (
        "write requests-001.jsonl",
        "rename to requests-003.jsonl",
        "rename to requests-003.json",
        "before POST files",
        "after POST batches",
        "before GET batches",
        "after GET files",
        "write answered.sqlite",
    ):
        assert step in steps
    assert sum(step == "before POST batches" for step in steps) == 5


@pytest.mark.slow
def test_a_job_killed_at_any_step_is_paid_once_and_loses_nothing(undisturbed, tmp_path, capsys):
    result, steps = undisturbed
    killed = 0
    for point, step in enumerate(steps, start=1):
        folder = tmp_path / str(point)
        with server(folder / "server.sqlite") as port:
            first = run_job(port, folder / "jobs", kill_at=point)
            # Uploads run beside the rest, so that one run may have some steps less than another.
            assert first is None or first[0] == result, step
            killed += first is None
            assert run_job(port, folder / "jobs")[0] == result, step
            marks = marks_at(port)
        assert len(marks) == len(set(marks)) == 5, step
    assert killed > 0.95 * len(steps)
    with capsys.disabled():
        print(f"\nkilled at {killed} of {len(steps)} steps")


def test_two_kernels_at_the_same_time_make_one_batch(tmp_path):
    with server(tmp_path / "server.sqlite") as port:
        pipes = []
        for _ in range(2):
            ours, theirs = PROCESSES.Pipe()
            process = PROCESSES.Process(
                target=crashing.whole_job, args=(port, tmp_path / "jobs", 0, theirs)
            )
            process.start()
            pipes.append((process, ours))
        results = [ours.recv()[0] for _, ours in pipes]
        for process, _ in pipes:
            process.join()
        marks = marks_at(port)
    assert results[0] == results[1]
    assert len(marks) == len(set(marks)) == 5


def test_a_dead_process_holds_no_lock(tmp_path, undisturbed):
    steps = undisturbed[1]
    inside = steps.index("before POST batches") + 1
    with server(tmp_path / "server.sqlite") as port:
        assert run_job(port, tmp_path / "jobs", kill_at=inside) is None
        assert run_job(port, tmp_path / "jobs")[0] == undisturbed[0]


def lagging(wire, pauses, catches_up_after):
    """Loses the answer to create, and lists nothing before so many pauses."""

    def disturb(call, exchange):
        if call == CREATE:
            lost(exchange)
        if call == LIST and len(pauses) < catches_up_after:
            return httpx2.Response(200, json={"object": "list", "data": [], "has_more": False})
        return exchange()

    wire.disturb = disturb


def test_a_list_that_lags_after_a_lost_answer_leads_to_the_batch(client, wire, tmp_path):
    shards, pauses = helpers.write(recorded()[:2], tmp_path / "films"), []
    lagging(wire, pauses, catches_up_after=2)
    job = helpers.submit(client, shards, sleep=pauses.append)
    assert wire.calls.count(CREATE) == 1
    assert [batch.id for batch in client.batches.list()] == job.batch_ids


def test_a_list_that_lags_for_long_leads_to_no_second_batch_later(client, wire, tmp_path):
    shards, pauses = helpers.write(recorded()[:2], tmp_path / "films"), []
    lagging(wire, pauses, catches_up_after=5)
    with pytest.raises(helpers.JobError, match="looks for the batch before it creates one"):
        helpers.submit(client, shards, sleep=pauses.append)
    job = helpers.submit(client, shards, sleep=pauses.append)
    assert wire.calls.count(CREATE) == 1
    assert [batch.id for batch in client.batches.list()] == job.batch_ids
