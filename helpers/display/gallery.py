"""Pictures with their texts, side by side: plain HTML that needs no kernel and no file beside it.

Titles and captions come from a table or a model, so they are escaped before they meet HTML.
"""

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.images import embeddable
from helpers.job import visible

_ACROSS = 4
# Twice the 200 pixels of a cell: screens with two pixels for one are common.
_LONG_SIDE = 400


class Gallery:
    """Pictures with title and caption, one row of ``items`` each, as HTML and as text.

    ``picture``, ``title`` and ``caption`` name the columns; a picture is the path of a file. Small
    copies are part of the page, so it looks the same in Jupyter, on GitHub and in a mail. Raises
    ValueError for a column or a file that does not exist, `PictureError` for a file that is no
    picture.
    """

    def __init__(
        self,
        items: pd.DataFrame,
        *,
        picture: str = "picture",
        title: str = "title",
        caption: str = "caption",
    ):
        columns = {"picture": picture, "title": title, "caption": caption}
        if lacking := [column for column in columns.values() if column not in items]:
            names = " and ".join(map(repr, lacking))
            raise ValueError(
                f"The table has no column {names}. It has: {[*items.columns]}. Name one of these."
            )
        found = pd.DataFrame({role: items[column] for role, column in columns.items()})
        self.items = found.astype(object).where(found.notna(), "").to_dict("records")
        for number, item in enumerate(self.items, start=1):
            if not Path(item["picture"]).is_file():
                raise ValueError(f"Row {number}: there is no picture {str(item['picture'])!r}.")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.page(), "text/plain": self.text()}

    def text(self) -> str:
        """A line per item."""
        lines = (f"{item['title']}: {item['caption']}" for item in self.items)
        return "\n".join(visible(" ".join(line.split())) for line in lines)

    def page(self) -> str:
        """The HTML of all items."""
        # GitHub takes out the styles, and four in a row are left; with them the cells flow.
        flow = 'style="display:contents"'
        rows = (self.items[start : start + _ACROSS] for start in range(0, len(self.items), _ACROSS))
        lines = (f"<tr {flow}>{''.join(map(_cell, row))}</tr>" for row in rows)
        return f'<table style="display:block"><tbody {flow}>{"".join(lines)}</tbody></table>'


def _cell(item: Mapping[Any, Any]) -> str:
    title, caption = (html.escape(str(item[key])) for key in ("title", "caption"))
    width = "width:min(200px,44%);max-width:95%;margin:8px"
    # Jupyter colours every second row of a table; here a row is no unit.
    style = f"display:inline-block;{width};padding:0;vertical-align:top;text-align:left"
    return (
        f'<td valign="top" style="{style};background:none"><figure style="margin:0">'
        f'<img src="{_small_copy(item["picture"])}" alt="{title}" width="200" style="width:100%">'
        f"<figcaption><b>{title}</b><br>{caption}</figcaption></figure></td>"
    )


def _small_copy(path: str | Path) -> str:
    media_type, content = embeddable(path, _LONG_SIDE)
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
