"""What a reader sees of a job while it runs: lines of text, and in Jupyter a view that moves.

The lines stay on the page. The view has a bar per batch and a button, and goes when the job ends.
"""

import html
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar

import openai
from IPython.display import display
from openai.types import Batch

from helpers.costs import cost_so_far
from helpers.display.widgets import in_jupyter, view_of
from helpers.job import (
    FINAL,
    Job,
    JobError,
    counts_of,
    errors_of,
    found_no_room,
    moment,
    visible,
)

_STEPS = (
    "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled",
)  # fmt: skip


class Progress:
    """Shows the batches of a job each time it is called with them.

    One line of text per change of status. The lines come from the times in the batch object, one
    batch after the other, so a job that finished long ago leaves the same lines on the page as one
    that was watched. In Jupyter a view moves as well: a bar per batch, the time that has gone by,
    the latest end and the cost so far. With ``cancel``, which is called with a function that takes
    lines of text, the view has a button that cancels the ``job``; then a `JobError` ends the cell
    when the batches have ended, so that no cell after it sends the rest again. Elsewhere there is a
    line for every tenth of a batch, too.
    """

    # Ids of batches. Of the class: after an interrupt the button of an earlier view may be pressed.
    _cancelled: ClassVar[set[str]] = set()

    def __init__(
        self,
        job: Job | None = None,
        *,
        cancel: Callable[..., Any] | None = None,
        say: Callable[[str], None] = print,
    ):
        self._ids = {*job.batch_ids} if job else set()
        self._cancel_job = cancel
        # Ids, statuses and messages come from a server.
        self._say: Callable[[str], None] = lambda line: say(visible(line))
        self._begun = time.monotonic()
        self._said = 0
        self._moved: dict[str, int] = {}
        self._view: _View | None = None

    def __call__(self, batches: list[Batch]) -> None:
        # The view comes first, so that the lines below it stay one piece of text.
        if in_jupyter() and batches:
            button = self._cancel if self._cancel_job else None
            self._view = self._view or _View(len(batches), button)
            self._view.show(batches, _so_far(self._begun, batches))
        lines = list(_lines(batches))
        for line in lines[self._said :]:
            self._say(line)
        self._said = len(lines)
        if not in_jupyter():
            self._say_moves(batches)
        if self._view and all(self._is_over(batch) for batch in batches):
            self._view.close()
            self._view = None
            if self._was_cancelled() and any(batch.status != "completed" for batch in batches):
                self._cancelled.difference_update(self._ids)
                raise JobError(
                    "The job was cancelled. What was answered is billed and kept: run this cell "
                    "again, then collect it. A retry would send the rest, and so would run again, "
                    "unless with rounds=1."
                )

    def _cancel(self, say: Callable[[str], None]) -> None:
        assert self._cancel_job is not None
        # Before the call: the batches may end while it is under way.
        self._cancelled.update(self._ids)
        try:
            self._cancel_job(say=say)
        except openai.OpenAIError:
            self._cancelled.difference_update(self._ids)
            raise

    def _was_cancelled(self) -> bool:
        return not self._cancelled.isdisjoint(self._ids)

    def _is_over(self, batch: Batch) -> bool:
        return batch.status in FINAL and (self._was_cancelled() or not found_no_room(batch))

    def _say_moves(self, batches: list[Batch]) -> None:
        for batch in batches:
            done, total = _done(batch)
            tenth = 10 * done // max(total, 1)
            if batch.status == "in_progress" and tenth > self._moved.get(batch.id, 0):
                self._moved[batch.id] = tenth
                self._say(f"{batch.id}: {done:,} of {total:,}, {_so_far(self._begun, batches)}")
            if found_no_room(batch) and batch.id not in self._moved:
                self._moved[batch.id] = 0
                self._say(f"{batch.id}: waits for room in the queue")


class _View:
    """A bar and a text per batch, a text for all of them, and the button."""

    def __init__(self, count: int, cancel: Callable | None):
        from ipywidgets import HBox, IntProgress, Label, Layout, VBox

        wide = Layout(flex="1 1 auto", min_width="60px")
        self.bars = [IntProgress(value=0, max=1, layout=wide) for _ in range(count)]
        self.texts = [Label(layout=Layout(flex="0 0 20em")) for _ in range(count)]
        self.summary = Label()
        lines = [HBox(pair) for pair in zip(self.bars, self.texts, strict=True)]
        button = [_cancel_button(cancel)] if cancel else []
        self.box = VBox([*lines, self.summary, *button])
        # Only the live view: a picture of it would stay on the page as it was in the beginning.
        self.place = display(view_of(self.box), raw=True, display_id=True)

    def show(self, batches: list[Batch], so_far: str) -> None:
        for batch, bar, text in zip(batches, self.bars, self.texts, strict=True):
            done, total = _done(batch)
            bar.max, bar.value = max(total, 1), done
            state = "waits for room" if found_no_room(batch) else batch.status
            failed = counts_of(batch)[1]
            text.value = f"{done:,} of {total:,}, {failed:,} failed, {state}"
        self.summary.value = so_far

    def close(self) -> None:
        self.box.close()
        # A saved notebook would show an error in the place of a view that is gone.
        self.place.update({}, raw=True)


def _cancel_button(cancel: Callable[[Callable[[str], None]], None]):
    """A button that asks before it cancels.

    JupyterLab 4.4 and later can handle a click while a cell runs, in a subshell of the kernel;
    elsewhere it is handled when the cell has ended or was interrupted.
    """
    from ipywidgets import HTML, Button, HBox

    ask, yes, no = (Button(description=text) for text in ("Cancel the job", "Yes, cancel", "No"))
    for button in (ask, yes, no):
        # ipykernel 7.4 sends clicks to where the button was made: to this cell, which is busy.
        vars(button.comm).pop("_reply_subshell_id", None)
    box = HBox([ask])

    def answer(text: str, *more: Button) -> None:
        # The line height: that of a widget is made for one line.
        words = HTML(f'<div style="line-height:1.5">{html.escape(text)}</div>')
        box.children = [words, *more]

    def go(_) -> None:
        try:
            answer("Cancelling.")
            cancel(answer)
        except openai.OpenAIError as error:
            answer(f"Not cancelled: {error}", ask)

    question = "Cancel? What is answered by then is billed and kept."
    ask.on_click(lambda _: answer(question, yes, no))
    no.on_click(lambda _: setattr(box, "children", [ask]))
    yes.on_click(go)
    return box


def _lines(batches: list[Batch]) -> Iterator[str]:
    """What is to be said of the batches by now; stops at the first that is still to run."""
    for batch in batches:
        if found_no_room(batch):
            return
        yield f"{batch.id}: validating"
        for step in _STEPS:
            # Some servers give no time; how a batch ended is said all the same.
            if getattr(batch, f"{step}_at", None) or (step == batch.status and step in FINAL):
                yield f"{batch.id}: {step}{_counts(batch) if step in FINAL else ''}"
        if batch.status not in FINAL:
            return


def _counts(batch: Batch) -> str:
    if batch.status == "failed" and (errors := errors_of(batch)):
        return f", {errors[0].message}"
    done, failed, total = counts_of(batch)
    return f", {done} ok and {failed} failed of {total}" if total else ""


def _done(batch: Batch) -> tuple[int, int]:
    done, failed, total = counts_of(batch)
    return done + failed, total


def _so_far(begun: float, batches: list[Batch]) -> str:
    """The time waited, the latest end, the cost: the API makes no forecast to go by."""
    said = [f"waited {timedelta(seconds=int(time.monotonic() - begun))}"]
    if ends := [end for end in (moment(batch.expires_at) for batch in batches) if end]:
        said.append(f"ends by {datetime.fromtimestamp(max(ends)):%Y-%m-%d %H:%M} at the latest")
    # Documented is only that a batch that has ended says its usage.
    if cost := sum(cost_so_far(batch) or 0 for batch in batches):
        said.append(f"{cost:.4f} US dollars so far")
    return ", ".join(said)
