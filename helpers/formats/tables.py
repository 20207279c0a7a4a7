"""Tables of every kind, as one of pandas: frames, lists of dicts, files."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import orjson
import pandas as pd


class RowError(ValueError):
    """A row of the table cannot become a request. The message names the row and the column."""


def table_of(source: Any) -> pd.DataFrame:
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
    series = {
        name: pd.Series(values, dtype=object if any(v is None for v in values) else None)
        for name, values in columns.items()
    }
    try:
        return pd.DataFrame(series)
    except UnicodeEncodeError as error:
        raise RowError(f"The table has a column whose name is no text: {error}.") from None


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
        raise RowError(f"{path} cannot be read as a table: {str(reason).rstrip('.')}.") from None


# As text, ids keep their zeros in front and all their digits, also beside an empty cell.
_IDS = {"id": "str"}


def _read_csv(path: Path, separator: str = ",") -> pd.DataFrame:
    return pd.read_csv(path, sep=separator, dtype=_IDS)


def _read_excel(path: Path) -> pd.DataFrame:
    return pd.read_excel(path, dtype=_IDS)


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    return table_of(parquet.read_table(path))


def _read_json_lines(path: Path) -> pd.DataFrame:
    lines = []
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if text.strip():
                try:
                    lines.append(orjson.loads(text))
                except ValueError as error:
                    raise RowError(f"{path}, line {number}: is not JSON ({error}).") from None
    return table_of(lines)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".tsv": lambda path: _read_csv(path, "\t"),
    ".xlsx": _read_excel,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
