"""The rules of a batch file: what a request must have, and how it becomes a line."""

import math
import re
from typing import Any

import numpy as np
import orjson

from helpers.ids import SeenIds
from helpers.packing import MAX_BYTES, embedding_inputs
from helpers.parameters import unsuited

# The API documents "required, a string, unique in the batch" and no length. 64 plain characters
# are what the compatible services that document a limit accept as well.
ID_RULE = re.compile(r"[A-Za-z0-9_-]{1,64}")
ID_RULE_TEXT = "1 to 64 of the characters A-Z a-z 0-9 _ -"

ENDPOINTS = {
    "/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions",
    "/v1/moderations", "/v1/images/generations", "/v1/images/edits",
}  # fmt: skip

_KEYS = ("custom_id", "method", "url", "body")
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_APPEND_NEWLINE
_SHOWN = 10
_SAME_ID = "the same custom_id; give every request its own"
_NULL = re.compile(rb"(?:^|[:,\[])null")


class BatchFileError(ValueError):
    """Requests that the API would refuse. ``problems`` holds all of them, one sentence each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        more = len(problems) - _SHOWN
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        lines = [f"{count}, nothing was uploaded:", *problems[:_SHOWN]]
        super().__init__("\n- ".join(lines) + (f"\n... and {more} more" if more > 0 else ""))


def encode(request: Any) -> bytes:
    """One line of a batch file, with its line break. Numpy numbers become plain ones.

    Raises ValueError, naming the place, for what JSON cannot say: NaN and infinity, bytes, dates,
    lone surrogates, keys that are not text, other objects.
    """
    try:
        line = orjson.dumps(request, option=_OPTIONS)
    except TypeError as error:
        raise ValueError(f"is not JSON: {_fault(request) or error}") from None
    # orjson writes NaN as null without a word, so every null is looked at a second time. Looking
    # for the plain word first is a hundred times as fast as the pattern.
    if b"null" in line and _NULL.search(line) and (fault := _fault(request)):
        raise ValueError(f"is not JSON: {fault}")
    return line


def _fault(request: Any) -> str:
    try:
        return _not_json(request)
    except RecursionError:
        return "it is nested too deeply"


def _not_json(value: Any, place: str = "") -> str:
    """What stands where in the value that JSON cannot say, or an empty string."""
    if isinstance(value, dict):
        if odd := [key for key in value if not isinstance(key, str) or _has_surrogate(key)]:
            return f"{place or 'it'} has the key {odd[0]!r}; write it as plain text"
        parts = [(f"{place}.{key}" if place else key, part) for key, part in value.items()]
    elif isinstance(value, list | tuple | np.ndarray):
        parts = [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    elif isinstance(value, float | np.floating):
        return "" if math.isfinite(value) else f"{place or 'it'} is {value}"
    elif isinstance(value, str):
        return f"{place} has a lone surrogate (half a character)" if _has_surrogate(value) else ""
    else:
        try:
            orjson.dumps(value, option=_OPTIONS)
        except TypeError as error:
            if isinstance(value, type):
                return f"{place} is the class {value.__name__}; answer_format makes its format"
            return f"{place} is of type {type(value).__name__} ({error}); str(...) makes it text"
        return ""
    return next(filter(None, (_not_json(part, at) for at, part in parts)), "")


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


class Checks:
    """The rules of a batch file, applied to one request after the other.

    The API's own answers to each breach are in the Batch guide,
    https://developers.openai.com/api/docs/guides/batch, and in openai/types/batch_error.py.
    """

    def __init__(self, max_bytes: int = MAX_BYTES):
        self.max_bytes = max_bytes
        self.count = self.bytes = self.longest = self.inputs = 0
        self.model = self.url = ""
        self.ids = SeenIds()
        self.problems: list[str] = []

    def add_line(self, number: int, line: bytes) -> None:
        """Checks one line of a file."""
        try:
            request = orjson.loads(line)
        except ValueError as error:
            self.count += 1
            self.problems.append(f"line {number}: is not JSON ({error})")
        else:
            self.add(number, request)
            self.inputs += embedding_inputs(request)

    def add(self, number: int, request: Any) -> bytes:
        """The request as a line of the file; empty, and the reasons kept, if it cannot be one."""
        self.count += 1
        if not isinstance(request, dict):
            kind = f"a {type(request).__name__}, not an object"
            found = "nothing; does the function return it?" if request is None else kind
            self.problems.append(f"line {number}: is {found}")
            return b""
        problems = self._problems(number, request)
        line = b""
        try:
            line = encode(request)
        except ValueError as error:
            problems.append(str(error))
        size = len(line)
        if size > self.max_bytes:
            found = f"{size:,} bytes, over the {self.max_bytes:,} of a whole batch file"
            problems.append(f"has {found}; shorten its text or shrink its pictures")
        for problem in problems:
            self.problems.append(f"line {number} ({request.get('custom_id')!r:.80}): {problem}")
        self.bytes += size
        self.longest = max(self.longest, size)
        return line

    def finish(self) -> None:
        """Raises `BatchFileError` if anything was found."""
        for custom_id, number, place in self.ids.far_apart():
            self.problems.append(f"line {number} ({custom_id!r}): {place} has {_SAME_ID}")
        if self.count == 0:
            self.problems.append(
                "there are no requests; check the table that they are made from, and whether they "
                "come from a generator, which gives them only once"
            )
        if self.problems:
            raise BatchFileError(self.problems)

    def _problems(self, number: int, request: dict) -> list[str]:
        get = request.get
        custom_id, method, url, body = get("custom_id"), get("method"), get("url"), get("body")
        if custom_id is None or method is None or url is None or body is None:
            return [f"lacks {', '.join(key for key in _KEYS if get(key) is None)}"]
        problems = []
        if not isinstance(custom_id, str):
            kind = type(custom_id).__name__
            problems.append(f"its custom_id is of type {kind}, not text; with_ids makes it text")
        elif not ID_RULE.fullmatch(custom_id):
            problems.append(f"its custom_id is not {ID_RULE_TEXT}")
        elif place := self.ids.add(custom_id, number):
            problems.append(f"{place} has {_SAME_ID}")
        if not isinstance(method, str) or method != "POST":
            problems.append(f"its method is {method!r}; only POST exists")
        if not isinstance(url, str) or url not in ENDPOINTS:
            served = ", ".join(sorted(ENDPOINTS))
            return [*problems, f"the Batch API does not serve {url!r}, only {served}"]
        self.url = self.url or url
        if url != self.url:
            problems.append(f"goes to {url}, the lines before to {self.url}; make one job for each")
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str) or not model:
            return [*problems, "its body names no model"]
        self.model = self.model or model
        if model != self.model:
            before = f"the lines before {self.model}; make one job for each"
            problems.append(f"asks {model}, {before}")
        return problems + unsuited(body, url)
