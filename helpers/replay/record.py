"""Live answers become recordings: a transport that watches the exchange and changes nothing."""

import datetime
import io
import json
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import openai
import orjson
from filelock import FileLock
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from helpers.outcome import cause_of, result_lines
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
        # Another kernel may record into the same file: what it has written meanwhile is read first.
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            lines = self._lines() | {key: kept.line() for key, kept in self._recorded.items()}
            # A name of its own: kernels in two containers may have the same process id.
            handle, name = tempfile.mkstemp(".part", self.path.stem, self.path.parent)
            temporary = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                    for line in lines.values():
                        file.write(f"{json.dumps(line, ensure_ascii=False)}\n")
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)

    def _lines(self) -> dict[str, dict]:
        return read(self.path) if self.path.exists() else {}

    def _of(self, body: dict) -> _Recorded:
        key = key_of(body)
        name = self._names.get(key, _CALL + key[:12])
        recorded = self._recorded.setdefault(key, _Recorded(name, canonical(body)))
        recorded.date = datetime.datetime.now(datetime.UTC).date().isoformat()
        return recorded


def requests_of(content: bytes) -> list[dict]:
    """The requests of a batch file; lines that are none will be refused by the server."""
    requests = []
    for text in content.split(b"\n"):
        try:
            request = orjson.loads(text)
        except ValueError:
            continue
        if isinstance(request, dict) and isinstance(request.get("body"), dict):
            requests.append(request)
    return requests


def answer_in(line: dict) -> tuple[int, dict]:
    """Status and body; other servers leave out the body and put the cause into ``error``."""
    status, body = line["response"]["status_code"], line["response"].get("body")
    if isinstance(body, dict):
        return status, body
    code, reason, _ = cause_of(line)
    return status, {"error": {"message": reason, "code": code}}


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


_ENDPOINT = "/v1/chat/completions"
_PRIVATE_HEADERS = ("authorization", "openai-organization", "openai-project")

# About the account or the moment, not about the request; most of these the SDK repeats.
_NO_ANSWER = {401, 403, 408, 409, 429}


class Recorder(httpx2.BaseTransport):
    """Passes every call on to ``inner``, and writes what came back to ``path``, a JSONL file.

    The file is what the replay reads (`helpers.replay.recordings`), and is replaced after each call
    of Chat Completions and each result file of a batch; files are held in memory for that. ``say``
    gets one line for each result file, with how many of its lines could not be recorded and why. A
    recording that fails does not fail the exchange, which is paid: ``say`` is told.

    Raises `ValueError` when ``path`` holds something else than recordings, `OSError` when it cannot
    be read or written.
    """

    def __init__(
        self,
        path: Path,
        inner: httpx2.BaseTransport | None = None,
        say: Callable[[str], None] = print,
    ):
        self.kept, self.say = Kept(path), say
        self.inner = inner or httpx2.HTTPTransport()
        self._lock = threading.Lock()
        # By the id of a batch file its requests; by the id of a result file batch and batch file.
        self._asked: dict[str, dict[str, dict]] = {}
        self._origins: dict[str, tuple[str, str]] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        watch = self._watcher(request)
        response = self.inner.handle_request(request)
        if watch is None:
            return response
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            self.say("record: a streamed call is not recorded, because the replay streams nothing.")
            return response

        # A client of this kind has streams of this kind: httpx2.Client.
        stream = cast(httpx2.SyncByteStream, response.stream)

        def arrived(content: bytes) -> None:
            try:
                # A response of its own, because what arrives may be compressed.
                answer = httpx2.Response(
                    response.status_code, headers=response.headers, content=content
                )
                with self._lock:
                    watch(request, answer)
            except Exception as error:  # noqa: BLE001 (the reader gets what was paid for)
                self.say(
                    f"record: {self.kept.path.name} was not written: {error!r}. The job goes on."
                )

        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Watched(stream, arrived),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self.inner.close()

    def _watcher(
        self, request: httpx2.Request
    ) -> Callable[[httpx2.Request, httpx2.Response], None] | None:
        method, path = request.method, request.url.path
        if method == "POST" and path.endswith("/chat/completions"):
            return self._chat
        if method == "POST" and path.endswith("/files"):
            request.read()
            return self._upload
        if re.search(r"/batches(/|$)", path):
            return self._batches
        return self._results if path.endswith("/content") else None

    def _chat(self, request: httpx2.Request, answer: httpx2.Response) -> None:
        if answer.status_code in _NO_ANSWER or answer.is_server_error:
            return
        asked, body = orjson.loads(request.content), orjson.loads(answer.content)
        self.kept.by_hand(asked, kept_of(answer.status_code, body, _secrets(request, answer)))
        self.kept.write()

    def _upload(self, request: httpx2.Request, answer: httpx2.Response) -> None:
        kind, options = parse_options_header(request.headers.get("content-type"))
        parser = FormDataParser(stream_factory=_in_memory)
        form = io.BytesIO(request.content)
        _, fields, files = parser.parse(form, kind, len(request.content), options)
        if not answer.is_success or fields.get("purpose") != "batch":
            return
        # Canonical bodies hold digests in place of pictures, so they need little memory.
        self._asked[orjson.loads(answer.content)["id"]] = {
            str(line.get("custom_id")): {"url": line.get("url"), "body": canonical(line["body"])}
            for line in requests_of(files["file"].read())
        }

    def _batches(self, request: httpx2.Request, answer: httpx2.Response) -> None:
        if not answer.is_success:
            return
        shown = orjson.loads(answer.content)
        for batch in shown["data"] if shown.get("object") == "list" else [shown]:
            for file_id in (batch.get("output_file_id"), batch.get("error_file_id")):
                if file_id:
                    self._origins[file_id] = batch["id"], batch["input_file_id"]

    def _results(self, request: httpx2.Request, answer: httpx2.Response) -> None:
        found = result_lines(answer.content.splitlines()) if answer.is_success else ()
        # Other files are fetched through the same route, and downloads break off within a line.
        lines = [line for line in found if "response" in line]
        batch_id, input_id = self._origins.get(request.url.path.split("/")[-2], ("", ""))
        asked, came = self._asked.get(input_id, {}), {}
        skipped: Counter[str] = Counter()
        for line in lines:
            if reason := _why_not(line, asked):
                skipped[reason] += 1
            else:
                came[line["custom_id"]] = kept_of(*answer_in(line), _secrets(request, answer))
        # In the order of the batch file, because that of the results is by chance.
        for custom_id, line in asked.items():
            if custom_id in came:
                self.kept.of_batch(line["body"], custom_id, batch_id, came[custom_id])
        if came:
            self.kept.write()
        if lines:
            reasons = "".join(f"; {count:,} not: {reason}" for reason, count in skipped.items())
            self.say(f"record: {len(came):,} answers written to {self.kept.path.name}{reasons}.")


def _in_memory(
    total_content_length: int | None,
    content_type: str | None,
    filename: str | None,
    content_length: int | None = None,
) -> io.BytesIO:
    """Where a part of a form goes."""
    return io.BytesIO()


class _Watched(httpx2.SyncByteStream):
    """A stream that is passed on piece by piece, and shown as a whole when it came to its end."""

    def __init__(self, stream: httpx2.SyncByteStream, arrived: Callable[[bytes], None]):
        self.stream, self.arrived = stream, arrived

    def __iter__(self) -> Iterator[bytes]:
        pieces = []
        for piece in self.stream:
            pieces.append(piece)
            yield piece
        self.arrived(b"".join(pieces))

    def close(self) -> None:
        self.stream.close()


def _secrets(request: httpx2.Request, answer: httpx2.Response) -> list[str]:
    both = [
        message.headers.get(name, "") for message in (request, answer) for name in _PRIVATE_HEADERS
    ]
    return [value.removeprefix("Bearer ") for value in both if value]


def _why_not(line: dict, asked: dict[str, dict]) -> str:
    """Why the line is no recording; empty if it is one."""
    if not asked:
        return "uploaded by another process, so the request is not known here"
    request = asked.get(line["custom_id"])
    if request is None:
        return "no request of the batch has this custom_id"
    if request["url"] != _ENDPOINT:
        return f"the replay answers {_ENDPOINT} only"
    status = line["response"].get("status_code") if isinstance(line["response"], dict) else None
    return "" if isinstance(status, int) and status > 0 else "the request never ran"
