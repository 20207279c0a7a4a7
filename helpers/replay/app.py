"""The Batch API as a WSGI app: HTTP in, HTTP out, answers from recordings or another server.

Served in process through ``httpx2.WSGITransport`` or on a port by ``python -m helpers.replay``;
the official SDK, curl and other clients cannot tell it from a server far away. Routes, fields and
limits follow the SDK (openai/resources/{files,batches,models}.py) and the Batch guide.
"""

from collections.abc import Callable
from pathlib import Path

import httpx2
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from helpers.paths import DATA
from helpers.replay.asking import Asking, KeptAnswers
from helpers.replay.faults import Faults
from helpers.replay.life import Life
from helpers.replay.models import known_models
from helpers.replay.recordings import Recordings
from helpers.replay.routes import ROUTES
from helpers.replay.store import Store
from helpers.replay.upstream import Upstream, UpstreamModels
from helpers.replay.validation import THIRTY_DAYS, check_batch, check_upload, lifetime
from helpers.replay.wire import ApiError, json_body, json_response, page

_POLL_AFTER_MS = "20"
_LATER_FIELDS = (
    "model", "errors", "output_file_id", "error_file_id", "usage", "in_progress_at",
    "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at",
)  # fmt: skip


def create_app(
    state: Path,
    queue_tokens: int | None = None,
    expire_after: int | None = None,
    recordings: Path = DATA / "recordings",
    upstream: Upstream | None = None,
) -> Callable:
    """The WSGI app. ``state`` is its SQLite file; the two numbers are described in `Life`.

    With ``upstream`` that server gives the answers, in the place of the recordings.
    """
    faults = Faults()
    if upstream:
        life = Asking(KeptAnswers(state), upstream, UpstreamModels(upstream), faults)
    else:
        answers, models = Recordings(recordings), known_models()
        life = Life(Store(state), answers, models, faults, queue_tokens, expire_after)
    api = Api(life)

    @Request.application
    def app(request: Request) -> Response:
        try:
            if not request.headers.get("Authorization", "").startswith("Bearer "):
                raise ApiError(401, "You didn't provide an API key.")
            routes = ROUTES.bind_to_environ(request.environ)
            rule, values = routes.match(return_rule=True)
            at = f"{request.method} {rule.rule}"
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
            message = {"message": f"The replay failed: {error!r}", "type": "server_error"}
            return json_response({"error": {**message, "param": None, "code": None}}, 500)

    return app


class Api:
    """One method per route, named as in the table of routes."""

    def __init__(self, life: Life):
        self.store = life.store
        self.life = life
        self.all_models = life.models

    def chat(self, request: Request) -> Response:
        # Only a batch counts tries: a request tried by hand gets the answer that counts.
        status, body = self.life.recordings.answer(json_body(request), earlier_tries=1_000)
        return json_response(body, status)

    def upload(self, request: Request) -> Response:
        upload, purpose = request.files.get("file"), request.form.get("purpose")
        if upload is None or not purpose:
            missing = "purpose" if upload else "file"
            raise ApiError(400, f"Missing required parameter: '{missing}'.", None, missing)
        content = upload.read()
        check_upload(upload.filename or "", purpose, content)
        asked = request.form.get("expires_after[seconds]")
        keep = lifetime(asked, "expires_after") or (THIRTY_DAYS if purpose == "batch" else None)
        return json_response(self.store.add_file(upload.filename or "", purpose, content, keep))

    def files(self, request: Request) -> Response:
        purpose = request.args.get("purpose")
        found = [f for f in self.store.all("files") if purpose in (None, f["purpose"])]
        ascending = request.args.get("order") == "asc"
        return json_response(page(request, found[::-1] if ascending else found, 10_000))

    def file(self, request: Request, id: str) -> Response:
        return json_response(self._get("files", id))

    def delete_file(self, request: Request, id: str) -> Response:
        self._get("files", id)
        self.store.delete_file(id)
        return json_response({"id": id, "object": "file", "deleted": True})

    def content(self, request: Request, id: str) -> Response:
        self._get("files", id)
        return Response(self.store.content(id), mimetype="application/octet-stream")

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
        return json_response(self.store.add_batch(batch, keep))

    def batches(self, request: Request) -> Response:
        shown = page(request, self.store.all("batches"), 20)
        # Who only lists sees the same progress as who retrieves each batch.
        shown["data"] = self._looked_at([batch["id"] for batch in shown["data"]])
        return _with_pause(json_response(shown))

    def batch(self, request: Request, id: str) -> Response:
        return _with_pause(json_response(self._looked_at([id])[0]))

    def _looked_at(self, ids: list[str]) -> list[dict]:
        self.life.ask(ids)
        batches = []
        for id in ids:
            with self.store.transaction():
                batches.append(self.life.step(self._get("batches", id)))
        return batches

    def cancel_batch(self, request: Request, id: str) -> Response:
        with self.store.transaction():
            batch = self._get("batches", id)
            if batch["status"] in ("completed", "failed", "expired"):
                raise ApiError(409, f"Cannot cancel a batch with status '{batch['status']}'.")
            if batch["status"] not in ("cancelling", "cancelled"):
                batch = self.life.cancel(batch)
        return json_response(batch)

    def models(self, request: Request) -> Response:
        return json_response({"object": "list", "data": list(self.all_models.values())})

    def model(self, request: Request, id: str) -> Response:
        found = self.all_models.get(id)
        if found is None:
            raise ApiError(404, f"The model '{id}' does not exist.", "model_not_found", "model")
        return json_response(found)

    def script(self, request: Request) -> Response:
        life = self.life
        options = {"queue_tokens": life.queue_tokens, "expire_after": life.expire_after}
        return json_response({"faults": life.faults.planned, **options})

    def new_script(self, request: Request) -> Response:
        """Takes the script of `helpers.replay.faults`; what it does not name ends."""
        asked = json_body(request)
        self.life.faults.plan(asked.get("faults", []))
        self.life.queue_tokens = asked.get("queue_tokens")
        self.life.expire_after = asked.get("expire_after")
        return self.script(request)

    def _get(self, table: str, id: str) -> dict:
        found = self.store.get(table, id)
        if found is None:
            kind = {"files": "file", "batches": "batch"}[table]
            raise ApiError(404, f"No such {kind}: {id}", None, "id")
        return found


def _with_pause(response: Response) -> Response:
    response.headers["openai-poll-after-ms"] = _POLL_AFTER_MS
    return response
