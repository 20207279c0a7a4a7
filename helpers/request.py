"""row -> request: from one line of the reader's table to one line of the batch file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel

from helpers.checks import ID_RULE, ID_RULE_TEXT

# Checked against the Structured Outputs guide,
# https://developers.openai.com/api/docs/guides/structured-outputs
_UNSUPPORTED = {
    "allOf", "oneOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else",
    "default", "minLength", "maxLength", "uniqueItems", "prefixItems",
}  # fmt: skip


_PIECE = 1_000


class RowError(ValueError):
    """A row of the table cannot become a request. The message names the row and the column."""


class Row(Mapping[str, Any]):
    """One line of the table.

    ``row["Overview"]`` is the value, or a `RowError` when the column does not exist or this row
    has nothing in it: an empty cell would otherwise become a paid request about "nan".
    ``row.get("Overview")`` is None in both cases, for columns that may be empty.
    """

    __slots__ = ("_cells", "number")

    def __init__(self, number: int, cells: dict[str, Any]):
        self.number = number
        self._cells = cells

    def __getitem__(self, column: str) -> Any:
        value = self._cells.get(column)
        if not _is_empty(value):
            return value
        if column not in self._cells:
            raise RowError(
                f"The table has no column {column!r}. "
                f"Its columns are: {', '.join(map(repr, self._cells))}."
            )
        raise RowError(
            f"Row {self.number} (id {self._cells.get('id')!r}): {column!r} is empty. "
            f"Fill it, drop the row, or use row.get({column!r}, '') if it may be empty."
        )

    def get(self, column: str, default: Any = None) -> Any:
        value = self._cells.get(column)
        return default if _is_empty(value) else value

    def __contains__(self, column: object) -> bool:
        return column in self._cells

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


def with_ids(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an ``id`` column that can serve as custom_id.

    A table that has none gets ``row-1``, ``row-2``, ... by position. Ids become text, numbers
    too. Raises `RowError` for an empty table and for ids that are missing, duplicate, or longer or
    stranger than `ID_RULE` allows.
    """
    if table.empty:
        raise RowError("The table has no rows. Check the file that it was read from.")
    _check_columns(table)
    if table.index.name == "id":
        raise RowError("The ids are the index, not a column. Make them one with reset_index().")
    if "id" not in table.columns:
        return table.assign(id=[f"row-{number}" for number in range(1, len(table) + 1)])
    for number, value in enumerate(table["id"], start=1):
        if _is_empty(value):
            raise RowError(f"Row {number} has no id. Fill it, or drop the column to have ids made.")
    ids = table["id"].map(_as_id)
    for number, value in enumerate(ids, start=1):
        if not ID_RULE.fullmatch(value):
            raise RowError(
                f"Row {number}: the id {value!r:.80} is not {ID_RULE_TEXT}. Rename it, or name the "
                "column otherwise, and ids are made."
            )
    if len(twice := ids[ids.duplicated(keep=False)]):
        numbers = [number for number, value in enumerate(ids, start=1) if value == twice.iloc[0]]
        raise RowError(
            f"{twice.nunique()} of the ids are not unique: {twice.iloc[0]!r} is that of rows "
            f"{', '.join(map(str, numbers[:5]))}{' and more' if len(numbers) > 5 else ''}. Results "
            "are matched by id: take drop_duplicates('id'), or drop the column to have ids made."
        )
    return table.assign(id=ids)


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Every row of the table as a `Row`, one at a time, numbered from 1."""
    _check_columns(table)
    names = list(table.columns)
    columns = [table[column] for column in table.columns]
    # Lists are several times as fast as columns to go through; short ones keep the memory flat.
    for start in range(0, len(table), _PIECE):
        lists = [column.iloc[start : start + _PIECE].tolist() for column in columns]
        for number, values in enumerate(zip(*lists, strict=True), start=start + 1):
            yield Row(number, dict(zip(names, values, strict=True)))


def answer_format(model: type[BaseModel]) -> dict[str, Any]:
    """The ``response_format`` that makes the API answer in the shape of a Pydantic model.

    Raises `ValueError`, naming the place in the schema, for what strict mode refuses: the API
    would only say so after the batch has run, once for every line. Rules:
    https://developers.openai.com/api/docs/guides/structured-outputs
    """
    schema = model.model_json_schema()
    problems = list(_strict_problems(schema, model.__name__))
    if schema.get("type") != "object":
        problems.insert(0, f"{model.__name__}: the outermost model has to be an object with fields")
    if problems:
        raise ValueError("\n- ".join(["Structured Outputs will refuse this model:", *problems]))
    name = re.sub(r"[^A-Za-z0-9_-]", "_", model.__name__)[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _strict_problems(schema: dict, place: str) -> Iterator[str]:
    for keyword in sorted(_UNSUPPORTED & schema.keys()):
        more = ", also '= ...' behind a field" if keyword == "default" else ""
        yield f"{place}: it has {keyword!r}, which is not supported; take it out of the model{more}"
    if "$ref" in schema and len(schema.keys() - {"$defs"}) > 1:
        yield f"{place}: a nested model cannot have a description here; put it into its docstring"
    if not schema.keys() & {"type", "enum", "const", "anyOf", "$ref", *_UNSUPPORTED}:
        yield f"{place}: it has no type; write one instead of Any"
    properties = schema.get("properties", {})
    if isinstance(schema.get("additionalProperties"), dict | bool) and not properties:
        yield f"{place}: free keys are not supported; use a list of pairs"
    elif schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        yield f"{place}: give the model model_config = ConfigDict(extra='forbid')"
    for name in properties:
        if name not in schema.get("required", []):
            yield f"{place}.{name}: every field is required; for an optional one, only 'X | None'"
    parts = [(f"{place}.{name}", part) for name, part in properties.items()]
    parts += [(f"{place}[]", schema["items"])] if "items" in schema else []
    parts += [(place, part) for part in schema.get("anyOf", [])]
    parts += list(schema.get("$defs", {}).items())
    for at, part in parts:
        yield from _strict_problems(part, at)


def _check_columns(table: pd.DataFrame) -> None:
    if double := table.columns[table.columns.duplicated()].tolist():
        raise RowError(f"The table has two columns named {double[0]!r}. Rename or drop one.")


def _as_id(value: Any) -> str:
    # pandas reads whole numbers as decimals where another cell of the column is empty.
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (pd.api.types.is_scalar(value) and pd.isna(value))
