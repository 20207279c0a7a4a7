"""row -> request: from one line of the reader's table to one line of the batch file."""

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, KeysView, Mapping
from os import PathLike
from typing import Any

import pandas as pd
from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from helpers.checks import ID_RULE, ID_RULE_TEXT
from helpers.formats.cells import EXACT, as_whole, empty_places, is_empty
from helpers.formats.schemas import refusals
from helpers.formats.tables import RowError, table_of

# Tables


def with_ids(table: Any) -> pd.DataFrame:
    """The table with an ``id`` column that can serve as custom_id.

    Takes a DataFrame of pandas or polars, a pyarrow table, a list of dicts, or the path of a CSV,
    Excel, Parquet or JSON Lines file. A table without ids gets ``row-1``, ``row-2``, ... by
    position. Ids become text, numbers too. Raises `RowError` for an empty table and for ids that
    are missing, duplicate, no longer exact, or longer or stranger than `ID_RULE` allows.
    """
    table = table_of(table)
    if table.empty:
        raise RowError("The table has no rows. Check the file that it was read from.")
    _check_names(table)
    if "id" not in table.columns:
        return table.assign(id=[f"row-{number}" for number in range(1, len(table) + 1)])
    values = table["id"].tolist()
    if missing := [number for number, value in enumerate(values, start=1) if is_empty(value)]:
        have, them = ("has", "it") if len(missing) == 1 else ("have", "them")
        raise RowError(
            f"{_rows(missing)} {have} no id. Fill {them}, or drop the column to have ids made."
        )
    ids = [_as_id(value) for value in values]
    strange = [number for number, value in enumerate(ids, start=1) if not ID_RULE.fullmatch(value)]
    if strange:
        value = values[strange[0] - 1]
        if isinstance(value, float) and math.isfinite(value) and abs(value) >= EXACT:
            raise RowError(
                f"{_rows(strange)}: the id {value:.0f} is a decimal number, and so large that its "
                "last digits were lost. Read the ids as text: pd.read_csv(..., dtype={'id': str})."
            )
        raise RowError(
            f"{_rows(strange)}: the id {ids[strange[0] - 1]!r:.80} is not {ID_RULE_TEXT}. Rename "
            "it, make it with id_from, or name the column otherwise, and ids are made."
        )
    if twice := [value for value, count in Counter(ids).items() if count > 1]:
        numbers = [number for number, value in enumerate(ids, start=1) if value == twice[0]]
        raise RowError(
            f"{len(twice)} of the ids are not unique: {twice[0]!r} is that of "
            f"{_rows(numbers).lower()}. Results are matched by id: take drop_duplicates('id') if "
            "the rows are the same, or drop the column to have ids made."
        )
    return table.assign(id=ids)


def id_from(name: str | PathLike) -> str:
    """An id that can be read, made of a file name or title; another one for every other name.

    What `ID_RULE` does not allow becomes a hyphen, and eight digits that stand for the whole name
    are put behind: ``chair 1.jpg`` is ``chair-1-jpg-`` and the digits. A name that is an id already
    stays as it is.
    """
    name = str(name)
    if ID_RULE.fullmatch(name):
        return name
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", latin).strip("-")
    return f"{readable[:55] or 'id'}-{digits}"


def rows(table: Any) -> Iterator["Row"]:
    """Every row of the table as a `Row`, one at a time, numbered from 1.

    Takes what `with_ids` takes. Numbers that are whole stay so: a column that pandas made decimals
    of, because a cell beside them is empty, gives ``1994``, not ``1994.0``.
    """
    table = table_of(table)
    _check_double(table)
    names = list(table.columns)
    columns = [as_whole(table.iloc[:, place]) for place in range(len(names))]
    source = _Source(names, columns)
    # Lists are several times as fast as columns to go through; short ones keep the memory flat.
    for start in range(0, len(table), _PIECE):
        lists = [column.iloc[start : start + _PIECE].tolist() for column in columns]
        holes: dict[int, list[str]] = {}
        for name, values in zip(names, lists, strict=True):
            for place in empty_places(values):
                holes.setdefault(place, []).append(name)
        for place, cells in enumerate(zip(*lists, strict=True)):
            row = Row.__new__(Row)
            row.update(zip(names, cells, strict=True))
            row.number = start + place + 1
            row._source = source
            for name in holes.get(place, ()):
                dict.__delitem__(row, name)
            yield row


class Row(dict[str, Any]):
    """One line of the table.

    ``row["Overview"]`` is the value, or a `RowError` when the column does not exist or this row
    has nothing in it: an empty cell would otherwise become a paid request about "nan".
    ``row.get("Overview")`` is None in both cases, for columns that may be empty.
    """

    # The cells with something in them are the items of the dict, so that reading one costs no
    # more than in any dict. All columns are in the source.
    __slots__ = ("_source", "number")

    def __init__(self, number: int, cells: Mapping[str, Any]):
        super().__init__((name, value) for name, value in cells.items() if not is_empty(value))
        self.number = number
        self._source = _Source(list(cells), [])

    def __missing__(self, column: str) -> Any:
        names = self._source.names
        if column not in names:
            raise RowError(
                f"The table has no column {column!r}. Its columns are: "
                f"{', '.join(map(repr, names))}. An index becomes columns with reset_index()."
            )
        numbers = self._source.empty_rows(column)
        others = [number for number in numbers if number != self.number]
        too = f", and in {_rows(others).lower()} as well" if others else ""
        raise RowError(
            f"Row {self.number} (id {self.get('id')!r}): {column!r} is empty{too}. "
            f"Fill it, drop the row, or use row.get({column!r}, '') if it may be empty."
        )

    def __contains__(self, column: object) -> bool:
        return column in self._source.names

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.names)

    def __len__(self) -> int:
        return len(self._source.names)

    def keys(self):
        return KeysView(self)


class _Source:
    """What all rows of a table share."""

    def __init__(self, names: list[str], columns: list[pd.Series]):
        self.names, self._columns = names, columns
        self._empty: dict[str, list[int]] = {}

    def empty_rows(self, column: str) -> list[int]:
        """The numbers of the rows with nothing in this column, for the messages about them."""
        if column not in self._empty and self._columns:
            values = self._columns[self.names.index(column)].tolist()
            self._empty[column] = [place + 1 for place in empty_places(values)]
        return self._empty.get(column, [])


_PIECE = 1_000
_SHOWN = 5


def _as_id(value: Any) -> str:
    # pandas reads whole numbers as decimals where another cell of the column is empty.
    exact = isinstance(value, float) and value.is_integer() and abs(value) < EXACT
    return str(int(value) if exact else value)


def _rows(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"Row {numbers[0]}"
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"Rows {', '.join(map(str, numbers[:_SHOWN]))}{more}"


def _check_names(table: pd.DataFrame) -> None:
    """Ids are not numbered over where the reader has some, under a name that is nearly right."""
    _check_double(table)
    levels = [name for name in table.index.names if name is not None]
    if levels or table.index.nlevels > 1:
        # With drop=True where the columns have the same already, as after set_index(drop=False).
        drop = "drop=True" if levels and set(levels) <= set(table.columns) else ""
        raise RowError(
            f"{', '.join(map(repr, levels)) or 'The row labels'}: in the index, not in a column, "
            f"and would be lost. Take reset_index({drop})."
        )
    near = [name for name in table.columns if str(name).strip().lower() == "id" and name != "id"]
    if near and "id" not in table.columns:
        raise RowError(
            f"The table has no column 'id', but {near[0]!r}. If these are the ids, take "
            f"rename(columns={{{near[0]!r}: 'id'}}); if not, name it otherwise, and ids are made."
        )


def _check_double(table: pd.DataFrame) -> None:
    if double := table.columns[table.columns.duplicated()].tolist():
        raise RowError(f"The table has two columns named {double[0]!r}. Rename or drop one.")


# The shape of the answer


def answer_format(
    model: type[BaseModel], *, endpoint: str = "/v1/chat/completions"
) -> dict[str, Any]:
    """What makes the API answer in the shape of a Pydantic model.

    For Chat Completions the value of ``response_format``, for ``endpoint="/v1/responses"`` that of
    ``text["format"]``. Raises `ValueError`, naming the place in the schema, for what strict mode
    refuses: the API would only say so after the batch has run, once for every line. Rules:
    https://developers.openai.com/api/docs/guides/structured-outputs
    """
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        kind = f"{model!r:.80} is no Pydantic model; write a class that has BaseModel."
        raise ValueError(kind)  # noqa: TRY004 (the one error of this function)
    try:
        schema = model.model_json_schema()
    except PydanticUserError as error:
        raise ValueError(f"{model.__name__} has no JSON schema: {error.message}") from None
    if problems := list(refusals(schema, model.__name__)):
        raise ValueError("\n- ".join(["Structured Outputs will refuse this model:", *problems]))
    name = re.sub(r"[^A-Za-z0-9_-]", "_", model.__name__)[:64]
    named = {"name": name, "strict": True, "schema": schema}
    if endpoint == "/v1/responses":
        return {"type": "json_schema", **named}
    return {"type": "json_schema", "json_schema": named}
