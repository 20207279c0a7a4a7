"""The project around the code: README, dependencies, style, and the shape of helpers."""

import ast
import graphlib
import json
import re
import subprocess
import sys

import pytest

from helpers.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

README = (ROOT / "README.md").read_text("utf-8")
REQUIRED = re.findall(r"(?m)^([a-z][\w-]*)~=", (ROOT / "requirements.txt").read_text("utf-8"))
ROAD = [
    "ids", "packing", "parameters", "rules", "requests", "batchfile", "state", "jobs", "account",
    "submission", "waiting", "bodies", "outcomes", "table", "rounds",
]  # fmt: skip
SIDE_ROOMS = {"costs", "client", "images", "gallery", "views"}


def test_every_dependency_has_a_purpose_in_the_readme():
    table = README.split("| dependency | is for |")[1].split("\n\n")[0]
    named = [
        name.strip() for row in re.findall(r"(?m)^\| ([^-|]+) \|", table) for name in row.split(",")
    ]
    assert sorted(named) == sorted(REQUIRED)


def test_every_module_has_a_line_in_the_readme():
    modules = {path.stem for path in (ROOT / "helpers").glob("[a-z]*.py")}
    assert all(f"`{module}`" in README for module in modules)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_readme_quotes_the_notebooks_own_estimate(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    (price,) = (cell for cell in cells if cell["id"] == "price")
    line = "".join(price["outputs"][-1]["data"]["text/plain"]).splitlines()[1]
    (row,) = (line for line in README.splitlines() if line.startswith(f"| [{path.stem}]"))
    assert f"about {float(line.split()[3]):.3f} US dollars" in row


def test_all_that_can_go_wrong_is_a_test():
    table = README.split("| what can go wrong |")[1].split("\n\n")[0]
    promised = re.findall(r'\[test\]\((\S+) "(\w+)"\) \|$', table, re.MULTILINE)
    assert len(promised) == len({*promised}) == len(table.splitlines()[2:]) > 10
    for path, name in promised:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8"), name


def test_the_captions_on_the_first_screen_are_those_of_the_recordings():
    pictures, _, captions = README.split("\n| <img ")[1].splitlines()[:3]
    lines = (ROOT / "data" / "recordings" / "furniture.jsonl").read_text("utf-8").splitlines()
    for name, caption in zip(
        re.findall(r"furniture/([\w-]+)\.jpg", pictures),
        captions.strip("| ").split(" | "),
        strict=True,
    ):
        (said,) = (line for line in lines if line.startswith(f'{{"custom_id": "{name}", '))
        assert json.dumps(caption, ensure_ascii=False) in said


def test_links_in_the_readme_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#\s]+)[^)#]*\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def imports_of(module: str) -> set[str]:
    tree = ast.parse((ROOT / "helpers" / f"{module}.py").read_text("utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    names = {node.module for node in top} | {
        f"{node.module}.{name.name}" for node in top for name in node.names
    }
    return {name.split(".")[1] for name in names if name.startswith("helpers.")}


def test_no_module_imports_one_further_down_the_road():
    for place, module in enumerate(ROAD):
        found = imports_of(module) & {*ROAD, *SIDE_ROOMS}
        assert found <= set(ROAD[:place]), module


def test_side_rooms_do_not_know_each_other():
    for module in SIDE_ROOMS:
        assert not imports_of(module) & SIDE_ROOMS, module


def test_no_imports_run_in_a_circle():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in (ROOT / "helpers").rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }
    graph = {}
    for name, path in modules.items():
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        found = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        asked = {f"{n.module}.{alias.name}" for n in found for alias in n.names}
        asked |= {n.module for n in found}
        graph[name] = {"helpers.replay.app" if a == "helpers.replay" else a for a in asked} & {
            *modules
        }
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(modules)


def test_modules_are_short_enough_to_read():
    for path in (ROOT / "helpers").rglob("*.py"):
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        assert sum(1 for line in lines if line and not line.startswith("#")) <= 160, path.name


def test_everything_is_formatted_and_linted():
    ours = ["helpers", "notebooks", "data", "tests", "conftest.py"]
    for command in (["format", "--check"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", *ours]
        done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
