"""What an answer says, of whatever endpoint: its choices, its tokens, or why it cannot be used."""

import base64
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from helpers.formats.bodies import CAPS


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
    usage = as_object(usage)
    prompt = count_of(usage.get("prompt_tokens") or usage.get("input_tokens"))
    completion = count_of(usage.get("completion_tokens") or usage.get("output_tokens"))
    details = as_object(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    # Parts of the prompt: more of them than of it would make a negative price.
    cached = min(prompt, count_of(details.get("cached_tokens")))
    written = min(prompt - cached, count_of(details.get("cache_write_tokens")))
    return Tokens(prompt, cached, written, completion)


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


def cause_in(found: Any, status: int, broken: bool = False) -> Cause:
    error = as_object(found)
    name = error.get("code") or (f"http_{status}" if status else error.get("type"))
    code = str(name or "unknown_error")
    reason = error.get("message") or found or "The line gives no reason."
    status = count_of(code) or status
    again = (
        broken
        or status >= 500
        or status in _RETRY_STATUS
        or any(_RETRY_CODE.search(str(error.get(key))) for key in ("code", "type"))
    )
    return Cause(code, reason if isinstance(reason, str) else repr(reason), again)


class Said(NamedTuple):
    """One choice: what it gives, or why it cannot be used."""

    content: Any = None
    failure: Cause | None = None


_FILTERED = Cause("content_filter", "The content filter stopped the answer.", False)


def usual(line: dict) -> tuple[str, int, int, int, int] | None:
    """Text and tokens of a line of Chat Completions that is fine in every way, as nearly all are.

    It says nothing that `said_in` and `tokens_of` would not say, in a fifth of the time.
    """
    try:
        response = line["response"]
        body = response["body"]
        (choice,) = body["choices"]
        message, usage = choice["message"], body["usage"]
        content = message["content"]
        prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
        details = usage.get("prompt_tokens_details") or {}
        cached = details.get("cached_tokens") or 0
        written = details.get("cache_write_tokens") or 0
        if (
            response["status_code"] == 200
            and choice["finish_reason"] == "stop"
            and not message.get("refusal")
            and isinstance(content, str)
            and content.strip()
            and type(prompt) is type(cached) is type(written) is type(completion) is int
            and cached >= 0
            and written >= 0
            and cached + written <= prompt < _MOST
            and 0 <= completion < _MOST
        ):
            return content, prompt, cached, written, completion
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return None


def said_in(body: dict, tokens: Tokens) -> Iterator[Said]:
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
            yield _of_choice(as_object(choice), body, tokens)
        return
    data = body.get("data")
    if isinstance(data, list) and any("embedding" in as_object(item) for item in data):
        yield _of_embeddings(data)
        return
    results = body.get("results") or data
    yield Said(results, None if isinstance(results, list) and results else _nothing(body))


def _of_choice(choice: dict, body: dict, tokens: Tokens) -> Said:
    """openai/types/chat/chat_completion.py and completion_choice.py."""
    message, stopped = choice.get("message"), choice.get("finish_reason")
    message = message if type(message) is dict else {"content": choice.get("text")}
    # The SDK checks these only in .parse(); a line of a batch has to be checked by hand.
    if message.get("refusal"):
        return Said(None, Cause("refusal", str(message["refusal"]), False))
    if stopped == "length":
        text_only = body.get("object") == "text_completion"
        endpoint = "/v1/completions" if text_only else "/v1/chat/completions"
        return Said(None, _cut_off(endpoint, tokens))
    if stopped == "content_filter":
        return Said(None, _FILTERED)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_texts(content, "text"))
    if not isinstance(content, str) or not content.strip():
        content = _arguments(
            as_object(as_object(call).get("function") or as_object(call).get("custom"))
            for call in [
                *as_list(message.get("tool_calls")),
                {"function": message.get("function_call")},
            ]
        )
    return Said(content, None if content else _nothing(body))


def _of_response(body: dict, tokens: Tokens) -> Said:
    """openai/types/responses/response.py: messages among other items, the last one counts.

    One with the phase ``commentary`` (response_output_message.py) says what the model is about to
    do, and is no answer.
    """
    status = body.get("status") or "completed"
    reason = as_object(body.get("incomplete_details")).get("reason")
    if status == "incomplete" or reason:
        if reason == "max_output_tokens":
            return Said(None, _cut_off("/v1/responses", tokens))
        if reason == "content_filter":
            return Said(None, _FILTERED)
        return Said(None, Cause("incomplete", f"The answer is incomplete: {reason}.", False))
    if status != "completed":
        ended = {"code": status, "message": f"The answer ended as {status!r}, without a cause."}
        return Said(None, cause_in(body.get("error") or ended, 0))
    items = [as_object(item) for item in as_list(body.get("output"))]
    messages = [
        as_list(item.get("content"))
        for item in items
        if item.get("type") == "message"
        and item.get("phase") != "commentary"
        and item.get("status") in (None, "completed")
    ]
    parts = messages[-1] if messages else []
    if refusal := "".join(_texts(parts, "refusal")):
        return Said(None, Cause("refusal", refusal, False))
    text = "".join(_texts(parts, "output_text", "text"))
    calls = (item for item in items if item.get("type") in ("function_call", "custom_tool_call"))
    content = text if text.strip() else _arguments(calls)
    return Said(content, None if content else _nothing(body))


def _of_embeddings(data: list) -> Said:
    """openai/types/embedding.py: by index, which need not be the order of the list."""
    items = [as_object(item) for item in data]
    places = [count_of(item.get("index", place)) for place, item in enumerate(items)]
    if sorted(places) != list(range(len(items))):
        reason = f"The vectors do not say which input they belong to: {places!r:.80}."
        return Said(None, Cause("invalid_answer", reason, False))
    vectors = [_vector(items[place].get("embedding")) for place in np.argsort(places)]
    if not all(vectors):
        return Said(None, Cause("invalid_answer", "A vector cannot be read.", False))
    return Said(vectors[0] if len(vectors) == 1 else vectors)


def _vector(value: Any) -> list[float]:
    """With ``encoding_format="base64"`` it is text that holds 32-bit numbers, low byte first."""
    with suppress(TypeError, ValueError):
        value = np.frombuffer(base64.b64decode(value, validate=True), "<f4").tolist()
    return value if isinstance(value, list) else []


def _nothing(body: dict) -> Cause:
    """Why a body gives nothing: a server may say 200 and then an error."""
    error = body.get("error")
    return cause_in(error, 0) if error else Cause("no_content", "The answer has no text.", False)


def _cut_off(endpoint: str, tokens: Tokens) -> Cause:
    reason = f"Cut off after {tokens.completion} tokens: raise {CAPS[endpoint][0]}."
    return Cause("truncated", reason, False)


def _arguments(calls: Iterable[dict]) -> str | list[str]:
    """What the model calls tools with: the text of one call, a list for several, '' for none."""
    inputs = (call.get("arguments") or call.get("input") for call in calls)
    found = [text for text in inputs if isinstance(text, str) and text]
    return found[0] if len(found) == 1 else found or ""


def _texts(parts: list, kind: str, key: str = "") -> Iterator[str]:
    for part in map(as_object, parts):
        text = part.get(key or kind)
        if part.get("type") == kind and isinstance(text, str):
            yield text


# No answer has a thousand million tokens; sums of larger numbers would overflow in a table.
_MOST = 10**9


def count_of(value: Any) -> int:
    """The value if it is a number that can count something, also as text, else 0."""
    if type(value) is int:
        return value if 0 < value < _MOST else 0
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 < value < _MOST else 0


def as_object(value: Any) -> dict:
    """The value if it is a JSON object; other servers put text where the API puts objects."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list:
    return value if isinstance(value, list) else []
