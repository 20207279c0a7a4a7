"""Recorded requests and their answers, matched on the canonical request body."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_PICTURE = re.compile(r"data:image/[\w.+-]+(?:;[\w=-]+)*;base64,(.*)", re.DOTALL)
_SHOWN = 60


class Recordings:
    """All answers in a folder of JSONL files.

    A line is ``{"custom_id", "request", "answers"}``: the body of the request, and for the first
    try, the second and so on ``{"status_code", "body"}``; the last answer serves all later tries.
    What came from a live API also says when and whence: ``"recorded": {"date", "model", "sdk"}``.
    """

    def __init__(self, folder: Path):
        self.by_key: dict[str, dict] = {}
        for path in sorted(folder.glob("*.jsonl")):
            self.by_key |= read(path)
        self._leaves: list[tuple[dict[str, str], dict]] = []

    def answer(self, body: dict, earlier_tries: int) -> tuple[int, dict]:
        """Status and body of the response; 404 with a reason when the request is not recorded."""
        recording = self.by_key.get(key_of(body))
        if recording is None:
            error = {
                "message": self._why_not(body),
                "type": "invalid_request_error",
                "param": None,
                "code": "not_recorded",
            }
            return 404, {"error": error}
        answers = recording["answers"]
        chosen = answers[min(earlier_tries, len(answers) - 1)]
        return chosen["status_code"], chosen["body"]

    def prompt_tokens(self, body: dict) -> int:
        """Recorded prompt tokens of the request, or a guess of four bytes a token."""
        recording = self.by_key.get(key_of(body), {"answers": [{"body": {}}]})
        usage = recording["answers"][-1]["body"].get("usage") or {}
        return usage.get("prompt_tokens") or len(orjson.dumps(body)) // 4

    def _why_not(self, body: dict) -> str:
        ways = (
            "Only recorded requests can be replayed. Take back the change, or run live: "
            "COOKBOOK_MODE=live with OPENAI_API_KEY."
        )
        if not self.by_key:
            return f"There are no recordings. {ways}"
        if not self._leaves:
            self._leaves = [(_leaves(r["request"]), r) for r in self.by_key.values()]
        asked = _leaves(body)
        nearest, recording = max(
            self._leaves, key=lambda pair: len(pair[0].items() & asked.items())
        )
        differing = sorted(
            field
            for field in nearest.keys() | asked.keys()
            if nearest.get(field) != asked.get(field)
        )
        field = differing[0]
        return (
            f"Not recorded: this request differs from the nearest recorded one "
            f"({recording['custom_id']}) in {', '.join(differing[:3])}. Here {field} is "
            f"{_short(asked.get(field))}, recorded is {_short(nearest.get(field))}. {ways}"
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
    if isinstance(value, str) and (picture := _PICTURE.match(value)):
        content = base64.b64decode(picture[1] + "==")
        return f"picture sha256:{hashlib.sha256(content).hexdigest()}"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _leaves(body: dict) -> dict[str, str]:
    return dict(_walk(canonical(body), ""))


def _walk(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if value in ({}, []):
        yield place, repr(value)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _walk(part, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _walk(part, f"{place}[{number}]")
    else:
        yield place, repr(value)


def _short(text: str | None) -> str:
    if text is None:
        return "absent"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]}...{text[-1]}"
