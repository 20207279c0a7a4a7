"""Tables for a reader: rows by category to choose from, and texts shown whole.

A table's texts may come from a model, so they are escaped before they meet HTML.
"""

import html
import itertools
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
from IPython import get_ipython
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from helpers.display.widgets import in_jupyter, view_of

_FIRST = 5


class ResultsBrowser:
    """The rows of a table by what stands in one column: choose a value, see its rows.

    ``by`` names the column, whose cells may be lists; ``columns`` those that are shown. In Jupyter
    all rows of the value chosen; on a page that is only read, the first rows of each value, folded.
    """

    def __init__(self, table: pd.DataFrame, by: str, columns: list[str]):
        if lacking := [column for column in (by, *columns) if column not in table]:
            raise ValueError(f"The table has no column {lacking[0]!r}. It has: {[*table.columns]}.")
        shown = table[columns].astype(object).where(table[columns].notna(), "")
        values = table[by].reset_index(drop=True).explode().dropna().map(str)
        groups = {v: shown.iloc[cells.index.unique()] for v, cells in values.groupby(values)}
        self.groups = dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        widget = _chooser_of(self) if in_jupyter() else {}
        return {**widget, "text/html": self.page(), "text/plain": self.text()}

    def text(self) -> str:
        """A line per value."""
        return "\n".join(map(_labelled, self.groups.items()))

    def page(self) -> str:
        """The HTML of all values."""
        return "".join(map(_folded, self.groups.items()))


def _labelled(item: tuple[str, pd.DataFrame]) -> str:
    value, group = item
    return f"{value} ({len(group)})"


def _folded(item: tuple[str, pd.DataFrame]) -> str:
    group = item[1]
    part = f", the first {_FIRST}" if len(group) > _FIRST else ""
    label = html.escape(f"{_labelled(item)}{part}")
    return f"<details><summary>{label}</summary>{_rows(group.head(_FIRST))}</details>"


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
    return view_of(VBox([values, place]))


def readable_tables() -> None:
    """Lets pandas show 1,000 characters of a text, to the left, and four decimals of a number."""
    pd.set_option("display.max_colwidth", 1_000, "display.precision", 4)
    if shell := get_ipython():
        formatter = shell.display_formatter.formatters["text/html"]
        formatter.for_type(pd.DataFrame, _page_of)


def _page_of(table: pd.DataFrame) -> str:
    """The HTML that pandas makes, with heads and columns of texts aligned to the left."""
    numbers = [is_numeric_dtype(dtype) and not is_bool_dtype(dtype) for dtype in table.dtypes]
    if len(numbers) > (pd.get_option("display.max_columns") or len(numbers)):
        numbers = [False]
    cells = itertools.cycle(numbers)

    def aligned(tag: re.Match) -> str:
        is_number = tag[1] == "td" and next(cells)
        return tag[0] if is_number else f'<{tag[1]} style="text-align: left">'

    return re.sub("<(t[hd])>", aligned, table._repr_html_())
