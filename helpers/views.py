"""What a reader sees: progress while waiting, and a gallery of pictures with their texts.

Both are widgets in Jupyter and plain text or HTML on a page that is only read. Titles and captions
come from a table or a model, so they are escaped before they meet HTML.
"""

import base64
import html
import mimetypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from IPython import get_ipython
from IPython.display import display
from openai.types import Batch

from helpers.jobs import FINAL, found_no_room

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
        self._bar = self._place = None

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
            self._bar, self._place = _bar()
        self._bar.max, self._bar.value = max(total, 1), done
        refused = sum(map(found_no_room, batches))
        self._bar.description = f"{done}/{total}" + (f", {refused} wait for room" * bool(refused))
        if all(batch.status in FINAL for batch in batches) and not refused:
            self._bar.close()
            # A saved notebook would show an error in the place of a bar that is gone.
            self._place.update({}, raw=True)


class Gallery:
    """Pictures with title and caption, one line of ``items`` each.

    In Jupyter one at a time, with previous, next and a filter by ``kind``; on a page that is only
    read, all of them as HTML that refers to the picture files. ``picture``, ``title``, ``caption``
    and ``kind`` name the columns; a picture is a path.
    """

    def __init__(
        self,
        items: pd.DataFrame,
        picture: str = "picture",
        title: str = "title",
        caption: str = "caption",
        kind: str = "kind",
    ):
        columns = {"picture": picture, "title": title, "caption": caption, "kind": kind}
        if lacking := [column for column in columns.values() if column not in items]:
            raise ValueError(f"The table has no column {lacking[0]!r}. It has: {[*items.columns]}.")
        found = pd.DataFrame({role: items[column] for role, column in columns.items()})
        self.items = found.astype(object).where(found.notna(), "").to_dict("records")
        for number, item in enumerate(self.items, start=1):
            if not Path(item["picture"]).is_file():
                raise ValueError(f"Row {number}: there is no picture {str(item['picture'])!r}.")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        widget = {} if get_ipython() is None else _widget_of(self)
        return {**widget, "text/html": self.page(), "text/plain": self.text()}

    def text(self) -> str:
        """A line per item."""
        lines = (f"{item['title']}: {item['caption']}" for item in self.items)
        return "\n".join(" ".join(line.split()) for line in lines)

    def page(self) -> str:
        """The HTML of all items."""
        return f"<div>{''.join(map(_figure, self.items))}</div>"

    def kinds(self) -> list[str]:
        """The kinds there are, in order, without doubles."""
        return sorted({str(item["kind"]) for item in self.items})


def _figure(item: dict, style: str = "width:200px", source: str | None = None) -> str:
    source = source or quote(Path(os.path.relpath(item["picture"])).as_posix())
    title, caption = (html.escape(str(item[key])) for key in ("title", "caption"))
    return (
        f'<figure style="display:inline-block;{style};max-width:95%;margin:8px;'
        'vertical-align:top">'
        f'<img src="{html.escape(source)}" alt="{title}" style="width:100%">'
        f"<figcaption><b>{title}</b><br>{caption}</figcaption></figure>"
    )


def _data_url(path: str | os.PathLike) -> str:
    kind = mimetypes.guess_type(path)[0] or "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode()}"


def _widget_of(gallery: Gallery) -> dict[str, Any]:
    """The gallery as a widget: its view for a display bundle."""
    from ipywidgets import HTML, Button, Dropdown, HBox, VBox

    # Not None: to a Dropdown that is nothing chosen, and it shows nothing.
    everything = object()
    options = [("everything", everything), *((kind, kind) for kind in gallery.kinds())]
    kinds = Dropdown(options=options, description="Show")
    back, forward = Button(description="Previous"), Button(description="Next")
    place, picture = HTML(), HTML()
    shown: dict[str, Any] = {"items": gallery.items, "number": 0}

    def show(step: int = 0) -> None:
        if not (items := shown["items"]):
            return
        shown["number"] = (shown["number"] + step) % len(items)
        item = items[shown["number"]]
        # The line height: that of a widget is made for one line.
        style = "width:480px;line-height:1.5"
        picture.value = _figure(item, style, source=_data_url(item["picture"]))
        place.value = f"{shown['number'] + 1} of {len(items)}"

    def choose(change: dict) -> None:
        wanted = change["new"]
        shown["items"] = [i for i in gallery.items if wanted in (everything, str(i["kind"]))]
        shown["number"] = 0
        show()

    back.on_click(lambda _: show(-1))
    forward.on_click(lambda _: show(1))
    kinds.observe(choose, "value")
    show()
    widget = VBox([HBox([back, forward, place, kinds]), picture])
    return {_WIDGET: widget._repr_mimebundle_()[_WIDGET]}


def _lines(batches: list[Batch]) -> Iterator[str]:
    """What is to be said of the batches by now; stops at the first that is still to run."""
    for batch in batches:
        if found_no_room(batch):
            return
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
    place = display({_WIDGET: bar._repr_mimebundle_()[_WIDGET]}, raw=True, display_id=True)
    return bar, place
