"""Pictures with their texts: one at a time in Jupyter, all of them on a page that is only read.

Titles and captions come from a table or a model, so they are escaped before they meet HTML.
"""

import base64
import html
import mimetypes
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from helpers.display.widgets import in_jupyter, view_of


class Gallery:
    """Pictures with title and caption, one line of ``items`` each.

    In Jupyter one at a time, with previous, next and a filter by ``kind``; on a page that is only
    read, all of them as HTML that refers to the picture files. ``picture``, ``title``, ``caption``
    and ``kind`` (None for none) name the columns; a picture is a path.
    """

    def __init__(
        self,
        items: pd.DataFrame,
        picture: str = "picture",
        title: str = "title",
        caption: str = "caption",
        kind: str | None = "kind",
    ):
        columns = {"picture": picture, "title": title, "caption": caption}
        columns |= {"kind": kind} if kind else {}
        if lacking := [column for column in columns.values() if column not in items]:
            names = " and ".join(map(repr, lacking))
            raise ValueError(
                f"The table has no column {names}. It has: {[*items.columns]}. Name one of "
                "these, or leave out the kinds with kind=None."
            )
        found = pd.DataFrame({role: items[column] for role, column in columns.items()})
        found = found if kind else found.assign(kind="")
        self.items = found.astype(object).where(found.notna(), "").to_dict("records")
        for number, item in enumerate(self.items, start=1):
            if not Path(item["picture"]).is_file():
                raise ValueError(f"Row {number}: there is no picture {str(item['picture'])!r}.")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        widget = _widget_of(self) if in_jupyter() else {}
        return {**widget, "text/html": self.page(), "text/plain": self.text()}

    def text(self) -> str:
        """A line per item."""
        lines = (f"{item['title']}: {item['caption']}" for item in self.items)
        return "\n".join(" ".join(line.split()) for line in lines)

    def page(self) -> str:
        """The HTML of all items."""
        # GitHub takes out the styles, and four in a row are left; with them the cells flow.
        flow = 'style="display:contents"'
        rows = (self.items[start : start + 4] for start in range(0, len(self.items), 4))
        lines = (f"<tr {flow}>{''.join(map(_cell, row))}</tr>" for row in rows)
        return f'<table style="display:block"><tbody {flow}>{"".join(lines)}</tbody></table>'

    def kinds(self) -> list[str]:
        """The kinds there are, in order, without doubles."""
        return sorted({str(item["kind"]) for item in self.items})


def _cell(item: dict) -> str:
    source = quote(Path(os.path.relpath(item["picture"])).as_posix())
    width = "width:min(200px,44%);max-width:95%;margin:8px"
    style = f"display:inline-block;{width};padding:0;vertical-align:top;text-align:left"
    return f'<td valign="top" style="{style}">{_figure(item, source)}</td>'


def _figure(item: dict, source: str, style: str = "margin:0") -> str:
    title, caption = (html.escape(str(item[key])) for key in ("title", "caption"))
    return (
        f'<figure style="{style}">'
        f'<img src="{html.escape(source)}" alt="{title}" width="200" style="width:100%">'
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
        style = "width:480px;max-width:95%;margin:8px;line-height:1.5"
        picture.value = _figure(item, _data_url(item["picture"]), style)
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
    return view_of(widget)
