"""Parameters that a model refuses: in a batch on every line, and only after the wait."""

from collections.abc import Iterator

_SAMPLING = ("temperature", "top_p", "top_logprobs", "logprobs")


def unsuited(body: dict, model: str) -> Iterator[str]:
    """What is wrong with the parameters of a request, for the models of which it is known.

    https://developers.openai.com/api/docs/guides/deployment-checklist for sampling;
    https://qiita.com/kai_kou/items/92d3e48a0e78bfa1d853 for max_tokens.
    """
    if not model.startswith("gpt-6"):
        return
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    sampling = [name for name in _SAMPLING if name in body]
    if sampling and "none" not in (effort, body.get("reasoning_effort")):
        yield f"has {sampling[0]}, which is refused unless the reasoning effort is 'none'"
    if "messages" in body and "max_tokens" in body:
        yield "has max_tokens, which is refused; write max_completion_tokens"
