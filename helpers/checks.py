"""What the API refuses, and the limits of a batch file: found before the upload, with the line."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from helpers.formats.bodies import (
    CAPS,
    ENDPOINTS,
    Reader,
    Size,
    embedding_inputs,
    picture_problems,
    problems_of,
)

# openai/types/batch_create_params.py in the SDK ("50,000 requests", "200 MB", "50,000 embedding
# inputs across all requests"). Whether a MB is 10^6 or 2^20 bytes is not documented; the smaller
# one is safe.
MAX_REQUESTS = 50_000
MAX_BYTES = 200_000_000
MAX_INPUTS = 50_000
# The API documents "required, a string, unique in the batch" and no length. 64 plain characters
# are what the compatible services that document a limit accept as well.
ID_RULE = re.compile(r"[A-Za-z0-9_-]{1,64}")
ID_RULE_TEXT = "1 to 64 of the characters A-Z a-z 0-9 _ -"


class BatchFileError(ValueError):
    """Requests that the API would refuse. ``problems`` holds all of them, one sentence each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        more = len(problems) - _SHOWN
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        lines = [f"{count}, nothing was uploaded:", *problems[:_SHOWN]]
        super().__init__("\n- ".join(lines) + (f"\n... and {more} more" if more > 0 else ""))

    def __reduce__(self):
        # So that it comes back whole from another process.
        return type(self), (self.problems,)


_SHOWN = 10


class Line(NamedTuple):
    """A request as a line of a batch file, and what was seen in it while it was checked."""

    content: bytes
    inputs: int = 0
    answer_tokens: int = 0
    size: Size = Size()


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
        self._reader = Reader()
        self._fine: set[tuple] = set()

    def add_line(self, number: int, line: bytes) -> Line:
        """Checks one line of a file."""
        try:
            return self.add(number, orjson.loads(line))
        except ValueError as error:
            self.count += 1
            self.problems.append(f"line {number}: is not JSON ({error})")
            return Line(b"")

    def add(self, number: int, request: Any) -> Line:
        """The request as a line of the file; empty, and the reasons kept, if it cannot be one."""
        self.count += 1
        if not isinstance(request, dict):
            kind = f"a {type(request).__name__}, not an object"
            found = "nothing; does the function return it?" if request is None else kind
            self.problems.append(f"line {number}: is {found}")
            return Line(b"")
        problems, known = self._frame(number, request)
        line = Line(b"")
        try:
            content = encode(request)
        except ValueError as error:
            problems.append(str(error))
        else:
            size = len(content)
            if size > self.max_bytes:
                found = f"{size:,} bytes, over the {self.max_bytes:,} of a whole batch file"
                problems.append(f"has {found}; shorten its text or shrink its pictures")
            self.bytes += size
            self.longest = max(self.longest, size)
            line = self._body(request["body"], content, problems) if known else Line(content)
            self.inputs += line.inputs
        for problem in problems:
            self.problems.append(f"line {number} ({request.get('custom_id')!r:.80}): {problem}")
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

    def _frame(self, number: int, request: dict) -> tuple[list[str], bool]:
        """What is wrong around the body, and whether endpoint and model are those of the job."""
        get = request.get
        custom_id, method, url, body = get("custom_id"), get("method"), get("url"), get("body")
        if custom_id is None or method is None or url is None or body is None:
            return [f"lacks {', '.join(key for key in _KEYS if get(key) is None)}"], False
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
            return [*problems, f"the Batch API does not serve {url!r}, only {served}"], False
        self.url = self.url or url
        if url != self.url:
            problems.append(f"goes to {url}, the lines before to {self.url}; make one job for each")
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str) or not model:
            return [*problems, "its body names no model"], False
        self.model = self.model or model
        if model != self.model:
            before = f"the lines before {self.model}; make one job for each"
            problems.append(f"asks {model}, {before}")
        return problems, url == self.url and model == self.model

    def _body(self, body: dict, content: bytes, problems: list[str]) -> Line:
        """Judges the body, unless one of its shape was found fine before."""
        url = self.url
        reader = self._reader
        shape = url, reader.read(body)
        if reader.odd or shape not in self._fine:
            # As the API will see it: arrays are lists there.
            body = orjson.loads(content)["body"]
            shape = url, reader.read(body)
            found = problems_of(body, url)
            problems += found
            if not found:
                self._remember(shape)
        problems += picture_problems(reader.pictures) if reader.pictures else ()
        inputs = 0
        if url == "/v1/embeddings":
            inputs, fault = embedding_inputs(body.get("input"))
            problems += [fault] if fault else []
        if problems:
            return Line(content, inputs)
        return Line(content, inputs, cap_of(body, url), reader.size(body))

    def _remember(self, shape: tuple) -> None:
        # Bodies whose words differ from row to row would fill the memory.
        if len(self._fine) >= _MOST_SHAPES:
            self._fine.clear()
        self._fine.add(shape)


_KEYS = ("custom_id", "method", "url", "body")
_SAME_ID = "the same custom_id; give every request its own"
_MOST_SHAPES = 1_000


def cap_of(body: Mapping[str, Any], url: str) -> int:
    """The most tokens that all answers to the body can have together; 0 without a cap."""
    for name in CAPS.get(url, ()):
        cap = body.get(name)
        if isinstance(cap, int) and cap > 0:
            count = body.get("n")
            return cap * count if isinstance(count, int) and count > 1 else cap
    return 0


def prompt_size(request: Mapping[str, Any]) -> Size:
    """How much a model reads in the request."""
    reader, body = Reader(), orjson.loads(encode(request))["body"]
    reader.read(body)
    return reader.size(body)


def encode(request: Any) -> bytes:
    """One line of a batch file, with its line break. Numpy numbers and arrays become plain ones.

    Raises ValueError, naming the place, for what JSON cannot say: NaN and infinity, bytes, dates,
    lone surrogates, keys that are not text, other objects.
    """
    try:
        line = orjson.dumps(request, default=_listed, option=_OPTIONS)
    except TypeError as error:
        raise ValueError(f"is not JSON: {_fault(request) or error}") from None
    # orjson writes NaN as null without a word, so every null is looked at a second time. Looking
    # for the plain word first is a hundred times as fast as the pattern.
    if b"null" in line and _NULL.search(line) and (fault := _fault(request)):
        raise ValueError(f"is not JSON: {fault}")
    return line


_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_APPEND_NEWLINE
_NULL = re.compile(rb"(?:^|[:,\[])null")


def _listed(value: Any) -> list:
    """Arrays of text, as Parquet gives them."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"type {type(value).__name__} is not JSON serializable")


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
            way = (
                "tolist() makes it a list" if hasattr(value, "tolist") else "str(...) makes it text"
            )
            return f"{place} is of type {type(value).__name__} ({error}); {way}"
        return ""
    return next(filter(None, (_not_json(part, at) for at, part in parts)), "")


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


class SeenIds:
    """Finds ids that stand in two lines.

    The ids of the latest block of lines are kept as they are, those of the blocks before as sorted
    hashes. Two different ids have the same hash of 64 bits once in ten million jobs of a million
    rows, and not in the same job again: Python hashes otherwise in every process.
    """

    def __init__(self, block: int = 25_000):
        self.count = 0
        self._block = block
        self._recent: dict[str, int] = {}
        self._earlier: list[tuple[np.ndarray, int, int]] = []
        self._far_apart: list[tuple[str, int, str]] = []

    def add(self, custom_id: str, line: int) -> str:
        """An empty string, or the line of the same block that has the same id."""
        first = self._recent.setdefault(custom_id, line)
        if first != line:
            return f"line {first}"
        self.count += 1
        if len(self._recent) == self._block:
            self._end_block()
        return ""

    def far_apart(self) -> Iterator[tuple[str, int, str]]:
        """Ids that an earlier block has as well: the id, its line, and where it was before."""
        if self._recent:
            self._end_block()
        yield from self._far_apart

    def _end_block(self) -> None:
        ids, lines = list(self._recent), list(self._recent.values())
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        order = np.argsort(hashes)
        hashes = hashes[order]
        for block, first, last in self._earlier:
            places = np.searchsorted(block, hashes).clip(max=len(block) - 1)
            for place in order[block[places] == hashes]:
                found = (ids[place], lines[place], f"one of the lines {first} to {last}")
                self._far_apart.append(found)
        self._earlier.append((hashes, lines[0], lines[-1]))
        self._recent = {}


class Packing:
    """Requests go into files in order, each file within its limits."""

    def __init__(
        self,
        max_requests: int = MAX_REQUESTS,
        max_bytes: int = MAX_BYTES,
        max_tokens: float = math.inf,
    ):
        self.max_requests, self.max_bytes, self.max_tokens = max_requests, max_bytes, max_tokens
        self.files = self._count = self._bytes = self._inputs = 0
        self._tokens = 0.0

    def begins_a_file(self, line: Line) -> bool:
        """Whether the next line goes into a new file."""
        size, tokens = len(line.content), line.size.tokens
        full = (
            self._count >= self.max_requests
            or self._bytes + size > self.max_bytes
            or self._inputs + line.inputs > MAX_INPUTS
            or self._tokens + tokens > self.max_tokens
        )
        if begins := full or not self.files:
            self.files += 1
            self._count = self._bytes = self._inputs = 0
            self._tokens = 0.0
        self._count += 1
        self._bytes += size
        self._inputs += line.inputs
        self._tokens += tokens
        return begins
