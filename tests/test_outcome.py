"""What came of one request: its answer, or the code and reason of a failure, in one line."""

import pytest
from pydantic import BaseModel, ConfigDict

import helpers
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
