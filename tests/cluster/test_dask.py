"""The recipe of helpers/README.md for tables larger than one machine, on a real local cluster.

.venv/bin/pip install "dask[distributed]"
.venv/bin/pytest tests/cluster
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pandas as pd
import pytest

from helpers.paths import ROOT
from helpers.replay import create_app
from support import recorded, served

BLOCKS = (ROOT / "helpers" / "README.md").read_text("utf-8").split("```python\n")
RECIPE, TABLE = (
    next(block.split("```")[0] for block in BLOCKS if sign in block)
    for sign in ("def drive(", "home.rglob(")
)
SIZES = [9, 1, 0, 12, 5, 13]
ROWS = sum(SIZES)

# What stands before the recipe: the reader's own two names. Each of three rows kills a process,
# once: a worker that writes, a worker that reads, and the driver while a worker reads.
BEFORE = """
import json, os, signal, sys
from pathlib import Path
from pydantic import BaseModel, field_validator

PLACE, DRIVER = Path(sys.argv[1]), os.getpid()


def killed_once(name, process):
    try:
        (PLACE / f"killed-{name}").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(process or os.getpid(), signal.SIGKILL)


def request_for(row):
    if row["id"] == row["kills"]:
        killed_once("writing worker", None)
    return json.loads(row["request"])


class Answer(BaseModel):
    categories: list[str]
    summary: str

    @field_validator("summary")
    @classmethod
    def kill(cls, summary):
        killed_once("driver", DRIVER)
        killed_once("reading worker", None)
        return summary

"""
AFTER = """

if __name__ == "__main__":
    import dask.distributed

    paths = sorted((PLACE / "films").glob("*.parquet"))
    cluster = dask.distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    )
    with cluster, dask.distributed.Client(cluster) as workers:
        print(drive(workers, paths, budget=1))
"""


@pytest.fixture
def films(tmp_path):
    """Parquet files of very different sizes, one of them without rows."""
    requests = iter([*recorded("apollo-13-1995"), *recorded()])
    first = next(requests)
    others = (request for request in requests if request["custom_id"] != first["custom_id"])
    rows = [first, *(next(others) for _ in range(ROWS - 1))]
    (tmp_path / "films").mkdir()
    for number, size in enumerate(SIZES):
        part, rows = rows[:size], rows[size:]
        table = pd.DataFrame({"id": [request["custom_id"] for request in part]}, dtype=object)
        table["request"] = [json.dumps(request) for request in part]
        table["kills"] = [first["custom_id"]] * size
        table.to_parquet(tmp_path / "films" / f"{number}.parquet")
    return tmp_path / "films"


def test_a_job_on_a_cluster_outlives_its_workers_and_its_driver(films, tmp_path, capsys):
    script = tmp_path / "drive.py"
    script.write_text(BEFORE + RECIPE + AFTER, "utf-8")
    with served(create_app(tmp_path / "replay.sqlite")) as address:
        variables = {
            "COOKBOOK_MODE": "live",
            "COOKBOOK_JOBS": str(tmp_path / "jobs"),
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": address,
        }

        def drive():
            command = [sys.executable, str(script), str(tmp_path)]
            return subprocess.run(
                command, env=os.environ | variables, capture_output=True, text=True, timeout=120,
                check=False,
            )  # fmt: skip

        first = drive()
        assert first.returncode == -signal.SIGKILL, first.stderr
        second = drive()
        assert second.returncode == 0, second.stderr
        home = Path(second.stdout.splitlines()[-1])
        client = openai.OpenAI(api_key="any", base_url=address)
        batches = {batch.id for batch in client.batches.list()}
        third = drive()
        assert third.returncode == 0, third.stderr
        assert {batch.id for batch in client.batches.list()} == batches
    exec("import pandas as pd\n" + TABLE, names := {"home": home})  # noqa: S102 (our own text)
    table = names["table"]
    assert len(table) == ROWS
    assert table["outcome"].tolist() == ["ok"] * ROWS
    assert table.loc["apollo-13-1995", "round"] == 2
    kills = sorted(path.name.removeprefix("killed-") for path in tmp_path.glob("killed-*"))
    assert kills == ["driver", "reading worker", "writing worker"]
    # A batch for each part that has rows, and one for the row that is asked again.
    parts = sum(size > 0 for size in SIZES)
    assert len(batches) == parts + 1
    with capsys.disabled():
        print(f"\n{len(SIZES)} partitions, 2 workers, {len(kills)} kills: {', '.join(kills)}")
