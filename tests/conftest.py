"""Fixtures: a replay of its own for every test, the wire to it, and a small table."""

import openai
import pandas as pd
import pytest

from helpers.replay import create_app
from support import Wire, connect


@pytest.fixture
def wire(tmp_path) -> Wire:
    return Wire(create_app(tmp_path / "replay.sqlite"))


@pytest.fixture
def client(wire) -> openai.OpenAI:
    return connect(wire)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "text": ["one", "two", "three"]})
