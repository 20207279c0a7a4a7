"""What the API refuses: a file at its upload, its lines when the batch is validated.

The guide names few of the codes. Texts and shapes are those of objects that the API was seen to
return: https://github.com/ogx-ai/ogx, tests/integration/batches/test_batches_errors.py, and
https://github.com/BerriAI/litellm/pull/37527 for the upload.
"""

from collections.abc import Container, Iterator

import orjson

from helpers.checks import ENDPOINTS, MAX_BYTES, MAX_REQUESTS
from helpers.replay.wire import ApiError

THIRTY_DAYS = 30 * 86_400
_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


def check_upload(name: str, purpose: str, content: bytes) -> None:
    """A 400 for a file that the API does not take; of a batch file only the first line is read."""
    if purpose not in _PURPOSES:
        raise ApiError(400, f"'{purpose}' is not one of {_PURPOSES}.", None, "purpose")
    if purpose != "batch":
        return
    if not name.endswith(".jsonl"):
        raise ApiError(400, "Invalid file format for Batch API. Must be .jsonl")
    if len(content) > MAX_BYTES:
        raise ApiError(400, "File is too large.")
    try:
        orjson.loads(content.split(b"\n", 1)[0])
    except ValueError:
        raise ApiError(400, "Invalid file format") from None


def check_batch(asked: dict) -> int:
    """The life of the batch's result files in seconds; a 400 for what the API does not create."""
    if asked.get("endpoint") not in ENDPOINTS:
        raise ApiError(400, "Unsupported endpoint.", "invalid_value", "endpoint")
    if asked.get("completion_window") != "24h":
        raise ApiError(400, "Must be '24h'.", "invalid_value", "completion_window")
    if not isinstance(asked.get("input_file_id"), str):
        raise ApiError(400, "Missing required parameter: 'input_file_id'.", None, "input_file_id")
    metadata = asked.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise ApiError(400, "Not an object.", "invalid_type", "metadata")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ApiError(400, "Not a string.", "invalid_type", f"metadata.{key}")
        if len(key) > 64 or len(value) > 512 or len(metadata) > 16:
            raise ApiError(400, "At most 16 pairs of 64 and 512 characters.", None, "metadata")
    expires = asked.get("output_expires_after") or {}
    return lifetime(expires.get("seconds"), "output_expires_after") or THIRTY_DAYS


def validation_errors(content: bytes, endpoint: str, models: Container[str]) -> Iterator[dict]:
    """What goes into ``errors.data`` of the batch: at most one error for each bad line.

    ``models`` are those that exist.
    """
    lines = [pair for pair in enumerate(content.splitlines(), start=1) if pair[1].strip()]
    if len(lines) > MAX_REQUESTS:
        # OpenAI's own code is not documented; this is the one that Azure documents.
        yield batch_error("too_many_tasks", f"More than {MAX_REQUESTS} requests.", None, None)
    seen, model = set(), None
    for number, text in lines:
        try:
            line = orjson.loads(text)
        except ValueError:
            message = "This line is not parseable as valid JSON."
            yield batch_error("invalid_json_line", message, number, None)
            continue
        if not isinstance(line, dict):
            message = "This line is not a JSON object."
            yield batch_error("invalid_json_line", message, number, None)
            continue
        lacking = next((k for k in ("custom_id", "method", "url", "body") if not line.get(k)), None)
        if lacking:
            message = f"Missing required parameter: '{lacking}'."
            yield batch_error("missing_required_parameter", message, number, lacking)
            continue
        body = line["body"]
        if not isinstance(body, dict):
            yield batch_error("invalid_request", "Body is not an object.", number, "body")
            continue
        if not isinstance(line["custom_id"], str):
            yield batch_error("invalid_request", "Not a string.", number, "custom_id")
            continue
        if line["method"] != "POST":
            yield batch_error("invalid_request", "Must be 'POST'.", number, "method")
        elif line["custom_id"] in seen:
            message = f"The custom_id '{line['custom_id']}' stands twice in the file."
            yield batch_error("duplicate_custom_id", message, number, "custom_id")
        elif line["url"] != endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            yield batch_error("invalid_url", message, number, "url")
        elif not body.get("model"):
            yield batch_error(
                "invalid_request", "Model parameter is required.", number, "body.model"
            )
        elif body["model"] not in models:
            message = f"The provided model '{body['model']}' is not supported by the Batch API."
            yield batch_error("model_not_found", message, number, "body.model")
        elif body["model"] != (model := model or body["model"]):
            message = f"The model '{body['model']}' is not that of the first line."
            yield batch_error("mismatched_model", message, number, "body.model")
        elif body.get("stream"):
            message = "Chat Completions: Streaming is not supported in the Batch API."
            yield batch_error("streaming_unsupported", message, number, "body.stream")
        elif endpoint == "/v1/chat/completions" and not body.get("messages"):
            message = "Messages parameter is required."
            yield batch_error("invalid_request", message, number, "body.messages")
        seen.add(line["custom_id"])


def batch_error(code: str, message: str, line: int | None, param: str | None) -> dict:
    """One entry of ``errors.data``: openai/types/batch_error.py."""
    return {"code": code, "message": message, "line": line, "param": param}


def lifetime(seconds: object, param: str) -> int | None:
    """The seconds after which a file expires, or None where nothing was asked for."""
    if seconds is None:
        return None
    text = str(seconds)
    if not text.isdecimal() or not 3600 <= int(text) <= THIRTY_DAYS:
        raise ApiError(400, "Must be between 3600 and 2592000.", None, f"{param}.seconds")
    return int(text)
