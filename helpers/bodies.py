"""What the body of a response says, whichever endpoint it came from."""

from typing import Any, NamedTuple

_STOPPED = {"max_output_tokens": "length", "content_filter": "content_filter"}


class Said(NamedTuple):
    """The answer, or why there is none.

    ``content`` is the text, for embeddings the vector (a list of them for several inputs), for
    moderations and pictures the list of results.
    ``stopped`` is ``length`` or ``content_filter`` where the answer was cut off. ``tokens`` are
    those of the prompt, those of it that were cached, and those of the answer; 0 without a usage.
    """

    content: Any
    refusal: str
    stopped: str
    tokens: tuple[int, int, int]


def read_body(body: dict) -> Said:
    """What a body says, of whatever endpoint that takes batches.

    Completions, moderations and pictures: openai/types/completion.py,
    moderation_create_response.py, images_response.py.
    """
    tokens = _tokens(as_object(body.get("usage")))
    if body.get("object") == "response":
        return _of_responses(body, tokens)
    if body.get("object") == "list":
        return Said(_vectors(body.get("data")), "", "", tokens)
    choices = body.get("choices")
    choice = as_object(choices[0]) if isinstance(choices, list) and choices else {}
    message, stopped = as_object(choice.get("message")), choice.get("finish_reason")
    if not message:
        other = choice.get("text") or body.get("results") or body.get("data")
        return Said(other, "", stopped or "", tokens)
    return Said(message.get("content"), message.get("refusal") or "", stopped or "", tokens)


def _tokens(usage: dict) -> tuple[int, int, int]:
    """Chat Completions, Completions and Embeddings say ``prompt``, all others ``input``."""
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    return (
        as_count(usage.get("prompt_tokens") or usage.get("input_tokens")),
        as_count(as_object(details).get("cached_tokens")),
        as_count(usage.get("completion_tokens") or usage.get("output_tokens")),
    )


def _of_responses(body: dict, tokens: tuple[int, int, int]) -> Said:
    """openai/types/responses/response.py: the text is in parts of messages, among other items."""
    items = body.get("output") if isinstance(body.get("output"), list) else []
    messages = [item for item in map(as_object, items) if item.get("type") == "message"]
    parts = [as_object(part) for item in messages for part in item.get("content") or []]
    texts = [part.get("text") for part in parts if part.get("type") == "output_text"]
    refusals = [part.get("refusal") for part in parts if part.get("type") == "refusal"]
    reason = as_object(body.get("incomplete_details")).get("reason")
    content = "".join(map(str, texts)) if texts else None
    return Said(content, "".join(map(str, refusals)), _STOPPED.get(str(reason), ""), tokens)


def _vectors(data: Any) -> Any:
    """openai/types/create_embedding_response.py."""
    found = [as_object(item).get("embedding") for item in data] if isinstance(data, list) else []
    return found[0] if len(found) == 1 else found or None


def as_count(value: Any) -> int:
    """The value if it is a number that can count something, else 0."""
    return value if isinstance(value, int) and value > 0 else 0


def as_object(value: Any) -> dict:
    """The value if it is a JSON object; other servers put text where the API puts objects."""
    return value if isinstance(value, dict) else {}
