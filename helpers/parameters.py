"""What is wrong with a body: in a batch it would be refused on every line, only after the wait."""

from typing import Any

_SAMPLING = {"temperature", "top_p", "top_logprobs", "logprobs"}


def unsuited(body: dict, url: str) -> list[str]:
    """What the endpoint or the model refuses in a body that names its model.

    https://developers.openai.com/api/docs/guides/deployment-checklist for sampling;
    https://qiita.com/kai_kou/items/92d3e48a0e78bfa1d853 for max_tokens.
    """
    problems = []
    messages = body.get("messages")
    if body.get("stream") is True:
        problems.append("asks for streaming, which a batch cannot do; take 'stream' out of it")
    if url == "/v1/chat/completions":
        problems += _unsuited_messages(messages)
    answer_format = body.get("response_format")
    if answer_format is not None and not _is_format(answer_format):
        problems.append("its response_format is not one of the API; make it with answer_format")
    if url == "/v1/embeddings" and not body.get("input"):
        problems.append("has no input")
    if not body["model"].startswith("gpt-6"):
        return problems
    if not _SAMPLING.isdisjoint(body) and "none" not in _efforts(body):
        (name, *_) = sorted(_SAMPLING & body.keys())
        problems.append(f"has {name}, which is refused unless the reasoning effort is 'none'")
    if messages is not None and "max_tokens" in body:
        problems.append("has max_tokens, which is refused; write max_completion_tokens")
    return problems


def _unsuited_messages(messages: Any) -> list[str]:
    """Only an assistant may say nothing: openai/types/chat/chat_completion_message_param.py."""
    if not isinstance(messages, list | tuple) or not messages:
        return ["has no messages"]
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict):
            return [f"has a message {number} that is no object"]
        content = message.get("content")
        if not isinstance(content, str | list | tuple) and message.get("role") != "assistant":
            return [f"has a message {number} without text; its content is {content!r:.40}"]
    return []


def _is_format(answer_format: Any) -> bool:
    """openai/types/chat/completion_create_params.py"""
    kind = answer_format.get("type") if isinstance(answer_format, dict) else None
    return kind in ("text", "json_object", "json_schema")


def _efforts(body: dict) -> list:
    reasoning = body.get("reasoning")
    nested = reasoning.get("effort") if isinstance(reasoning, dict) else None
    return [nested, body.get("reasoning_effort")]
