"""batch -> outcome: what came of one request, from its line in an output or error file."""

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import orjson
from openai import BaseModel as OpenAIModel
from pydantic import BaseModel, ValidationError

from helpers.checks import CAPS

TOKENS = ["prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens"]


class Outcome(NamedTuple):
    """What came of one request: ``ok``, ``failed`` with code and reason, or ``missing``.

    ``answer`` is None unless ok: the text, for tool calls their arguments (a list for several),
    for embeddings the vector (a list of them for several inputs), for moderations and pictures the
    list of results; with an answer model an instance of it. ``retry`` says whether a second try
    can help. The tokens are those of the answer's ``usage``, 0 without one.
    """

    outcome: str
    code: str = ""
    reason: str = ""
    retry: bool = False
    answer: Any = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    round: int = 1


# Reading result files


_CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*"((?:[^"\\]|\\.)+)"')
_EXCERPT = 120


def result_lines(lines: Iterable[bytes]) -> Iterator[dict]:
    """The lines of a result file that name a request, read as forgivingly as can be.

    Byte order marks, stray bytes, NaN and halves of characters are mended: what was paid is not
    lost for them. A line that cannot be read but shows its custom_id becomes one with the error
    ``unreadable_line``; lines that name no request are left out.
    """
    for text in lines:
        try:
            line = orjson.loads(text)
        except ValueError:
            line = _mended(text)
        if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
            yield line


def _mended(text: bytes) -> Any:
    readable = text.decode("utf-8-sig", errors="replace")
    try:
        return _plain_json(json.loads(readable, strict=False))
    except (ValueError, RecursionError):
        found = _CUSTOM_ID.search(text)
    if not found:
        return None
    message = (
        "This request has a line in the result file, so it was answered and billed, but the line "
        f"cannot be read; it is not asked again by itself. It begins: {readable[:_EXCERPT]}"
    )
    error = {"code": "unreadable_line", "message": message}
    return {"custom_id": found[1].decode(errors="replace"), "error": error}


def _plain_json(value: Any) -> Any:
    """The value without what Python's reader lets through and nobody else takes."""
    if isinstance(value, str):
        # Halves that belong together become one character, others the replacement character.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_plain_json(key): _plain_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# From a line to its outcome


def outcome_of(
    line: dict, answer: type[BaseModel] | None = None, *, as_json: bool = False
) -> Outcome:
    """The outcome of one line of an output or error file.

    A request that the API rejected has ``error: null`` and its cause in ``response.body.error``
    (https://github.com/openai/openai-openapi/issues/302); only a line that never ran has ``error``.
    With ``as_json`` the answer is what `plain` makes of the instance of the answer model.
    """
    response = line.get("response")
    if isinstance(response, dict) and response.get("status_code") == 200:
        body = response.get("body")
        if isinstance(body, dict):
            return answered(body, answer, as_json=as_json)
    status, body = _response(line)
    if isinstance(body, dict) and 200 <= status < 300:
        return answered(body, answer, as_json=as_json)
    return Outcome("failed", *cause_of(line))


def answered(
    body: dict | OpenAIModel, model: type[BaseModel] | None = None, *, as_json: bool = False
) -> Outcome:
    """The outcome of an answer, as the SDK gives it or as it stands in a line.

    ``ok``, or ``failed`` if it is no use: refused, cut off, or another shape than ``model`` has.
    Of several choices the first that can be used counts; `choices_of` has them all.
    """
    if isinstance(body, dict) and (content := _usual(body)):
        tokens = tokens_of(body.get("usage"))
        if model:
            content, failure = _fitted(content, model, as_json)
            if failure:
                return Outcome("failed", *failure, None, *tokens)
        return _new(Outcome, ("ok", "", "", False, content, *tokens, 1))
    first = None
    for outcome in _choices(body, model, as_json):
        if outcome.outcome == "ok":
            return outcome
        first = first or outcome
    return first or Outcome("failed", "no_content", "The answer has no text.")


def choices_of(
    body: dict | OpenAIModel, model: type[BaseModel] | None = None, *, as_json: bool = False
) -> list[Outcome]:
    """The outcome of each choice in an answer, for requests with ``n`` above 1.

    Every one of them carries the tokens of all.
    """
    return list(_choices(body, model, as_json))


def plain(answer: Any) -> Any:
    """What JSON holds of an answer, for tables and files.

    For an instance of a model a dict by the names of `fields_of`: enums by value, dates as text,
    nested models as dicts and lists, computed fields too. Other answers are plain already.
    """
    if not isinstance(answer, BaseModel):
        return answer
    value = answer.model_dump(mode="json", by_alias=False)
    return value if isinstance(value, dict) else {"root": value}


def fields_of(model: type[BaseModel]) -> list[str]:
    """The names under which `plain` gives the parts of an answer: fields and computed fields."""
    return [*model.model_fields, *model.model_computed_fields]


class Tokens(NamedTuple):
    """What a usage counts. Cached and newly cached tokens are part of the prompt's."""

    prompt: int
    cached: int
    cache_write: int
    completion: int


def tokens_of(usage: Any) -> Tokens:
    """The tokens of a usage; 0 for what it does not say.

    Chat Completions, Completions and Embeddings say ``prompt``, all others ``input``:
    openai/types/completion_usage.py, openai/types/responses/response_usage.py.
    """
    if not isinstance(usage, dict):
        return _NO_TOKENS
    get = usage.get
    prompt = _count(get("prompt_tokens") or get("input_tokens"))
    completion = _count(get("completion_tokens") or get("output_tokens"))
    details = get("prompt_tokens_details") or get("input_tokens_details")
    cached = written = 0
    if isinstance(details, dict):
        # Parts of the prompt: more of them than of it would make a negative price.
        cached = min(prompt, _count(details.get("cached_tokens")))
        written = min(prompt - cached, _count(details.get("cache_write_tokens")))
    return _new(Tokens, (prompt, cached, written, completion))


# The constructor of a NamedTuple takes three times as long.
_new = tuple.__new__
_NO_TOKENS = Tokens(0, 0, 0, 0)


class Cause(NamedTuple):
    """Why a request failed, and whether a second try can help."""

    code: str
    reason: str
    retry: bool


# What can go better on a second try. Client errors, refusals and filters come back the same.
_RETRY_STATUS = {408, 409, 429}
# The first three are the API's codes of a line that never ran. Servers give the others in code or
# type, with a status or without one:
# https://developers.openai.com/api/docs/guides/error-codes
_RETRY_CODE = re.compile(
    r"batch_expired|batch_cancelled|time_?out|timed_out|rate_limit|too_many_requests|server_error|"
    r"internal_error|overloaded|unavailable|bad_gateway|slow_down",
    re.IGNORECASE,
)


def cause_of(line: dict) -> Cause:
    """Why the request of this line failed: in the API's place for it, or another server's."""
    status, body = _response(line)
    # vLLM puts the cause into ``error``, inside another ``error``, and leaves the body out.
    own = line.get("error")
    found = _object(body).get("error") or _object(own).get("error") or own or body
    return _cause(found, status, broken=_object(line.get("response")).get("status_code") == 0)


def _cause(found: Any, status: int, broken: bool = False) -> Cause:
    error = _object(found)
    name = error.get("code") or (f"http_{status}" if status else error.get("type"))
    code = str(name or "unknown_error")
    reason = error.get("message") or found or "The line gives no reason."
    status = _count(code) or status
    again = (
        broken
        or status >= 500
        or status in _RETRY_STATUS
        or any(_RETRY_CODE.search(str(error.get(key))) for key in ("code", "type"))
    )
    return Cause(code, reason if isinstance(reason, str) else repr(reason), again)


def _response(line: dict) -> tuple[int, Any]:
    """Status and body of a line; some servers write the body as text, or no status."""
    response = _object(line.get("response"))
    status, body = response.get("status_code"), response.get("body")
    if isinstance(body, str):
        with suppress(ValueError, RecursionError):
            body = _plain_json(json.loads(body, strict=False))
    if status is None and isinstance(body, dict) and not body.get("error"):
        status = 200
    return _count(status), body


# What an answer says, of whatever endpoint


class _Said(NamedTuple):
    """One choice: what it gives, or why it cannot be used."""

    content: Any = None
    failure: Cause | None = None


_FILTERED = Cause("content_filter", "The content filter stopped the answer.", False)


def _choices(
    body: dict | OpenAIModel, model: type[BaseModel] | None, as_json: bool
) -> Iterator[Outcome]:
    body = body if isinstance(body, dict) else body.to_dict()
    tokens = tokens_of(body.get("usage"))
    for content, failure in _said(body, tokens):
        if failure is None and model:
            content, failure = _fitted(content, model, as_json)
        if failure:
            # It came, and is billed, but cannot be used.
            yield Outcome("failed", *failure, None, *tokens)
        else:
            yield Outcome("ok", "", "", False, content, *tokens)


def _usual(body: dict) -> str:
    """The text of an answer of Chat Completions that is fine, as nearly all are; '' for others."""
    choices = body.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return ""
    try:
        choice = choices[0]
        message = choice["message"]
        content = message["content"]
        if choice["finish_reason"] == "stop" and not message.get("refusal"):
            return content if isinstance(content, str) and content.strip() else ""
    except (TypeError, KeyError, AttributeError):
        pass
    return ""


def _said(body: dict, tokens: Tokens) -> Iterator[_Said]:
    """The choices in a body.

    Completions, moderations and pictures: openai/types/completion.py,
    moderation_create_response.py, images_response.py.
    """
    if body.get("object") == "response":
        yield _of_response(body, tokens)
        return
    choices = body.get("choices")
    if isinstance(choices, list) and choices:
        for choice in choices:
            yield _of_choice(_object(choice), body, tokens)
        return
    data = body.get("data")
    if isinstance(data, list) and any("embedding" in _object(item) for item in data):
        yield _of_embeddings(data)
        return
    results = body.get("results") or data
    yield _Said(results, None if isinstance(results, list) and results else _nothing(body))


def _of_choice(choice: dict, body: dict, tokens: Tokens) -> _Said:
    """openai/types/chat/chat_completion.py and completion_choice.py."""
    message, stopped = choice.get("message"), choice.get("finish_reason")
    message = message if type(message) is dict else {"content": choice.get("text")}
    # The SDK checks these only in .parse(); a line of a batch has to be checked by hand.
    if message.get("refusal"):
        return _Said(None, Cause("refusal", str(message["refusal"]), False))
    if stopped == "length":
        text_only = body.get("object") == "text_completion"
        endpoint = "/v1/completions" if text_only else "/v1/chat/completions"
        return _Said(None, _cut_off(endpoint, tokens))
    if stopped == "content_filter":
        return _Said(None, _FILTERED)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_texts(content, "text"))
    if not isinstance(content, str) or not content.strip():
        content = _arguments(
            _object(_object(call).get("function") or _object(call).get("custom"))
            for call in [
                *_list(message.get("tool_calls")),
                {"function": message.get("function_call")},
            ]
        )
    return _Said(content, None if content else _nothing(body))


def _of_response(body: dict, tokens: Tokens) -> _Said:
    """openai/types/responses/response.py: messages among other items, the last one counts.

    One with the phase ``commentary`` (response_output_message.py) says what the model is about to
    do, and is no answer.
    """
    status = body.get("status") or "completed"
    reason = _object(body.get("incomplete_details")).get("reason")
    if status == "incomplete" or reason:
        if reason == "max_output_tokens":
            return _Said(None, _cut_off("/v1/responses", tokens))
        if reason == "content_filter":
            return _Said(None, _FILTERED)
        return _Said(None, Cause("incomplete", f"The answer is incomplete: {reason}.", False))
    if status != "completed":
        ended = {"code": status, "message": f"The answer ended as {status!r}, without a cause."}
        return _Said(None, _cause(body.get("error") or ended, 0))
    items = [_object(item) for item in _list(body.get("output"))]
    messages = [
        _list(item.get("content"))
        for item in items
        if item.get("type") == "message"
        and item.get("phase") != "commentary"
        and item.get("status") in (None, "completed")
    ]
    parts = messages[-1] if messages else []
    if refusal := "".join(_texts(parts, "refusal")):
        return _Said(None, Cause("refusal", refusal, False))
    text = "".join(_texts(parts, "output_text", "text"))
    calls = (item for item in items if item.get("type") in ("function_call", "custom_tool_call"))
    content = text if text.strip() else _arguments(calls)
    return _Said(content, None if content else _nothing(body))


def _of_embeddings(data: list) -> _Said:
    """openai/types/embedding.py: by index, which need not be the order of the list."""
    items = [_object(item) for item in data]
    places = [_count(item.get("index", place)) for place, item in enumerate(items)]
    if sorted(places) != list(range(len(items))):
        reason = f"The vectors do not say which input they belong to: {places!r:.80}."
        return _Said(None, Cause("invalid_answer", reason, False))
    vectors = [_vector(items[place].get("embedding")) for place in np.argsort(places)]
    if not all(vectors):
        return _Said(None, Cause("invalid_answer", "A vector cannot be read.", False))
    return _Said(vectors[0] if len(vectors) == 1 else vectors)


def _vector(value: Any) -> list[float]:
    """With ``encoding_format="base64"`` it is text that holds 32-bit numbers, low byte first."""
    with suppress(TypeError, ValueError):
        value = np.frombuffer(base64.b64decode(value, validate=True), "<f4").tolist()
    return value if isinstance(value, list) else []


def _nothing(body: dict) -> Cause:
    """Why a body gives nothing: a server may say 200 and then an error."""
    error = body.get("error")
    return _cause(error, 0) if error else Cause("no_content", "The answer has no text.", False)


def _cut_off(endpoint: str, tokens: Tokens) -> Cause:
    reason = f"Cut off after {tokens.completion} tokens: raise {CAPS[endpoint][0]}."
    return Cause("truncated", reason, False)


def _arguments(calls: Iterable[dict]) -> str | list[str]:
    """What the model calls tools with: the text of one call, a list for several, '' for none."""
    inputs = (call.get("arguments") or call.get("input") for call in calls)
    found = [text for text in inputs if isinstance(text, str) and text]
    return found[0] if len(found) == 1 else found or ""


def _texts(parts: list, kind: str, key: str = "") -> Iterator[str]:
    for part in map(_object, parts):
        text = part.get(key or kind)
        if part.get("type") == kind and isinstance(text, str):
            yield text


def _fitted(content: Any, model: type[BaseModel], as_json: bool) -> _Said:
    """The content as an instance of the model, or why it is none.

    Of several tool calls the first that fits counts.
    """
    reason = ""
    several = isinstance(content, list) and all(isinstance(part, str) for part in content)
    for part in content if several else [content]:
        try:
            if isinstance(part, str):
                fitting = model.model_validate_json(part)
            else:
                fitting = model.model_validate(part)
            return _Said(plain(fitting) if as_json else fitting)
        except ValidationError as error:
            reason = reason or "; ".join(map(_misfit, error.errors(include_url=False)))
        # Validators and computed fields are the reader's own code, and may raise anything.
        except Exception as error:  # noqa: BLE001
            reason = reason or f"The answer model raises {type(error).__name__}: {error}"
    return _Said(None, Cause("invalid_answer", reason, False))


def _misfit(error: Mapping[str, Any]) -> str:
    place = ".".join(map(str, error["loc"])) or "the answer"
    return f"{place}: {error['msg']} (it is {error['input']!r:.200})"


# No answer has a thousand million tokens; sums of larger numbers would overflow in a table.
_MOST = 10**9


def _count(value: Any) -> int:
    """The value if it is a number that can count something, also as text, else 0."""
    if type(value) is int:
        return value if 0 < value < _MOST else 0
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 < value < _MOST else 0


def _object(value: Any) -> dict:
    """The value if it is a JSON object; other servers put text where the API puts objects."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []
