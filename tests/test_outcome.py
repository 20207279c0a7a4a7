"""What came of one request: its answer, or the code and reason of a failure, in one line."""

import base64
import datetime
import decimal
import enum
import functools
import json
import struct

import pytest
from pydantic import BaseModel, ConfigDict, RootModel, computed_field, field_validator

import helpers
from helpers.outcome import cause_of, choices_of, fields_of, plain, result_lines, tokens_of
from support import completion, error, line


class Label(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str
    stars: int


def never_ran(code):
    reason = {"code": code, "message": "This request did not run."}
    return {"id": "batch_req_1", "custom_id": "row-1", "response": None, "error": reason}


def test_an_answer_is_ok_and_carries_its_text_and_tokens():
    outcome = helpers.outcome_of(line(200, completion("fine")))
    assert (outcome.outcome, outcome.answer, outcome.retry) == ("ok", "fine", False)
    assert (outcome.prompt_tokens, outcome.cached_tokens, outcome.completion_tokens) == (10, 4, 3)


def test_an_answer_that_fits_the_model_becomes_an_instance_of_it():
    outcome = helpers.outcome_of(line(200, completion('{"label": "a", "stars": 3}')), Label)
    assert (outcome.outcome, outcome.answer) == ("ok", Label(label="a", stars=3))


def test_an_answer_without_usage_counts_no_tokens():
    body = {"choices": completion()["choices"]}
    outcome = helpers.outcome_of(line(200, body))
    assert outcome.outcome == "ok"
    assert (outcome.prompt_tokens, outcome.cached_tokens, outcome.completion_tokens) == (0, 0, 0)


@pytest.mark.parametrize(
    ("came", "code", "retry"),
    [
        (line(500, error("The server had an error.")), "http_500", True),
        (line(503, error("Overloaded.", "overloaded")), "overloaded", True),
        (line(429, error("Slow down.", "rate_limit_exceeded")), "rate_limit_exceeded", True),
        (line(408, error("Too slow.")), "http_408", True),
        (
            line(400, error("Too long.", "context_length_exceeded")),
            "context_length_exceeded",
            False,
        ),
        (line(404, error("Never heard of it.", "model_not_found")), "model_not_found", False),
        (line(0, {}), "unknown_error", True),
        (line(502, None), "http_502", True),
        (never_ran("batch_expired"), "batch_expired", True),
        (never_ran("batch_cancelled"), "batch_cancelled", True),
        (never_ran("invalid_image_url"), "invalid_image_url", False),
    ],
)
def test_an_error_line_is_failed_with_its_code_and_whether_a_second_try_helps(came, code, retry):
    outcome = helpers.outcome_of(came)
    assert (outcome.outcome, outcome.code, outcome.retry) == ("failed", code, retry)
    assert (outcome.answer, outcome.prompt_tokens) == (None, 0)


@pytest.mark.parametrize(
    "came",
    [line(400, error("The prompt is too long.")), never_ran("batch_expired")],
    ids=["rejected", "never ran"],
)
def test_the_reason_of_an_error_line_is_the_message_of_the_api(came):
    cause = came["error"] or came["response"]["body"]["error"]
    assert helpers.outcome_of(came).reason == cause["message"]


def test_an_error_line_without_a_message_says_so():
    assert "no reason" in helpers.outcome_of(line(500, {})).reason


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (completion(None, refusal="I can't help with that."), "refusal", "I can't help with that."),
        (completion('{"label": "a', "length"), "truncated", "raise max_completion_tokens"),
        (completion(None, "content_filter"), "content_filter", "content filter"),
        (completion("no json"), "invalid_answer", "(it is 'no json')"),
        (completion('{"label": "a", "stars": "many"}'), "invalid_answer", "(it is 'many')"),
        (completion('{"label": "a"}'), "invalid_answer", "Field required"),
        (completion('{"label": "a", "stars": 1, "more": 2}'), "invalid_answer", "more"),
    ],
)
def test_an_answer_that_is_no_use_is_failed_for_good_and_billed(body, code, reason):
    outcome = helpers.outcome_of(line(200, body), Label)
    assert (outcome.outcome, outcome.code, outcome.retry) == ("failed", code, False)
    assert reason in outcome.reason
    assert (outcome.answer, outcome.prompt_tokens, outcome.completion_tokens) == (None, 10, 3)


def test_half_an_answer_stopped_by_the_content_filter_is_failed():
    outcome = helpers.outcome_of(line(200, completion("half", "content_filter")))
    assert (outcome.outcome, outcome.code, outcome.answer) == ("failed", "content_filter", None)


@pytest.mark.parametrize("body", [completion(None), {"choices": []}, {}, None])
def test_a_success_without_content_is_failed(body):
    outcome = helpers.outcome_of(line(200, body))
    assert (outcome.outcome, outcome.answer) == ("failed", None)


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_text_is_no_answer(text):
    outcome = helpers.outcome_of(line(200, completion(text)))
    assert (outcome.outcome, outcome.code, outcome.answer) == ("failed", "no_content", None)


# A line that is hard to read


def read(*texts):
    return list(result_lines(texts))


def named(tail, custom_id="row-1"):
    return f'{{"custom_id": "{custom_id}", {tail}}}\n'.encode()


OK_BODY = b'{"choices": [{"message": {"content": "%s"}, "finish_reason": "stop"%s}]}'


def ok_line(content=b"fine", more=b""):
    body = OK_BODY % (content, more)
    return b'{"custom_id": "row-1", "response": {"status_code": 200, "body": %s}}\n' % body


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (ok_line(), "fine"),
        (ok_line(rb"cut \ud83d"), "cut \ufffd"),
        (ok_line(rb"\ude00 cut"), "\ufffd cut"),
        (ok_line(rb"whole \ud83d\ude00"), "whole \U0001f600"),
        (ok_line(b"stray \xff byte"), "stray \ufffd byte"),
        (ok_line(more=b', "logprobs": -Infinity'), "fine"),
        (ok_line(more=b', "logprobs": [NaN]'), "fine"),
        (ok_line(more=b', "logprobs": 1' + b"0" * 400), "fine"),
        (b"\xef\xbb\xbf" + ok_line(), "fine"),
        (ok_line(b"tab \t inside"), "tab \t inside"),
        (ok_line().replace(b"\n", b"\r\n"), "fine"),
    ],
)
def test_a_strange_line_is_read_and_its_answer_counts(text, answer):
    [came] = read(text)
    outcome = helpers.outcome_of(came)
    assert (outcome.outcome, outcome.answer) == ("ok", answer)


@pytest.mark.parametrize(
    "text",
    [
        ok_line()[:-10],
        named('"response": {"status_code": 200, "body": {]}'),
        ok_line()[:-1] + ok_line(),
        ok_line().replace(b"}}\n", b"}" * 1 + b"\0\n"),
        b'{"id": 1, "custom_id" : "row-1", "response": ' + b"[" * 200_000,
    ],
    ids=["cut off", "not JSON", "two in one", "zeros", "deep"],
)
def test_a_line_that_cannot_be_read_is_failed_and_not_asked_again(text):
    [came] = read(text)
    outcome = helpers.outcome_of(came)
    assert came["custom_id"] == "row-1"
    assert (outcome.outcome, outcome.code, outcome.retry) == ("failed", "unreadable_line", False)
    assert "billed" in outcome.reason
    assert len(outcome.reason) < 400


@pytest.mark.parametrize(
    "text",
    [
        *(b"\n", b"<html>", b"[1]\n", b'"text"\n', b"null\n", b"\xff\xfe\n", b"{}\n", b"{\n"),
        *(b'{"custom_id": 7}\n', b'{"custom_id": null, "error": NaN}\n', b"[" * 200_000),
    ],
)
def test_a_line_that_names_no_request_is_left_out(text):
    assert read(text) == []


def test_a_custom_id_inside_an_answer_is_not_taken_for_that_of_the_line():
    inside = rb"{\"custom_id\": \"row-9\"}"
    [came] = read(ok_line(inside)[:-12])
    assert came["custom_id"] == "row-1"


# Whether another try can help


@pytest.mark.parametrize(
    "cause",
    [
        {"code": "request_timeout", "message": "The underlying call timed out."},
        {"code": "rate_limit_exceeded", "message": "Slow down."},
        {"code": "server_error", "message": "Oops."},
        {"code": 429, "message": "Slow down."},
        {"code": "503", "message": "Overloaded."},
        {"code": None, "type": "server_error", "message": "Oops."},
        {"type": "rate_limit_error", "message": "Slow down."},
        {"code": "internal_server_error", "message": "Oops."},
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda cause: {"response": None, "error": cause},
        lambda cause: {"response": {"status_code": 500, "body": {"error": cause}}, "error": None},
        lambda cause: {"response": {"status_code": 200, "body": {"error": cause}}},
        lambda cause: {"response": {"status_code": 500, "body": None}, "error": {"error": cause}},
        lambda cause: {"response": {"status_code": 500, "body": json.dumps({"error": cause})}},
        lambda cause: {
            "response": {
                "status_code": 200,
                "body": {"object": "response", "status": "failed", "error": cause},
            }
        },
    ],
    ids=["never ran", "rejected", "200", "vLLM", "text", "Responses"],
)
def test_a_passing_cause_can_be_tried_again_wherever_it_stands(place, cause):
    outcome = helpers.outcome_of({"custom_id": "a", **place(cause)})
    assert (outcome.outcome, outcome.retry) == ("failed", True)
    assert outcome.reason == cause["message"]


@pytest.mark.parametrize(
    "cause",
    [
        {"code": "invalid_prompt", "message": "No."},
        {"code": "context_length_exceeded", "type": "invalid_request_error", "message": "Long."},
        {"code": 400, "message": "Bad."},
        {"message": "No code at all."},
        "just a text",
    ],
)
def test_another_cause_is_not_tried_again(cause):
    outcome = helpers.outcome_of({"custom_id": "a", "response": None, "error": cause})
    assert (outcome.outcome, outcome.retry) == ("failed", False)
    assert outcome.reason == (cause["message"] if isinstance(cause, dict) else cause)


def test_the_cause_of_a_line_is_there_for_others_as_well():
    came = line(429, error("Slow down.", "rate_limit_exceeded"))
    assert cause_of(came) == ("rate_limit_exceeded", "Slow down.", True)


# Bodies of other servers


def test_a_body_that_is_text_is_read():
    came = line(200, json.dumps(completion("fine")))
    assert helpers.outcome_of(came)[:5] == helpers.outcome_of(line(200, completion("fine")))[:5]


@pytest.mark.parametrize("status", [200, "200", 200.0, 201, None])
def test_an_answer_with_its_status_written_otherwise_is_ok(status):
    assert helpers.outcome_of(line(status, completion())).answer == "fine"


@pytest.mark.parametrize("body", ["[", "{", "null", "5", '"text"', "[" * 100_000])
def test_a_body_that_is_other_text_is_failed(body):
    outcome = helpers.outcome_of(line(200, body))
    assert (outcome.outcome, outcome.code) == ("failed", "http_200")


# Several choices, tools, empty answers


def choices(*parts):
    return {"choices": [part["choices"][0] for part in parts]}


CUT, WHOLE, OTHER = completion("cut", "length"), completion("whole"), completion("other")
EMPTY, DENIED = completion(""), completion(None, refusal="No.")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (choices(WHOLE, OTHER, CUT), "whole"),
        (choices(CUT, WHOLE, OTHER), "whole"),
        (choices(EMPTY, DENIED, WHOLE), "whole"),
        ({"object": "text_completion", "choices": [{"text": ""}, {"text": "b"}]}, "b"),
    ],
)
def test_of_several_choices_the_first_that_can_be_used_counts(body, answer):
    assert helpers.answered(body).answer == answer


def test_all_choices_are_there():
    found = choices_of(choices(CUT, WHOLE, OTHER))
    assert [(one.outcome, one.code, one.answer) for one in found] == [
        ("failed", "truncated", None),
        ("ok", "", "whole"),
        ("ok", "", "other"),
    ]


def test_without_a_choice_that_can_be_used_the_first_says_why():
    outcome = helpers.answered(choices(CUT, EMPTY, DENIED))
    assert (outcome.outcome, outcome.code) == ("failed", "truncated")


def test_a_choice_that_fits_the_model_counts_before_one_that_does_not():
    body = choices(WHOLE, completion('{"label": "a", "stars": 1}'))
    assert helpers.answered(body, Label).answer == Label(label="a", stars=1)


def tool_call(arguments):
    return {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}


def calling(*arguments, content=None):
    message = {"content": content, "tool_calls": [tool_call(text) for text in arguments]}
    return {"choices": [{"message": message, "finish_reason": "tool_calls"}]}


CUSTOM = {"type": "custom", "custom": {"name": "f", "input": "free text"}}
OLD = {"content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}}
RESPONSE_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (calling('{"a": 1}'), '{"a": 1}'),
        (calling('{"a": 1}', content=""), '{"a": 1}'),
        (calling('{"a": 1}', '{"a": 2}'), ['{"a": 1}', '{"a": 2}']),
        ({"choices": [{"message": {"content": None, "tool_calls": [CUSTOM]}}]}, "free text"),
        ({"choices": [{"message": OLD}]}, '{"a": 1}'),
        ({"object": "response", "output": [RESPONSE_CALL]}, '{"a": 1}'),
        ({"object": "response", "output": [RESPONSE_CALL] * 2}, ['{"a": 1}'] * 2),
        (calling('{"a": 1}', content="I call."), "I call."),
    ],
)
def test_the_arguments_of_tools_are_the_answer_where_there_is_no_text(body, answer):
    assert helpers.answered(body).answer == answer


def test_arguments_of_tools_are_validated_by_the_model():
    fits = '{"label": "a", "stars": 1}'
    assert helpers.answered(calling(fits), Label).answer == Label(label="a", stars=1)
    assert helpers.answered(calling("{}", fits), Label).answer == Label(label="a", stars=1)
    assert helpers.answered(calling("{}"), Label).code == "invalid_answer"


def test_text_in_parts_is_put_together():
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert helpers.outcome_of(line(200, completion(parts))).answer == "ab"


def test_an_error_inside_a_success_is_the_cause():
    outcome = helpers.outcome_of(line(200, error("The model is gone.", "model_gone")))
    assert (outcome.code, outcome.reason) == ("model_gone", "The model is gone.")
    both = completion() | error("A warning.")
    assert helpers.outcome_of(line(200, both)).answer == "fine"


# Responses


def response(*output, **more):
    return {"object": "response", "status": "completed", "output": list(output), **more}


def said(text, **more):
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "content": parts, **more}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (response(said("I will check. ", phase="commentary"), said("Yes")), "Yes"),
        (response(said("Yes", phase="final_answer"), said("Hm.", phase="commentary")), "Yes"),
        (response(said("First."), said("Last.")), "Last."),
        (response(said("Whole."), said("Ha", status="in_progress")), "Whole."),
        (response({"type": "reasoning"}, said("Yes", status="completed")), "Yes"),
        ({"object": "response", "output": [said("Yes")]}, "Yes"),
    ],
)
def test_the_last_whole_message_of_a_response_is_the_answer(body, answer):
    assert helpers.answered(body).answer == answer


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (response(said(None)), "no_content"),
        (response(said("I will check.", phase="commentary")), "no_content"),
        (response({"type": "message", "content": 5}), "no_content"),
        (response(5, "text", None), "no_content"),
        (response(said("half"), status="in_progress"), "in_progress"),
        (response(said("half"), status="cancelled"), "cancelled"),
        (response(said("half"), status="queued"), "queued"),
        (response(said("half"), status="failed"), "failed"),
        (response(said("half"), status="failed", error={"code": "bad_thing"}), "bad_thing"),
        (response(said("half"), status="incomplete"), "incomplete"),
        (
            response(said("half"), status="incomplete", incomplete_details={"reason": "max_tools"}),
            "incomplete",
        ),
        (
            response(
                said("half"),
                status="incomplete",
                incomplete_details={"reason": "max_output_tokens"},
            ),
            "truncated",
        ),
        (
            response(
                said("half"), status="incomplete", incomplete_details={"reason": "content_filter"}
            ),
            "content_filter",
        ),
    ],
)
def test_a_response_that_did_not_complete_is_failed_with_its_cause(body, code):
    outcome = helpers.answered(body)
    assert (outcome.outcome, outcome.code, outcome.answer) == ("failed", code, None)
    assert outcome.reason


def test_the_message_of_a_failed_response_is_the_reason():
    cause = {"code": "server_error", "message": "The model broke down."}
    outcome = helpers.answered(response(said("half"), status="failed", error=cause))
    assert (outcome.reason, outcome.retry) == ("The model broke down.", True)


@pytest.mark.parametrize(
    ("body", "cap"),
    [
        (completion("h", "length"), "max_completion_tokens"),
        (
            {"object": "text_completion", "choices": [{"text": "h", "finish_reason": "length"}]},
            "max_tokens",
        ),
        (response(incomplete_details={"reason": "max_output_tokens"}), "max_output_tokens"),
    ],
)
def test_an_answer_that_was_cut_off_names_the_cap_of_its_endpoint(body, cap):
    assert helpers.answered(body).reason.endswith(f"raise {cap}.")


# Embeddings


def vectors(*parts):
    data = [{"object": "embedding", "embedding": vector, **more} for vector, more in parts]
    return {"object": "list", "data": data}


PACKED = base64.b64encode(struct.pack("<3f", 0.5, -1.0, 2.0)).decode()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (vectors(([1.0], {"index": 1}), ([0.0], {"index": 0})), [[0.0], [1.0]]),
        (
            vectors(([2.0], {"index": 2}), ([0.0], {"index": 0}), ([1.0], {"index": 1})),
            [[0.0], [1.0], [2.0]],
        ),
        (vectors(([1.0], {}), ([2.0], {})), [[1.0], [2.0]]),
        (vectors((PACKED, {"index": 0})), [0.5, -1.0, 2.0]),
        (vectors(([1], {"index": 1}), (PACKED, {"index": 0})), [[0.5, -1.0, 2.0], [1]]),
    ],
)
def test_vectors_come_in_the_order_of_their_inputs_as_numbers(body, answer):
    assert helpers.answered(body).answer == answer


@pytest.mark.parametrize(
    "body",
    [
        vectors(([1.0], {"index": 0}), ([2.0], {"index": 0})),
        vectors(([1.0], {"index": 1}), ([2.0], {"index": 2})),
        vectors(("no base64!", {"index": 0})),
        vectors((None, {"index": 0})),
        vectors(([], {"index": 0})),
        vectors(("YWJj", {"index": 0})),
    ],
)
def test_vectors_that_cannot_be_told_apart_or_read_are_failed(body):
    outcome = helpers.answered(body)
    assert (outcome.outcome, outcome.code) == ("failed", "invalid_answer")


# The reader's own model


def raising(error):
    class Own(BaseModel):
        label: str

        @field_validator("label")
        @classmethod
        def look(cls, value):
            raise error

    return Own


@pytest.mark.parametrize(
    "error",
    [KeyError("a"), TypeError("b"), ZeroDivisionError("c"), RuntimeError("d"), RecursionError()],
    ids=lambda error: type(error).__name__,
)
def test_a_validator_that_raises_makes_an_invalid_answer(error):
    outcome = helpers.answered(completion('{"label": "a"}'), raising(error))
    assert (outcome.outcome, outcome.code, outcome.retry) == ("failed", "invalid_answer", False)
    assert type(error).__name__ in outcome.reason


def test_a_validator_that_says_no_gives_its_reason():
    outcome = helpers.answered(completion('{"label": "a"}'), raising(ValueError("too short")))
    assert "too short" in outcome.reason


class Color(enum.Enum):
    RED = "red"


class Part(BaseModel):
    n: int
    day: datetime.date


class Rich(BaseModel):
    color: Color
    parts: list[Part]
    best: Part | None
    price: decimal.Decimal

    @computed_field
    @property
    def count(self) -> int:
        return len(self.parts)


RICH = '{"color": "red", "parts": [{"n": 1, "day": "2026-11-26"}], "best": null, "price": "0.10"}'
PLAIN = {
    "color": "red",
    "parts": [{"n": 1, "day": "2026-11-26"}],
    "best": None,
    "price": "0.10",
    "count": 1,
}


def test_an_answer_as_json_holds_plain_values_only():
    answer = helpers.answered(completion(RICH), Rich).answer
    assert isinstance(answer, Rich)
    assert plain(answer) == PLAIN
    assert list(plain(answer)) == fields_of(Rich)
    assert helpers.answered(completion(RICH), Rich, as_json=True).answer == PLAIN
    assert helpers.outcome_of(line(200, completion(RICH)), Rich, as_json=True).answer == PLAIN


@pytest.mark.parametrize("answer", ["text", [0.5, 1.0], ["a", "b"], None])
def test_answers_without_a_model_are_plain_already(answer):
    assert plain(answer) == answer


def test_a_root_model_is_plain_under_its_only_field():
    whole = RootModel[list[int]]
    answer = helpers.answered(completion("[1, 2]"), whole).answer
    assert plain(answer) == {"root": [1, 2]}
    assert fields_of(whole) == ["root"]


def test_a_computed_field_that_raises_makes_an_invalid_answer_of_a_table():
    class Own(BaseModel):
        label: str

        @computed_field
        @property
        def first(self) -> str:
            return self.label.split()[9]

    outcome = helpers.answered(completion('{"label": "a"}'), Own, as_json=True)
    assert (outcome.outcome, outcome.code) == ("failed", "invalid_answer")


@pytest.mark.parametrize("model", [None, Label], ids=["text", "model"])
def test_a_line_says_what_its_body_says_however_odd_that_is(model):
    message, tokens = ("choices", 0, "message"), ("usage", "prompt_tokens_details")
    places = [
        ("choices",), ("choices", 0), ("choices", 0, "finish_reason"),
        message, (*message, "content"), (*message, "refusal"),
        ("usage",), ("usage", "prompt_tokens"), ("usage", "completion_tokens"),
        tokens, (*tokens, "cached_tokens"), (*tokens, "cache_write_tokens"),
    ]  # fmt: skip
    odd = [None, True, 0, 1, -1, 2.0, 10**9, " ", "9", "length", [], ["text"], {}, {"text": "a"}]
    for *place, last in places:
        for value in odd:
            body = completion('{"label": "a", "stars": 3}')
            functools.reduce(lambda part, key: part[key], place, body)[last] = value
            outcome = helpers.outcome_of(line(200, body), model)
            assert outcome == helpers.answered(body, model), (place, last, value)


# Tokens


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, (5, 0, 0, 2)),
        ({"input_tokens": 5, "output_tokens": 2}, (5, 0, 0, 2)),
        ({"prompt_tokens": 5, "total_tokens": 5}, (5, 0, 0, 0)),
        (
            {
                "prompt_tokens": 2_000,
                "prompt_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 1_024},
            },
            (2_000, 300, 1_024, 0),
        ),
        (
            {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 50}},
            (9, 9, 0, 0),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 50},
            },
            (9, 5, 4, 1),
        ),
        ({"prompt_tokens": 2**64 - 1, "completion_tokens": 2**63}, (0, 0, 0, 0)),
        ({"prompt_tokens": 1e30, "completion_tokens": -5}, (0, 0, 0, 0)),
        ({"prompt_tokens": 10.0, "completion_tokens": "7"}, (10, 0, 0, 7)),
        ({"prompt_tokens": True, "completion_tokens": [3]}, (0, 0, 0, 0)),
        ("text", (0, 0, 0, 0)),
        (None, (0, 0, 0, 0)),
    ],
)
def test_the_tokens_of_a_usage_are_counts_or_nothing(usage, tokens):
    assert tokens_of(usage) == tokens
    body = completion() | {"usage": usage}
    assert helpers.answered(body)[5:9] == tokens
    assert helpers.outcome_of(line(200, body))[5:9] == tokens
