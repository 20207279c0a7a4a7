"""Measures the local work of a batch job against other ways to do it, and prints one table.

    .venv/bin/pip install msgspec simplejpeg
    .venv/bin/python tests/benchmarks/run.py

Every case runs in a process of its own, three times, in turns; medians count. Compare the ratios:
seconds depend on the machine and on what else it does. Needs Linux (memory is read from /proc),
PyPI for the packages it compares with, and 3 GB of disk for the million rows; ``--rows 50000``
leaves these out.
"""

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import inputs

HERE = Path(__file__).parent
NOTEBOOKS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))
PER_FILE = 50_000
PEERS = {
    # It needs what the SDK brought along before its version 3.
    "openai-batch": ["openai-batch==0.3.4", "openai<3", "pandas"],
    "ondine": ["ondine==2.1.1"],
}
CASES = {
    "build": ["ours", "loop", "stdlib", "limit", "template", "floor", "openai-batch", "ondine"],
    "read": ["ours", "loop", "stdlib", "bare", "limit", "floor", "ondine"],
    "answers": ["ours", "bare"],
    "images": ["ours", "loop", "limit"],
}


def prepare(folder: Path, rows: int, photographs: int = 0) -> Path:
    """A folder with the input of all cases."""
    folder.mkdir()
    table = inputs.make_table(rows)
    (folder / "table.pickle").write_bytes(pickle.dumps(table))
    # For peers, which may have another pandas.
    table.to_json(folder / "table.jsonl", orient="records", lines=True)
    inputs.write_results(rows, folder, PER_FILE)
    inputs.write_photographs(photographs, folder)
    return folder


def install(folder: Path) -> None:
    """The packages to compare with, each in a venv of its own beside the folders of the input."""
    for name, packages in PEERS.items():
        venv.create(folder / name, with_pip=True)
        subprocess.run([folder / name / "bin" / "pip", "install", "-qq", *packages], check=True)


def measured(name: str, folder: Path) -> dict:
    """What one case took, in a process of its own."""
    way = name.rsplit("_", 1)[0]
    command = [sys.executable, HERE / "cases.py", name, folder]
    if way in PEERS:
        python = folder.parent / way / "bin" / "python"
        command = [python, HERE / "peers.py", name.replace("-", "_"), folder]
    # Others print as well.
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def medians(names: list[str], folder: Path, runs: int) -> dict[str, dict]:
    """The median of each figure of each case; the runs take turns."""
    found: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(runs):
        for name in names:
            found[name].append(measured(name, folder))
    return {
        name: {key: statistics.median(run[key] for run in all_runs) for key in all_runs[0]}
        for name, all_runs in found.items()
    }


def lines_of(work: str, folder: Path, runs: int, what: str) -> list[str]:
    """The table's lines for one kind of work; times are ratios to the cookbook's own."""
    found = medians([f"{way}_{work}" for way in CASES[work]], folder, runs)
    ours = found[f"ours_{work}"]["seconds"]
    return [
        f"| {what} | {way} | {case['seconds']:.2f} | {case['seconds'] / ours:.2f} | "
        f"{case['grown']:.0f} | {case['table']:.0f} |"
        for way, case in zip(CASES[work], found.values(), strict=True)
    ]


def million(small: Path, big: Path, runs: int) -> list[str]:
    """Time per row and memory at a million rows, beside those at 50,000."""
    lines = []
    for name in ("ours_build", "ours_read"):
        few, many = (medians([name], folder, runs)[name] for folder in (small, big))
        per_row = many["seconds"] / 1_000_000 / (few["seconds"] / PER_FILE)
        lines.append(
            f"| {name.split('_')[1]}, 1,000,000 rows | ours | {many['seconds']:.2f} | "
            f"{per_row:.2f} per row | {many['grown']:.0f} | {many['table']:.0f} |"
        )
    return lines


def notebooks() -> list[str]:
    """Both notebooks offline, and an empty one for the start of the kernel alone."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "imports.ipynb")
        cell = {
            "cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None,
            "source": "import pandas, openai, helpers",
        }  # fmt: skip
        empty.write_text(json.dumps({
            "cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
        }))  # fmt: skip
        for path in (empty, *NOTEBOOKS):
            begun = time.perf_counter()
            subprocess.run(
                [
                    sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook",
                    "--output-dir", folder, "--output", "done", str(path),
                ],
                env={"COOKBOOK_JOBS": folder, "PATH": "/usr/bin:/bin", "HOME": folder},
                cwd=path.parent, capture_output=True, check=True,
            )  # fmt: skip
            what = "kernel and imports alone" if path == empty else path.stem
            lines.append(f"| notebook | {what} | {time.perf_counter() - begun:.1f} | | | |")
    return lines


def bare(folder: Path, runs: int) -> list[str]:
    """All checks against a loop with orjson that has none, in CPU time."""
    cases = {
        "build": "ours_bare",
        "read": "ours_bareread",
        "read with an answer model": "ours_bareanswers",
    }
    found = medians([*cases.values()], folder, runs)
    return [
        f"| {work}, 50,000 rows, CPU | ours | | {found[name]['ratio']:.2f} times a bare loop | "
        f"{found[name]['grown']:.0f} | |"
        for work, name in cases.items()
    ]


def many_files(folder: Path, runs: int) -> list[str]:
    """The local work of jobs of many batch files: submit, wait and collect."""
    found = medians(["ours_shards", "ours_manyshards"], folder, runs)
    each = [case["cpu"] / case["count"] for case in found.values()]
    return [
        f"| {case['count']:,.0f} batch files of one request | ours | {case['seconds']:.1f} | "
        f"{case['cpu']:.1f} s of CPU, {1000 * cpu:.1f} ms each, {cpu / each[0]:.2f} times | "
        f"{case['grown']:.0f} | |"
        for case, cpu in zip(found.values(), each, strict=True)
    ]


def servers(folder: Path, runs: int) -> list[str]:
    """The replay under load, and a batch in front of a model of one's own."""
    found = medians(["ours_walk", "ours_clients", "ours_local"], folder, runs)
    walk, clients, local = found.values()
    rows = [
        ("replay, 50,000 lines without a recording", walk,
         f"{walk['cpu']:.1f} s of CPU, slowest other call {walk['slowest']:.2f} s"),
        ("replay, 8 clients with 5,000 lines each", clients, ""),
        ("local, 1,000 lines, a model of 50 ms", local, f"{local['ratio']:.2f} to the least"),
    ]  # fmt: skip
    return [
        f"| {what} | ours | {case['seconds']:.2f} | {more} | {case['grown']:.0f} | |"
        for what, case, more in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print("| work | way | seconds | time / ours | memory grown, MB | table, MB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        small = prepare(Path(folder, "small"), PER_FILE, photographs=200)
        for work, what in (
            ("build", "build, 50,000 rows"),
            ("read", "read, 50,000 rows"),
            ("answers", "read with an answer model, 50,000 rows"),
            ("images", "images, 200"),
        ):
            print(*lines_of(work, small, options.runs, what), sep="\n", flush=True)
        if options.rows > PER_FILE:
            big = prepare(Path(folder, "big"), options.rows)
            print(*million(small, big, options.runs), sep="\n", flush=True)
        print(*bare(small, options.runs), sep="\n", flush=True)
        print(*many_files(small, options.runs), sep="\n", flush=True)
        print(*servers(small, options.runs), sep="\n", flush=True)
        print(*notebooks(), sep="\n")


if __name__ == "__main__":
    main()
