"""The written steps to one's own table, followed to the letter."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import helpers
from helpers.checks import encode
from helpers.outcome import TOKENS
from helpers.paths import ROOT
from helpers.replay.clients import replay_client
from support import recorded

TEXTS = [(ROOT / name).read_text("utf-8") for name in ("README.md", "helpers/README.md")]
BLOCKS = [part.split("```")[0] for text in TEXTS for part in text.split("```python\n")[1:]]
USAGE = {"prompt_tokens": 40, "completion_tokens": 4, "total_tokens": 44}


def choice(content):
    return {"index": 0, "message": {"content": content}, "finish_reason": "stop"}


CHAT = {"choices": [choice("mixed")]}
EMBEDDING = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
PART = {"type": "output_text", "text": "brake, chain", "annotations": []}
RESPONSE = {
    "object": "response",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [PART]},
    ],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
    },
}


@pytest.fixture
def example():
    """The README's example."""
    return BLOCKS[0]


def test_the_example_of_the_readme_runs_as_it_stands_and_answers_every_row(example):
    exec(example, names := {})  # noqa: S102 (the README is our own)
    answered = pd.read_csv(helpers.JOBS / "tickets-answered.csv")
    assert answered["id"].tolist() == names["table"]["id"].tolist()
    assert answered["outcome"].tolist() == ["ok"] * 120
    assert answered["reply"].is_unique
    assert (answered["category"] == answered["handled_by"]).mean() > 0.8
    asked = {row["id"]: names["request_for"](row)["body"] for row in helpers.rows(names["table"])}
    recorded = (helpers.DATA / "recordings" / "tickets.jsonl").read_text("utf-8").splitlines()
    assert {r["custom_id"]: r["request"] for r in map(json.loads, recorded)} == asked


def test_its_four_numbered_edits_are_enough_for_another_table(example, tmp_path):
    table = pd.DataFrame({"text": ["Soup of the day?", "A table for six, please"]})
    table.to_csv(tmp_path / "mine.csv", index=False)
    assert re.findall(r"(?m)^# (\d)\. ", example) == ["1", "2", "3", "4"]
    edits = {
        'TABLE = helpers.DATA / "tickets.csv"': f'TABLE = "{tmp_path / "mine.csv"}"',
        r"    category: Literal\[[^\n]*\n    reply: str": '    kind: Literal["menu", "booking"]',
        'PROMPT = """.*?"""': 'PROMPT = "menu or booking?"',
        r"    return f\"\{row\['subject'\]\}[^\n]*": "    return row['text']",
    }
    for old, new in edits.items():
        example, count = re.subn(old, lambda _, new=new: new, example, flags=re.DOTALL)
        assert count == 1, old
    # What is answered here, and by whom, is no edit of a reader.
    example = example.replace("helpers.connect()", "CLIENT").replace("helpers.JOBS", "JOBS")
    exec(example.split("\ntable = ")[0], names := {"JOBS": tmp_path})  # noqa: S102 (our own)
    rows = helpers.rows(helpers.with_ids(pd.read_csv(tmp_path / "mine.csv")))
    body = {"model": "gpt-6-luna", "usage": USAGE, "choices": [choice('{"kind": "menu"}')]}
    lines = [
        {
            "request": names["request_for"](row)["body"],
            "answers": [{"status_code": 200, "body": body}],
        }
        for row in rows
    ]
    (tmp_path / "recordings").mkdir()
    text = "".join(json.dumps({"custom_id": "a"} | line) + "\n" for line in lines)
    (tmp_path / "recordings" / "some.jsonl").write_text(text, "utf-8")
    client = replay_client(tmp_path / "replay.sqlite", recordings=tmp_path / "recordings")
    exec(example, names | {"CLIENT": client})  # noqa: S102 (our own)
    answered = pd.read_csv(tmp_path / "mine-answered.csv")
    assert answered[["id", "kind"]].to_numpy().tolist() == [["row-1", "menu"], ["row-2", "menu"]]


@pytest.mark.parametrize(
    ("name", "body", "answer", "tokens"),
    [
        ("sentiment", CHAT, "mixed", [0, 0, 0, 0]),
        ("translation", CHAT, "mixed", [0, 0, 0, 0]),
        ("embedding", EMBEDDING, [0.5, -0.25], [7, 0, 0, 0]),
        ("response", RESPONSE, "brake, chain", [9, 4, 0, 5]),
    ],
)
def test_a_recipe_goes_the_whole_road(tmp_path, name, body, answer, tokens):
    (recipe,) = (block for block in BLOCKS if block.startswith(f"def {name}(row)"))
    assert len(recipe.splitlines()) <= 10
    exec(recipe, names := {})  # noqa: S102 (the README is our own)
    table = helpers.with_ids(pd.read_csv(helpers.DATA / "tickets.csv").head(3))
    requests = [names[name](row) for row in helpers.rows(table)]
    (tmp_path / "recordings").mkdir()
    answers = [{"status_code": 200, "body": body}]
    lines = [
        {"custom_id": r["custom_id"], "request": r["body"], "answers": answers} for r in requests
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "recordings" / "some.jsonl").write_text(text, "utf-8")
    client = replay_client(tmp_path / "replay.sqlite", recordings=tmp_path / "recordings")
    (steps,) = (block for block in BLOCKS if block.startswith("job = "))
    names |= {"helpers": helpers, "client": client, "requests": requests, "folder": tmp_path / name}
    exec(steps, names)  # noqa: S102 (the README is our own)
    outcomes = names["outcomes"]
    assert outcomes["answer"].tolist() == [answer] * 3
    assert outcomes[TOKENS].to_numpy().tolist() == [tokens] * 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**RESPONSE, "incomplete_details": {"reason": "max_output_tokens"}}, "truncated"),
        ({**RESPONSE, "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        (
            {**RESPONSE, "output": [
                {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
            ]},
            "refusal",
        ),
        ({**RESPONSE, "output": []}, "no_content"),
        ({**RESPONSE, "output": "text"}, "no_content"),
        ({**EMBEDDING, "data": []}, "no_content"),
    ],
)  # fmt: skip
def test_an_answer_of_another_endpoint_that_is_no_use_has_its_reason(body, code):
    line = {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}
    outcome = helpers.outcome_of(line)
    assert (outcome.outcome, outcome.code) == ("failed", code)


def test_a_cut_off_answer_of_responses_is_asked_again_with_its_own_cap(tmp_path):
    client = replay_client(tmp_path / "replay.sqlite")
    body = {"model": "gpt-6-luna", "input": "Hello", "max_output_tokens": 5}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}
    job = helpers.submit(client, helpers.write([line], tmp_path / "job"))
    cut = {**RESPONSE, "incomplete_details": {"reason": "max_output_tokens"}}
    outcome = helpers.answered(cut)
    assert outcome.reason.endswith("raise max_output_tokens.")
    outcomes = pd.DataFrame([outcome], index=["a"])
    (again,) = helpers.retry(job, outcomes, max_completion_tokens=50)
    assert json.loads(again.path.read_text())["body"] == {**body, "max_output_tokens": 50}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"object": "text_completion", "choices": [{"text": "Hi.", "index": 0}]}, "Hi."),
        ({"id": "modr-1", "model": "m", "results": [{"flagged": False}]}, [{"flagged": False}]),
        ({"created": 1, "data": [{"b64_json": "aGk="}]}, [{"b64_json": "aGk="}]),
    ],
)
def test_answers_of_the_other_endpoints_are_the_text_or_the_list_of_results(body, answer):
    assert helpers.answered(body).answer == answer


def test_files_of_embeddings_hold_no_more_inputs_than_a_batch_may(tmp_path):
    def embeddings(*sizes):
        return [
            {
                "custom_id": f"row-{number}",
                "method": "POST",
                "url": "/v1/embeddings",
                "body": {"model": "text-embedding-3-small", "input": ["text"] * size},
            }
            for number, size in enumerate(sizes)
        ]

    shards = helpers.write(embeddings(*[2_000] * 26, 1), tmp_path / "vectors")
    assert [shard.requests for shard in shards] == [25, 2]
    path = tmp_path / "one.jsonl"
    path.write_bytes(b"".join(map(encode, embeddings(*[2_000] * 25, 1))))
    with pytest.raises(helpers.BatchFileError, match="has 50,001 embedding inputs"):
        helpers.check(path)


def test_the_lines_that_read_results_of_vllm_give_answers_and_reasons(tmp_path, monkeypatch):
    (reading,) = (block for block in BLOCKS if "results.jsonl" in block)
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    answered = {"status_code": 200, "request_id": "vllm-batch-1", "body": {**CHAT, "usage": usage}}
    refused = {"status_code": 400, "request_id": "vllm-batch-2", "body": None}
    cause = {"message": "The context is longer than 16 tokens.", "code": 400}
    lines = [
        {"id": "vllm-1", "custom_id": "b", "response": answered, "error": None},
        {"id": "vllm-2", "custom_id": "a", "response": refused, "error": {"error": cause}},
    ]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.chdir(tmp_path)
    names = {"json": json, "Path": Path, "pd": pd, "helpers": helpers}
    exec(reading, names)  # noqa: S102 (the README is our own)
    outcomes = names["outcomes"]
    assert outcomes.loc["b", ["outcome", "answer", "prompt_tokens"]].tolist() == ["ok", "mixed", 7]
    assert outcomes.loc["a", ["outcome", "code"]].tolist() == ["failed", "400"]
    assert outcomes.loc["a", "reason"] == "The context is longer than 16 tokens."


@pytest.mark.parametrize("changed", [[], ["jaws-1975"]])
def test_the_steps_that_take_over_what_was_answered_send_only_the_rest(tmp_path, changed):
    (steps,) = (block for block in BLOCKS if "helpers.reuse(" in block)
    client = replay_client(tmp_path / "replay.sqlite")
    ids = ["arrival-2016", "jaws-1975", "the-shining-1980"]
    kept = [request for request in recorded(*ids) if request["custom_id"] not in changed]
    helpers.run(client, kept, tmp_path / "earlier", budget=1, say=lambda line: None)
    names = {"helpers": helpers, "client": client, "requests": recorded(*ids)}
    exec(steps, names | (mine := {"folder": tmp_path / "now"}))  # noqa: S102 (our own)
    exec(steps, names | mine, found := {})  # noqa: S102 (our own)
    assert found["outcomes"]["outcome"].tolist() == ["ok"] * 3
    assert len(found["job"].shards) == len(changed)
