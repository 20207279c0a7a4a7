"""Runs of the notebooks from the outside: the same bytes every time, in process and over a port."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pandas as pd
import pytest

from helpers.batchfile import read
from helpers.paths import DATA, ROOT
from helpers.replay.recordings import key_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
by_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


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


@pytest.fixture(scope="module")
def first_runs(tmp_path_factory):
    """The folder that the first runs of all notebooks share, what they saved, and their seconds."""
    folder, saved = tmp_path_factory.mktemp("runs"), {}
    for path in NOTEBOOKS:
        started = time.monotonic()
        content = run_notebook(path, folder, folder / "jobs")
        saved[path] = content, time.monotonic() - started
    return folder, saved


@by_notebook
def test_a_run_leaves_the_notebook_as_it_was_saved(path, first_runs):
    saved, seconds = first_runs[1][path]
    assert saved == path.read_bytes()
    assert seconds < 20


@by_notebook
def test_a_second_run_changes_no_byte_and_creates_no_batch(path, first_runs):
    folder, _ = first_runs
    batches = batches_in(folder / "jobs")
    assert run_notebook(path, folder, folder / "jobs") == path.read_bytes()
    assert batches_in(folder / "jobs") == batches > 0


def test_every_request_is_recorded_and_every_recording_is_asked_for(first_runs):
    files = (first_runs[0] / "jobs").rglob("requests-???.jsonl")
    asked = {key_of(request["body"]) for file in files for request in read(file)}
    recordings = [DATA / "recordings" / f"{name}.jsonl" for name in ("movies", "furniture")]
    lines = [line for file in recordings for line in file.read_bytes().splitlines()]
    assert asked == {key_of(orjson.loads(line)["request"]) for line in lines}


@by_notebook
def test_live_mode_over_http_gives_the_same_outputs(path, tmp_path):
    with served_replay(tmp_path / "server.sqlite") as url:
        live = {"COOKBOOK_MODE": "live", "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": url}
        saved = run_notebook(path, tmp_path, tmp_path / "jobs", **live).decode()
    assert f"live: {url}/, paid with OPENAI_API_KEY" in saved
    committed = path.read_text("utf-8").splitlines()
    differing = [line for line in saved.splitlines() if line not in committed]
    assert len(differing) == 1, differing


def test_a_table_in_the_form_of_the_imdb_table_can_take_the_films_place(tmp_path):
    for folder in ("helpers", "data", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    films = pd.read_csv(DATA / "movies.csv", dtype=str).drop(columns="id").head(40)
    films.loc[3, "Released_Year"] = "PG"
    films.insert(0, "Poster_Link", "https://pictures.example.com/poster.jpg")
    films.assign(Meta_score=None, Gross=None).to_csv(tmp_path / "data" / "movies.csv", index=False)
    notebook = tmp_path / "notebooks" / "movie_categorization.ipynb"
    saved = run_notebook(notebook, tmp_path, tmp_path / "jobs", PYTHONPATH=str(tmp_path)).decode()
    outcomes = re.findall(r"\{'ok': (\d+)(?:, 'failed': (\d+))?\}", saved)
    assert {int(ok) + int(failed or 0) for ok, failed in outcomes} == {40}
    assert "row-1" in saved
    assert "not_recorded" not in saved
