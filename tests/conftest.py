"""Fixtures: a replay of its own for every test, the wire to it, and a small table."""

import re

import openai
import pandas as pd
import pytest
from hypothesis import settings

from faults import Faults
from helpers.replay import create_app
from support import Wire, connect

# The same examples in every run; --hypothesis-profile=default looks for others.
settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def wire(tmp_path) -> Wire:
    return Wire(create_app(tmp_path / "replay.sqlite", faults=Faults()))


@pytest.fixture
def client(wire) -> openai.OpenAI:
    return connect(wire)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "text": ["one", "two", "three"]})


def pytest_sessionfinish(session):
    """Says how many examples the property tests tried: a number that fell would hide a gap."""
    texts = [getattr(item, "hypothesis_statistics", "") for item in session.items]
    tried = [sum(map(int, re.findall(r"(\d+) passing", text))) for text in texts if text]
    if tried:
        terminal = session.config.pluginmanager.getplugin("terminalreporter")
        terminal.write_line(f"\n{len(tried)} properties held in {sum(tried):,} examples")
