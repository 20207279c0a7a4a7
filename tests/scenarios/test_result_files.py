"""Whatever stands in the result files: every row comes back once, in order, with a reason."""

import tempfile
from pathlib import Path

import httpx2
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import helpers
from support import connect, request

IDS = [f"row-{number}" for number in range(1, 7)]
CALM = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

scalars = st.none() | st.booleans() | st.integers(-9, 2**53) | st.text(max_size=8)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
completions = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(
            st.fixed_dictionaries(
                {}, optional={"message": json_values, "finish_reason": st.text(max_size=8)}
            )
            | json_values,
            max_size=2,
        ),
        "usage": json_values,
        "error": json_values,
    },
)
responses = st.fixed_dictionaries(
    {}, optional={"status_code": st.sampled_from([0, 200, 400, 429, 500]) | json_values}
).flatmap(lambda r: (completions | json_values).map(lambda body: {**r, "body": body}))
lines = st.fixed_dictionaries(
    {},
    optional={
        "custom_id": st.sampled_from(IDS) | json_values,
        "response": responses | json_values,
        "error": json_values,
    },
).map(orjson.dumps)
files = st.lists(lines | st.binary(max_size=40), max_size=12).map(b"\n".join)


def server_with(output, errors):
    """A server whose only batch is complete and has these bytes as its result files."""
    batch = {
        "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "created_at": 1,
        "input_file_id": "file-1", "completion_window": "24h", "status": "completed",
        "output_file_id": "file-2", "error_file_id": "file-3",
    }  # fmt: skip
    contents = {"/v1/files/file-2/content": output, "/v1/files/file-3/content": errors}

    def answer(asked):
        if asked.url.path in contents:
            return httpx2.Response(200, content=contents[asked.url.path])
        return httpx2.Response(200, json=batch)

    return connect(httpx2.MockTransport(answer))


@CALM
@given(files, files)
def test_any_bytes_in_the_result_files_give_every_row_once_in_order(output, errors):
    with tempfile.TemporaryDirectory() as folder:
        shards = helpers.write([request(custom_id) for custom_id in IDS], Path(folder, "job"))
        outcomes = helpers.collect(server_with(output, errors), helpers.Job(shards, ["batch_1"]))
    assert list(outcomes.index) == IDS
    assert set(outcomes["outcome"]) <= {"ok", "failed", "missing"}
    bad = outcomes[outcomes["outcome"] != "ok"]
    assert (bad["code"] != "").all()
    assert (bad["reason"] != "").all()
    assert (outcomes[["prompt_tokens", "cached_tokens", "completion_tokens"]] >= 0).all(axis=None)
