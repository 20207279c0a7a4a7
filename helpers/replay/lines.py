"""The lines of batch files and of result files."""

import hashlib

import orjson


def requests_of(content: bytes | None) -> list[dict]:
    """The requests of a batch file; lines that are none were refused before, or never will run."""
    requests = []
    for line in (content or b"").splitlines():
        try:
            request = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(request, dict) and isinstance(request.get("body"), dict):
            requests.append(request)
    return requests


def result_line(batch: dict, request: dict, response: dict | None, error: dict | None) -> dict:
    """One line of an output or error file: the envelope of the Batch guide."""
    name = hashlib.sha256((batch["id"] + request["custom_id"]).encode()).hexdigest()[:24]
    if response:
        response = {
            "status_code": response["status_code"],
            "request_id": f"req_{name}",
            "body": response["body"],
        }
    return {
        "id": f"batch_req_{name}",
        "custom_id": request["custom_id"],
        "response": response,
        "error": error,
    }


def usage_of(lines: list[dict]) -> dict:
    """The usage of a batch: openai/types/batch_usage.py."""
    usages = [line["response"]["body"].get("usage") or {} for line in lines]

    def total(field: str, details: str = "") -> int:
        return sum(
            (usage.get(details) or {} if details else usage).get(field) or 0 for usage in usages
        )

    prompt, answer = total("prompt_tokens"), total("completion_tokens")
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": total("cached_tokens", "prompt_tokens_details")},
        "output_tokens": answer,
        "output_tokens_details": {
            "reasoning_tokens": total("reasoning_tokens", "completion_tokens_details")
        },
        "total_tokens": prompt + answer,
    }
