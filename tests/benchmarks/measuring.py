"""How a case is measured; reads nothing but the standard library, so any interpreter can."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def main(cases: Mapping[str, Callable[[Path], Callable[[], object]]]) -> None:
    """Prints what the case of the first argument takes in the folder of the second one."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    shutil.rmtree(outputs(folder), ignore_errors=True)
    outputs(folder).mkdir()
    print(json.dumps(measure(cases[name](folder))))


def measure(work: Callable[[], object]) -> dict:
    """Seconds, how much memory grew at its peak, and the size of a table that came out, in MB."""
    before = resident("VmRSS")
    # 5 sets the peak back to what is used now: proc(5), clear_refs.
    Path("/proc/self/clear_refs").write_text("5")
    begun = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begun
    grown = resident("VmHWM") - before
    table = result.memory_usage(deep=True).sum() / 2**20 if hasattr(result, "memory_usage") else 0
    more = result if isinstance(result, dict) else {}
    return {"seconds": seconds, "grown": grown, "table": float(table), **more}


def resident(field: str) -> float:
    """A line of /proc/self/status in MB: VmRSS is the memory now, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


def outputs(folder: Path) -> Path:
    """Where files are written to; emptied before each run, because freeing old files takes time."""
    return folder / "outputs"


def result_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-*.jsonl"))
