"""The same made-up input for every case: a table, result lines in another order, photographs.

The peers read it as well, with what they have installed: only what makes pictures needs Pillow.
"""

import json
import random
from pathlib import Path

import pandas as pd

WORDS = [
    "a",
    "quiet",
    "town",
    "loses",
    "its",
    "only",
    "train",
    "and",
    "learns",
    "who",
    "was",
    "leaving",
    "while",
    "an",
    "old",
    "clockmaker",
    "keeps",
    "writing",
    "letters",
    "to",
    "the",
    "sea",
    "until",
    "somebody",
    "answers",
    "in",
    "the",
    "voice",
    "of",
    "a",
    "child",
    "nobody",
    "remembers",
]
SYSTEM = " ".join(random.Random(0).choices(WORDS, k=165))[:900]
KINDS = ["comedy", "crime", "drama", "family", "fantasy", "mystery", "romance", "war"]
ERRORS = 0.01


def make_table(rows: int) -> pd.DataFrame:
    """Sixteen columns, as many as the table of films of the well-known notebook has."""
    chance = random.Random(1)
    overviews = [" ".join(chance.choices(WORDS, k=57)) for _ in range(min(rows, 5_000))]
    numbers = range(rows)
    return pd.DataFrame({
        "id": [f"film-{number}" for number in numbers],
        "title": [f"Film {number}" for number in numbers],
        "year": [1920 + number % 105 for number in numbers],
        "certificate": ["PG" if number % 3 else None for number in numbers],
        "runtime": [f"{70 + number % 120} min" for number in numbers],
        "genre": ["Drama, Mystery" if number % 2 else "Comedy" for number in numbers],
        "rating": [number % 50 / 10 + 5 for number in numbers],
        "overview": [overviews[number % len(overviews)] for number in numbers],
        "score": [float(number % 100) for number in numbers],
        "director": [f"Director {number % 900}" for number in numbers],
        **{f"star{n}": [f"Star {(number * n) % 3000}" for number in numbers] for n in range(1, 5)},
        "votes": [number * 7 % 1_000_000 for number in numbers],
        "gross": [f"{number * 11 % 10**9:,}" for number in numbers],
    })  # fmt: skip


def request_for(row) -> dict:
    """What a reader writes: one request of one row."""
    return {
        "custom_id": row["id"],
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "gpt-6-luna",
            "temperature": 0,
            "reasoning_effort": "none",
            "max_completion_tokens": 100,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"{row['title']}: {row['overview']}"},
            ],
        },
    }


def write_results(rows: int, folder: Path, per_file: int) -> None:
    """An output and an error file for every ``per_file`` rows, in another order than the table."""
    chance = random.Random(2)
    for start in range(0, rows, per_file):
        numbers = list(range(start, min(start + per_file, rows)))
        chance.shuffle(numbers)
        name = f"{start // per_file + 1:03}"
        lines: dict[str, list[str]] = {"output": [], "errors": []}
        for number in numbers:
            failed = chance.random() < ERRORS
            line = _error(number) if failed else _answer(number, chance)
            lines["errors" if failed else "output"].append(json.dumps(line) + "\n")
        for kind, texts in lines.items():
            (folder / f"{name}-{kind}.jsonl").write_text("".join(texts))


def _answer(number: int, chance: random.Random) -> dict:
    answer = {
        "categories": chance.sample(KINDS, k=2),
        "summary": " ".join(chance.choices(WORDS, k=25)),
    }
    message = {
        "role": "assistant",
        "content": json.dumps(answer),
        "refusal": None,
        "annotations": [],
    }
    usage = {
        "prompt_tokens": 280,
        "completion_tokens": 30,
        "total_tokens": 310,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {
        "id": f"chatcmpl-{number:024}",
        "object": "chat.completion",
        "created": 1795392000,
        "model": "gpt-6-luna",
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": None,
    }
    return _line(number, 200, body)


def _error(number: int) -> dict:
    error = {"message": "The server had an error.", "type": "server_error", "code": None}
    return _line(number, 500, {"error": error})


def _line(number: int, status: int, body: dict) -> dict:
    return {
        "id": f"batch_req_{number:024}",
        "custom_id": f"film-{number}",
        "response": {"status_code": status, "request_id": f"req_{number:024}", "body": body},
        "error": None,
    }


def write_photographs(count: int, folder: Path) -> None:
    """JPEGs of 1600 x 1200 pixels, soft shapes with grain: so they compress like photographs."""
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(3)
    for number in range(count):
        small = chance.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        soft = Image.fromarray(small).resize((1600, 1200), Image.Resampling.BICUBIC)
        grain = chance.normal(0, 6, (1200, 1600, 1))
        pixels = np.clip(np.asarray(soft, dtype=np.float32) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg", quality=88)
