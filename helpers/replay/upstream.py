"""Answers from another server: any that has the Chat Completions of the OpenAI API, and no batches.

Such are vLLM, llama.cpp and Ollama. Only ``/chat/completions`` is needed; of ``/models`` they have
the list, one model each (as Ollama), or nothing.
"""

from dataclasses import dataclass
from urllib.parse import quote

import httpx2
import orjson

from helpers.replay.wire import ApiError

_NO_SUCH_ROUTE = {404, 405, 501}
_SHOWN = 300


@dataclass
class Upstream:
    """The server that ``http`` leads to by its base URL.

    A batch sends it up to ``at_once`` lines at the same time, and new ones for ``seconds`` each
    time it is looked at.
    """

    http: httpx2.Client
    at_once: int = 4
    seconds: float = 2.0

    def answer(self, body: dict, earlier_tries: int = 0) -> tuple[int, dict]:
        """Status and body of the server's answer to the request; 503 when none came."""
        return self.call("POST", "chat/completions", body)

    def prompt_tokens(self, body: dict) -> int:
        """A guess of the prompt's tokens: four bytes each."""
        return len(orjson.dumps(body)) // 4

    def call(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        """Status and JSON object of one exchange.

        Where the server gives none, the object is an error that says so: with 503 if no answer came
        (refused, broken off, too late), 502 for a success that is no JSON object, and else with the
        server's own status.
        """
        url = f"{str(self.http.base_url.copy_with(userinfo=b'')).rstrip('/')}/{path}"
        content = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": "application/json"} if content else None
        try:
            response = self.http.request(method, path, content=content, headers=headers)
        except httpx2.RequestError as error:
            reason = str(error) or type(error).__name__
            return 503, _error("upstream_unreachable", f"No answer from {url} ({reason}).")
        try:
            answer = orjson.loads(response.content)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return response.status_code, answer
        message = (
            f"{url} answered {response.status_code} without a JSON object: "
            f"{response.text[:_SHOWN]!r}. Is the base URL right? It mostly ends in /v1."
        )
        status = 502 if response.is_success else response.status_code
        return status, _error("upstream_not_json", message)


@dataclass
class UpstreamModels:
    """The models of a server, in the place of those of the price table."""

    upstream: Upstream

    def __contains__(self, model: str) -> bool:
        # A model that was asked for is judged by the server itself, line by line.
        return True

    def values(self) -> list[dict]:
        """All models that the server lists; `ApiError` if it has no list."""
        return _listed(*self.upstream.call("GET", "models"))

    def get(self, model: str) -> dict | None:
        """The model; None if the server does not know it.

        vLLM and llama.cpp have only the list. Where there is no list either, the model is taken as
        existing. Raises `ApiError` when the server does not answer or refuses.
        """
        unknown = {"id": model, "object": "model", "created": 0, "owned_by": "upstream"}
        status, found = self.upstream.call("GET", f"models/{quote(model, safe='')}")
        if status == 200:
            return {**unknown, **found}
        if status in _NO_SUCH_ROUTE:
            status, found = self.upstream.call("GET", "models")
        if status in _NO_SUCH_ROUTE:
            return unknown
        return next((m for m in _listed(status, found) if m.get("id") == model), None)


def _listed(status: int, answer: dict) -> list[dict]:
    if status == 200 and isinstance(answer.get("data"), list):
        return [model for model in answer["data"] if isinstance(model, dict)]
    error = answer.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    raise ApiError(502 if status == 200 else status, str(message or answer)[:_SHOWN])


def _error(code: str, message: str) -> dict:
    return {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
