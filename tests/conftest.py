"""What the tests share: a replay of their own, a small table, and requests that are recorded."""

import json

import openai
import pandas as pd
import pytest

import helpers
from helpers.client import DATA, replay_client

RECORDED = [
    json.loads(line) for line in (DATA / "recordings" / "movies.jsonl").open(encoding="utf-8")
]


def request(custom_id: str = "row-1", text: str = "hello", **body) -> dict:
    """A request of the right form that is not recorded."""
    messages = [{"role": "user", "content": text}]
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-6-luna", "messages": messages, **body},
    }


def recorded(*custom_ids: str) -> list[dict]:
    """The recorded requests with these ids, or all of them, in the order of the file."""
    return [
        {**request(r["custom_id"]), "body": r["request"]}
        for r in RECORDED
        if not custom_ids or r["custom_id"] in custom_ids
    ]


def run(client: openai.OpenAI, shards: list[helpers.Shard]) -> helpers.Job:
    """The job of these shards, waited for without pauses."""
    job = helpers.submit(client, shards)
    helpers.wait(client, job, sleep=lambda seconds: None)
    return job


@pytest.fixture
def client(tmp_path) -> openai.OpenAI:
    return replay_client(tmp_path / "replay.sqlite")


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "text": ["one", "two", "three"]})
