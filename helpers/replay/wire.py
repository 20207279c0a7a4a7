"""Requests and responses of the replay in the API's JSON envelopes."""

import time
import uuid
from collections.abc import Iterable, Iterator
from typing import TypeVar

import orjson
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.wrappers import Request, Response

_T = TypeVar("_T")
# So many lines take some 5 milliseconds.
_GROUP, _BREATH = 50, 0.001


def unhurried(items: Iterable[_T]) -> Iterator[_T]:
    """The items, with a breath now and then in which other calls are answered.

    A thread that computes hands over only every 5 milliseconds, and a call needs many turns.
    """
    for number, item in enumerate(items, start=1):
        if number % _GROUP == 0:
            time.sleep(_BREATH)
        yield item


class ApiError(Exception):
    """An error response in the API's envelope: openai/types/shared/error_object.py."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None
    ):
        super().__init__(message)
        self.status = status
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self.error = {"message": message, "type": kind, "param": param, "code": code}


def json_body(request: Request) -> dict:
    """The request's JSON object; a 400 when there is none."""
    try:
        body = orjson.loads(request.get_data())
    except (ValueError, OSError):
        # OSError is how werkzeug reports a body that is cut off or framed wrongly.
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "We could not parse the JSON body of your request.")
    return body


def form_of(request: Request) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    """The fields and the files of a multipart form; a 400 when it cannot be read."""
    try:
        return request.form, request.files
    except (ValueError, OSError):
        raise ApiError(400, "We could not parse the form of your request.") from None


def limit_of(request: Request, default: int, most: int) -> int:
    """The query's ``limit``, from 1 to ``most``; a 400 for anything else."""
    text = request.args.get("limit")
    if text is None:
        return default
    # The length first: int() refuses numbers of more than 4,300 digits in its own way.
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most):
        raise ApiError(400, f"Must be between 1 and {most}.", "invalid_value", "limit")
    return int(text)


def is_ascending(request: Request) -> bool:
    """Whether the query asks for the oldest first; a 400 for an order that does not exist."""
    order = request.args.get("order", "desc")
    if order not in ("asc", "desc"):
        raise ApiError(400, "Must be 'asc' or 'desc'.", "invalid_value", "order")
    return order == "asc"


def page(items: list[dict], has_more: bool) -> dict:
    """One page of a list: openai/pagination.py."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def json_response(body: dict, status: int = 200) -> Response:
    """The body as JSON."""
    return Response(orjson.dumps(body), status, mimetype="application/json")


def with_request_id(response: Response) -> Response:
    """The response with the header that the SDK shows as ``_request_id``."""
    response.headers["x-request-id"] = f"req_{uuid.uuid4().hex}"
    return response
