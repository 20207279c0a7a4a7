"""batch -> outcome: what came of one request, from its line in an output or error file."""

from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

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
    response = _object(line.get("response"))
    status, body = _number(response.get("status_code")), response.get("body")
    if status == 200 and isinstance(body, dict):
        return _answered(body, answer)
    # vLLM puts the cause into ``error``, inside another ``error``, and leaves the body out.
    own = line.get("error")
    cause = _object(body).get("error") or _object(own).get("error") or own or body
    code = str(_object(cause).get("code") or (f"http_{status}" if status else "unknown_error"))
    reason = _object(cause).get("message") or cause or "The line gives no reason."
    broken = status >= 500 or response.get("status_code") == 0
    again = broken or code in _RETRY_CODE or status in _RETRY_STATUS
    return Outcome("failed", code, str(reason), again)


def _answered(body: dict, model: type[BaseModel] | None) -> Outcome:
    usage = _object(body.get("usage"))
    cached = _object(usage.get("prompt_tokens_details")).get("cached_tokens")
    written = _number(usage.get("completion_tokens"))
    tokens = _number(usage.get("prompt_tokens")), _number(cached), written
    choices = body.get("choices")
    choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
    message, finish = _object(choice.get("message")), choice.get("finish_reason")
    content = message.get("content")
    # The SDK checks these only in .parse(); a line of a batch has to be checked by hand.
    if message.get("refusal"):
        return _useless("refusal", str(message["refusal"]), tokens)
    if finish == "length":
        reason = f"Cut off after {written} tokens: raise max_completion_tokens."
        return _useless("truncated", reason, tokens)
    if finish == "content_filter":
        return _useless(finish, "The content filter stopped the answer.", tokens)
    if not isinstance(content, str):
        return _useless("no_content", "The answer has no text.", tokens)
    try:
        parsed = model.model_validate_json(content) if model else content
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors()]
        return _useless("invalid_answer", "; ".join(reasons), tokens)
    return Outcome("ok", "", "", False, parsed, *tokens)


def _useless(code: str, reason: str, tokens: tuple[int, int, int]) -> Outcome:
    """An answer that came, and is billed, but cannot be used."""
    return Outcome("failed", code, reason, False, None, *tokens)


def _number(value: Any) -> int:
    """The value if it is a number that can count something, else 0."""
    return value if isinstance(value, int) and value > 0 else 0


def _object(value: Any) -> dict:
    """The value if it is a JSON object; other servers put text where the API puts objects."""
    return value if isinstance(value, dict) else {}
