"""Where things are: the project, its data, the jobs; and how a file lands there whole."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
JOBS = Path(os.environ.get("COOKBOOK_JOBS", ROOT / "jobs")).resolve()

_DAY = 86_400


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file beside ``path``, which takes its place when the block ends well.

    A process that dies inside leaves ``path`` as it was. The name is unique, because two containers
    on one disk can have the same process id; only its owner can read the file.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(handle)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def clear_away(folder: Path) -> None:
    """Deletes the unfinished files that dead processes left in a folder more than a day ago."""
    for left in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < time.time() - _DAY:
                left.unlink()
