"""Fixtures: a client of a replay of its own, and a small table."""

import openai
import pandas as pd
import pytest

from helpers.client import replay_client


@pytest.fixture
def client(tmp_path) -> openai.OpenAI:
    return replay_client(tmp_path / "replay.sqlite")


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "text": ["one", "two", "three"]})
