"""Live answers become recordings: a transport that watches the exchange and changes nothing."""

import io
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import orjson
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from helpers.kept import Kept, answer_in, kept_of, result_lines
from helpers.replay.lines import requests_of
from helpers.replay.recordings import canonical

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
            stream=_Watched(response.stream, arrived),
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
        parser = FormDataParser(stream_factory=lambda **_: io.BytesIO())
        form = io.BytesIO(request.content)
        _, fields, files = parser.parse(form, kind, len(request.content), options)
        if not answer.is_success or fields.get("purpose") != "batch":
            return
        # Canonical bodies hold digests in place of pictures, so they need little memory.
        self._asked[orjson.loads(answer.content)["id"]] = {
            line.get("custom_id"): {"url": line.get("url"), "body": canonical(line["body"])}
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
        lines = list(result_lines(answer.content)) if answer.is_success else []
        batch_id, input_id = self._origins.get(request.url.path.split("/")[-2], ("", ""))
        asked, came = self._asked.get(input_id), {}
        skipped: Counter[str] = Counter()
        for line in lines:
            if reason := _why_not(line, asked):
                skipped[reason] += 1
            else:
                came[line["custom_id"]] = kept_of(*answer_in(line), _secrets(request, answer))
        # In the order of the batch file, because that of the results is by chance.
        for custom_id in asked or ():
            if custom_id in came:
                body = asked[custom_id]["body"]
                self.kept.of_batch(body, custom_id, batch_id, came[custom_id])
        if came:
            self.kept.write()
        if lines:
            reasons = "".join(f"; {count:,} not: {reason}" for reason, count in skipped.items())
            self.say(f"record: {len(came):,} answers written to {self.kept.path.name}{reasons}.")


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


def _why_not(line: dict, asked: dict[str, dict] | None) -> str:
    """Why the line is no recording; empty if it is one."""
    if asked is None:
        return "uploaded by another process, so the request is not known here"
    request = asked.get(line["custom_id"])
    if request is None:
        return "no request of the batch has this custom_id"
    if request["url"] != _ENDPOINT:
        return f"the replay answers {_ENDPOINT} only"
    status = line["response"].get("status_code") if isinstance(line["response"], dict) else None
    return "" if isinstance(status, int) and status > 0 else "the request never ran"
