"""From the table to requests: ids, rows with empty cells, and the shape of the answer."""

import datetime
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import (
    UUID1,
    UUID4,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    RootModel,
    SecretStr,
    create_model,
)

from helpers import Row, RowError, answer_format, check, id_from, rows, with_ids
from helpers.checks import ID_RULE, encode
from helpers.paths import ROOT
from support import request

EMPTY = [
    *(None, math.nan, np.float64("nan"), pd.NA, pd.NaT, "", " \t\n", [], {}, (), b""),
    *(np.array([]), "\u200b", "\ufeff\u00a0", "\u2060\u3164", Decimal("NaN")),
]
EMPTY_IDS = [
    *("None", "nan", "numpy nan", "NA", "NaT", "no text", "blanks", "list", "dict", "tuple"),
    *("bytes", "array", "zero width", "mark", "fillers", "decimal"),
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Loose(BaseModel):
    name: str


class Part(Strict):
    material: str


def row_error(table):
    with pytest.raises(RowError) as error:
        with_ids(table)
    return str(error.value)


# with_ids


def test_a_table_without_ids_gets_them_by_position():
    table = pd.DataFrame({"text": ["one", "two"]}, index=[7, 3])
    assert with_ids(table)["id"].to_dict() == {7: "row-1", 3: "row-2"}


def test_an_id_column_is_kept_as_text():
    assert with_ids(pd.DataFrame({"id": [17, 4]}))["id"].tolist() == ["17", "4"]


def test_rows_columns_and_index_stay_as_they_were():
    table = pd.DataFrame({"text": ["one", "two"], "id": ["b", "a"]}, index=["x", "y"])
    pd.testing.assert_frame_equal(with_ids(table), table)


def test_the_reader_s_own_table_is_left_alone():
    table = pd.DataFrame({"id": [1, 2]})
    with_ids(table)
    pd.testing.assert_frame_equal(table, pd.DataFrame({"id": [1, 2]}))


def test_ids_of_64_characters_are_accepted():
    assert with_ids(pd.DataFrame({"id": ["aZ0_-" + "x" * 59]}))["id"].str.len().item() == 64


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame({"id": []})])
def test_an_empty_table_is_refused(table):
    assert "no rows" in row_error(table)


@pytest.mark.parametrize("value", ["two words", "a/b", "a.b", "é", "a\n", "x" * 65])
def test_a_strange_id_is_refused_with_its_row_and_the_rule(value):
    message = row_error(pd.DataFrame({"id": ["fine", value]}))
    assert "Row 2" in message
    assert repr(value) in message
    assert "1 to 64 of the characters A-Z a-z 0-9 _ -" in message


@pytest.mark.parametrize("value", EMPTY, ids=EMPTY_IDS)
def test_a_missing_id_is_refused_with_its_row(value):
    assert "Row 2" in row_error(pd.DataFrame({"id": ["fine", value]}, dtype=object))


def test_a_double_id_is_refused_with_all_its_rows():
    message = row_error(pd.DataFrame({"id": ["a", "b", "c", "b", "b"]}))
    assert "'b'" in message
    assert "rows 2, 4, 5" in message
    assert message.startswith("1 of the ids")
    assert "drop_duplicates('id')" in message


def test_whole_numbers_that_pandas_read_as_decimals_are_ids_as_they_were():
    table = pd.DataFrame({"id": [1000.0, None, 1002.0]}).dropna()
    assert with_ids(table)["id"].tolist() == ["1000", "1002"]


def test_ids_in_the_index_are_refused_with_the_way_to_a_column():
    table = pd.DataFrame({"id": ["a"], "text": ["one"]}).set_index("id")
    assert "reset_index()" in row_error(table)


def test_ids_that_are_the_same_as_text_are_double():
    assert "rows 1, 2" in row_error(pd.DataFrame({"id": [1, "1"]}, dtype=object))


def test_rows_are_counted_by_position_not_by_index():
    assert "Row 1" in row_error(pd.DataFrame({"id": [" "]}, index=[99]))


# Row and rows


@pytest.mark.parametrize("value", ["one", "nan", 0, 0.0, False, [0], {"a": None}, ["a", None]])
def test_a_cell_with_something_in_it_is_returned_as_it_is(value):
    row = Row(1, {"id": "a", "text": value})
    assert row["text"] == row.get("text") == value
    assert type(row["text"]) is type(value)


@pytest.mark.parametrize("value", EMPTY, ids=EMPTY_IDS)
def test_an_empty_cell_is_refused_with_row_id_column_and_what_to_do(value):
    with pytest.raises(RowError) as error:
        Row(5, {"id": "film-5", "Overview": value})["Overview"]
    message = str(error.value)
    assert "Row 5" in message
    assert "'film-5'" in message
    assert "'Overview' is empty" in message
    assert "row.get('Overview', '')" in message


@pytest.mark.parametrize("value", EMPTY, ids=EMPTY_IDS)
def test_get_returns_none_for_an_empty_cell(value):
    assert Row(1, {"text": value}).get("text") is None


def test_get_returns_the_default_for_an_empty_cell_and_for_no_column():
    row = Row(1, {"text": ""})
    assert (row.get("text", "?"), row.get("title", "?")) == ("?", "?")


def test_a_misspelt_column_is_refused_with_the_names_of_the_columns():
    with pytest.raises(RowError, match=r"no column 'Text'.* 'id', 'text'\."):
        Row(1, {"id": "a", "text": "one"})["Text"]


def test_a_row_lists_all_its_columns_empty_ones_too():
    row = Row(1, {"id": "a", "text": None})
    assert (list(row), len(row)) == (["id", "text"], 2)


def test_a_row_with_something_in_every_cell_becomes_a_dict():
    assert dict(Row(1, {"id": "a", "year": 1999})) == {"id": "a", "year": 1999}


def test_rows_come_in_order_and_numbered_from_one(table):
    shuffled = table.set_index(pd.Index([9, 9, 0]))
    found = [(row.number, row["id"], row["text"]) for row in rows(shuffled)]
    assert found == [(1, "a", "one"), (2, "b", "two"), (3, "c", "three")]


def test_rows_are_made_one_at_a_time(table):
    assert next(rows(table)).number == 1


def test_whole_numbers_stay_whole_beside_a_column_of_fractions():
    row = next(rows(pd.DataFrame({"year": [1999], "rating": [8.5]})))
    assert str(row["year"]) == "1999"


def test_cells_of_every_plain_column_type_fit_in_a_request():
    table = pd.DataFrame({"i": [1], "f": [0.5], "b": [True], "s": ["é"], "I": [2]})
    row = next(rows(table.astype({"I": "Int64"})))
    assert json.loads(encode(dict(row))) == {"i": 1, "f": 0.5, "b": True, "s": "é", "I": 2}


def test_a_table_goes_through_to_checked_requests(table):
    found = check(request(row["id"], row["text"]) for row in rows(with_ids(table)))["found"]
    assert (found["requests"], found["different ids"]) == ("3", "3")


# answer_format


def test_the_answer_format_is_strict_and_named_after_the_model():
    format = answer_format(Part)
    assert format["type"] == "json_schema"
    assert format["json_schema"]["name"] == "Part"
    assert format["json_schema"]["strict"] is True
    assert format["json_schema"]["schema"] == Part.model_json_schema()


def test_the_answer_format_fits_in_a_request():
    assert check([request(response_format=answer_format(Part))])["found"]["requests"] == "1"


@pytest.mark.parametrize(
    "kind",
    [
        str | None,
        Literal["red", "blue"],
        Annotated[str, Field(pattern="^[a-z]+$")],
        Annotated[int, Field(ge=0, le=5, description="stars")],
        Annotated[list[str], Field(min_length=1, max_length=3)],
        Part,
        Part | None,
        list[Part],
    ],
)
def test_what_strict_mode_supports_is_accepted(kind):
    class Answer(Strict):
        value: kind

    assert answer_format(Answer)["json_schema"]["schema"]["required"] == ["value"]


def test_fields_may_be_named_like_unsupported_keywords():
    class Answer(Strict):
        default: str
        maxLength: int

    assert answer_format(Answer)["json_schema"]["schema"]["required"] == ["default", "maxLength"]


def refusal(model):
    with pytest.raises(ValueError, match="Structured Outputs will refuse") as error:
        answer_format(model)
    return str(error.value)


def test_a_model_that_allows_extra_fields_is_refused_with_the_line_to_add():
    assert "Loose: give the model model_config = ConfigDict(extra='forbid')" in refusal(Loose)


@pytest.mark.parametrize("kind", [Loose, Loose | None, list[Loose], list[list[Loose]]])
def test_a_model_inside_that_allows_extra_fields_is_named(kind):
    class Answer(Strict):
        part: kind

    assert "Loose: give the model" in refusal(Answer)


def optional():
    class Answer(Strict):
        colour: str | None = None

    return Answer


def with_a_default():
    class Answer(Strict):
        colour: str = "red"

    return Answer


def with_a_default_factory():
    class Answer(Strict):
        colour: list[str] = Field(default_factory=list)

    return Answer


@pytest.mark.parametrize("make", [optional, with_a_default, with_a_default_factory])
def test_a_field_that_may_be_left_out_is_refused_with_another_way(make):
    message = refusal(make())
    assert "Answer.colour: every field is required" in message
    assert "'X | None'" in message


SHORT = Annotated[str, Field(max_length=9)]


@pytest.mark.parametrize("kind", [SHORT, SHORT | None, list[SHORT], list[SHORT | None]])
def test_an_unsupported_keyword_is_refused_with_its_place(kind):
    class Answer(Strict):
        colour: kind

    message = refusal(Answer)
    assert "Answer.colour" in message
    assert "'maxLength', which is not supported" in message


@pytest.mark.parametrize("keyword", ["allOf", "not", "if", "dependentRequired", "minLength"])
def test_every_kind_of_unsupported_keyword_is_refused(keyword):
    class Answer(Strict):
        colour: str = Field(json_schema_extra={keyword: {}})

    assert f"Answer.colour: it has '{keyword}'" in refusal(Answer)


class Described(Strict):
    part: Part = Field(description="the part")


class Anything(Strict):
    value: Any


class FreeKeys(Strict):
    counts: dict[str, int]


class Unique(Strict):
    names: set[str]


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (Described, "Described.part: a nested model cannot have a description here"),
        (Anything, "Anything.value: it has no type"),
        (FreeKeys, "FreeKeys.counts: free keys are not supported; use a list of pairs"),
        (Unique, "Unique.names: it has 'uniqueItems'"),
        (RootModel[list[str]], "has to be an object with fields"),
    ],
)
def test_what_only_strict_mode_refuses_is_named_with_advice(model, advice):
    assert advice in refusal(model)


def test_all_problems_of_a_model_are_named_at_once():
    class Answer(Strict):
        colour: str = "red"
        counts: dict[str, int]

    message = refusal(Answer)
    assert "Answer.colour" in message
    assert "Answer.counts" in message


@pytest.mark.parametrize("read", [with_ids, lambda table: list(rows(table))])
def test_two_columns_of_one_name_are_refused(read):
    table = pd.DataFrame([["a", "b", "c"]], columns=["id", "text", "text"])
    with pytest.raises(RowError, match="two columns named 'text'"):
        read(table)


def test_asking_whether_a_row_has_a_column_never_raises():
    (row,) = rows(pd.DataFrame({"text": [None]}))
    assert "text" in row
    assert "other" not in row


def test_a_missing_id_is_named_with_its_row():
    with pytest.raises(RowError, match=r"Row 2 has no id\. Fill it"):
        with_ids(pd.DataFrame({"id": [1, None], "text": ["a", "b"]}))


# Ids that are exact


def test_ids_that_became_decimals_too_large_to_be_exact_are_refused():
    table = pd.read_csv(io.StringIO("id,t\n90071992547409931,x\n,z\n")).dropna()
    message = row_error(table)
    assert "last digits were lost" in message
    assert "dtype={'id': str}" in message


@pytest.mark.parametrize("value", [2.0**53, -(2.0**60), 1e300, np.float64(2.0**53)])
def test_no_decimal_from_two_to_the_53_on_is_an_id(value):
    assert "Row 1" in row_error(pd.DataFrame({"id": [value]}, dtype=object))


@pytest.mark.parametrize(
    ("value", "kept"),
    [(2.0**53 - 1, "9007199254740991"), (2**60, "1152921504606846976"), (7.0, "7"), ("007", "007")],
)
def test_ids_that_are_exact_are_kept(value, kept):
    assert with_ids(pd.DataFrame({"id": [value]}, dtype=object))["id"].tolist() == [kept]


@pytest.mark.parametrize("value", [7.5, -0.25, 1.5e300])
def test_fractions_are_no_ids(value):
    assert "Row 1: the id" in row_error(pd.DataFrame({"id": [value]}, dtype=object))


@pytest.mark.parametrize("name", ["ID", "Id", " id ", "iD", "id\n"])
def test_a_column_whose_name_is_nearly_id_is_asked_about(name):
    message = row_error(pd.DataFrame({name: ["a"], "text": ["b"]}))
    assert f"rename(columns={{{name!r}: 'id'}})" in message
    assert "if not, name it otherwise" in message
    assert with_ids(pd.DataFrame({name: ["a"], "id": ["b"]}))["id"].tolist() == ["b"]


@pytest.mark.parametrize("name", ["idea", "film_id", "ident"])
def test_other_columns_are_no_ids(name):
    assert with_ids(pd.DataFrame({name: ["a"]}))["id"].tolist() == ["row-1"]


@pytest.mark.parametrize(
    ("index", "way"),
    [
        (["id"], "reset_index()"),
        (["id", "n"], "reset_index()"),
        (["title"], "reset_index()"),
        (["n", "title"], "reset_index()"),
    ],
)
def test_ids_and_names_in_the_index_are_not_lost(index, way):
    table = pd.DataFrame({"id": ["a"], "n": [1], "title": ["t"], "text": ["one"]}).set_index(index)
    message = row_error(table)
    assert way in message
    assert all(repr(name) in message for name in index)
    assert with_ids(table.reset_index())["id"].tolist() == ["a"]


def test_an_index_that_is_a_column_as_well_is_dropped_by_the_advice():
    table = pd.DataFrame({"id": ["a"], "text": ["one"]}).set_index("id", drop=False)
    assert "reset_index(drop=True)" in row_error(table)
    assert with_ids(table.reset_index(drop=True))["id"].tolist() == ["a"]


def test_all_rows_without_an_id_are_named():
    message = row_error(pd.DataFrame({"id": ["a", None, "c", "", "e", "\u200b", None, None, None]}))
    assert message.startswith("Rows 2, 4, 6, 7, 8 and 1 more have no id. Fill them")


def test_all_rows_with_a_strange_id_are_named():
    assert row_error(pd.DataFrame({"id": ["a b", "b", "c/d"]})).startswith(
        "Rows 1, 3: the id 'a b'"
    )


# Ids from names

NAMES = [
    *("椅子.jpg", "机子.jpg", "chair 1.jpg", "chair-1.jpg", "chair_1.jpg", "chair 1.JPG"),
    *("Stühle/1.jpg", "é", "e", "", ".", "x" * 65, "x" * 64, "\ud83d"),
]


def test_every_name_makes_an_id_of_its_own():
    ids = [id_from(name) for name in NAMES]
    assert len({*ids}) == len(NAMES)
    assert all(ID_RULE.fullmatch(made) for made in ids)
    assert [id_from(name) for name in NAMES] == ids


def test_an_id_from_a_name_can_be_read():
    assert id_from("chair 1.jpg").startswith("chair-1-jpg-")
    assert id_from("Stühle/1.jpg").startswith("Stuhle-1-jpg-")
    assert id_from(Path("fine_name-1")) == "fine_name-1"


# Whole numbers


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1994, None], ["1994", None]),
        ([1994.0, math.nan, 2000.0], ["1994", None, "2000"]),
        ([8.5, None], ["8.5", None]),
        ([1994.0, 1995.0], ["1994", "1995"]),
        ([math.inf, 1.0], ["inf", "1.0"]),
        ([2.0**60, 1.0], ["1.152921504606847e+18", "1.0"]),
        ([None, None], [None, None]),
        (pd.array([7, None], dtype="Int64"), ["7", None]),
        (pd.array([7.0, None], dtype="Float64"), ["7", None]),
    ],
)
def test_whole_numbers_stay_whole_beside_an_empty_cell(values, shown):
    found = [row.get("year") for row in rows(pd.DataFrame({"year": values}))]
    assert [None if value is None else f"{value}" for value in found] == shown


# Tables of every kind

COLUMNS = {"id": ["a", "b"], "year": [1994, None], "tags": [["x"], []], "text": ["one", "two"]}
LINES = [{name: COLUMNS[name][place] for name in COLUMNS} for place in range(2)]
FLAT = {name: COLUMNS[name] for name in ("id", "year", "text")}


def saved(folder, kind):
    path = folder / f"table.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.table(COLUMNS), path)
    elif kind in ("jsonl", "ndjson"):
        path.write_text("".join(json.dumps(line) + "\n" for line in LINES) + "\n")
    elif kind == "xlsx":
        pd.DataFrame(FLAT).to_excel(path, index=False)
    else:
        pd.DataFrame(FLAT).to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    return path


SOURCES = {
    "pandas": lambda folder: pd.DataFrame(COLUMNS),
    "polars": lambda folder: pl.DataFrame(COLUMNS),
    "pyarrow": lambda folder: pa.table(COLUMNS),
    "list of dicts": lambda folder: LINES,
    "generator of dicts": lambda folder: iter(LINES),
    "csv": lambda folder: saved(folder, "csv"),
    "name of a csv": lambda folder: str(saved(folder, "csv")),
    "csv.gz": lambda folder: saved(folder, "csv.gz"),
    "tsv": lambda folder: saved(folder, "tsv"),
    "xlsx": lambda folder: saved(folder, "xlsx"),
    "parquet": lambda folder: saved(folder, "parquet"),
    "jsonl": lambda folder: saved(folder, "jsonl"),
    "ndjson": lambda folder: saved(folder, "ndjson"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_table_of_every_kind_gives_the_same_rows(kind, tmp_path):
    table = with_ids(SOURCES[kind](tmp_path))
    first, second = rows(table)
    assert [first["id"], second["id"]] == ["a", "b"]
    assert [first["text"], second["text"]] == ["one", "two"]
    assert (f"{first['year']}", second.get("year")) == ("1994", None)
    if "tags" in first:
        assert (list(first["tags"]), second.get("tags")) == (["x"], None)
    made = [request(row["id"], f"{row['text']} {row.get('year', '')}") for row in (first, second)]
    assert check(made)["found"]["requests"] == "2"


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_takes_what_with_ids_takes(kind, tmp_path):
    assert [row["text"] for row in rows(SOURCES[kind](tmp_path))] == ["one", "two"]


def test_long_ids_beside_an_empty_cell_are_exact_in_every_kind(tmp_path):
    long = {"n": [90071992547409931, None]}
    path = tmp_path / "long.csv"
    path.write_text("id,m\n90071992547409931,1\n,2\n007,3\n")
    assert [row.get("id") for row in rows(path)] == ["90071992547409931", None, "007"]
    for table in (pl.DataFrame(long), pa.table(long), [{"n": long["n"][0]}, {"n": None}]):
        assert next(rows(table))["n"] == 90071992547409931


def test_dicts_of_different_keys_have_empty_cells():
    first, second = rows([{"a": 1}, {"b": 2}])
    assert (first.get("a"), first.get("b"), second.get("a"), second.get("b")) == (1, None, None, 2)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", None, "cannot be read as a table: No such file"),
        ("a.txt", b"id\n1\n", "is no kind of table that is read here"),
        ("a.xls", b"", "is no kind of table that is read here"),
        ("a.csv", b"", "cannot be read as a table: No columns"),
        ("a.csv", "id\nJos\xe9\n".encode("latin-1"), "is not UTF-8"),
        ("a.csv", b'id\n"1\n', "cannot be read as a table"),
        ("a.xlsx", b"no zip", "cannot be read as a table"),
        ("a.parquet", b"no parquet", "cannot be read as a table"),
        ("a.jsonl", b'{"a": 1}\n{"a"\n', "a.jsonl, line 2: is not JSON"),
        ("a.jsonl", b"[1]\n", "A table cannot be made of a list"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(tmp_path, name, content, problem):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for take in (with_ids, lambda table: list(rows(table))):
        with pytest.raises(RowError, match=problem):
            take(path)


@pytest.mark.parametrize(
    ("kind", "module", "package"),
    [("parquet", "pyarrow", "pyarrow"), ("xlsx", "openpyxl", "openpyxl")],
)
def test_where_a_library_is_missing_its_name_is_said(tmp_path, kind, module, package):
    code = (
        f"import sys; sys.modules['{module}'] = None\n"
        "import helpers\n"
        "try:\n    helpers.with_ids(sys.argv[1])\n"
        "except helpers.RowError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(saved(tmp_path, kind))]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout == f"Reading table.{kind} needs {package}: pip install {package}.\n"


@pytest.mark.parametrize(
    "wrong", [5, None, ["a", "b"], {"a": [1]}, pd.Series([1]), b"id", object()]
)
def test_what_is_no_table_is_refused_with_what_is_one(wrong):
    with pytest.raises(RowError, match=r"A table cannot be made of a .*DataFrame of pandas"):
        with_ids(wrong)


@pytest.mark.parametrize("empty", [[], pl.DataFrame(), pa.table({}), iter(())])
def test_an_empty_table_of_any_kind_is_refused(empty):
    assert "no rows" in row_error(empty)


def test_two_columns_of_one_name_are_refused_in_arrow():
    table = pa.table([[1], [2]], names=["a", "a"])
    with pytest.raises(RowError, match="two columns of one name"):
        with_ids(table)


# Empty cells


def test_an_empty_cell_names_the_other_rows_where_it_is_empty_too():
    table = pd.DataFrame({"id": ["a", "b", "c"], "text": [None, "x", "\u200b"]})
    with pytest.raises(RowError, match=r"Row 1 \(id 'a'\): 'text' is empty, and in row 3 as well"):
        next(rows(table))["text"]


def test_a_row_gives_what_is_in_it_like_a_dict():
    first, second = rows(pd.DataFrame({"id": ["a", "b"], "text": ["one", None]}))
    assert first == {"id": "a", "text": "one"}
    assert dict(second.items()) == {"id": "b"}
    assert list(second) == list(second.keys()) == ["id", "text"]
    with pytest.raises(RowError, match="'text' is empty"):
        dict(second)


# What the API refuses in schemas


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (UUID4, "Answer.value: it has the format 'uuid4' (UUID4), not supported; take UUID"),
        (UUID1, "not supported; take UUID"),
        (bytes, "it has the format 'binary' (bytes), not supported; take str"),
        (Path, "it has the format 'path' (PATH), not supported; take str"),
        (SecretStr, "it has the format 'password' (SecretStr), not supported; take str"),
        (AnyUrl, "it has the format 'uri' (URI), not supported; take str"),
        (IPvAnyAddress, "not supported; take IPv4Address"),
        (list[UUID4], "Answer.value[]: it has the format 'uuid4'"),
        (UUID4 | None, "it has the format 'uuid4'"),
        (Annotated[str, Field(pattern="^(?!x)")], "Answer.value: its pattern looks around"),
        (Annotated[str, Field(pattern="(?=a)b")], "Answer.value: its pattern looks around"),
        (Annotated[str, Field(pattern="(?<=a)b")], "Answer.value: its pattern looks around"),
        (tuple[int, str], "it has 'prefixItems'"),
    ],
)
def test_a_type_that_the_api_does_not_know_is_named_in_the_words_of_pydantic(kind, advice):
    class Answer(Strict):
        model_config = ConfigDict(regex_engine="python-re")
        value: kind

    assert advice in refusal(Answer)


@pytest.mark.parametrize(
    "kind",
    [
        *(Decimal, UUID, datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
        *(IPv4Address, IPv6Address, Annotated[str, Field(pattern="^(?:a|b)[?=]+$")], float, bool),
    ],
)
def test_types_that_the_api_knows_are_accepted(kind):
    class Answer(Strict):
        value: kind

    assert answer_format(Answer)["json_schema"]["strict"] is True


def model_of(fields):
    return create_model("Made", __base__=Strict, **fields)


def nested(levels):
    made = model_of({"end": (int, ...)})
    for _ in range(levels - 1):
        made = model_of({"inner": (made, ...)})
    return made


def literals(count, length=1):
    return model_of({"value": (Literal[tuple(f"{n:0{length}}" for n in range(count))], ...)})


def test_the_limits_of_a_schema_are_kept():
    answer_format(model_of({f"f{n}": (int, ...) for n in range(5_000)}))
    answer_format(nested(10))
    answer_format(literals(1_000))
    answer_format(literals(250, 100))


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (model_of({f"f{n}": (int, ...) for n in range(5_001)}), "5,001 fields, over the limit"),
        (nested(11), "11 levels of models in models, over the limit of 10"),
        (nested(12), "12 levels of models in models, over the limit of 10"),
        (literals(1_001), "1,001 values of enums and Literals, over the limit of 1,000"),
        (literals(251, 60), "Made.value: its 251 values have more than 15,000 letters"),
        (
            model_of({"x" * 60_001: (int, ...), "y" * 60_000: (int, ...)}),
            "120,001 letters in names and values, over the limit of 120,000",
        ),
    ],
    ids=["fields", "11 levels", "12 levels", "values", "letters of an enum", "letters"],
)
def test_a_schema_over_a_limit_is_refused_with_both_numbers(model, problem):
    assert problem in refusal(model)


class Tree(Strict):
    name: str
    children: list["Tree"]


class Holder(Strict):
    tree: Tree


def test_a_model_that_holds_itself_is_wrapped_on_advice():
    assert "a model that holds itself cannot be outermost; wrap it" in refusal(Tree)
    assert answer_format(Holder)["json_schema"]["name"] == "Holder"


@pytest.mark.parametrize("wrong", [dict, Part(material="oak"), {"type": "object"}, None, "Part"])
def test_what_is_no_model_is_refused(wrong):
    with pytest.raises(ValueError, match="is no Pydantic model; write a class"):
        answer_format(wrong)


def test_a_model_without_a_schema_is_refused_in_a_sentence():
    class Odd(Strict):
        call: Callable[[], int]

    with pytest.raises(ValueError, match="Odd has no JSON schema"):
        answer_format(Odd)


def test_responses_has_the_same_schema_in_its_own_form():
    chat, own = answer_format(Part), answer_format(Part, endpoint="/v1/responses")
    assert own == {"type": "json_schema", **chat["json_schema"]}
