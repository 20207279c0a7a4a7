"""What a reader sees while waiting: a bar in Jupyter, and lines of text that stay on the page."""

from collections.abc import Callable, Iterator

from IPython import get_ipython
from IPython.display import display
from openai.types import Batch

from helpers.jobs import FINAL

_WIDGET = "application/vnd.jupyter.widget-view+json"
_STEPS = (
    "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled",
)  # fmt: skip


class Progress:
    """Shows the batches of a job each time it is called with them.

    One line of text per change of status. The lines come from the times in the batch object, one
    batch after the other, so a job that finished long ago leaves the same lines on the page as one
    that was watched. In Jupyter a bar moves as well, and goes when the job is done.
    """

    def __init__(self, say: Callable[[str], None] = print):
        self._say = say
        self._said = 0
        self._bar = None

    def __call__(self, batches: list[Batch]) -> None:
        # The bar comes first, so that the lines below it stay one piece of text.
        self._move_bar(batches)
        lines = list(_lines(batches))
        for line in lines[self._said :]:
            self._say(line)
        self._said = len(lines)

    def _move_bar(self, batches: list[Batch]) -> None:
        if not batches or getattr(get_ipython(), "kernel", None) is None:
            return
        counts = [batch.request_counts for batch in batches if batch.request_counts]
        done, total = sum(c.completed + c.failed for c in counts), sum(c.total for c in counts)
        if self._bar is None:
            self._bar = _bar()
        self._bar.max, self._bar.value = max(total, 1), done
        self._bar.description = f"{done}/{total}"
        if all(batch.status in FINAL for batch in batches):
            self._bar.close()


def _lines(batches: list[Batch]) -> Iterator[str]:
    """What is to be said of the batches by now; stops at the first that is still running."""
    for batch in batches:
        yield f"{batch.id}: validating"
        for step in _STEPS:
            if getattr(batch, f"{step}_at"):
                yield f"{batch.id}: {step}{_counts(batch) if step in FINAL else ''}"
        if batch.status not in FINAL:
            return


def _counts(batch: Batch) -> str:
    if batch.status == "failed" and batch.errors and batch.errors.data:
        return f", {batch.errors.data[0].message}"
    counts = batch.request_counts
    return f", {counts.completed} ok and {counts.failed} failed of {counts.total}" if counts else ""


def _bar():
    from ipywidgets import IntProgress, Layout

    bar = IntProgress(value=0, max=1, layout=Layout(width="100%"))
    # Only the live view: a picture of the bar would stay on the page at the value it began with.
    display({_WIDGET: bar._repr_mimebundle_()[_WIDGET]}, raw=True)
    return bar
