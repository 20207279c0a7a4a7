"""The Batch API as a WSGI app: HTTP in, HTTP out, answers from recordings or another server.

Served in process through ``httpx2.WSGITransport`` or on a port by ``python -m helpers.replay``;
the official SDK, curl and other clients cannot tell it from a server far away. Routes, fields and
limits follow the SDK (openai/resources/{files,batches,models}.py) and the Batch guide.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx2
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request, Response

from helpers.paths import DATA
from helpers.replay.batches import ENDED, Batches, Faults, NoFaults
from helpers.replay.local import LocalBatches, Upstream
from helpers.replay.recordings import Recordings
from helpers.replay.store import Store
from helpers.replay.validation import THIRTY_DAYS, check_batch, check_upload, lifetime
from helpers.replay.wire import (
    ApiError,
    form_of,
    is_ascending,
    json_body,
    json_response,
    limit_of,
    page,
    with_request_id,
)

_LATER_FIELDS = (
    "model", "errors", "output_file_id", "error_file_id", "usage", "in_progress_at",
    "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at",
)  # fmt: skip
_BY_HAND = "chat/completions", "completions", "embeddings", "moderations", "responses"


class _AnyText(BaseConverter):
    """The rest of the path: llama.cpp names a model by its path, which begins with a slash."""

    regex = ".+"
    part_isolating = False


# Each endpoint is a method of `Api`. Nothing is redirected: no API client expects that.
_ROUTES = Map(
    [
        *(Rule(f"/v1/{name}", endpoint="by_hand", methods=["POST"]) for name in _BY_HAND),
        Rule("/v1/files", endpoint="upload", methods=["POST"]),
        Rule("/v1/files", endpoint="files", methods=["GET"]),
        Rule("/v1/files/<id>", endpoint="file", methods=["GET"]),
        Rule("/v1/files/<id>", endpoint="delete_file", methods=["DELETE"]),
        Rule("/v1/files/<id>/content", endpoint="content", methods=["GET"]),
        Rule("/v1/batches", endpoint="create_batch", methods=["POST"]),
        Rule("/v1/batches", endpoint="batches", methods=["GET"]),
        Rule("/v1/batches/<id>", endpoint="batch", methods=["GET"]),
        Rule("/v1/batches/<id>/cancel", endpoint="cancel_batch", methods=["POST"]),
        Rule("/v1/models", endpoint="models", methods=["GET"]),
        Rule("/v1/models/<text:id>", endpoint="model", methods=["GET"]),
        Rule("/v1/replay", endpoint="script", methods=["GET"]),
        Rule("/v1/replay", endpoint="new_script", methods=["PUT"]),
    ],
    converters={"text": _AnyText},
    merge_slashes=False,
    strict_slashes=False,
)


def create_app(
    state: Path,
    queue_tokens: int | None = None,
    expire_after: int | None = None,
    recordings: Path = DATA / "recordings",
    upstream: Upstream | None = None,
    *,
    seconds: float | None = None,
    faults: Faults | None = None,
    clock: Callable[[], float] = time.time,
) -> Callable:
    """The WSGI app. ``state`` is its SQLite file; the numbers are described in `Batches`.

    With ``upstream`` that server gives the answers, in the place of the recordings. ``faults`` is a
    hook for tests, ``clock`` the time in Unix seconds.
    """
    store, hook = Store(state, clock), faults or NoFaults()
    batches: Batches
    if upstream:
        batches = LocalBatches(store, upstream, hook)
    else:
        answers = Recordings(recordings)
        batches = Batches(store, answers, hook, queue_tokens, expire_after, seconds)
    api = Api(batches)

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        with Request({**environ, "PATH_INFO": _path_of(environ)}) as request:
            response = with_request_id(_answer(api, hook, request))
            return response(environ, start_response)

    return app


def _path_of(environ: dict) -> str:
    """The path as WSGI has it: its bytes as Latin-1 (PEP 3333).

    ``httpx2.WSGITransport`` gives the text itself.
    """
    path = environ.get("PATH_INFO", "")
    try:
        path.encode("latin-1").decode()
    except UnicodeError:
        return path.encode().decode("latin-1")
    return path


def _answer(api: "Api", faults: Faults, request: Request) -> Response:
    try:
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            raise ApiError(401, "You didn't provide an API key.")
        routes = _ROUTES.bind_to_environ(request.environ)
        rule, values = routes.match(return_rule=True)
        at = f"{request.method} {rule.rule}".replace("<text:", "<")
        method = getattr(api, rule.endpoint)
        return faults.call(at, request.environ, lambda: method(request, **values))
    except httpx2.TransportError:
        raise
    except ApiError as error:
        return json_response({"error": error.error}, error.status)
    except HTTPException as error:
        message = f"{request.method} {request.path}: {error.name}"
        return json_response({"error": ApiError(0, message).error}, error.code or 500)
    except Exception as error:  # noqa: BLE001 (a server answers, whatever happened)
        message = f"The replay failed: {error!r}"
        return json_response({"error": ApiError(500, message).error}, 500)


class Api:
    """One method per route, named as in the table of routes."""

    def __init__(self, batches: Batches):
        self._store = batches.store
        self._batches = batches
        self._models = batches.answers.models

    def by_hand(self, request: Request) -> Response:
        # Only a batch counts tries: a request tried by hand gets the answer that counts.
        body = json_body(request)
        answer = self._batches.answered(request.path, body, tries=lambda key: 1_000)
        return json_response(answer.body, answer.status)

    def upload(self, request: Request) -> Response:
        fields, files = form_of(request)
        upload, purpose = files.get("file"), fields.get("purpose")
        if upload is None or not purpose:
            missing = "purpose" if upload else "file"
            raise ApiError(400, f"Missing required parameter: '{missing}'.", None, missing)
        content, name = upload.read(), upload.filename or ""
        check_upload(name, purpose, content)
        expires_after = {
            part: fields[f"expires_after[{part}]"]
            for part in ("anchor", "seconds")
            if f"expires_after[{part}]" in fields
        }
        keep = lifetime(expires_after or None, "expires_after")
        keep = keep or (THIRTY_DAYS if purpose == "batch" else None)
        return json_response(self._store.add_file(name, purpose, content, keep))

    def files(self, request: Request) -> Response:
        purpose = request.args.get("purpose")
        return json_response(
            self._page(request, "files", 10_000, 10_000, lambda f: purpose in (None, f["purpose"]))
        )

    def file(self, request: Request, id: str) -> Response:
        return json_response(self._get("files", id))

    def delete_file(self, request: Request, id: str) -> Response:
        self._get("files", id)
        self._store.delete_file(id)
        return json_response({"id": id, "object": "file", "deleted": True})

    def content(self, request: Request, id: str) -> Response:
        self._get("files", id)
        return Response(self._store.content(id), mimetype="application/octet-stream")

    def create_batch(self, request: Request) -> Response:
        asked = json_body(request)
        keep = check_batch(asked)
        batch = {
            **dict.fromkeys(_LATER_FIELDS),
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": asked.get("metadata"),
        }
        return json_response(self._store.add_batch(batch, keep))

    def batches(self, request: Request) -> Response:
        shown = self._page(request, "batches", 20, 100)
        # Who only lists sees the same progress as who retrieves each batch. The oldest goes first.
        for batch in reversed(shown["data"]):
            if batch["status"] not in ENDED:
                batch |= self._batches.look(batch["id"]) or {}
        return self._with_pause(json_response(shown))

    def batch(self, request: Request, id: str) -> Response:
        self._get("batches", id)
        return self._with_pause(json_response(self._batches.look(id) or {}))

    def cancel_batch(self, request: Request, id: str) -> Response:
        self._get("batches", id)
        return json_response(self._batches.cancel(id) or {})

    def models(self, request: Request) -> Response:
        return json_response({"object": "list", "data": self._models.all()})

    def model(self, request: Request, id: str) -> Response:
        found = self._models.get(id)
        if found is None:
            raise ApiError(404, f"The model '{id}' does not exist.", "model_not_found", "model")
        return json_response(found)

    def script(self, request: Request) -> Response:
        """What was put here by `new_script`, and how often each fault has happened."""
        batches = self._batches
        options = {"queue_tokens": batches.queue_tokens, "expire_after": batches.expire_after}
        return json_response({"faults": batches.faults.planned, **options})

    def new_script(self, request: Request) -> Response:
        """Changes what the server was started with; what is not named ends.

        A route that no live server has: ``{"queue_tokens": 900}`` makes the queue that small.
        """
        asked = json_body(request)
        limits = {name: asked.get(name) for name in ("queue_tokens", "expire_after")}
        for name, limit in limits.items():
            if limit is not None and not (isinstance(limit, int) and 0 <= limit < 2**53):
                raise ApiError(400, "Not a number.", "invalid_type", name)
        planned = asked.get("faults") or []
        if not isinstance(planned, list) or not all(isinstance(fault, dict) for fault in planned):
            raise ApiError(400, "Not a list of objects.", "invalid_type", "faults")
        self._batches.faults.plan(planned)
        self._batches.queue_tokens = limits["queue_tokens"]
        self._batches.expire_after = limits["expire_after"]
        return self.script(request)

    def _page(
        self,
        request: Request,
        table: str,
        limit: int,
        most: int,
        fits: Callable[[dict], bool] = lambda item: True,
    ) -> dict:
        after = request.args.get("after")
        limit = limit_of(request, limit, most)
        found = self._store.page(table, limit, after, is_ascending(request), fits)
        if found is None:
            raise ApiError(404, f"No such id: {after}", None, "after")
        return page(*found)

    def _get(self, table: str, id: str) -> dict:
        found = self._store.get(table, id)
        if found is None:
            kind = {"files": "file", "batches": "batch"}[table]
            raise ApiError(404, f"No such {kind}: {id}", None, "id")
        return found

    def _with_pause(self, response: Response) -> Response:
        response.headers["openai-poll-after-ms"] = str(self._batches.pause_ms)
        return response
