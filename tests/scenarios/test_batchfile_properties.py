"""What holds for any requests, any limits and any bytes, tried on many of them."""

import json
import math
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import BatchFileError, check, write
from helpers.batchfile import read
from helpers.checks import encode
from support import request

# A busy computer is no reason to fail.
many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def nested(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=5,
    )


integers = st.integers(min_value=-(2**63), max_value=2**64 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain = nested(st.none() | st.booleans() | integers | finite | st.text())
objects = st.dictionaries(st.text(), plain, max_size=4)
any_text = st.text(st.characters(exclude_categories=()))
anything = nested(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_text
    | st.binary()
    | st.just(pd.NA)
)
half_characters = st.characters(categories=["Cs"])
not_json = st.sampled_from([math.nan, math.inf, -math.inf, pd.NA, pd.NaT, b""]) | half_characters
wrapped = st.recursive(
    not_json,
    lambda inner: (
        st.builds(lambda before, value: [*before, value], st.lists(plain), inner)
        | st.builds(lambda key, value, rest: {**rest, key: value}, st.text(), inner, objects)
    ),
    max_leaves=5,
)


@st.composite
def jobs(draw):
    """Valid requests with limits that they can meet."""
    ids = st.text("abcXYZ019_-", min_size=1, max_size=64)
    texts = draw(st.dictionaries(ids, st.text(), min_size=1, max_size=12))
    extra = draw(plain)
    requests = [request(i, text, extra=extra) for i, text in texts.items()]
    longest = max(len(encode(r)) for r in requests)
    return requests, draw(st.integers(1, 5)), longest + draw(st.integers(0, 2 * longest))


@many
@given(jobs())
def test_shards_hold_all_requests_in_order_within_both_limits(job):
    requests, max_requests, max_bytes = job
    with tempfile.TemporaryDirectory() as folder:
        shards = write(
            iter(requests), Path(folder, "job"), max_requests=max_requests, max_bytes=max_bytes
        )
        parts = [list(read(shard.path)) for shard in shards]
        sizes = [shard.path.stat().st_size for shard in shards]
    assert [r for part in parts for r in part] == requests
    assert all(1 <= len(part) <= max_requests for part in parts)
    assert all(size <= max_bytes for size in sizes)
    assert [(s.requests, s.bytes) for s in shards] == [
        (len(part), size) for part, size in zip(parts, sizes, strict=True)
    ]


@many
@given(jobs())
def test_no_shard_had_room_for_the_first_request_of_the_next(job):
    requests, max_requests, max_bytes = job
    with tempfile.TemporaryDirectory() as folder:
        shards = write(
            requests, Path(folder, "job"), max_requests=max_requests, max_bytes=max_bytes
        )
        firsts = [len(encode(next(read(shard.path)))) for shard in shards]
    for shard, first in zip(shards[:-1], firsts[1:], strict=True):
        assert shard.requests == max_requests or shard.bytes + first > max_bytes


@many
@given(jobs())
def test_the_same_requests_are_the_same_shards(job):
    requests, max_requests, max_bytes = job
    with tempfile.TemporaryDirectory() as folder:
        first = write(requests, Path(folder, "job"), max_requests=max_requests, max_bytes=max_bytes)
        assert (
            write(requests, Path(folder, "job"), max_requests=max_requests, max_bytes=max_bytes)
            == first
        )


@many
@given(objects)
def test_plain_json_is_encoded_as_itself(value):
    line = encode(value)
    assert json.loads(line) == value
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1


@many
@given(st.dictionaries(any_text, anything, max_size=4))
def test_a_value_is_encoded_as_itself_or_refused(value):
    try:
        line = encode(value)
    except ValueError:
        return
    assert json.loads(line) == value


@many
@given(wrapped)
def test_what_json_cannot_say_is_refused_however_deep_it_stands(value):
    with pytest.raises(ValueError, match=r"is not JSON: body"):
        encode({"body": value})


def checked(content):
    """What a check of a file of these bytes says, or nothing when it refuses the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requests.jsonl")
        path.write_bytes(content)
        try:
            return check(path)["found"]
        except BatchFileError as error:
            assert error.problems
            return None


@many
@given(st.binary())
def test_a_file_of_any_bytes_is_refused_with_problems(content):
    assert checked(content) is None


words = st.sampled_from(["POST", "/v1/chat/completions", "/v1/responses", "gpt-6-luna"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | words
values = nested(scalars)
bodies = st.dictionaries(st.sampled_from(["model", "messages", "stream"]), values)
changes = st.fixed_dictionaries(
    {}, optional={"custom_id": values, "method": values, "url": values, "body": bodies | values}
)
lines = st.builds(
    lambda base, change: {**base, **change},
    st.builds(request, st.text("abc", min_size=1), st.text()) | st.just({}),
    changes | st.just({}),
)


@many
@given(st.lists(lines | values, max_size=5))
def test_a_file_of_any_json_lines_is_accepted_or_refused_with_problems(values):
    found = checked("".join(json.dumps(value) + "\n" for value in values).encode())
    assert found is None or found["requests"] == str(len(values))


@many
@given(jobs(), st.data())
def test_a_file_with_one_byte_changed_is_accepted_or_refused_with_problems(job, data):
    requests, _, _ = job
    content = bytearray(b"".join(map(encode, requests)))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    checked(bytes(content))
