"""Requests and responses of the replay in the API's JSON envelopes."""

import orjson
from werkzeug.wrappers import Request, Response


class ApiError(Exception):
    """An error response in the API's envelope."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None
    ):
        self.status = status
        self.error = {
            "message": message, "type": "invalid_request_error", "param": param, "code": code,
        }  # fmt: skip


def json_body(request: Request) -> dict:
    """The request's JSON object; a 400 when there is none."""
    try:
        body = orjson.loads(request.get_data())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "We could not parse the JSON body of your request.")
    return body


def page(request: Request, items: list[dict], limit: int) -> dict:
    """One page of a list, by the query's ``limit`` and ``after``: openai/pagination.py."""
    limit, after = request.args.get("limit", limit, type=int), request.args.get("after")
    ids = [item["id"] for item in items]
    start = ids.index(after) + 1 if after in ids else 0
    shown = items[start : start + limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + limit < len(items),
    }


def json_response(body: dict, status: int = 200) -> Response:
    """The body as JSON."""
    return Response(orjson.dumps(body), status, mimetype="application/json")
