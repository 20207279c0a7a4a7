"""What the API refuses: a file at its upload, a batch at its creation, its lines after that.

The guide names few of the codes. Texts and shapes are those of objects that the API was seen to
return: https://github.com/ogx-ai/ogx, tests/integration/batches/test_batches_errors.py, and
https://github.com/BerriAI/litellm/pull/37527 for the upload.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import orjson

from helpers.checks import ENDPOINTS, MAX_BYTES, MAX_REQUESTS
from helpers.replay.wire import ApiError, unhurried

THIRTY_DAYS = 30 * 86_400
_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
# openai/types/batch_create_params.py names it, the guide does not.
_ENDPOINTS = {*ENDPOINTS, "/v1/videos"}


class Models(Protocol):
    """The models that a server knows, by id."""

    def __contains__(self, model: object, /) -> bool: ...

    def get(self, model: str, /) -> dict | None: ...

    def all(self) -> list[dict]: ...


def check_upload(name: str, purpose: str, content: bytes) -> None:
    """A 400 for a file that the API does not take; of a batch file only the first line is read."""
    if purpose not in _PURPOSES:
        raise ApiError(400, f"'{purpose}' is not one of {_PURPOSES}.", None, "purpose")
    if purpose != "batch":
        return
    # ``upload`` is the name that the SDK gives to bytes without one; those are taken.
    if not name.endswith(".jsonl") and name != "upload":
        raise ApiError(400, "Invalid file format for Batch API. Must be .jsonl")
    if len(content) > MAX_BYTES:
        raise ApiError(400, "File is too large.")
    try:
        if not content.isascii():
            content.decode()
    except UnicodeDecodeError:
        # https://github.com/mkht/PSOpenAI/issues/19
        message = "Invalid file for Batch API. Must be utf-8 encoded"
        raise ApiError(400, message) from None
    try:
        orjson.loads(content.split(b"\n", 1)[0])
    except ValueError:
        raise ApiError(400, "Invalid file format") from None


def check_batch(asked: dict) -> int:
    """The life of the batch's result files in seconds; a 400 for what the API does not create."""
    endpoint = asked.get("endpoint")
    if not isinstance(endpoint, str) or endpoint not in _ENDPOINTS:
        raise ApiError(400, "Unsupported endpoint.", "invalid_value", "endpoint")
    if asked.get("completion_window") != "24h":
        raise ApiError(400, "Must be '24h'.", "invalid_value", "completion_window")
    if not isinstance(asked.get("input_file_id"), str):
        raise ApiError(400, "Missing required parameter: 'input_file_id'.", None, "input_file_id")
    _check_metadata(asked.get("metadata"))
    return lifetime(asked.get("output_expires_after"), "output_expires_after") or THIRTY_DAYS


def _check_metadata(metadata: Any) -> None:
    """openai/types/shared_params/metadata.py."""
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise ApiError(400, "Not an object.", "invalid_type", "metadata")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ApiError(400, "Not a string.", "invalid_type", f"metadata.{key}")
        if len(key) > 64 or len(value) > 512 or len(metadata) > 16:
            raise ApiError(400, "At most 16 pairs of 64 and 512 characters.", None, "metadata")


def lifetime(expires_after: Any, param: str) -> int | None:
    """The seconds after which a file expires, or None where nothing was asked for.

    ``expires_after`` is an object with ``anchor`` and ``seconds``, from 3,600 to 2,592,000:
    openai/types/file_create_params.py.
    """
    if expires_after is None:
        return None
    if not isinstance(expires_after, dict):
        raise ApiError(400, "Not an object.", "invalid_type", param)
    if expires_after.get("anchor", "created_at") != "created_at":
        raise ApiError(400, "Must be 'created_at'.", "invalid_value", f"{param}.anchor")
    # A form has the seconds as text, JSON as a number.
    text = str(expires_after.get("seconds"))[:9]
    if not (text.isascii() and text.isdecimal() and 3600 <= int(text) <= THIRTY_DAYS):
        raise ApiError(400, "Must be between 3600 and 2592000.", None, f"{param}.seconds")
    return int(text)


class FileOfRequests:
    """A batch file as its validation finds it.

    ``requests`` are custom_id, start and size in bytes of each line that is a request, ``model``
    that of the first, and ``errors`` what goes into ``errors.data`` of the batch: at most one error
    for each bad line.
    """

    def __init__(self, content: bytes, endpoint: str, models: Models):
        self.requests: list[tuple[str, int, int]] = []
        self.model = ""
        self.errors: list[dict] = []
        self._endpoint, self._models = endpoint, models
        self._seen: set[str] = set()
        start = lines = 0
        for number, text in enumerate(unhurried(content.split(b"\n")), start=1):
            if text.strip():
                lines += 1
                if error := self._read(text, number, start):
                    self.errors.append(error)
            start += len(text) + 1
        if lines > MAX_REQUESTS:
            # OpenAI's own code is not documented; this is the one that Azure documents.
            message = f"More than {MAX_REQUESTS} requests."
            self.errors.insert(0, batch_error("too_many_tasks", message, None, None))
        if not lines:
            # Azure's code again.
            message = "The file holds no request."
            self.errors.append(batch_error("empty_file", message, None, None))

    def _read(self, text: bytes, number: int, start: int) -> dict | None:
        try:
            line = orjson.loads(text)
        except ValueError:
            message = "This line is not parseable as valid JSON."
            return batch_error("invalid_json_line", message, number, None)
        if not isinstance(line, dict):
            message = "This line is not a JSON object."
            return batch_error("invalid_json_line", message, number, None)
        for code, message, param in self._faults_of(line):
            return batch_error(code, message, number, param)
        self.requests.append((line["custom_id"], start, len(text)))
        return None

    def _faults_of(self, line: dict) -> Iterator[tuple[str, str, str]]:
        """Code, message and parameter of what is wrong with a line; the first counts."""
        for key in ("custom_id", "method", "url", "body"):
            if not line.get(key):
                message = f"Missing required parameter: '{key}'."
                yield "missing_required_parameter", message, key
        custom_id, body = line["custom_id"], line["body"]
        if not isinstance(body, dict):
            yield "invalid_request", "Body is not an object.", "body"
        if not isinstance(custom_id, str):
            yield "invalid_request", "Not a string.", "custom_id"
        if line["method"] != "POST":
            yield "invalid_request", "Must be 'POST'.", "method"
        if custom_id in self._seen:
            message = f"The custom_id '{custom_id}' stands twice in the file."
            yield "duplicate_custom_id", message, "custom_id"
        self._seen.add(custom_id)
        if line["url"] != self._endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            yield "invalid_url", message, "url"
        yield from self._faults_of_body(body)

    def _faults_of_body(self, body: dict) -> Iterator[tuple[str, str, str]]:
        model: Any = body.get("model")
        if not model:
            yield "invalid_request", "Model parameter is required.", "body.model"
        if not isinstance(model, str):
            yield "invalid_request", "Model parameter is not a string.", "body.model"
        if model not in self._models:
            message = f"The provided model '{model}' is not supported by the Batch API."
            yield "model_not_found", message, "body.model"
        self.model = self.model or model
        if model != self.model:
            message = f"The model '{model}' is not that of the first line."
            yield "mismatched_model", message, "body.model"
        if body.get("stream"):
            message = "Chat Completions: Streaming is not supported in the Batch API."
            yield "streaming_unsupported", message, "body.stream"
        if self._endpoint == "/v1/chat/completions" and not body.get("messages"):
            yield "invalid_request", "Messages parameter is required.", "body.messages"


def batch_error(code: str, message: str, line: int | None, param: str | None) -> dict:
    """One entry of ``errors.data``: openai/types/batch_error.py."""
    return {"code": code, "message": message, "line": line, "param": param}
