"""One switch, two modes, one line that says which; and no socket in replay."""

import json
import shutil
import subprocess
import sys
import textwrap
import time

import nbformat
import openai
import pytest

import helpers
from helpers.client import MODES
from helpers.paths import ROOT
from helpers.replay.clients import replay_client
from support import recorded


@pytest.fixture
def said():
    return []


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in (
        "COOKBOOK_MODE", "COOKBOOK_REPLAY_SECONDS", "COOKBOOK_AT_ONCE", "COOKBOOK_UPSTREAM",
        "OPENAI_API_KEY", "OPENAI_BASE_URL",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def test_replay_is_the_default_even_when_a_key_is_set(monkeypatch, said):
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    client = helpers.connect(say=said.append)
    assert type(client) is openai.OpenAI
    assert client.api_key == "replay"
    assert len(said) == 1
    assert said[0].startswith("replay: no key, no network, no cost.")
    assert "samples written for this cookbook, not a model's output" in said[0]


def test_live_uses_the_key_and_the_base_url(monkeypatch, said):
    monkeypatch.setenv("COOKBOOK_MODE", "live")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    client = helpers.connect(say=said.append)
    assert (client.api_key, str(client.base_url)) == ("any", "http://127.0.0.1:8000/v1/")
    assert len(said) == 1
    assert said[0].startswith("live: http://127.0.0.1:8000/v1/")
    assert "any" not in said[0].split()


def test_live_without_a_key_says_what_to_do(said):
    with pytest.raises(helpers.ModeError, match=r"OPENAI_API_KEY is not set.*unset COOKBOOK_MODE"):
        helpers.connect("live", say=said.append)
    assert said == []


@pytest.mark.parametrize("mode", ["Live", "reply", "record "])
def test_an_unknown_mode_is_an_error_that_lists_the_modes(monkeypatch, mode):
    monkeypatch.setenv("COOKBOOK_MODE", mode)
    with pytest.raises(helpers.ModeError, match=f"'{mode}'.*{', '.join(MODES)}"):
        helpers.connect()


def test_the_argument_wins_over_the_environment(monkeypatch, said):
    monkeypatch.setenv("COOKBOOK_MODE", "live")
    helpers.connect("replay", say=said.append)
    assert said[0].startswith("replay")


def test_a_batch_takes_as_long_as_the_environment_says(monkeypatch, said):
    monkeypatch.setenv("COOKBOOK_REPLAY_SECONDS", "1.5")
    client = helpers.connect(say=said.append)
    assert "A batch takes 1.5 seconds." in said[0]
    requests = [{**line, "custom_id": f"of-{time.time_ns()}"} for line in recorded("jaws-1975")]
    job = helpers.submit(client, helpers.write(requests, helpers.JOBS / "slow"))
    begun = time.monotonic()
    helpers.wait(client, job)
    assert 1.4 <= time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("mode", "name", "value"),
    [
        ("replay", "COOKBOOK_REPLAY_SECONDS", "soon"),
        ("replay", "COOKBOOK_REPLAY_SECONDS", "-1"),
        ("replay", "COOKBOOK_REPLAY_SECONDS", "nan"),
        ("replay", "COOKBOOK_REPLAY_SECONDS", "inf"),
        ("local", "COOKBOOK_AT_ONCE", "many"),
        ("local", "COOKBOOK_AT_ONCE", "0"),
    ],
)
def test_a_number_that_is_none_is_an_error_that_names_the_variable(
    monkeypatch, said, mode, name, value
):
    monkeypatch.setenv("COOKBOOK_UPSTREAM", "http://127.0.0.1:9/v1")
    monkeypatch.setenv(name, value)
    with pytest.raises(helpers.ModeError, match=f"{name} is '{value}'. Set it to a number from"):
        helpers.connect(mode, say=said.append)
    assert said == []


def test_a_reader_who_changes_the_prompt_is_told_what_differs_in_a_few_lines(tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / "movie_categorization.ipynb", 4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    asking = next(n for n, cell in enumerate(cells) if "completions.create" in cell.source)
    by_hand = "client.chat.completions.create(**tried[0]['body'])"
    notebook.cells = [*cells[: asking + 2], nbformat.v4.new_code_cell(by_hand)]
    for cell in notebook.cells:
        cell.source = cell.source.replace("You sort films for", "You sort old films for")
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--allow-errors", "--inplace"]
    config = f"--config={ROOT / 'notebooks' / 'nbconvert_config.py'}"
    subprocess.run([*command, config, str(tmp_path / "changed.ipynb")], check=True)
    *_, trial, error = nbformat.read(tmp_path / "changed.ipynb", 4).cells
    traceback = error.outputs[0].traceback
    assert len(traceback) < 10
    for shown in (" ".join(traceback), json.dumps(trial.outputs)):
        assert "Here messages[0].content is 'You sort old films for" in shown
        assert "recorded is 'You sort films for" in shown
        assert "Take back the change, or run live: COOKBOOK_MODE=live" in shown


def test_a_jobs_folder_that_cannot_be_written_is_an_error_that_says_what_to_set(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "damaged.sqlite").write_text("no database at all " * 100)
    for state in (tmp_path / "file" / "replay.sqlite", tmp_path / "damaged.sqlite"):
        with pytest.raises(helpers.ModeError, match=r"cannot be written.*Set COOKBOOK_JOBS"):
            replay_client(state)


def test_a_jobs_folder_that_is_deleted_while_the_kernel_lives_is_begun_anew(tmp_path):
    client = replay_client(tmp_path / "jobs" / "replay.sqlite", seconds=None)
    job = helpers.submit(client, helpers.write(recorded("jaws-1975"), tmp_path / "films"))
    shutil.rmtree(tmp_path / "jobs")
    with pytest.raises(openai.NotFoundError, match="No such batch"):
        client.batches.retrieve(job.batch_ids[0])
    assert list(client.batches.list()) == []


def test_other_errors_keep_their_traceback_and_a_readers_own_handler_stays():
    code = """
        import sys
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell.instance()
        if sys.argv[1] == "own":
            shell.set_custom_exc((KeyError,), lambda *a, **n: print("the reader's own"))
        shell.run_cell("import helpers; client = helpers.connect(say=lambda line: None)")
        shell.run_cell("client.files.retrieve('nothing')")
        shell.run_cell("{}['a']")
    """
    for handler in ("none", "own"):
        command = [sys.executable, "-c", textwrap.dedent(code), handler]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "Traceback (most recent call last)" in done.stdout
        assert "No such file: nothing" in done.stdout
        assert ("the reader's own" in done.stdout) == (handler == "own")


def test_a_request_can_be_tried_in_replay():
    (request,) = recorded("jaws-1975")
    client = helpers.connect(say=lambda line: None)
    answer = client.chat.completions.create(**request["body"])
    assert answer.model == "sample-written-for-this-cookbook"


def test_replay_opens_no_socket(tmp_path):
    job = """
        import socket, sys
        from pathlib import Path

        def refuse(*arguments, **named):
            raise AssertionError("a socket was opened")

        socket.socket.connect = socket.socket.bind = refuse
        import helpers
        from support import recorded, run

        client = helpers.connect()
        job = run(client, helpers.write(recorded("jaws-1975"), Path(sys.argv[1]) / "films"))
        assert helpers.collect(client, job)["outcome"].tolist() == ["ok"]
    """
    command = [sys.executable, "-c", textwrap.dedent(job), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("replay:")
