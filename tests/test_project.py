"""The shape of helpers, and the style of everything."""

import ast
import graphlib
import subprocess
import sys

from helpers.paths import ROOT

ROAD = [
    "ids", "packing", "parameters", "rules", "requests", "batchfile", "state", "jobs", "account",
    "submission", "waiting", "bodies", "outcomes", "table", "rounds",
]  # fmt: skip
SIDE_ROOMS = {"costs", "client", "images", "gallery", "views"}


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
