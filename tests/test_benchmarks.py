"""The local work is a good deal faster than the loop that well-known notebooks teach."""

import sys

import pytest

from helpers.paths import ROOT

BENCHMARKS = ROOT / "tests" / "benchmarks"
# Half of the ratios in tests/benchmarks/README.md: a slow machine shall not fail, a slow change shall.
HALF_OF = {"build": 2.6, "read": 7.0}


@pytest.mark.parametrize("work", ["build", "read"])
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_five_thousand_rows_take_less_than_the_plain_loop(tmp_path, work, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import run

    folder = run.prepare(tmp_path / "input", rows=5_000)
    found = run.medians([f"ours_{work}", f"loop_{work}"], folder, runs=3)
    ratio = found[f"loop_{work}"]["seconds"] / found[f"ours_{work}"]["seconds"]
    assert ratio > HALF_OF[work] / 2
