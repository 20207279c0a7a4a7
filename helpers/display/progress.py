"""What a reader sees of a job while it runs: lines of text, and in Jupyter a view that moves.

The lines stay on the page. The view has bars and a button, and goes when the job ends.
"""

import html
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import openai
from IPython.display import display
from openai.types import Batch

from helpers.bars import in_jupyter
from helpers.costs import cost_so_far
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
# More batches than these are shown as one.
_FEW = 20
# Counts move in steps: before so many seconds a speed would be made up.
_MEASURED = 60.0
_VIEW = "application/vnd.jupyter.widget-view+json"


class Progress:
    """Shows the batches of a job each time it is called with them.

    One line of text per change of status. The lines come from the times in the batch object, one
    batch after the other, so a job that finished long ago leaves the same lines on the page as one
    that was watched. In Jupyter a view moves as well: a bar per batch, the time that has gone by,
    the rows a minute since then, the latest end and the cost so far. With ``cancel``, which is
    called with a function that takes lines of text, the view has a button that cancels the ``job``;
    then a `JobError` ends the cell when the batches have ended, so that no cell after it sends the
    rest again. Elsewhere there is a line for every tenth of a batch, too.

    More than 20 batches share one bar and a count by status; lines say how many came to which end,
    and which of them, up to 20, are not completed.
    """

    # Ids of batches. Of the class: after an interrupt the button of an earlier view may be pressed.
    _cancelled: ClassVar[set[str]] = set()

    def __init__(
        self,
        job: Job | None = None,
        *,
        cancel: Callable[..., Any] | None = None,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.time,
    ):
        self._ids = {*job.batch_ids} if job else set()
        self._requests = sum(shard.requests for shard in job.shards) if job else 0
        self._cancel_job = cancel
        # Ids, statuses and messages come from a server.
        self._say: Callable[[str], None] = lambda line: say(visible(line))
        # Not the time that the machine was awake: a laptop sleeps.
        self._clock, self._begun = clock, clock()
        self._done_before: int | None = None
        self._said = 0
        self._tenths: dict[str, int] = {}
        self._view: _View | None = None

    def __call__(self, batches: list[Batch]) -> None:
        moves, so_far = self._moves(batches), self._so_far(batches)
        # The view comes first, so that the lines below it stay one piece of text.
        if in_jupyter() and batches:
            button = self._cancel if self._cancel_job else None
            self._view = self._view or _View(len(moves), button)
            self._view.show(moves, so_far)
        lines = list(_lines(batches))
        for line in lines[self._said :]:
            self._say(line)
        self._said = len(lines)
        if not in_jupyter():
            self._say_moves(moves, so_far)
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
        return not _runs(batch) or (batch.status in FINAL and self._was_cancelled())

    def _moves(self, batches: list[Batch]) -> list["_Move"]:
        """What has a bar each: every batch, or all of them together."""
        if len(batches) <= _FEW:
            return [
                _Move(b.id, *counts_of(b), _state(b), b.status == "in_progress") for b in batches
            ]
        done, failed, total = map(sum, zip(*map(counts_of, batches), strict=True))
        # None of them has lines of its own, so the beginning is said as well.
        self._tenths.setdefault(_all(batches), -1)
        total = max(total, self._requests)
        return [_Move(_all(batches), done, failed, total, "", any(map(_runs, batches)))]

    def _say_moves(self, moves: list["_Move"], so_far: str) -> None:
        for move in moves:
            tenth = 10 * move.moved // max(move.total, 1)
            if move.runs and tenth > self._tenths.get(move.name, 0):
                self._tenths[move.name] = tenth
                self._say(f"{move.name}: {move.moved:,} of {move.total:,}, {so_far}")
            if move.state == _NO_ROOM and move.name not in self._tenths:
                self._tenths[move.name] = 0
                self._say(f"{move.name}: waits for room in the queue")

    def _so_far(self, batches: list[Batch]) -> str:
        """The time waited, the speed, the latest end, the cost: there is no forecast to go by."""
        waited = max(0, int(self._clock() - self._begun))
        said = [_by_state(batches)] if len(batches) > _FEW else []
        said.append(f"waited {timedelta(seconds=waited)}")
        done = sum(sum(counts_of(batch)[:2]) for batch in batches)
        if self._done_before is None:
            self._done_before = done
        speed = round(60 * (done - self._done_before) / max(waited, 1))
        if waited >= _MEASURED and speed > 0:
            said.append(f"{speed:,} rows a minute")
        if ends := [end for end in (moment(batch.expires_at) for batch in batches) if end]:
            said.append(f"ends by {datetime.fromtimestamp(max(ends)):%Y-%m-%d %H:%M} at the latest")
        # Documented is only that a batch that has ended says its usage.
        if cost := sum(cost_so_far(batch) or 0 for batch in batches):
            said.append(f"{cost:.4f} US dollars so far")
        return ", ".join(said)


class _Move(NamedTuple):
    """How far one batch is, or all of them."""

    name: str
    completed: int
    failed: int
    total: int
    state: str
    runs: bool

    @property
    def moved(self) -> int:
        return self.completed + self.failed


class _View:
    """A bar and a text per move, a text for all of them, and the button."""

    def __init__(self, count: int, cancel: Callable | None):
        from ipywidgets import HTML, HBox, IntProgress, Label, Layout, VBox

        wide = Layout(flex="1 1 auto", min_width="60px")
        self.bars = [IntProgress(value=0, max=1, layout=wide) for _ in range(count)]
        self.texts = [Label(layout=Layout(flex="0 0 20em")) for _ in range(count)]
        self.summary = HTML()
        lines = [HBox(pair) for pair in zip(self.bars, self.texts, strict=True)]
        button = [_cancel_button(cancel)] if cancel else []
        self.box = VBox([*lines, self.summary, *button])
        # Only the live view: a picture of it would stay on the page as it was in the beginning.
        live = {_VIEW: self.box._repr_mimebundle_()[_VIEW]}
        self.place = display(live, raw=True, display_id=True)

    def show(self, moves: list[_Move], so_far: str) -> None:
        for move, bar, text in zip(moves, self.bars, self.texts, strict=True):
            bar.max, bar.value = max(move.total, 1), move.moved
            said = f"{move.moved:,} of {move.total:,}, {move.failed:,} failed, {move.state}"
            text.value = said.removesuffix(", ")
        self.summary.value = _paragraph(so_far)

    def close(self) -> None:
        self.box.close()
        # A saved notebook would show an error in the place of a view that is gone.
        self.place.update({}, raw=True)


def _paragraph(text: str) -> str:
    """HTML of a text that may need more than one line: the line height of a widget is for one."""
    return f'<div style="line-height:1.5">{html.escape(text)}</div>'


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
        box.children = [HTML(_paragraph(text)), *more]

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
    if len(batches) > _FEW:
        yield from _ends(batches)
        return
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


def _ends(batches: list[Batch]) -> Iterator[str]:
    """How many batches there were is said when all have ended."""
    if any(map(_runs, batches)):
        return
    others = [batch for batch in batches if batch.status != "completed"]
    for batch in others[:_FEW]:
        yield f"{batch.id}: {batch.status}{_counts(batch)}"
    done, failed, total = map(sum, zip(*map(counts_of, batches), strict=True))
    counts = f"{done:,} ok and {failed:,} failed of {total:,}"
    yield f"{_all(batches)}: {_by_state(batches)}; {counts}"


def _all(batches: list[Batch]) -> str:
    return f"{len(batches):,} batches"


_NO_ROOM = "waiting for room"


def _runs(batch: Batch) -> bool:
    return batch.status not in FINAL or found_no_room(batch)


def _state(batch: Batch) -> str:
    return _NO_ROOM if found_no_room(batch) else batch.status


def _by_state(batches: list[Batch]) -> str:
    counts = Counter(map(_state, batches))
    return ", ".join(f"{count:,} {state}" for state, count in counts.most_common())


def _counts(batch: Batch) -> str:
    if batch.status == "failed" and (errors := errors_of(batch)):
        return f", {errors[0].message}"
    done, failed, total = counts_of(batch)
    return f", {done} ok and {failed} failed of {total}" if total else ""
