"""What the API refuses is found before the upload, with its line, its place and what to write."""

import base64
import datetime
import decimal
import io
import json
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import BaseModel, ConfigDict, TypeAdapter

from helpers import BatchFileError, answer_format, check, image_tokens, write
from helpers.checks import CAPS, ENDPOINTS, cap_of, encode, prompt_size
from helpers.formats import bodies
from helpers.formats.bodies import models
from support import request


def from_requests(bad, folder):
    check(iter(bad))


def from_file(bad, folder):
    path = folder / "requests.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in bad), encoding="utf-8")
    check(path)


def while_writing(bad, folder):
    write(iter(bad), folder / "job")


@pytest.fixture(params=[from_requests, from_file, while_writing], ids=lambda way: way.__name__)
def problems(request, tmp_path):
    """What is wrong with these requests, as found in all the ways to find it."""

    def find(bad):
        with pytest.raises(BatchFileError) as error:
            request.param(bad, tmp_path)
        return error.value.problems

    return find


# Requests that the API would refuse


@pytest.mark.parametrize("key", ["custom_id", "method", "url", "body"])
def test_a_request_without_a_key_is_refused(problems, key):
    bad = request("row-2")
    del bad[key]
    (problem,) = problems([request("row-1"), bad])
    assert problem.startswith("line 2")
    assert f"lacks {key}" in problem


def test_all_missing_keys_are_named_at_once(problems):
    assert problems([{"custom_id": "a"}]) == ["line 1 ('a'): lacks method, url, body"]


@pytest.mark.parametrize("custom_id", ["two words", "a/b", "é", "a\n", "x" * 65])
def test_a_strange_custom_id_is_refused_with_the_rule(problems, custom_id):
    (problem,) = problems([request(custom_id)])
    assert problem.startswith(f"line 1 ({custom_id!r})")
    assert "custom_id is not 1 to 64 of the characters A-Z a-z 0-9 _ -" in problem


@pytest.mark.parametrize(("custom_id", "kind"), [(17, "int"), (["a"], "list")])
def test_a_custom_id_that_is_no_text_is_refused_with_the_way_to_one(problems, custom_id, kind):
    (problem,) = problems([request(custom_id)])
    assert f"its custom_id is of type {kind}, not text; with_ids makes it text" in problem


@pytest.mark.parametrize("content", [None, 5, 2.5])
def test_a_message_of_the_user_without_text_is_refused(problems, content):
    messages = [{"role": "system", "content": "Sort."}, {"role": "user", "content": content}]
    (problem,) = problems([request("a", messages=messages)])
    wrong = f"body.messages[1].content is {content}; it should be a string or a list"
    assert problem == f"line 1 ('a'): {wrong}"


def test_an_answer_model_in_the_place_of_its_format_is_refused_with_the_way_to_it():
    with pytest.raises(BatchFileError, match=r"is the class Path; answer_format makes"):
        check([request("a", response_format=Path)])


def test_an_assistants_message_may_be_without_text():
    messages = [{"role": "assistant", "content": None}, {"role": "user", "content": "Go on."}]
    assert check([request("a", messages=messages)]).loc["requests", "found"] == "1"


@pytest.mark.parametrize("wrong", [{"type": "object", "properties": {}}, "json_schema"])
def test_a_bare_schema_is_no_response_format(problems, wrong):
    (problem,) = problems([request("a", response_format=wrong)])
    assert "its response_format is not one of the API; make it with answer_format" in problem


def test_a_custom_id_used_twice_is_refused_with_both_lines(problems):
    (problem,) = problems([request("a"), request("b"), request("a")])
    assert problem.startswith("line 3 ('a')")
    assert "line 1 has the same custom_id" in problem


def test_a_custom_id_used_again_far_below_is_refused_with_its_line(problems):
    asked = [request(f"row-{number}") for number in range(1, 40_001)]
    asked[39_999] = request("row-7")
    (problem,) = problems(asked)
    assert problem.startswith("line 40000 ('row-7'): one of the lines 1 to 25000 has the same c")


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_logprobs", "logprobs"])
@pytest.mark.parametrize("effort", [{}, {"reasoning_effort": "low"}])
def test_sampling_that_every_line_would_be_refused_for_is_refused_before(problems, name, effort):
    value = True if name == "logprobs" else 1
    (problem,) = problems([request(**{name: value}, **effort)])
    assert f"has {name}, which is refused unless the reasoning effort is 'none'" in problem


def test_sampling_without_reasoning_is_fine():
    check([request(temperature=0, reasoning_effort="none")])
    body = {"model": "gpt-6-luna", "input": "a", "temperature": 0, "reasoning": {"effort": "none"}}
    check([{**request(), "url": "/v1/responses", "body": body}])
    check([request(temperature=0, model="gpt-4o-mini")])


def test_the_old_name_of_the_cap_is_refused_with_the_new_one(problems):
    (problem,) = problems([request(max_tokens=10)])
    assert "write max_completion_tokens" in problem
    check([request(max_tokens=10, model="gpt-4o-mini")])


def test_another_method_than_post_is_refused(problems):
    (problem,) = problems([{**request(), "method": "GET"}])
    assert "'GET'; only POST" in problem


@pytest.mark.parametrize(
    "url", ["/v1/decisions", "/v1/chat/completions/", "https://api.openai.com/v1/responses", 5]
)
def test_an_endpoint_that_batches_do_not_have_is_refused_with_those_they_have(problems, url):
    (problem,) = problems([{**request(), "url": url}])
    assert repr(url) in problem
    assert "/v1/chat/completions, /v1/completions, /v1/embeddings" in problem


def test_a_second_endpoint_is_refused(problems):
    (problem,) = problems([request("a"), {**request("b"), "url": "/v1/responses"}])
    assert problem.startswith("line 2 ('b'): goes to /v1/responses")
    assert "make one job for each" in problem


def test_a_second_model_is_refused(problems):
    (problem,) = problems([request("a"), request("b", model="gpt-6-sol")])
    assert problem.startswith("line 2 ('b'): asks gpt-6-sol, the lines before gpt-6-luna")
    assert "make one job for each" in problem


@pytest.mark.parametrize("body", [{"messages": []}, {"model": ""}, ["gpt-6-luna"], "gpt-6-luna"])
def test_a_body_without_a_model_is_refused(problems, body):
    (problem,) = problems([{**request(), "body": body}])
    assert "its body names no model" in problem


def test_streaming_is_refused(problems):
    (problem,) = problems([request(stream=True)])
    assert "streaming" in problem
    assert "take 'stream' out" in problem


@pytest.mark.parametrize("body", [{"model": "gpt-6-luna"}, {"model": "gpt-6-luna", "messages": []}])
def test_a_chat_without_messages_is_refused(problems, body):
    (problem,) = problems([{**request(), "body": body}])
    assert "has no messages" in problem


@pytest.mark.parametrize("value, name", [([1], "list"), ("text", "str"), (5, "int")])
def test_a_line_that_is_no_object_is_refused(problems, value, name):
    assert problems([request(), value]) == [f"line 2: is a {name}, not an object"]


def test_every_problem_is_found_in_one_go_with_its_line(problems):
    bad = [request("a"), request("b c"), request("d"), request("d", stream=True), {"body": {}}]
    found = [problem.split(":")[0] for problem in problems(bad)]
    assert found == ["line 2 ('b c')", "line 4 ('d')", "line 4 ('d')", "line 5 (None)"]


def test_no_requests_at_all_are_refused(problems):
    (problem,) = problems([])
    assert "no requests" in problem


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("/v1/embeddings", "input"),
        ("/v1/moderations", "input"),
        ("/v1/responses", "input"),
        ("/v1/completions", "prompt"),
        ("/v1/images/generations", "prompt"),
        ("/v1/images/edits", "prompt"),
    ],
)
def test_other_endpoints_need_no_messages(url, key):
    body = {"model": "text-embedding-3-small", key: "hello"}
    assert check([{**request(), "url": url, "body": body}])["found"]["endpoint"] == url


def test_streaming_that_is_switched_off_is_accepted():
    assert check([request(stream=False)])["found"]["requests"] == "1"


def test_a_custom_id_of_64_characters_is_accepted():
    assert check([request("aZ0_-" + "x" * 59)])["found"]["different ids"] == "1"


# The message


def message(bad):
    with pytest.raises(BatchFileError) as error:
        check(bad)
    return str(error.value)


def test_one_problem_is_a_short_message():
    text = message([request("two words")])
    assert text.startswith("1 problem, nothing was uploaded:\n- line 1 ('two words')")


def test_ten_problems_are_all_shown():
    text = message([request("two words")] * 10)
    assert text.startswith("10 problems")
    assert text.count("\n- line ") == 10
    assert "more" not in text


def test_of_more_than_ten_problems_ten_are_shown_and_the_rest_counted():
    text = message([request("two words")] * 11)
    assert text.startswith("11 problems")
    assert "line 10 " in text
    assert "line 11 " not in text
    assert text.endswith("... and 1 more")


def test_the_error_holds_every_problem_however_many():
    with pytest.raises(BatchFileError) as error:
        check([request("two words")] * 13)
    assert len(error.value.problems) == 13


# Values in a request


@pytest.mark.parametrize(
    "value, name",
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (np.float64("nan"), "nan"),
        (np.float32("nan"), "nan"),
        (b"picture", "bytes"),
        ("half \ud83d", "lone surrogate"),
        (pd.NA, "NAType"),
        (pd.NaT, "NaTType"),
        (pd.Timestamp("2026-11-01"), "Timestamp"),
        (datetime.date(2026, 11, 1), "date"),
        (datetime.datetime(2026, 11, 1), "datetime"),
        (np.datetime64("NaT"), "datetime64"),
        (datetime.timedelta(1), "timedelta"),
        (decimal.Decimal("0.1"), "Decimal"),
        ({"a", "b"}, "set"),
        (pd.Series([1]), "Series"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "nest, place",
    [
        (lambda value: value, "seed"),
        (lambda value: {"b": [0, "x", {"c": value}]}, r"seed\.b\[2\]\.c"),
        (lambda value: [[None, value], None], r"seed\[0\]\[1\]"),
        (lambda value: (1, {"é": value}), r"seed\[1\]\.é"),
    ],
    ids=["flat", "deep", "beside nulls", "in a tuple"],
)
def test_a_value_that_json_cannot_say_is_refused_with_its_place(value, name, nest, place):
    with pytest.raises(
        BatchFileError, match=rf"line 2 \('b'\): is not JSON: body\.{place} .*{name}"
    ):
        check([request("a"), request("b", seed=nest(value))])


def test_an_integer_over_64_bits_is_refused():
    with pytest.raises(BatchFileError, match=r"line 1 .*64-bit"):
        check([request(seed=2**64)])


def test_a_key_that_is_no_text_is_refused():
    with pytest.raises(BatchFileError, match=r"body.logit_bias has the key 50256; write it as"):
        check([request(logit_bias={50256: -100})])


def test_a_nan_in_an_array_is_refused_with_its_place():
    with pytest.raises(BatchFileError, match=r"body\.seed\[1\] is nan"):
        check([request(seed=np.array([1.0, math.nan]))])


def test_numpy_values_are_fine_beside_a_null():
    line = encode(request(seed=np.int64(3), n=np.array([1, 2]), stop=None))
    assert json.loads(line)["body"]["seed"] == 3


@pytest.mark.parametrize("depth", [900, 2_000])
def test_a_request_nested_too_deeply_is_refused(depth):
    value = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(BatchFileError, match="line 1"):
        check([request(seed=[value, None])])


@pytest.mark.parametrize("key", ["custom_id", "method", "url", "body"])
@pytest.mark.parametrize("value", [pd.NA, ["a"], {"a": 1}, 5, pd.Series([1])])
def test_a_key_field_of_another_type_is_refused(key, value):
    with pytest.raises(BatchFileError, match="line 2"):
        check([request("a"), request("b") | {key: value}])


@pytest.mark.parametrize("field", ["model", "messages"])
@pytest.mark.parametrize("value", [pd.NA, "", [], 5, np.array([1, 2])])
def test_a_model_or_messages_of_another_type_are_refused(field, value):
    with pytest.raises(BatchFileError, match="line 1"):
        check([request(**{field: value})])


@pytest.mark.parametrize(
    "value, plain",
    [
        (np.int64(3), 3),
        (np.int8(-3), -3),
        (np.uint64(2**63), 2**63),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array([1, 2]), [1, 2]),
        (np.array([[0.5], [1.5]]), [[0.5], [1.5]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numpy_values_become_plain_ones(value, plain):
    assert json.loads(encode(request(seed=[value])))["body"]["seed"] == [plain]


@pytest.mark.parametrize("value", [None, [None], [1, None], {"a": None}, {"a": [{"b": None}]}])
def test_real_nulls_are_accepted(value):
    assert json.loads(encode(request(stop=value)))["body"]["stop"] == value


@pytest.mark.parametrize("text", ["[null,null]", '{"a":null}', "NaN", "\u2028", "日本", "😀", "\0"])
def test_any_proper_text_is_accepted(text):
    line = encode(request(text=text))
    assert json.loads(line)["body"]["messages"][0]["content"] == text
    assert line.count(b"\n") == 1


def test_nan_beside_a_real_null_is_still_found():
    with pytest.raises(ValueError, match=r"is not JSON: body\.seed is nan"):
        encode(request(stop=None, seed=math.nan))


# Bodies, by the types of the SDK and beyond them


def found(asked):
    with pytest.raises(BatchFileError) as error:
        check([asked])
    return [problem.removeprefix("line 1 ('a'): ") for problem in error.value.problems]


def chat(**body):
    return request("a", **body)


def parts(*more):
    return chat(messages=[{"role": "user", "content": [{"type": "text", "text": "b"}, *more]}])


def responses(**body):
    return {**request("a"), "url": "/v1/responses", "body": {"model": "gpt-6-luna", **body}}


def embedding(texts, **body):
    body = {"model": "text-embedding-3-small", "input": texts, **body}
    return {**request("a"), "url": "/v1/embeddings", "body": body}


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str


LINK = {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}
SUCH_AS = ', such as {"url": "https://..."}; image_part makes it'
SECOND = "body.messages[0].content[1]"
KINDS = "'text' or 'image_url' or 'input_audio' or 'file'"


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (
            {"type": "image_url", "image_url": "https://e.com/a.png"},
            f".image_url is 'https://e.com/a.png'; it should be an object{SUCH_AS}",
        ),
        ("bare", " is 'bare'; it should be an object"),
        (5, " is 5; it should be an object"),
        ([], " is []; it should be an object"),
        ({"type": "image", "data": "x"}, f".type is 'image'; it should be {KINDS}"),
        ({"type": "input_text", "text": "x"}, f".type is 'input_text'; it should be {KINDS}"),
        ({"type": None, "text": "x"}, f".type is None; it should be {KINDS}"),
        (
            {"type": "image_url", "image_url": {"url": None}},
            ".image_url.url is None; it should be a string",
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://e.com", "detail": "best"}},
            ".image_url.detail is 'best'; it should be 'auto', 'low', 'high' or 'original'",
        ),
        ({"type": "image_url", "image_url": {}}, f".image_url has no url{SUCH_AS}"),
        ({"type": "text"}, " has no text"),
        ({"type": "text", "text": None}, ".text is None; it should be a string"),
        ({}, " has no type"),
        ({"text": "x"}, " has no type"),
    ],
)
def test_a_part_of_a_message_is_named_with_what_to_write(part, problem):
    assert found(parts(part)) == [SECOND + problem]


ROLES = "'developer' or 'system' or 'user' or 'assistant' or 'tool' or 'function'"


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([{"content": "x"}], "body.messages[0] has no role"),
        (
            [{"role": "boss", "content": "x"}],
            f"body.messages[0].role is 'boss'; it should be {ROLES}",
        ),
        (["x"], "body.messages[0] is 'x'; it should be an object"),
        ("x", "body.messages is 'x'; it should be a list"),
        ({"role": "user"}, "body.messages is {'role': 'user'}; it should be a list"),
        ([{"role": "user"}], "body.messages[0] has no content"),
        ([{"role": "tool", "content": "x"}], "body.messages[0] has no tool_call_id"),
        ([], "has no messages"),
    ],
)  # fmt: skip
def test_a_message_of_the_wrong_form_is_named_with_its_place(messages, problem):
    assert found(chat(messages=messages)) == [problem]


def test_texts_in_the_place_of_parts_are_named_one_by_one():
    messages = [{"role": "user", "content": ["a", "b"]}]
    assert found(chat(messages=messages)) == [
        "body.messages[0].content[0] is 'a'; it should be an object",
        "body.messages[0].content[1] is 'b'; it should be an object",
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"max_completion_tokens": "500"}, "max_completion_tokens is '500'; it should be an int"),
        ({"max_completion_tokens": 500.0}, "max_completion_tokens is 500.0; it should be an int"),
        ({"n": True}, "n is True; it should be an integer"),
        ({"stop": 5}, "stop is 5; it should be a string or a list"),
        ({"temperature": "0", "reasoning_effort": "none"}, "temperature is '0'; it should be a n"),
        ({"reasoning_effort": "ultra"}, "reasoning_effort is 'ultra'; it should be 'none', 'min"),
        ({"metadata": {"row": 5}}, "metadata.row is 5; it should be a string"),
        ({"tools": [{"type": "function"}]}, "tools[0] has no function"),
        (
            {"response_format": {"type": "json_schema", "properties": {}}},
            "response_format has no json_schema; its response_format is not one of the API; make",
        ),
        (
            {"response_format": answer_format(Answer, endpoint="/v1/responses")},
            "response_format has no json_schema; its response_format is not one of the API; make",
        ),
    ],
)
def test_a_parameter_of_another_type_is_named_with_the_right_one(body, problem):
    (said,) = found(chat(**body))
    assert said.startswith(f"body.{problem}")


def test_parameters_that_the_sdk_does_not_know_pass():
    check([chat(guided_choice=["a"], chat_template_kwargs={"enable_thinking": False})])
    check([responses(input="x", extra={"a": [None]})])
    check([embedding("x", truncate_prompt_tokens=5)])


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (
            responses(messages=[{"role": "user", "content": "x"}], input="x"),
            "has messages, which /v1/responses does not know; write input",
        ),
        (
            responses(input="x", response_format=answer_format(Answer)),
            "has response_format, which /v1/responses does not know; write text=",
        ),
        (responses(input="x", max_completion_tokens=5), "write max_output_tokens"),
        (responses(input="x", max_tokens=5), "write max_output_tokens"),
        (responses(input="x", reasoning_effort="low"), 'write reasoning={"effort": ...}'),
        (chat(input="x"), "has input, which /v1/chat/completions does not know; write messages"),
        (chat(instructions="x"), "write a message with the role system"),
        (chat(max_output_tokens=5), "write max_completion_tokens"),
        (chat(reasoning={"effort": "low"}), "write reasoning_effort"),
        (responses(input="x", n=2), "has n, which /v1/responses does not know; take it out"),
        (responses(input="x", stop=["a"]), "has stop, which /v1/responses does not know; take it"),
        (responses(input="x", logprobs=True), "has logprobs, which /v1/responses does not know"),
        (chat(previous_response_id="r"), "does not know; take it out"),
        (chat(include=["reasoning.encrypted_content"]), "does not know; take it out"),
        (responses(), "has no input"),
        (responses(input=""), "has no input"),
        (responses(input=[]), "has no input"),
        (responses(input=5), "body.input is 5; it should be a string or a list"),
        (responses(input=[{"content": "x"}]), "body.input[0] has no role"),
        (
            responses(input=[{"role": "boss", "content": "x"}]),
            "body.input[0].role is 'boss'; it should be 'user', 'assistant', 'system' or 'dev",
        ),
        (
            responses(input=[{"role": "user", "content": [{"type": "text", "text": "x"}]}]),
            "body.input[0].content[0].type is 'text'; it should be 'input_text' or 'input_image'",
        ),
        (
            responses(input=[{"role": "user", "content": [LINK]}]),
            "body.input[0].content[0].type is 'image_url'; it should be 'input_text' or 'input_im",
        ),
        (
            responses(input="x", text=answer_format(Answer, endpoint="/v1/responses")),
            'has a format in place of text; write text={"format": ...}',
        ),
    ],
)
def test_words_of_the_other_api_are_refused_with_those_of_this_one(asked, problem):
    (said,) = found(asked)
    assert problem in said


def test_the_format_of_chat_in_responses_is_refused_with_the_way_to_its_own():
    wrong = found(responses(input="x", text={"format": answer_format(Answer)}))
    assert wrong == [
        f'body.text.format has no {key}; make it with answer_format(..., endpoint="/v1/responses")'
        for key in ("name", "schema")
    ]


def test_what_responses_and_chat_have_is_fine():
    text = {"format": answer_format(Answer, endpoint="/v1/responses")}
    shown = {"type": "input_image", "image_url": "https://e.com/a.png", "detail": "low"}
    content = [{"type": "input_text", "text": "x"}, shown]
    check([responses(input=[{"role": "user", "content": content}], text=text)])
    check([responses(prompt={"id": "pmpt_1"})])
    check([responses(input="x", instructions="y", reasoning={"effort": "low"})])
    check([parts(LINK)])
    check([chat(response_format=answer_format(Answer), max_completion_tokens=5, n=2)])


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["a", ""], "has no input: its text 2 is empty; take the row out"),
        (np.array(["a", ""]), "has no input: its text 2 is empty; take the row out"),
        ([[1], []], "has no input: its text 2 is empty; take the row out"),
        ("", "has no input"),
        ([], "has no input"),
        (np.array([]), "has no input"),
        (["a", None], "body.input[1] is None; it should be a string"),
        (np.array(["a", None], dtype=object), "body.input[1] is None; it should be a string"),
        (5, "body.input is 5; it should be a string or a list"),
        (["a"] * 2_049, "has 2,049 texts, over the limit of 2,048; split it"),
        (np.array(["a"] * 2_049), "has 2,049 texts, over the limit of 2,048; split it"),
        (pd.Series(["a"]), "is not JSON: body.input is of type Series"),
    ],
)
def test_input_of_embeddings_that_the_api_refuses_is_named(texts, problem):
    (said,) = found(embedding(texts))
    assert said.startswith(problem)


@pytest.mark.parametrize(
    "texts",
    ["a", ["a", "b"], ("a", "b"), [1, 2], [[1], [2]], np.array(["a", "b"]), np.array([1, 2])],
)
def test_input_of_embeddings_comes_as_text_lists_tuples_and_arrays(texts):
    check([embedding(texts)])


def test_arrays_of_objects_from_parquet_are_lists_to_the_api():
    content = np.array([{"type": "text", "text": "x"}], dtype=object)
    check([chat(messages=np.array([{"role": "user", "content": content}], dtype=object))])


def test_inputs_are_counted_in_lists_and_arrays_alike(tmp_path):
    def asked(number):
        texts = ["a"] * 2_000
        return embedding(texts if number % 2 else np.array(texts)) | {"custom_id": f"row-{number}"}

    shards = write(map(asked, range(26)), tmp_path / "vectors")
    assert [shard.requests for shard in shards] == [25, 1]


@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-6.2-sol", "gpt-6.2-astra", "gpt-6-astra"])
def test_a_model_without_the_effort_none_is_not_sent_there(model):
    assert found(chat(model=model, reasoning_effort="none")) == [
        f"asks for the effort 'none', which {model} refuses; take 'low' or more"
    ]
    for effort in ({}, {"reasoning_effort": "low"}):
        assert found(chat(model=model, temperature=0, **effort)) == [
            f"has temperature, which {model} refuses; take temperature out"
        ]
    check([chat(model=model, reasoning_effort="low")])
    check([responses(model=model, input="x", reasoning={"effort": "high"})])


@pytest.mark.parametrize("model", ["gpt-6.2-sol-2026-11-17", "gpt-6.1-sol"])
def test_a_dated_name_is_judged_as_its_model(model):
    wrong = found(responses(model=model, input="x", reasoning={"effort": "minimal"}))
    assert wrong == [f"asks for the effort 'minimal', which {model} refuses; take 'low' or more"]


def test_models_that_the_table_does_not_know_may_have_everything():
    check([chat(model="my-own", temperature=0, reasoning_effort="none", max_tokens=5)])


def test_every_line_of_the_table_of_models_has_its_source_and_a_date():
    for line in models():
        assert "https://" in line["source"]
        assert datetime.date.fromisoformat(line["as_of"]).year == 2026
        assert line["sampling"] in ("refused", "with effort none")
        assert ("none" in line["refused_efforts"]) == (line["sampling"] == "refused")


# Pictures in requests

PIXEL = Image.new("RGB", (64, 32))


def encoded(kind):
    memory = io.BytesIO()
    PIXEL.save(memory, kind)
    return base64.b64encode(memory.getvalue()).decode()


# The head of a picture of 60,000 x 60,000 pixels.
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
BOMB += struct.pack(">I", zlib.crc32(BOMB[12:]))


def shown(url, **more):
    return parts({"type": "image_url", "image_url": {"url": url, **more}})


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("photos/a.png", "is neither a link nor a data URL; image_part embeds a file"),
        ("C:\\photos\\a.png", "is neither a link nor a data URL; image_part embeds a file"),
        ("file:///photos/a.png", "is neither a link nor a data URL; image_part embeds a file"),
        ("", "is neither a link nor a data URL; image_part embeds a file"),
        ("https://", "is neither a link nor a data URL; image_part embeds a file"),
        (encoded("PNG"), "is neither a link nor a data URL; image_part embeds a file"),
        (f"data:image/png;base64,{base64.b64encode(b'abc')}", "holds no picture; image_part"),
        (f"data:image/png;base64,b'{encoded('PNG')}'", "holds no picture; image_part makes it"),
        ("data:image/png;base64,None", "holds no picture; image_part makes it"),
        ("data:image/png;base64,", "holds no picture; image_part makes it"),
        (
            f"data:image/png;base64,{base64.b64encode(BOMB).decode()}",
            "holds no picture; image_part",
        ),
        ("data:", "is no data URL of a PNG, JPEG, WEBP or GIF; image_part makes it"),
        ("data:image/svg+xml;base64,AAAA", "is no data URL of a PNG, JPEG, WEBP or GIF"),
        ("data:image/heic;base64,AAAA", "is no data URL of a PNG, JPEG, WEBP or GIF"),
        (f"data:image/png,{encoded('PNG')}", "is no data URL of a PNG, JPEG, WEBP or GIF"),
    ],
)
def test_a_picture_that_cannot_arrive_is_refused(url, problem):
    (said,) = found(shown(url))
    assert said.startswith("its picture 1, ")
    assert problem in said
    assert len(said) < 200
    asked = responses(input=[{"role": "user", "content": [
        {"type": "input_image", "image_url": url, "detail": "auto"}
    ]}])  # fmt: skip
    assert problem in found(asked)[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_that_the_api_reads_are_fine(kind):
    check([shown(f"data:image/{kind.lower()};base64,{encoded(kind)}")])


def test_a_bad_picture_is_found_after_a_good_request_of_the_same_shape():
    good = shown(f"data:image/png;base64,{encoded('PNG')}")
    with pytest.raises(BatchFileError, match=r"line 2 .*its picture 1"):
        check([good, shown("a.png") | {"custom_id": "b"}])


# Bodies of one shape


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"n": 1}, {"n": True}),
        ({"stream": False}, {"stream": True}),
        ({"stop": ["a"]}, {"stop": ["a", 5]}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "lowest"}),
        ({"max_completion_tokens": 5}, {"max_completion_tokens": 5.5}),
        ({"metadata": {"a": "b"}}, {"metadata": {"a": 1}}),
        (
            {"response_format": {"type": "text"}},
            {"response_format": {"type": "texts"}},
        ),
        (
            {"messages": [{"role": "user", "content": "a"}]},
            {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": None}]},
        ),
    ],
)
def test_a_bad_body_is_found_among_good_ones_that_look_like_it(good, bad):
    asked = [request(f"row-{number}", **(bad if number == 7 else good)) for number in range(1, 20)]
    with pytest.raises(BatchFileError) as error:
        check(asked)
    (problem,) = error.value.problems
    assert problem.startswith("line 7 ('row-7')")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (responses(input="x"), responses(input="")),
        (responses(input=[{"role": "user", "content": "x"}]), responses(input=[])),
        (embedding("x"), embedding("")),
        (embedding(["x", "y"]), embedding(["x", ""])),
        (embedding([[1], [2]]), embedding([[1], []])),
    ],
)
def test_an_empty_text_is_found_after_a_full_one(good, bad):
    with pytest.raises(BatchFileError, match=r"line 2 \('b'\): has no input"):
        check([good, {**bad, "custom_id": "b"}])


def test_the_words_that_may_vary_are_no_choices_of_the_api():
    """What is compared by its type alone is nowhere one of a list of words in the SDK's types."""

    def choices(schema, name=""):
        if isinstance(schema, list):
            return {found for part in schema for found in choices(part, name)}
        if not isinstance(schema, dict):
            return set()
        if schema.get("type") == "literal":
            return {name}
        fields = schema["fields"] if schema.get("type") == "typed-dict" else {}
        rest = [part for key, part in schema.items() if key not in ("fields", "metadata")]
        return choices(rest, name).union(*(choices(part, key) for key, part in fields.items()))

    found = {name for kind in ENDPOINTS.values() for name in choices(TypeAdapter(kind).core_schema)}
    assert {"role", "type", "detail", "reasoning_effort", "model"} <= found
    assert not found & (bodies._TEXTS | bodies._LOOSE)


# What a request holds


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        (request(text="hello"), 5),
        (request(text="é€"), 5),
        (parts(), 1),
        (chat(messages=[{"role": "system", "content": "ab"}, {"role": "user", "content": "c"}]), 3),
        (responses(input="abc", instructions="de"), 5),
        (responses(input=[{"role": "user", "content": [{"type": "input_text", "text": "ab"}]}]), 2),
        (embedding(["ab", "c"]), 3),
        (embedding([1, 2, 3]), 12),
        (chat(user="someone", metadata={"a": "b"}), 5),
    ],
)
def test_the_text_of_a_request_is_what_the_model_reads(asked, size):
    assert prompt_size(asked) == (size, 0, 0, 0)


def test_schemas_and_tools_are_read_too():
    plain = prompt_size(chat()).text_bytes
    format = answer_format(Answer)
    assert prompt_size(chat(response_format=format)).text_bytes - plain > len(
        json.dumps(format["json_schema"]["schema"], separators=(",", ":"))
    )
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert prompt_size(chat(tools=[tool])).text_bytes - plain > 50


@pytest.mark.parametrize(
    ("url", "detail", "tokens"),
    [
        (f"data:image/png;base64,{encoded('PNG')}", "auto", image_tokens(64, 32)),
        (f"data:image/jpeg;base64,{encoded('JPEG')}", "low", image_tokens(64, 32, "low")),
        ("https://e.com/a.png", "low", 308),
        ("https://e.com/a.png", "high", 3_000),
        ("https://e.com/a.png", "auto", 36_000),
        ("https://e.com/a.png", "original", 36_000),
    ],
)
def test_pictures_cost_what_their_size_says_and_links_the_most_that_they_can(url, detail, tokens):
    links = int(url.startswith("https"))
    embedded = 0 if links else tokens
    size = prompt_size(shown(url, detail=detail))
    assert size == (1, embedded, links, tokens - embedded)


def test_pictures_of_older_models_cost_tiles():
    asked = shown(f"data:image/png;base64,{encoded('PNG')}")
    asked["body"]["model"] = "gpt-4o-mini"
    assert prompt_size(asked) == (1, 8_500, 0, 0)


def test_every_endpoint_with_a_cap_has_its_names():
    assert CAPS["/v1/chat/completions"] == ("max_completion_tokens", "max_tokens")
    assert CAPS["/v1/responses"] == ("max_output_tokens",)
    assert CAPS["/v1/completions"] == ("max_tokens",)
    assert {*CAPS} <= {*ENDPOINTS}


@pytest.mark.parametrize(
    ("body", "url", "cap"),
    [
        ({"max_completion_tokens": 5}, "/v1/chat/completions", 5),
        ({"max_completion_tokens": 5, "n": 3}, "/v1/chat/completions", 15),
        ({"max_tokens": 5}, "/v1/chat/completions", 5),
        ({"max_completion_tokens": 5, "max_tokens": 9}, "/v1/chat/completions", 5),
        ({"max_output_tokens": 5}, "/v1/responses", 5),
        ({"max_tokens": 5}, "/v1/responses", 0),
        ({"max_completion_tokens": None, "n": None}, "/v1/chat/completions", 0),
        ({}, "/v1/embeddings", 0),
    ],
)
def test_the_cap_of_a_request_counts_for_each_of_its_answers(body, url, cap):
    assert cap_of(body, url) == cap
