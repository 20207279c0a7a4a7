"""Runs of the notebooks from the outside: the same bytes every time, in process and over a port."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from helpers.client import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run_notebook(path: Path, to: Path, jobs: Path, **environment: str) -> bytes:
    """The notebook as saved after a run with a jobs folder of its own."""
    convert = [sys.executable, "-m", "jupyter", "nbconvert", "--log-level=ERROR"]
    config = f"--config={ROOT / 'notebooks' / 'nbconvert_config.py'}"
    output = [f"--output-dir={to}", f"--output={path.name}"]
    subprocess.run(
        [*convert, config, "--execute", "--to=notebook", *output, str(path)],
        env={**os.environ, "COOKBOOK_JOBS": str(jobs), **environment},
        check=True,
    )
    return (to / path.name).read_bytes()


def batches_in(jobs: Path) -> int:
    with closing(sqlite3.connect(jobs / "replay.sqlite")) as database:
        return database.execute("select count(*) from batches").fetchone()[0]


@contextmanager
def served_replay(state: Path):
    """The base URL of a replay on a free port, in a process of its own."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "helpers.replay", "--port", str(port), "--state", str(state)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(10)


def wait_for_port(port: int) -> None:
    for _ in range(200):
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_second_run_changes_no_byte_and_creates_no_batch(path, tmp_path):
    jobs, started = tmp_path / "jobs", time.monotonic()
    assert run_notebook(path, tmp_path, jobs) == path.read_bytes()
    assert time.monotonic() - started < 20
    batches = batches_in(jobs)
    assert batches > 0
    assert run_notebook(path, tmp_path, jobs) == path.read_bytes()
    assert batches_in(jobs) == batches


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_live_mode_over_http_gives_the_same_outputs(path, tmp_path):
    with served_replay(tmp_path / "server.sqlite") as url:
        live = {"COOKBOOK_MODE": "live", "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": url}
        saved = run_notebook(path, tmp_path, tmp_path / "jobs", **live).decode()
    assert f"live: {url}/, paid with OPENAI_API_KEY" in saved
    committed = path.read_text("utf-8").splitlines()
    differing = [line for line in saved.splitlines() if line not in committed]
    assert len(differing) == 1, differing


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_replay_is_the_mode_even_when_a_key_is_set(path, tmp_path):
    saved = run_notebook(path, tmp_path, tmp_path / "jobs", OPENAI_API_KEY="any", COOKBOOK_MODE="")
    assert saved == path.read_bytes()
