"""A bar for work that takes this machine more than some seconds, and goes when it is done."""

import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

from IPython import get_ipython
from IPython.display import display
from tqdm import tqdm

# Work that is over by then shows nothing: what a cell leaves on the page does not depend on time.
_AFTER = 3.0
_BETWEEN = 0.5
BYTES = "B"

T = TypeVar("T")


def in_jupyter() -> bool:
    """Whether this code runs in a kernel; a terminal shows text."""
    return getattr(get_ipython(), "kernel", None) is not None


class Bar(tqdm):
    """How far some work is: `update` it by what was done, in ``with``, from any thread.

    Shows itself after 3 seconds (``after``) and leaves nothing behind. In a terminal it is a line
    of ``file``, by default of stderr; where that is no terminal there is nothing, so that no log is
    filled. In Jupyter it is text on the page: the widget that tqdm has for notebooks would stay in
    a saved one as an error.
    """

    # No thread that watches the bars: each is updated often enough.
    monitor_interval = 0
    _place: Any = None

    def __init__(
        self,
        what: str,
        *,
        total: int | None = None,
        unit: str = " rows",
        after: float = _AFTER,
        file: Any = None,
    ):
        # A program without a window has no stderr.
        file = file or sys.stderr or io.StringIO()
        super().__init__(
            desc=what, total=total, unit=unit, unit_scale=unit == BYTES, delay=after, leave=False,
            mininterval=_BETWEEN, miniters=1, file=file, disable=False if in_jupyter() else None,
        )  # fmt: skip

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Where tqdm asks those who inherit to show the bar in their own way."""
        if not in_jupyter():
            return super().display(msg, pos)
        content = {"text/plain": str(self)} if msg is None else {}
        if self._place is None:
            self._place = display(content, raw=True, display_id=True)
        else:
            self._place.update(content, raw=True)
        return False


# That of tqdm is for several processes as well, and takes one of its own for it.
Bar.set_lock(threading.RLock())


def along(
    items: Iterable[T], what: str, *, size: Callable[[T], int] = lambda item: 1, **options: Any
) -> Iterator[T]:
    """The items, one after the other, with a `Bar` of those that were worked on.

    ``size`` says how many rows an item stands for. To be named in the loop alone: then the bar goes
    with it, also when the loop fails.
    """
    if isinstance(items, Sized):
        options.setdefault("total", sum(map(size, items)))
    with Bar(what, **options) as bar:
        for item in items:
            yield item
            bar.update(size(item))


class Counted(io.FileIO):
    """A file to be read, whose bar is moved by each byte; what is read again counts once."""

    def __init__(self, path: Any, bar: Bar):
        super().__init__(path)
        self.bar = bar

    def read(self, size: int | None = -1) -> Any:
        content = super().read(size)
        self.bar.update(len(content or b""))
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        before, after = self.tell(), super().seek(offset, whence)
        self.bar.update(after - before)
        return after

    def __exit__(self, *error: object) -> None:
        if any(error):
            self.seek(0)
        self.close()
