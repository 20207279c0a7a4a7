"""One switch, two modes, one line that says which; and no socket in replay."""

import subprocess
import sys
import textwrap

import openai
import pytest

import helpers
from helpers.client import MODES
from helpers.paths import ROOT
from support import recorded


@pytest.fixture
def said():
    return []


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("COOKBOOK_MODE", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
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
