"""The shape of helpers, and the style of everything."""

import ast
import graphlib
import subprocess
import sys

from mypy import api

import helpers
from helpers.paths import ROOT

# Who may import whom: each module only those of the floors below it. `formats` are the kinds of
# what comes in, `display` shows jobs, and only `client` enters `replay`.
FLOORS = [
    {"paths", "bars"},
    {"formats"},
    {"checks", "images"},
    {"request", "outcome"},
    {"batchfile"},
    {"job"},
    {"costs"},
    {"display", "account"},
    {"batch"},
    {"table"},
    {"reuse"},
    {"pipeline"},
]
REPLAY_KNOWS = {"checks", "outcome", "paths"}


def imported_by(place: str) -> set[str]:
    """The modules and folders of helpers that one of them imports, itself left out."""
    path = ROOT / "helpers" / place
    files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    asked = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    asked |= {
        f"helpers.{alias.name}"
        for n in nodes
        if isinstance(n, ast.ImportFrom) and n.module == "helpers"
        for alias in n.names
    }
    return {name.split(".")[1] for name in asked if name.startswith("helpers.")} - {place}


def test_imports_lead_only_to_floors_below():
    below: set[str] = set()
    for floor in FLOORS:
        for place in floor:
            assert imported_by(place) <= below, place
        below |= floor
    assert imported_by("client") <= {"paths", "replay"}
    assert imported_by("replay") <= REPLAY_KNOWS
    everything = {path.stem for path in (ROOT / "helpers").iterdir() if path.stem[0] not in "_R."}
    assert everything == {*below, "client", "replay"}


def test_the_map_names_every_file_in_the_order_of_the_road():
    lines = [
        line.split()[0] for line in (helpers.__doc__ or "").splitlines() if line[:4] == " " * 4
    ]
    files = {path.name + "/" * path.is_dir() for path in (ROOT / "helpers").iterdir()}
    assert {*lines} == {name for name in files if name[0] not in "_R"}
    road = [
        "request.py",
        "checks.py",
        "batchfile.py",
        "job.py",
        "batch.py",
        "outcome.py",
        "table.py",
    ]
    assert [line for line in lines if line in road] == road


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


def test_the_types_of_helpers_hold():
    report, _, failed = api.run([])
    assert not failed, report


def test_everything_is_formatted_and_linted():
    ours = ["helpers", "notebooks", "data", "tests", "conftest.py"]
    for command in (["format", "--check"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", *ours]
        done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
