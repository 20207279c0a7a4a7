"""What a reader sees of the results: a gallery of pictures with their texts, and rows by category.

Both are widgets in Jupyter and plain text or HTML on a page that is only read. Their texts come
from a table or a model, so they are escaped before they meet HTML.
"""

import base64
import html
import mimetypes
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from IPython import get_ipython

_WIDGET = "application/vnd.jupyter.widget-view+json"
# A head, or a cell with anything else than a number.
_TEXT_CELL = re.compile(r"<(th|td(?!>-?[\d.]+</td>))>")


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


class ResultsBrowser:
    """The rows of a table by what stands in one column: choose a value, see its rows.

    ``by`` names the column, whose cells may be lists; ``columns`` those that are shown. In Jupyter
    all rows of the value chosen; on a page that is only read, the first rows of each value, folded.
    """

    _FIRST = 5

    def __init__(self, table: pd.DataFrame, by: str, columns: list[str]):
        if lacking := [column for column in (by, *columns) if column not in table]:
            raise ValueError(f"The table has no column {lacking[0]!r}. It has: {[*table.columns]}.")
        shown = table[columns].astype(object).where(table[columns].notna(), "")
        values = table[by].reset_index(drop=True).explode().dropna().map(str)
        groups = {v: shown.iloc[cells.index.unique()] for v, cells in values.groupby(values)}
        self.groups = dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        widget = {} if get_ipython() is None else _chooser_of(self)
        return {**widget, "text/html": self.page(), "text/plain": self.text()}

    def text(self) -> str:
        """A line per value."""
        return "\n".join(map(_labelled, self.groups.items()))

    def page(self) -> str:
        """The HTML of all values."""
        return "".join(
            f"<details><summary>{html.escape(_labelled((value, group)))}</summary>"
            f"{_rows(group.head(self._FIRST))}</details>"
            for value, group in self.groups.items()
        )


def _labelled(item: tuple[str, pd.DataFrame]) -> str:
    value, group = item
    return f"{value} ({len(group)})"


def _rows(group: pd.DataFrame) -> str:
    def line(cells: Iterable, tag: str) -> str:
        texts = (", ".join(map(str, c)) if isinstance(c, list) else str(c) for c in cells)
        left = 'style="text-align:left;vertical-align:top;padding:2px 12px 2px 0"'
        return "".join(f"<{tag} {left}>{html.escape(text)}</{tag}>" for text in texts)

    lines = [line(group.columns, "th"), *(line(row, "td") for row in group.to_numpy().tolist())]
    return f"<table>{''.join(f'<tr>{cells}</tr>' for cells in lines)}</table>"


def _chooser_of(results: ResultsBrowser) -> dict[str, Any]:
    """The rows of each value as a widget: its view for a display bundle."""
    from ipywidgets import HTML, Dropdown, Layout, VBox

    options = [(_labelled(item), item[0]) for item in results.groups.items()]
    values = Dropdown(options=options, description="Show")
    # The line height: that of a widget is made for one line.
    line = "1px solid var(--jp-border-color2, gray)"
    place = HTML(layout=Layout(max_height="420px", overflow="auto", border=line, padding="0 8px"))

    def show(_: Any = None) -> None:
        rows = _rows(results.groups[values.value]) if results.groups else ""
        place.value = f'<div style="line-height:1.5">{rows}</div>'

    values.observe(show, "value")
    show()
    widget = VBox([values, place])
    return {_WIDGET: widget._repr_mimebundle_()[_WIDGET]}


def readable_tables() -> None:
    """Lets pandas show texts whole and aligned to the left, and numbers with four decimals."""
    pd.set_option("display.max_colwidth", None, "display.precision", 4)
    if shell := get_ipython():
        formatter = shell.display_formatter.formatters["text/html"]
        formatter.for_type(pd.DataFrame, lambda table: _left(table._repr_html_()))


def _left(table: str) -> str:
    return _TEXT_CELL.sub(r'<\1 style="text-align: left">', table)


def _figure(item: dict, style: str = "width:min(200px,44%)", source: str | None = None) -> str:
    source = source or quote(Path(os.path.relpath(item["picture"])).as_posix())
    title, caption = (html.escape(str(item[key])) for key in ("title", "caption"))
    return (
        f'<figure style="display:inline-block;{style};max-width:95%;margin:8px;'
        'vertical-align:top">'
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
