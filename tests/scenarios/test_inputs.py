"""What comes in from a reader, a table or a server, whatever it is: taken, or refused in words."""

import copy
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet
from pydantic import BaseModel, ConfigDict, create_model

import helpers
from helpers.checks import Checks, prompt_size
from helpers.outcome import choices_of, fields_of, plain, result_lines, tokens_of
from helpers.paths import ROOT
from support import request

CALM = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Odd:
    """An object that nothing knows."""


words = st.sampled_from([
    "role", "user", "content", "type", "text", "image_url", "url", "data:image/png;base64,",
    "input", "messages", "gpt-6-luna", "gpt-6.2-sol", "none", "json_schema", "/v1/responses", "id",
    "\ud83d", "https://e.com/a.png", "completed", "message", "output", "output_text",
    "embedding", "choices",
])  # fmt: skip
odd = st.sampled_from([
    b"", b"\xff", {1, 2}, Odd(), Odd, int, pd.NA, pd.NaT, np.array([]), np.array(["a", None]),
    np.array([[1.5, np.nan]]), pd.Series([1, None]), pd.DataFrame({"a": [1]}),
    Image.new("L", (1, 1)), np.float32("nan"), np.int64(3), 2**70, 1e300, (1, 2), range(3),
    Path("x"), lambda: 1, "x" * 5_000,
    pl.DataFrame({"a": [None]}), pa.table({"id": [1.5]}), -1, float("inf"), np.datetime64("NaT"),
])  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | words
keys = words | st.text(max_size=5)
json_like = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)
anything = st.recursive(
    scalars | odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys | scalars, inner, max_size=4)
        | st.tuples(inner, inner)
    ),
)
urls = st.sampled_from(["/v1/chat/completions", "/v1/responses", "/v1/embeddings",
                        "/v1/completions", "/v1/moderations", "/v1/images/edits"])  # fmt: skip
bodies = st.dictionaries(
    st.sampled_from([
        "messages", "input", "prompt", "instructions", "tools", "response_format", "text", "n",
        "max_completion_tokens", "max_output_tokens", "reasoning", "reasoning_effort", "stream",
        "temperature", "metadata", "encoding_format", "image",
    ]),
    anything,
    max_size=5,
)  # fmt: skip
requests = st.builds(
    lambda url, body: {**request("row-1"), "url": url, "body": {"model": "gpt-6-luna", **body}},
    urls,
    bodies,
)


@CALM
@given(anything | st.lists(st.dictionaries(keys, anything, max_size=4), max_size=4))
def test_any_table_is_taken_or_refused(table):
    try:
        taken = helpers.with_ids(table)
    except helpers.RowError as error:
        assert len(str(error)) > 20
        return
    assert taken["id"].is_unique
    assert [row["id"] for row in helpers.rows(taken)] == taken["id"].tolist()


@CALM
@given(st.dictionaries(st.text(max_size=5), st.lists(anything, min_size=3, max_size=3), max_size=4))
def test_any_cells_become_rows_that_say_what_is_empty(columns):
    table = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
    for row in helpers.rows(table):
        assert list(row) == list(columns)
        for name in columns:
            if row.get(name) is None:
                with pytest.raises(helpers.RowError, match="is empty"):
                    row[name]


@CALM
@given(requests | anything | st.lists(anything, max_size=3).map(tuple))
def test_any_request_is_taken_or_refused(asked):
    with tempfile.TemporaryDirectory() as folder:
        try:
            helpers.check([asked])
        except helpers.BatchFileError as error:
            assert all(problem.startswith("line 1") for problem in error.problems)
            with pytest.raises(helpers.BatchFileError):
                helpers.write([asked], Path(folder, "job"))
            return
        (shard,) = helpers.write([asked], Path(folder, "job"))
        sizes = shard.text_bytes, shard.image_tokens, shard.links, shard.link_tokens
        assert sizes == prompt_size(asked)


PICTURE = {"type": "image_url", "image_url": {"url": "https://e.com/a.png", "detail": "low"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FINE = [
    ("/v1/chat/completions", {
        "messages": [
            {"role": "system", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}, PICTURE]},
        ],
        "reasoning_effort": "none", "temperature": 0, "n": 2, "stop": ["x"], "tools": [FUNCTION],
        "response_format": {"type": "text"}, "metadata": {"a": "b"}, "stream": False,
    }),
    ("/v1/responses", {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "b"}]}],
        "instructions": "a", "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}},
    }),
    ("/v1/responses", {"input": "a", "max_output_tokens": 5}),
    ("/v1/embeddings", {"input": ["a", "b"], "dimensions": 5}),
    ("/v1/embeddings", {"input": [[1, 2], [3]], "encoding_format": "float"}),
    ("/v1/moderations", {"input": [{"type": "text", "text": "a"}, PICTURE]}),
]  # fmt: skip


@st.composite
def changed(draw, fine):
    """The body with another value, or one key more or less, at a place of it."""
    place = body = copy.deepcopy(fine)
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if not (isinstance(place[key], dict | list) and place[key] and draw(st.booleans())):
            break
        place = place[key]
    match draw(st.sampled_from(["change", "leave out", "add"])):
        case "change":
            place[key] = draw(scalars | json_like)
        case "leave out":
            del place[key]
        case "add" if isinstance(place, dict):
            place[draw(keys_of_the_api)] = draw(scalars | json_like)
        case _:
            place.append(draw(scalars | json_like))
    return body


keys_of_the_api = st.sampled_from(["n", "stop", "user", "role", "type", "detail", "name", "extra"])


@CALM
@given(st.sampled_from(FINE), st.data())
def test_a_request_is_judged_the_same_after_others_that_look_like_it(fine, data):
    url, body = fine
    model = {"model": "gpt-6-luna"}
    asked = [
        {**request(f"row-{number}"), "url": url, "body": {**one, **model}}
        for number, one in enumerate([body, data.draw(changed(body)), data.draw(changed(body))])
    ]

    def problems(some):
        checks = Checks()
        for one in some:
            checks.add(1, one)
        return [problem for problem in checks.problems if "row-2" in problem]

    assert problems(asked) == problems(asked[2:])


@CALM
@given(anything)
def test_any_requests_are_taken_or_refused(asked):
    with pytest.raises((helpers.BatchFileError, OSError, ValueError)) as error:
        helpers.check(asked)
    assert isinstance(error.value, helpers.BatchFileError) or isinstance(asked, str | Path)


kinds = [int, str, bytes, Path, dict, list, set, object, float | None, Image.Image, Odd]
fields = st.lists(st.sampled_from(kinds), max_size=3)


@CALM
@given(anything | fields)
def test_any_answer_model_gets_a_format_or_a_sentence(kinds):
    model = kinds
    if isinstance(kinds, list) and kinds and all(isinstance(kind, type) for kind in kinds):
        config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
        named = {f"f{place}": (kind, ...) for place, kind in enumerate(kinds)}
        model = create_model("Made", __config__=config, **named)
    try:
        assert helpers.answer_format(model)["type"] == "json_schema"
    except ValueError as error:
        assert len(str(error)) > 20


@CALM
@given(anything)
def test_any_picture_is_sent_or_refused(picture):
    try:
        part = helpers.image_part(picture)
    except helpers.PictureError as error:
        assert 20 < len(str(error)) < 500
    else:
        assert part["type"] == "image_url"


class Label(BaseModel):
    label: str


@CALM
@given(json_like, st.sampled_from([None, Label]))
def test_any_answer_has_an_outcome(body, model):
    success = {"status_code": 200, "body": body}
    for more in ({"response": success}, {"response": body}, {"error": body}):
        line = {"custom_id": "a", **more}
        outcome = helpers.outcome_of(line, model, as_json=True)
        assert outcome.outcome in ("ok", "failed")
        assert (outcome.outcome == "ok") == (outcome.answer is not None)
        assert bool(outcome.code and outcome.reason) == (outcome.outcome == "failed")
        assert all(0 <= count <= 10**9 for count in outcome[5:9])
    if isinstance(body, dict):
        outcomes = choices_of(body, model)
        assert helpers.answered(body, model) in outcomes
        assert all(
            {*plain(o.answer)} == {*fields_of(Label)} for o in outcomes if model and o.answer
        )
    assert tokens_of(body).cached <= tokens_of(body).prompt


@CALM
@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_give_lines_that_name_their_request(texts):
    for line in result_lines(texts):
        assert isinstance(line["custom_id"], str)
        assert helpers.outcome_of(line).outcome in ("ok", "failed")


# Tables of every kind through the README's example

TICKETS = helpers.DATA / "tickets.csv"


def saved(folder, write):
    write(pd.read_csv(TICKETS), folder)
    return next(folder.iterdir())


def to_excel(table, folder):
    with pd.ExcelWriter(folder / "t.xlsx") as writer:
        table.to_excel(writer, index=False)
        for line in writer.book.active.iter_rows():
            for cell in line:
                # Text that looks like a formula is text.
                cell.data_type = "s"


KINDS = {
    "a frame of pandas": lambda folder: pd.read_csv(TICKETS),
    "a frame of polars": lambda folder: pl.read_csv(TICKETS),
    "a table of pyarrow": lambda folder: pa.Table.from_pandas(pd.read_csv(TICKETS)),
    "a list of dicts": lambda folder: pd.read_csv(TICKETS).to_dict("records"),
    "CSV": lambda folder: TICKETS,
    "Excel": lambda folder: saved(folder, to_excel),
    "Parquet": lambda folder: saved(
        folder, lambda t, f: parquet.write_table(pa.Table.from_pandas(t), f / "t.parquet")
    ),
    "JSON Lines": lambda folder: saved(
        folder, lambda t, f: t.to_json(f / "t.jsonl", orient="records", lines=True)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_every_kind_goes_through_the_example_of_the_readme(kind, tmp_path):
    text = (ROOT / "README.md").read_text("utf-8")
    example = text.split("```python\n")[1].split("```")[0]
    reading = "helpers.with_ids(TABLE)"
    assert example.count(reading) == 1
    names = {"SOURCE": KINDS[kind](tmp_path)}
    exec(example.replace(reading, "helpers.with_ids(SOURCE)"), names)  # noqa: S102 (our own)
    assert names["outcomes"]["outcome"].tolist() == ["ok"] * 120
