"""The texts beside the code: what they promise, name and link to is there."""

import json
import re

import pytest

import helpers
from helpers.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = ["README.md", "CONTRIBUTING.md", "helpers/README.md", "data/README.md"]
README, CONTRIBUTING, REFERENCE = ((ROOT / name).read_text("utf-8") for name in TEXTS[:3])
REQUIRED = re.findall(r"(?m)^([a-z][\w-]*)~=", (ROOT / "requirements.txt").read_text("utf-8"))
COMMANDS = [part.split("```")[0].strip() for part in README.split("```sh\n")[1:3]]


def test_every_dependency_has_a_purpose():
    table = CONTRIBUTING.split("| dependency | is for |")[1].split("\n\n")[0]
    cells = re.findall(r"(?m)^\| ([a-z][^|]*) \|", table)
    named = [name for cell in cells for name in cell.split(", ")]
    assert sorted(named) == sorted(REQUIRED)


def test_every_module_of_the_helpers_is_in_their_map():
    modules = {path.stem for path in (ROOT / "helpers").glob("[a-z]*.py")}
    table = REFERENCE.split("| step | module |")[1].split("\n\n")[0]
    assert {*re.findall(r"\| `(\w+)` \|", table)} == modules


def test_every_public_name_is_in_the_map_of_the_helpers():
    table = REFERENCE.split("| step | module |")[1].split("\n\n")[0]
    assert not [name for name in helpers.__all__ if f"`{name}`" not in table]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_readme_quotes_the_notebooks_own_estimate(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    (price,) = (cell for cell in cells if cell["id"] == "price")
    line = "".join(price["outputs"][-1]["data"]["text/plain"]).splitlines()[1]
    (item,) = (line for line in README.splitlines() if line.startswith(f"- [{path.stem}]"))
    assert f"about {float(line.split()[3]):.3f} US dollars" in item


def test_all_that_can_go_wrong_has_its_test():
    table = REFERENCE.split("| what can go wrong |")[1].split("\n\n")[0]
    promised = re.findall(r'\[test\]\(\.\./(\S+) "(\w+)"\) \|$', table, re.MULTILINE)
    assert len(promised) == len({*promised}) == len(table.splitlines()[2:]) > 10
    for path, name in promised:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8"), name


def test_the_answers_on_the_first_screen_are_those_of_the_recordings():
    pictures, _, captions = README.split("\n| <img ")[1].splitlines()[:3]
    recorded = (ROOT / "data" / "recordings" / "furniture.jsonl").read_text("utf-8")
    for name, caption in zip(
        re.findall(r"furniture/([\w-]+)\.jpg", pictures),
        captions.strip("| ").split(" | "),
        strict=True,
    ):
        assert f'alt="{caption.rstrip(".")}"' in pictures
        (said,) = re.findall(rf'(?m)^{{"custom_id": "{name}", .*$', recorded)
        assert json.dumps(caption, ensure_ascii=False) in said
    ((title, kinds, summary),) = re.findall(r"(?m)^> \*\*(.+)\*\*: (.+)\. \*(.+)\*$", README)
    films = (ROOT / "data" / "recordings" / "movies.jsonl").read_text("utf-8")
    (said,) = re.findall(rf'(?m)^{{"custom_id": "{title.lower()}-\d+", .*$', films)
    answer = {"categories": kinds.split(", "), "summary": summary}
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    assert json.dumps(text, ensure_ascii=False) in said


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_files_and_headings(name):
    for link in re.findall(r"\]\((?!http)([^)\s]+)[^)]*\)", (ROOT / name).read_text("utf-8")):
        path, _, heading = link.partition("#")
        target = ((ROOT / name).parent / path) if path else ROOT / name
        assert target.exists(), link
        if heading:
            found = re.findall(r"(?m)^#+ (.+)$", target.read_text("utf-8"))
            assert heading in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in found]


def test_ci_runs_the_two_commands_of_the_readme():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert re.findall(r"(?m)^ +run: (.*)$", workflow) == COMMANDS


def test_the_readme_is_short_enough_to_be_read():
    text = re.sub(r"(?s)```.*?```|<[^>]+>|(?<=\])\([^)]*\)", " ", README)
    assert len(re.findall(r"\b[\w'\u2019-]+\b", text)) <= 1_500
