"""row -> request: from one line of the reader's table to one line of the batch file."""

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sized
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import orjson
import pandas as pd
from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from helpers.checks import ID_RULE, ID_RULE_TEXT


class RowError(ValueError):
    """A row of the table cannot become a request. The message names the row and the column."""


# Tables


def with_ids(table: Any) -> pd.DataFrame:
    """The table with an ``id`` column that can serve as custom_id.

    Takes a DataFrame of pandas or polars, a pyarrow table, a list of dicts, or the path of a CSV,
    Excel, Parquet or JSON Lines file. A table without ids gets ``row-1``, ``row-2``, ... by
    position. Ids become text, numbers too. Raises `RowError` for an empty table and for ids that
    are missing, duplicate, no longer exact, or longer or stranger than `ID_RULE` allows.
    """
    table = _table(table)
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
        if isinstance(value, float) and math.isfinite(value) and abs(value) >= _EXACT:
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
    table = _table(table)
    _check_double(table)
    names = list(table.columns)
    columns = [_whole(table.iloc[:, place]) for place in range(len(names))]
    source = _Source(names, columns)
    # Lists are several times as fast as columns to go through; short ones keep the memory flat.
    for start in range(0, len(table), _PIECE):
        lists = [column.iloc[start : start + _PIECE].tolist() for column in columns]
        holes: dict[int, list[str]] = {}
        for name, values in zip(names, lists, strict=True):
            for place in _empty_places(values):
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

    def empty_rows(self, column: str) -> list[int]:
        """The numbers of the rows with nothing in this column, for the message about one."""
        if not self._columns:
            return []
        values = self._columns[self.names.index(column)].tolist()
        return [place + 1 for place in _empty_places(values)]


_PIECE = 1_000
# Decimal numbers from here on do not hold every whole number.
_EXACT = 2**53
_SHOWN = 5
# Blanks, and what a reader cannot see: joiners, marks of direction, fillers.
_BLANK = "\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2800\u3000\u3164\ufeff\uffa0" + "".join(
    chr(letter)
    for first, last in (
        (0x09, 0x0D), (0x1C, 0x20), (0x80, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F),
        (0x205F, 0x206F), (0xFE00, 0xFE0F),
    )
    for letter in range(first, last + 1)
)  # fmt: skip


def is_empty(value: Any) -> bool:
    """Whether a cell has nothing in it: None, NaN, invisible text, an empty list."""
    if isinstance(value, str):
        return not value.strip(_BLANK)
    if isinstance(value, np.ndarray):
        return value.size == 0
    if isinstance(value, Sized):
        return len(value) == 0
    return value is None or bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _empty_places(values: list) -> list[int]:
    kinds = set(map(type, values))
    # Whole columns of one kind, the commonest, are looked at without a call for each value.
    if kinds <= {int, bool}:
        return []
    if kinds == {str} and all(map(str.strip, values)) and all(map(str.isascii, values)):
        return []
    if kinds == {float}:
        return [place for place, value in enumerate(values) if math.isnan(value)]
    return [place for place, value in enumerate(values) if is_empty(value)]


def _whole(column: pd.Series) -> pd.Series:
    """The column with whole numbers as such, if it has no others."""
    if column.dtype.kind != "f":
        return column
    numbers = column.to_numpy(dtype=float, na_value=math.nan)
    known = numbers[~np.isnan(numbers)]
    if not len(known) or not (abs(known) < _EXACT).all() or (known % 1).any():
        return column
    return column.astype("Int64")


def _as_id(value: Any) -> str:
    # pandas reads whole numbers as decimals where another cell of the column is empty.
    exact = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
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
    if problems := list(_refusals(schema, model.__name__)):
        raise ValueError("\n- ".join(["Structured Outputs will refuse this model:", *problems]))
    name = re.sub(r"[^A-Za-z0-9_-]", "_", model.__name__)[:64]
    named = {"name": name, "strict": True, "schema": schema}
    if endpoint == "/v1/responses":
        return {"type": "json_schema", **named}
    return {"type": "json_schema", "json_schema": named}


_UNSUPPORTED = {
    "allOf", "oneOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else",
    "default", "minLength", "maxLength", "uniqueItems", "prefixItems", "contains", "minContains",
    "maxContains", "unevaluatedItems", "patternProperties", "propertyNames", "minProperties",
    "maxProperties", "unevaluatedProperties", "contentMediaType", "contentSchema",
}  # fmt: skip
_FORMATS = {
    "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid",
}  # fmt: skip
# What stands in a Pydantic model where a schema has another format; str in all other cases.
_INSTEAD = {"uuid": "UUID", "ipvany": "IPv4Address", "name-email": "EmailStr"}
# https://github.com/pydantic/pydantic-ai/issues/5508
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_MOST_PROPERTIES, _MOST_LEVELS, _MOST_VALUES, _MOST_LETTERS = 5_000, 10, 1_000, 120_000
_LONG_ENUM, _MOST_ENUM_LETTERS = 250, 15_000


def _refusals(schema: dict, name: str) -> Iterator[str]:
    """What the API would refuse in the schema of this model: part by part, then as a whole."""
    if "$ref" in schema:
        yield f"{name}: a model that holds itself cannot be outermost; wrap it in another's field"
    elif schema.get("type") != "object":
        yield f"{name}: the outermost model has to be an object with fields"
    parts = list(_parts(schema, name))
    for place, part in parts:
        yield from _refusals_of(part, place)
    properties = [field for _, part in parts for field in part.get("properties", {})]
    values = [str(value) for _, part in parts for value in part.get("enum", [])]
    constants = [str(part["const"]) for _, part in parts if "const" in part]
    letters = sum(map(len, [*properties, *values, *constants, *schema.get("$defs", {})]))
    for what, found, most in (
        ("fields", len(properties), _MOST_PROPERTIES),
        ("values of enums and Literals", len(values), _MOST_VALUES),
        ("letters in names and values", letters, _MOST_LETTERS),
        ("levels of models in models", _levels(schema, schema, ()), _MOST_LEVELS),
    ):
        if found > most:
            yield f"{name}: it has {found:,} {what}, over the limit of {most:,}; ask for less"


def _parts(schema: dict, place: str) -> Iterator[tuple[str, dict]]:
    yield place, schema
    inner = [(f"{place}.{name}", part) for name, part in schema.get("properties", {}).items()]
    inner += [(f"{place}[]", schema["items"])] if "items" in schema else []
    inner += [(place, part) for part in schema.get("anyOf", [])]
    inner += list(schema.get("$defs", {}).items())
    for at, part in inner:
        yield from _parts(part, at)


def _levels(part: dict, schema: dict, inside: tuple[str, ...]) -> int:
    """How deep objects stand in objects; a model that holds itself counts once."""
    if (ref := part.get("$ref")) and ref not in inside:
        return _levels(schema["$defs"][ref.rpartition("/")[2]], schema, (*inside, ref))
    inner = [*part.get("properties", {}).values(), *part.get("anyOf", [])]
    inner += [part["items"]] if "items" in part else []
    deepest = max((_levels(one, schema, inside) for one in inner), default=0)
    return deepest + ("properties" in part)


def _refusals_of(part: dict, place: str) -> Iterator[str]:
    for keyword in sorted(_UNSUPPORTED & part.keys()):
        more = ", also '= ...' behind a field" if keyword == "default" else ""
        yield f"{place}: it has {keyword!r}, which is not supported; take it out of the model{more}"
    if (form := part.get("format", "uuid")) not in _FORMATS:
        instead = next((word for key, word in _INSTEAD.items() if form.startswith(key)), "str")
        kind = {"binary": "bytes", "password": "SecretStr"}.get(form, form.upper())
        yield f"{place}: it has the format {form!r} ({kind}), not supported; take {instead}"
    if _LOOK_AROUND.search(part.get("pattern", "")):
        yield (
            f"{place}: its pattern looks around, with (?= or (?!, which is not supported; write "
            "another, and float in place of Decimal"
        )
    values = part.get("enum", [])
    if len(values) > _LONG_ENUM and sum(map(len, map(str, values))) > _MOST_ENUM_LETTERS:
        yield (
            f"{place}: its {len(values):,} values have more than {_MOST_ENUM_LETTERS:,} letters; "
            "shorten them"
        )
    if "$ref" in part and len(part.keys() - {"$defs"}) > 1:
        yield f"{place}: a nested model cannot have a description here; put it into its docstring"
    if not part.keys() & {"type", "enum", "const", "anyOf", "$ref", *_UNSUPPORTED}:
        yield f"{place}: it has no type; write one instead of Any"
    properties = part.get("properties", {})
    if isinstance(part.get("additionalProperties"), dict | bool) and not properties:
        yield f"{place}: free keys are not supported; use a list of pairs"
    elif part.get("type") == "object" and part.get("additionalProperties") is not False:
        yield f"{place}: give the model model_config = ConfigDict(extra='forbid')"
    for name in properties:
        if name not in part.get("required", []):
            yield f"{place}.{name}: every field is required; for an optional one, only 'X | None'"


# Where tables come from


def _table(source: Any) -> pd.DataFrame:
    """A table of whatever kind, as one of pandas."""
    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, str | PathLike):
        return _read(Path(source))
    if hasattr(source, "to_pydict"):
        if len(set(source.column_names)) < len(source.column_names):
            raise RowError("The table has two columns of one name. Rename or drop one.")
        return _from_columns(source.to_pydict())
    if type(source).__module__.partition(".")[0] == "polars" and hasattr(source, "to_dict"):
        return _from_columns(source.to_dict(as_series=False))
    if isinstance(source, Iterable) and not isinstance(source, Mapping | pd.Series | bytes):
        lines = list(source)
        if all(isinstance(line, Mapping) for line in lines):
            names = dict.fromkeys(name for line in lines for name in line)
            return _from_columns({name: [line.get(name) for line in lines] for name in names})
    raise RowError(
        f"A table cannot be made of a {type(source).__name__}. It is a DataFrame of pandas or "
        "polars, a pyarrow table, a list of dicts, or the path of a CSV, Excel, Parquet or JSON "
        "Lines file."
    )


def _from_columns(columns: Mapping[str, list]) -> pd.DataFrame:
    """Values as they are: pandas would make decimals of whole numbers beside an empty cell."""
    series = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    return pd.DataFrame(series).infer_objects()


def _read(path: Path) -> pd.DataFrame:
    ending = next((ending for ending in _READERS if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise RowError(
            f"{path} is no kind of table that is read here, which are {', '.join(_READERS)}. Read "
            "it into a DataFrame first."
        )
    try:
        return _READERS[ending](path)
    except RowError:
        raise
    except ImportError as error:
        package = "openpyxl" if ending == ".xlsx" else "pyarrow"
        raise RowError(f"Reading {path.name} needs {package}: pip install {package}.") from error
    except UnicodeDecodeError:
        way = f"pd.read_csv({path.name!r}, encoding='cp1252'), or the encoding that it has"
        raise RowError(f"{path} is not UTF-8. Take {way}, and hand over the table.") from None
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise RowError(f"{path} cannot be read as a table: {reason}.") from None


def _read_csv(path: Path, separator: str = ",") -> pd.DataFrame:
    # With these types whole numbers stay whole beside an empty cell, and so do long ids.
    return pd.read_csv(path, sep=separator, dtype_backend="numpy_nullable")


def _read_excel(path: Path) -> pd.DataFrame:
    return pd.read_excel(path, dtype_backend="numpy_nullable")


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    return _table(parquet.read_table(path))


def _read_json_lines(path: Path) -> pd.DataFrame:
    lines = []
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if text.strip():
                try:
                    lines.append(orjson.loads(text))
                except ValueError as error:
                    raise RowError(f"{path}, line {number}: is not JSON ({error}).") from None
    return _table(lines)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".tsv": lambda path: _read_csv(path, "\t"),
    ".xlsx": _read_excel,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
