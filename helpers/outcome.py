"""batch -> outcome: what came of one request, from its line in an output or error file."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from openai import BaseModel as OpenAIModel
from pydantic import BaseModel, ValidationError

_STOPPED = {"max_output_tokens": "length", "content_filter": "content_filter"}


class Said(NamedTuple):
    """The answer, or why there is none.

    ``content`` is the text, for embeddings the vector (a list of them for several inputs), for
    moderations and pictures the list of results.
    ``stopped`` is ``length`` or ``content_filter`` where the answer was cut off. ``tokens`` are
    those of the prompt, those of it that were cached, and those of the answer; 0 without a usage.
    """

    content: Any
    refusal: str
    stopped: str
    tokens: tuple[int, int, int]


def read_body(body: dict) -> Said:
    """What a body says, of whatever endpoint that takes batches.

    Completions, moderations and pictures: openai/types/completion.py,
    moderation_create_response.py, images_response.py.
    """
    tokens = _tokens(as_object(body.get("usage")))
    if body.get("object") == "response":
        return _of_responses(body, tokens)
    if body.get("object") == "list":
        return Said(_vectors(body.get("data")), "", "", tokens)
    choices = body.get("choices")
    choice = as_object(choices[0]) if isinstance(choices, list) and choices else {}
    message, stopped = as_object(choice.get("message")), choice.get("finish_reason")
    if not message:
        other = choice.get("text") or body.get("results") or body.get("data")
        return Said(other, "", stopped or "", tokens)
    return Said(message.get("content"), message.get("refusal") or "", stopped or "", tokens)


def _tokens(usage: dict) -> tuple[int, int, int]:
    """Chat Completions, Completions and Embeddings say ``prompt``, all others ``input``."""
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    return (
        as_count(usage.get("prompt_tokens") or usage.get("input_tokens")),
        as_count(as_object(details).get("cached_tokens")),
        as_count(usage.get("completion_tokens") or usage.get("output_tokens")),
    )


def _of_responses(body: dict, tokens: tuple[int, int, int]) -> Said:
    """openai/types/responses/response.py: the text is in parts of messages, among other items."""
    items = body.get("output") if isinstance(body.get("output"), list) else []
    messages = [item for item in map(as_object, items) if item.get("type") == "message"]
    parts = [as_object(part) for item in messages for part in item.get("content") or []]
    texts = [part.get("text") for part in parts if part.get("type") == "output_text"]
    refusals = [part.get("refusal") for part in parts if part.get("type") == "refusal"]
    reason = as_object(body.get("incomplete_details")).get("reason")
    content = "".join(map(str, texts)) if texts else None
    return Said(content, "".join(map(str, refusals)), _STOPPED.get(str(reason), ""), tokens)


def _vectors(data: Any) -> Any:
    """openai/types/create_embedding_response.py."""
    found = [as_object(item).get("embedding") for item in data] if isinstance(data, list) else []
    return found[0] if len(found) == 1 else found or None


def as_count(value: Any) -> int:
    """The value if it is a number that can count something, else 0."""
    return value if isinstance(value, int) and value > 0 else 0


def as_object(value: Any) -> dict:
    """The value if it is a JSON object; other servers put text where the API puts objects."""
    return value if isinstance(value, dict) else {}


# What can go better on a second try. Client errors, refusals and filters come back the same.
_RETRY_STATUS = {408, 409, 429}
_RETRY_CODE = {"batch_expired", "batch_cancelled"}

TOKENS = ["prompt_tokens", "cached_tokens", "completion_tokens"]


class Outcome(NamedTuple):
    """What came of one request: ``ok``, ``failed`` with code and reason, or ``missing``.

    ``answer`` is the text, or an instance of the answer model, and None unless ok. ``retry`` says
    whether a second try can help. The tokens are those of the answer's ``usage``, 0 without one.
    """

    outcome: str
    code: str = ""
    reason: str = ""
    retry: bool = False
    answer: Any = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    round: int = 1


def outcome_of(line: dict, answer: type[BaseModel] | None = None) -> Outcome:
    """The outcome of one line of an output or error file.

    A request that the API rejected has ``error: null`` and its cause in ``response.body.error``
    (https://github.com/openai/openai-openapi/issues/302); only a line that never ran has ``error``.
    """
    response = as_object(line.get("response"))
    status, body = as_count(response.get("status_code")), response.get("body")
    if status == 200 and isinstance(body, dict):
        return answered(body, answer)
    # vLLM puts the cause into ``error``, inside another ``error``, and leaves the body out.
    own = line.get("error")
    cause = as_object(body).get("error") or as_object(own).get("error") or own or body
    code = str(as_object(cause).get("code") or (f"http_{status}" if status else "unknown_error"))
    reason = as_object(cause).get("message") or cause or "The line gives no reason."
    broken = status >= 500 or response.get("status_code") == 0
    again = broken or code in _RETRY_CODE or status in _RETRY_STATUS
    return Outcome("failed", code, str(reason), again)


def answered(body: dict | OpenAIModel, model: type[BaseModel] | None = None) -> Outcome:
    """The outcome of an answer, as the SDK gives it or as it stands in a line.

    ``ok``, or ``failed`` if it is no use: refused, cut off, or another shape than ``model`` has.
    """
    body = body if isinstance(body, dict) else body.to_dict()
    content, refusal, stopped, tokens = read_body(body)
    # The SDK checks these only in .parse(); a line of a batch has to be checked by hand.
    if refusal:
        return _useless("refusal", str(refusal), tokens)
    if stopped == "length":
        cap = "max_output_tokens" if body.get("object") == "response" else "max_completion_tokens"
        reason = f"Cut off after {tokens[2]} tokens: raise {cap}."
        return _useless("truncated", reason, tokens)
    if stopped == "content_filter":
        return _useless(stopped, "The content filter stopped the answer.", tokens)
    if not isinstance(content, str | list):
        return _useless("no_content", "The answer has no text.", tokens)
    try:
        parsed = model.model_validate_json(content) if model else content
    except ValidationError as error:
        reasons = "; ".join(map(_misfit, error.errors()))
        return _useless("invalid_answer", reasons, tokens)
    return Outcome("ok", "", "", False, parsed, *tokens)


def _misfit(error: Mapping[str, Any]) -> str:
    place = ".".join(map(str, error["loc"])) or "the answer"
    return f"{place}: {error['msg']} (it is {error['input']!r:.200})"


def _useless(code: str, reason: str, tokens: tuple[int, int, int]) -> Outcome:
    """An answer that came, and is billed, but cannot be used."""
    return Outcome("failed", code, reason, False, None, *tokens)


def result_lines(lines: Iterable[bytes]) -> Iterator[dict]:
    """The lines of a result file that name a request."""
    for text in lines:
        try:
            line = orjson.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
            yield line
