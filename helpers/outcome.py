"""batch -> outcome: what came of one request, from its line in an output or error file."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from openai import BaseModel as OpenAIModel
from pydantic import BaseModel, ValidationError

from helpers.formats.answers import (
    Cause,
    as_object,
    cause_in,
    count_of,
    said_in,
    tokens_of,
    usual,
)

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


# The constructor of a NamedTuple takes three times as long.
_new = tuple.__new__
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


def outcome_of(
    line: dict, answer: type[BaseModel] | None = None, *, as_json: bool = False
) -> Outcome:
    """The outcome of one line of an output or error file.

    A request that the API rejected has ``error: null`` and its cause in ``response.body.error``
    (https://github.com/openai/openai-openapi/issues/302); only a line that never ran has ``error``.
    With ``as_json`` the answer is what `plain` makes of the instance of the answer model.
    """
    if said := usual(line):
        if answer:
            return _judged(said[0], answer, as_json, said[1:])
        return _new(Outcome, ("ok", "", "", False, *said, 1))
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
    return _dumped(answer) if isinstance(answer, BaseModel) else answer


def _dumped(answer: BaseModel) -> dict:
    value = answer.__pydantic_serializer__.to_python(answer, mode="json", by_alias=False)
    return value if isinstance(value, dict) else {"root": value}


def fields_of(model: type[BaseModel]) -> list[str]:
    """The names under which `plain` gives the parts of an answer: fields and computed fields."""
    return [*model.model_fields, *model.model_computed_fields]


def cause_of(line: dict) -> Cause:
    """Why the request of this line failed: in the API's place for it, or another server's."""
    status, body = _response(line)
    # vLLM puts the cause into ``error``, inside another ``error``, and leaves the body out.
    own = line.get("error")
    found = as_object(body).get("error") or as_object(own).get("error") or own or body
    return cause_in(found, status, broken=as_object(line.get("response")).get("status_code") == 0)


def _response(line: dict) -> tuple[int, Any]:
    """Status and body of a line; some servers write the body as text, or no status."""
    response = as_object(line.get("response"))
    status, body = response.get("status_code"), response.get("body")
    if isinstance(body, str):
        with suppress(ValueError, RecursionError):
            body = _plain_json(json.loads(body, strict=False))
    if status is None and isinstance(body, dict) and not body.get("error"):
        status = 200
    return count_of(status), body


def _choices(
    body: dict | OpenAIModel, model: type[BaseModel] | None, as_json: bool
) -> Iterator[Outcome]:
    body = body if isinstance(body, dict) else body.to_dict()
    tokens = tokens_of(body.get("usage"))
    for content, failure in said_in(body, tokens):
        if failure:
            # It came, and is billed, but cannot be used.
            yield Outcome("failed", *failure, None, *tokens)
        elif model:
            yield _judged(content, model, as_json, tokens)
        else:
            yield Outcome("ok", "", "", False, content, *tokens)


def _judged(content: Any, model: type[BaseModel], as_json: bool, tokens: Iterable[int]) -> Outcome:
    """The outcome of a content that has to fit a model; of several tool calls the first that does.

    The model's validators and computed fields are the reader's own code, and may raise anything.
    """
    reason = ""
    several = isinstance(content, list) and all(isinstance(part, str) for part in content)
    for part in content if several else (content,):
        try:
            if isinstance(part, str):
                fitting: Any = model.__pydantic_validator__.validate_json(part)
            else:
                fitting = model.model_validate(part)
            answer = _dumped(fitting) if as_json else fitting
            return _new(Outcome, ("ok", "", "", False, answer, *tokens, 1))
        except ValidationError as error:
            misfits = error.errors(include_url=False)
            more = f"; and {len(misfits) - _SHOWN} more" if len(misfits) > _SHOWN else ""
            reason = reason or "; ".join(map(_misfit, misfits[:_SHOWN])) + more
        except Exception as error:  # noqa: BLE001
            reason = reason or f"The answer model raises {type(error).__name__}: {error}"
    return Outcome("failed", "invalid_answer", reason, False, None, *tokens)


_SHOWN = 5


def _misfit(error: Mapping[str, Any]) -> str:
    place = ".".join(map(str, error["loc"])) or "the answer"
    return f"{place}: {error['msg']} (it is {error['input']!r:.200})"
