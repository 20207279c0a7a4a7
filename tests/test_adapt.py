"""The written steps to one's own table, followed to the letter."""

import pandas as pd
import pytest

import helpers
from helpers.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture
def example():
    """The README's example."""
    (block,) = (part.split("```")[0] for part in README.split("```python\n")[1:])
    return block


def test_the_example_of_the_readme_runs_as_it_stands_and_answers_every_row(example):
    exec(example, names := {})  # noqa: S102 (the README is our own)
    answered = pd.read_csv(helpers.JOBS / "tickets-answered.csv")
    assert answered["id"].tolist() == names["table"]["id"].tolist()
    assert answered["outcome"].tolist() == ["ok"] * 120
    assert answered["reply"].is_unique
    assert (answered["category"] == answered["handled_by"]).mean() > 0.8


def test_its_three_edits_are_enough_for_another_table(example, tmp_path):
    table = pd.DataFrame({"text": ["Soup of the day?", "A table for six, please"]})
    table.to_csv(tmp_path / "mine.csv", index=False)
    edits = {
        'helpers.DATA / "tickets.csv"': f'"{tmp_path / "mine.csv"}"',
        "{row['subject']}\\n\\n{row['message']}": "{row['text']}",
        'helpers.JOBS / "tickets"\n': f'"{tmp_path / "mine"}"\n',
        '"delivery", "returns", "payment", "repair", "advice", "account"': '"menu", "booking"',
    }
    for old, new in edits.items():
        assert example.count(old) == 1, old
        example = example.replace(old, new)
    with pytest.raises(helpers.JobError, match=r"The trial of row-1 failed.*Not recorded"):
        exec(example, {})  # noqa: S102 (the README is our own)
    (written,) = tmp_path.glob("mine-*/requests-001.jsonl")
    assert helpers.check(written).loc["requests", "found"] == "2"
