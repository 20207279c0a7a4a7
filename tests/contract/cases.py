"""The requests that the contract sends, and how a case says what it assumes."""

import pytest

# Where the assumptions come from.
FILE = "openai/types/file_object.py"
BATCH = "openai/types/batch.py"
GUIDE = "https://developers.openai.com/api/docs/guides/batch"
SEEN_ERRORS = "objects quoted in ogx-ai/ogx, tests/integration/batches/test_batches_errors.py"
SEEN_UPLOADS = "https://github.com/BerriAI/litellm/pull/37527"


def assumes(what, source):
    """Marks a case with the assumption it tries and the document that says so."""
    return pytest.mark.assumes(what=what, source=source)


def body(**more):
    return {
        "model": "MODEL",
        "messages": [{"role": "user", "content": "Answer with the word yes."}],
        "max_completion_tokens": 16,
        "reasoning_effort": "none",
        **more,
    }


def line(custom_id, body, url="/v1/chat/completions"):
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


# The second is refused by the model's endpoint, not by the validation of the file.
GOOD, BAD = body(), body(temperature=9)
ALL_LINES = [line("good", GOOD), line("bad", BAD)]

# From the second on each has a mistake of its own.
REFUSED = [
    line("first", GOOD),
    "this is no JSON",
    {"method": "POST", "url": "/v1/chat/completions", "body": GOOD},
    line("first", GOOD),
    line("elsewhere", {"model": "MODEL", "input": "yes"}, "/v1/embeddings"),
    line("other-model", {**GOOD, "model": "no-such-model-0"}),
]
