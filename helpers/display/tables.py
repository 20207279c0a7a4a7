"""Tables for a reader: rows by category to unfold, and texts shown whole.

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

from helpers.job import visible


class ResultsBrowser:
    """The rows of a table by what stands in one column: unfold a value, see its rows.

    ``by`` names the column, whose cells may be lists; ``columns`` those that are shown, at most
    ``rows`` of each value. It is plain HTML, so it works in Jupyter, in a saved notebook and on a
    page, with no kernel. Raises ValueError for a column that does not exist.
    """

    def __init__(self, table: pd.DataFrame, by: str, columns: list[str], *, rows: int = 200):
        if lacking := [column for column in (by, *columns) if column not in table]:
            raise ValueError(f"The table has no column {lacking[0]!r}. It has: {[*table.columns]}.")
        shown = table[columns].astype(object).where(table[columns].notna(), "")
        values = table[by].reset_index(drop=True).explode().dropna().map(str)
        groups = {v: shown.iloc[cells.index.unique()] for v, cells in values.groupby(values)}
        self.groups = dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))
        self._most = rows

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.page(), "text/plain": self.text()}

    def text(self) -> str:
        """A line per value."""
        lines = (_labelled(value, group) for value, group in self.groups.items())
        return "\n".join(map(visible, lines))

    def page(self) -> str:
        """The HTML of all values."""
        return "".join(self._folded(value, group) for value, group in self.groups.items())

    def _folded(self, value: str, group: pd.DataFrame) -> str:
        part = f", the first {self._most}" if len(group) > self._most else ""
        label = html.escape(f"{_labelled(value, group)}{part}")
        return f"<details><summary>{label}</summary>{_rows(group.head(self._most))}</details>"


def _labelled(value: str, group: pd.DataFrame) -> str:
    return f"{value} ({len(group)})"


def _rows(group: pd.DataFrame) -> str:
    def line(cells: Iterable, tag: str) -> str:
        texts = (", ".join(map(str, c)) if isinstance(c, list) else str(c) for c in cells)
        left = 'style="text-align:left;vertical-align:top;padding:2px 12px 2px 0"'
        return "".join(f"<{tag} {left}>{html.escape(text)}</{tag}>" for text in texts)

    lines = [line(group.columns, "th"), *(line(row, "td") for row in group.to_numpy().tolist())]
    return f"<table>{''.join(f'<tr>{cells}</tr>' for cells in lines)}</table>"


def for_spreadsheet(table: pd.DataFrame) -> pd.DataFrame:
    """A copy to be saved for Excel and its like, which take some texts for formulas and run them.

    Texts that begin with ``=``, ``+``, ``-``, ``@`` or a control character get an apostrophe before
    them (https://owasp.org/www-community/attacks/CSV_Injection). Numbers stay.
    """
    return table.map(lambda cell: f"'{cell}" if _is_formula(cell) else cell)


def _is_formula(cell: Any) -> bool:
    return isinstance(cell, str) and cell[:1] > "" and (cell[0] in "=+-@" or cell[0] < " ")


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

    # The type stubs of pandas take a method with an underscore for a column.
    shown: Any = table
    return re.sub("<(t[hd])>", aligned, shown._repr_html_())
