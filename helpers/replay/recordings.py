"""Recorded requests and their answers, matched on the canonical request body."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pandas as pd

from helpers.paths import DATA
from helpers.replay.batches import Answer

# Where a body has what is asked: Chat Completions; Responses and Embeddings; Completions.
_ASKED = ("messages", "input", "instructions", "prompt")
_PICTURE = re.compile(r"data:image/[\w.+-]+(?:;[\w=-]+)*;base64,(.*)", re.DOTALL)
_BEFORE, _AFTER, _FIELDS = 30, 40, 3
# From here on a float is no longer exact, and orjson takes no integer beyond 64 bits.
_EXACT = 2**53

# openai/types/embedding_model.py; no price was found for them.
_UNPRICED = ["text-embedding-3-large", "text-embedding-3-small"]


class KnownModels(dict[str, dict]):
    """The models of the price table and those for embeddings, as the API shows them."""

    def __init__(self) -> None:
        prices = pd.read_csv(DATA / "prices.csv", dtype=str).drop_duplicates("model")
        shutdown = prices["shutdown_date"].astype(object).where(prices["shutdown_date"].notna())
        days = dict(zip(prices["model"], shutdown, strict=True)) | dict.fromkeys(_UNPRICED)
        for model, day in days.items():
            self[model] = {
                "id": model, "object": "model", "created": 0, "owned_by": "openai",
                "shutdown_date": day if isinstance(day, str) else None,
            }  # fmt: skip

    def all(self) -> list[dict]:
        return list(self.values())


class Recordings:
    """All answers in a folder of JSONL files.

    A line is ``{"custom_id", "request", "answers"}``: the body of the request, and for the first
    try, the second and so on ``{"status_code", "body"}``; the last answer serves all later tries.
    What came from a live API also says when and whence: ``"recorded": {"date", "model", "sdk"}``.
    """

    def __init__(self, folder: Path):
        self.models = KnownModels()
        self.by_key: dict[str, dict] = {}
        for path in sorted(folder.glob("*.jsonl")):
            self.by_key |= read(path)
        self._nearest: _Nearest | None = None

    def answer(self, endpoint: str, body: dict, tries: Callable[[str], int]) -> Answer:
        """The recorded answer; 404 with a reason when the request is not recorded."""
        key = key_of(body)
        recording = self.by_key.get(key)
        if recording is None:
            error = {
                "message": self._why_not(body),
                "type": "invalid_request_error",
                "param": None,
                "code": "not_recorded",
            }
            return Answer(404, {"error": error})
        answers = recording["answers"]
        # Who has one answer gives it at every try, so nobody has to count.
        several = len(answers) > 1
        chosen = answers[min(tries(key), len(answers) - 1) if several else 0]
        return Answer(chosen["status_code"], chosen["body"], key if several else None)

    def prompt_tokens(self, body: dict) -> int:
        """Recorded prompt tokens of the request, or a guess of four bytes a token."""
        recording = self.by_key.get(key_of(body), {"answers": [{"body": {}}]})
        usage = recording["answers"][-1]["body"].get("usage") or {}
        return usage.get("prompt_tokens") or len(orjson.dumps(body)) // 4

    def _why_not(self, body: dict) -> str:
        live = "run live: COOKBOOK_MODE=live with OPENAI_API_KEY."
        if not self.by_key:
            return f"There are no recordings. Take back the change, or {live}"
        if self._nearest is None:
            self._nearest = _Nearest(self.by_key.values())
        leaves = _leaves(body)
        found = self._nearest.to(leaves)
        if found is None:
            return (
                "Not recorded: no recorded request has a text, a picture or an answer format of "
                f"this one. Take back the change; to ask something else, {live}"
            )
        return f"Not recorded: {_difference(leaves, found)} Take back the change, or {live}"


class _Known(NamedTuple):
    """A recording's name, and its values by place."""

    name: str
    leaves: dict[str, str]


class _Nearest:
    """Finds the recording that has most in common with a request."""

    def __init__(self, recordings: Any):
        self._known = [_Known(r["custom_id"], _leaves(r["request"])) for r in recordings]
        having: dict[tuple[str, str], int] = {}
        for number, known in enumerate(self._known):
            for leaf in known.leaves.items():
                having[leaf] = having.get(leaf, 0) | 1 << number
        self._having = having
        self._weights = {leaf: _weight(leaf) for leaf in having}
        # Lines of one batch differ in their text only: they have the same values in common with us.
        self._found: dict[frozenset, _Known | None] = {}

    def to(self, leaves: dict[str, str]) -> _Known | None:
        """The nearest recording; None where none has a text or an answer format of these."""
        common = frozenset(leaf for leaf in leaves.items() if leaf in self._having)
        if common not in self._found:
            self._found[common] = self._best(common, len(leaves))
        return self._found[common]

    def _best(self, common: frozenset, size: int) -> _Known | None:
        if not any(_is_telling(leaf) for leaf in common):
            return None
        scores: Counter[int] = Counter()
        for leaf in common:
            having = self._having[leaf]
            while having:
                number = (having & -having).bit_length() - 1
                scores[number] += self._weights[leaf]
                having &= having - 1
        # Of equals the one with the fewest values that this request lacks, then the first.
        best = max(scores, key=lambda n: (scores[n], -len(self._known[n].leaves), -n))
        return self._known[best]


def _is_telling(leaf: tuple[str, str]) -> bool:
    """Whether the value says what is asked: a text, a picture or a name of an answer format."""
    place, value = leaf
    return _weight(leaf) > 1 and (place.startswith(_ASKED) or value.startswith("'"))


def _weight(leaf: tuple[str, str]) -> int:
    """A shared text or picture says more than shared settings."""
    place, _ = leaf
    if place.startswith(_ASKED) and not place.endswith(("role", "type", "detail")):
        return 100
    in_format = place.endswith(("json_schema.name", "description")) or ".properties." in place
    return 10 if in_format else 1


def _difference(sent: dict[str, str], nearest: _Known) -> str:
    """Where a request differs from a recording, and what stands there in both."""
    recorded = nearest.leaves
    fields = sorted(
        field for field in recorded.keys() | sent.keys() if recorded.get(field) != sent.get(field)
    )
    field, more = fields[0], ", ..." if len(fields) > _FIELDS else ""
    here, there = _excerpts(sent.get(field), recorded.get(field))
    return (
        f"this request differs from the nearest recorded one ({nearest.name}) in "
        f"{', '.join(fields[:_FIELDS])}{more}. Here {field} is {here}, recorded is {there}."
    )


def _excerpts(sent: str | None, recorded: str | None) -> tuple[str, str]:
    """Both values around the first character in which they differ; pictures by their digest."""
    is_text = sent is not None and recorded is not None and "'picture sha256:" not in sent[:16]
    start = _first_difference(sent or "", recorded or "") if is_text else 0
    return _excerpt(sent, start), _excerpt(recorded, start)


def _first_difference(one: str, other: str) -> int:
    """The number of characters from the beginning that are the same."""
    same, end = 0, min(len(one), len(other))
    while same < end:
        middle = (same + end + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            end = middle - 1
    return same


def _excerpt(text: str | None, start: int) -> str:
    if text is None:
        return "absent"
    begin = max(0, start - _BEFORE)
    # From the beginning of a word, so that the eye finds the place.
    if begin and (space := text.find(" ", begin, start)) >= 0:
        begin = space + 1
    end = start + _AFTER
    quote = text[-1]
    return (
        (f"{quote}..." if begin else "")
        + text[begin:end]
        + (f"...{quote}" if end < len(text) else "")
    )


def read(path: Path) -> dict[str, dict]:
    """The recordings in a JSONL file by key; a `ValueError` names the first line that is none."""
    recordings = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            recording = orjson.loads(line)
            recordings[key_of(recording["request"])] = recording
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}, line {number}: not a recording ({error})") from None
    return recordings


def key_of(body: dict) -> str:
    """The sha256 of a request body that ignores the order of keys; pictures count by digest."""
    return hashlib.sha256(orjson.dumps(canonical(body), option=orjson.OPT_SORT_KEYS)).hexdigest()


def canonical(value: Any) -> Any:
    """The body with every embedded picture replaced by its sha256; 1.0 is 1."""
    if isinstance(value, dict):
        return {key: canonical(part) for key, part in value.items()}
    if isinstance(value, list):
        return [canonical(part) for part in value]
    if isinstance(value, str):
        return _canonical_text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


def _canonical_text(text: str) -> str:
    picture = _PICTURE.match(text)
    if picture is None:
        return text
    try:
        content = base64.b64decode(picture[1] + "==")
    except ValueError:
        return text  # No base64 after all: it counts as it is.
    return f"picture sha256:{hashlib.sha256(content).hexdigest()}"


def _leaves(body: dict) -> dict[str, str]:
    return dict(_walk(canonical(body), ""))


def _walk(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _walk(part, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from _walk(part, f"{place}[{number}]")
    else:
        yield place, repr(value)
