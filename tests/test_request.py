"""From the table to requests: ids, rows with empty cells, and the shape of the answer."""

import json
import math
from decimal import Decimal
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from helpers import Row, RowError, answer_format, check, rows, with_ids
from helpers.checks import encode
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
