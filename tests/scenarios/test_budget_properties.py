"""A budget is never exceeded by much, whatever the rows look like and whichever come first."""

import contextlib
import json
import tempfile
from pathlib import Path

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import helpers
from helpers.checks import prompt_size
from helpers.costs import price
from support import connect, request

CALM = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
PICTURES = [
    helpers.image_part(Image.new("RGB", size)) for size in ((32, 32), (200, 100), (640, 480))
]
MOST = 40

rows = st.lists(
    st.tuples(st.integers(1, 6_000), st.lists(st.sampled_from(PICTURES), max_size=2)),
    min_size=1,
    max_size=25,
)


def asked(number, row):
    length, pictures = row
    content = [{"type": "text", "text": "x" * length}, *pictures]
    messages = [{"role": "user", "content": content}]
    return request(f"row-{number}", messages=messages, max_completion_tokens=MOST)


class Tokenizer:
    """A server whose prompts have so many tokens a byte, and its answers up to their cap."""

    def __init__(self, ratio, answer):
        self.ratio, self.answer = ratio, answer
        self.spent = 0.0
        self.batches = 0

    def usage(self, one):
        text, pictures, *_ = prompt_size(one)
        prompt = round(self.ratio * text) + pictures
        total = prompt + self.answer
        return {
            "prompt_tokens": prompt, "completion_tokens": self.answer, "total_tokens": total,
        }  # fmt: skip

    def pay(self, requests, service):
        rates = price("gpt-6-luna", service)
        for one in requests:
            used = self.usage(one)
            prompt = used["prompt_tokens"]
            # All that may be newly cached is, which costs the most.
            written = prompt if prompt >= 1_024 else 0
            self.spent += rates.of(prompt, 0, used["completion_tokens"], written)

    def __call__(self, call):
        path = call.url.path.removeprefix("/v1")
        if path.startswith("/models/"):
            return httpx2.Response(200, json={"id": "gpt-6-luna", "object": "model"})
        if path == "/chat/completions":
            one = {"url": "/v1/chat/completions", "body": json.loads(call.content)}
            self.pay([one], "standard")
            message = {"role": "assistant", "content": "fine"}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
            return httpx2.Response(
                200, json={**answer, "choices": choices, "usage": self.usage(one)}
            )
        if path == "/files":
            return httpx2.Response(200, json={"id": "file-1", "object": "file"})
        if path == "/batches" and call.method == "GET":
            return httpx2.Response(200, json={"object": "list", "data": [], "has_more": False})
        assert path == "/batches"
        self.batches += 1
        # From here on the money is gone; what comes back does not matter.
        errors = {"data": [{"code": "x", "message": "Enough.", "line": 1}]}
        batch = {"id": "batch_1", "status": "failed", "created_at": 1, "errors": errors}
        return httpx2.Response(200, json={**batch, "object": "batch", "input_file_id": "file-1"})


@CALM
@given(rows, st.floats(0.05, 1.5), st.integers(1, MOST), st.floats(0.2, 3.0), st.integers(1, 3))
def test_what_is_paid_is_at_most_a_fifth_above_the_budget(rows, ratio, answer, share, trials):
    requests = [asked(number, row) for number, row in enumerate(rows)]
    server = Tokenizer(ratio, answer)
    client = connect(httpx2.MockTransport(server), max_retries=0)
    whole = Tokenizer(ratio, answer)
    whole.pay(requests, "batch")
    budget = share * whole.spent
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(helpers.BudgetError):
        run = {"budget": budget, "try_first": trials, "say": lambda line: None}
        helpers.run(client, requests, Path(folder, "job"), **run)
    if server.batches:
        server.pay(requests, "batch")
        assert server.spent <= 1.2 * budget
