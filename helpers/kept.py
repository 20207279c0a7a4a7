"""What is kept of live answers, and the file of recordings that is made of them."""

import datetime
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import orjson

from helpers.replay.recordings import canonical, key_of, read

# All that is kept of an answer: openai/types/chat/chat_completion.py and completion_usage.py.
_KEPT = {
    **dict.fromkeys(("id", "object", "created", "model")),
    "choices": [{
        "index": None,
        "message": dict.fromkeys(("role", "content", "refusal")),
        "finish_reason": None,
    }],
    "usage": {
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens")),
        "prompt_tokens_details": dict.fromkeys((
            "audio_tokens", "cache_write_tokens", "cached_tokens", "image_tokens", "text_tokens",
        )),
        "completion_tokens_details": dict.fromkeys((
            "accepted_prediction_tokens", "audio_tokens", "reasoning_tokens",
            "rejected_prediction_tokens", "text_tokens",
        )),
    },
    "error": dict.fromkeys(("message", "type", "param", "code")),
}  # fmt: skip

# Texts of errors quote keys, and name organisations, projects and users by their ids.
_PRIVATE = re.compile(r"\bsk-[\w*-]+|\b(?:org|proj|user)[-_][A-Za-z0-9]{16,}")
_SHORTEST_SECRET = 4
_CALL = "call-"


@dataclass
class _Recorded:
    """One request, and what came back: in each batch, and by hand."""

    custom_id: str
    request: dict
    tries: dict[tuple[str, str], dict] = field(default_factory=dict)
    by_hand: dict | None = None
    date: str = ""

    def line(self) -> dict:
        """The request as a line of the file."""
        answers = list(self.tries.values())
        # By hand the replay gives the last answer: a good one is not lost behind failures.
        if self.by_hand and (not answers or _good(self.by_hand) > _good(answers[-1])):
            answers.append(self.by_hand)
        models = [answer["body"].get("model") for answer in answers if _good(answer)]
        return {
            "custom_id": self.custom_id,
            "request": self.request,
            "answers": answers,
            "recorded": {
                "date": self.date,
                "model": models[-1] if models else None,
                "sdk": openai.__version__,
            },
        }


class Kept:
    """The answers that came in this process, and the file in which they replace earlier ones.

    Raises `ValueError` or `OSError` for a file that holds something else than recordings, and for
    one that can have no folder.
    """

    def __init__(self, path: Path):
        if path.suffix != ".jsonl":
            raise ValueError(f"{path} does not end in .jsonl, so the replay would not read it")
        # Now, because later the answers are paid.
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._recorded: dict[str, _Recorded] = {}
        # A line keeps the name that it has for readers.
        self._names = {
            key: name
            for key, line in self._lines().items()
            if (name := str(line.get("custom_id", _CALL))) and not name.startswith(_CALL)
        }

    def by_hand(self, body: dict, answer: dict) -> None:
        """Keeps the answer to a call; the next answer to the same call takes its place."""
        self._of(body).by_hand = answer

    def of_batch(self, body: dict, custom_id: str, batch_id: str, answer: dict) -> None:
        """Keeps one try; the same batch read again is the same try, another batch the next."""
        recorded = self._of(body)
        recorded.custom_id = self._names.get(key_of(body), custom_id)
        recorded.tries[batch_id, custom_id] = answer

    def write(self) -> None:
        """Replaces the file. Lines of other requests stay as they are."""
        # Read each time: another kernel may record into the same file.
        lines = self._lines() | {key: kept.line() for key, kept in self._recorded.items()}
        temporary = self.path.with_suffix(f".{os.getpid()}.part")
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines.values())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def _lines(self) -> dict[str, dict]:
        return read(self.path) if self.path.exists() else {}

    def _of(self, body: dict) -> _Recorded:
        key = key_of(body)
        name = self._names.get(key, _CALL + key[:12])
        recorded = self._recorded.setdefault(key, _Recorded(name, canonical(body)))
        recorded.date = datetime.datetime.now(datetime.UTC).date().isoformat()
        return recorded


def result_lines(content: bytes) -> Iterator[dict]:
    """The lines of an output or error file; of any other file none."""
    for text in content.splitlines():
        try:
            line = orjson.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("custom_id"), str) and "response" in line:
            yield line


def answer_in(line: dict) -> tuple[int, dict]:
    """Status and body; other servers leave out the body and put the cause into ``error``."""
    status, body = line["response"]["status_code"], line["response"].get("body")
    if isinstance(body, dict):
        return status, body
    own = line.get("error")
    cause = (own.get("error") if isinstance(own, dict) else None) or own or body
    return status, {"error": cause} if cause else {}


def kept_of(status: int, body: dict, secrets: list[str]) -> dict:
    """The answer of a recording: known fields only, and no ``secrets`` in the texts of an error."""
    body = _part(body, _KEPT)
    error = body.get("error")
    if isinstance(error, dict):
        body["error"] = {name: _hidden(value, secrets) for name, value in error.items()}
    elif error:
        body["error"] = _hidden(error, secrets)
    return {"status_code": status, "body": body}


def _part(value: Any, shape: Any) -> Any:
    if isinstance(shape, dict) and isinstance(value, dict):
        return {name: _part(value[name], shape[name]) for name in shape if name in value}
    if isinstance(shape, list) and isinstance(value, list):
        return [_part(part, shape[0]) for part in value]
    return None if isinstance(value, dict | list) else value


def _hidden(text: Any, secrets: list[str]) -> Any:
    if not isinstance(text, str):
        return text
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "...")
    return _PRIVATE.sub("...", text)


def _good(answer: dict) -> bool:
    return answer["status_code"] == 200
