"""The rules of a batch file, and files written by them: line by line, in shards, under a hash."""

import datetime
import decimal
import hashlib
import json
import math
import resource
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import BatchFileError, RowError, batchfile, check, write
from helpers.batchfile import read
from helpers.checks import encode
from support import recorded, request


def requests(count):
    return [request(f"row-{number}") for number in range(1, count + 1)]


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def from_requests(bad, folder):
    check(iter(bad))


def from_file(bad, folder):
    path = folder / "requests.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in bad), encoding="utf-8")
    check(path)


def while_writing(bad, folder):
    write(iter(bad), folder / "job")


@pytest.fixture(params=[from_requests, from_file, while_writing], ids=lambda way: way.__name__)
def problems(request, tmp_path):
    """What is wrong with these requests, as found in all the ways to find it."""

    def find(bad):
        with pytest.raises(BatchFileError) as error:
            request.param(bad, tmp_path)
        return error.value.problems

    return find


# Requests that the API would refuse


@pytest.mark.parametrize("key", ["custom_id", "method", "url", "body"])
def test_a_request_without_a_key_is_refused(problems, key):
    bad = request("row-2")
    del bad[key]
    (problem,) = problems([request("row-1"), bad])
    assert problem.startswith("line 2")
    assert f"lacks {key}" in problem


def test_all_missing_keys_are_named_at_once(problems):
    assert problems([{"custom_id": "a"}]) == ["line 1 ('a'): lacks method, url, body"]


@pytest.mark.parametrize("custom_id", ["two words", "a/b", "é", "a\n", "x" * 65])
def test_a_strange_custom_id_is_refused_with_the_rule(problems, custom_id):
    (problem,) = problems([request(custom_id)])
    assert problem.startswith(f"line 1 ({custom_id!r})")
    assert "custom_id is not 1 to 64 of the characters A-Z a-z 0-9 _ -" in problem


@pytest.mark.parametrize(("custom_id", "kind"), [(17, "int"), (["a"], "list")])
def test_a_custom_id_that_is_no_text_is_refused_with_the_way_to_one(problems, custom_id, kind):
    (problem,) = problems([request(custom_id)])
    assert f"its custom_id is of type {kind}, not text; with_ids makes it text" in problem


@pytest.mark.parametrize("content", [None, 5, 2.5])
def test_a_message_of_the_user_without_text_is_refused(problems, content):
    messages = [{"role": "system", "content": "Sort."}, {"role": "user", "content": content}]
    (problem,) = problems([request("a", messages=messages)])
    wrong = f"body.messages[1].content is {content}; it should be a string or a list"
    assert problem == f"line 1 ('a'): {wrong}"


def test_an_answer_model_in_the_place_of_its_format_is_refused_with_the_way_to_it():
    with pytest.raises(BatchFileError, match=r"is the class Path; answer_format makes"):
        check([request("a", response_format=Path)])


def test_an_assistants_message_may_be_without_text():
    messages = [{"role": "assistant", "content": None}, {"role": "user", "content": "Go on."}]
    assert check([request("a", messages=messages)]).loc["requests", "found"] == "1"


@pytest.mark.parametrize("wrong", [{"type": "object", "properties": {}}, "json_schema"])
def test_a_bare_schema_is_no_response_format(problems, wrong):
    (problem,) = problems([request("a", response_format=wrong)])
    assert "its response_format is not one of the API; make it with answer_format" in problem


def test_a_custom_id_used_twice_is_refused_with_both_lines(problems):
    (problem,) = problems([request("a"), request("b"), request("a")])
    assert problem.startswith("line 3 ('a')")
    assert "line 1 has the same custom_id" in problem


def test_a_custom_id_used_again_far_below_is_refused_with_its_line(problems):
    asked = [request(f"row-{number}") for number in range(1, 40_001)]
    asked[39_999] = request("row-7")
    (problem,) = problems(asked)
    assert problem.startswith("line 40000 ('row-7'): one of the lines 1 to 25000 has the same c")


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_logprobs", "logprobs"])
@pytest.mark.parametrize("effort", [{}, {"reasoning_effort": "low"}])
def test_sampling_that_every_line_would_be_refused_for_is_refused_before(problems, name, effort):
    value = True if name == "logprobs" else 1
    (problem,) = problems([request(**{name: value}, **effort)])
    assert f"has {name}, which is refused unless the reasoning effort is 'none'" in problem


def test_sampling_without_reasoning_is_fine():
    check([request(temperature=0, reasoning_effort="none")])
    body = {"model": "gpt-6-luna", "input": "a", "temperature": 0, "reasoning": {"effort": "none"}}
    check([{**request(), "url": "/v1/responses", "body": body}])
    check([request(temperature=0, model="gpt-4o-mini")])


def test_the_old_name_of_the_cap_is_refused_with_the_new_one(problems):
    (problem,) = problems([request(max_tokens=10)])
    assert "write max_completion_tokens" in problem
    check([request(max_tokens=10, model="gpt-4o-mini")])


def test_another_method_than_post_is_refused(problems):
    (problem,) = problems([{**request(), "method": "GET"}])
    assert "'GET'; only POST" in problem


@pytest.mark.parametrize(
    "url", ["/v1/decisions", "/v1/chat/completions/", "https://api.openai.com/v1/responses", 5]
)
def test_an_endpoint_that_batches_do_not_have_is_refused_with_those_they_have(problems, url):
    (problem,) = problems([{**request(), "url": url}])
    assert repr(url) in problem
    assert "/v1/chat/completions, /v1/completions, /v1/embeddings" in problem


def test_a_second_endpoint_is_refused(problems):
    (problem,) = problems([request("a"), {**request("b"), "url": "/v1/responses"}])
    assert problem.startswith("line 2 ('b'): goes to /v1/responses")
    assert "make one job for each" in problem


def test_a_second_model_is_refused(problems):
    (problem,) = problems([request("a"), request("b", model="gpt-6-sol")])
    assert problem.startswith("line 2 ('b'): asks gpt-6-sol, the lines before gpt-6-luna")
    assert "make one job for each" in problem


@pytest.mark.parametrize("body", [{"messages": []}, {"model": ""}, ["gpt-6-luna"], "gpt-6-luna"])
def test_a_body_without_a_model_is_refused(problems, body):
    (problem,) = problems([{**request(), "body": body}])
    assert "its body names no model" in problem


def test_streaming_is_refused(problems):
    (problem,) = problems([request(stream=True)])
    assert "streaming" in problem
    assert "take 'stream' out" in problem


@pytest.mark.parametrize("body", [{"model": "gpt-6-luna"}, {"model": "gpt-6-luna", "messages": []}])
def test_a_chat_without_messages_is_refused(problems, body):
    (problem,) = problems([{**request(), "body": body}])
    assert "has no messages" in problem


@pytest.mark.parametrize("value, name", [([1], "list"), ("text", "str"), (5, "int")])
def test_a_line_that_is_no_object_is_refused(problems, value, name):
    assert problems([request(), value]) == [f"line 2: is a {name}, not an object"]


def test_every_problem_is_found_in_one_go_with_its_line(problems):
    bad = [request("a"), request("b c"), request("d"), request("d", stream=True), {"body": {}}]
    found = [problem.split(":")[0] for problem in problems(bad)]
    assert found == ["line 2 ('b c')", "line 4 ('d')", "line 4 ('d')", "line 5 (None)"]


def test_no_requests_at_all_are_refused(problems):
    (problem,) = problems([])
    assert "no requests" in problem


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("/v1/embeddings", "input"),
        ("/v1/moderations", "input"),
        ("/v1/responses", "input"),
        ("/v1/completions", "prompt"),
        ("/v1/images/generations", "prompt"),
        ("/v1/images/edits", "prompt"),
    ],
)
def test_other_endpoints_need_no_messages(url, key):
    body = {"model": "text-embedding-3-small", key: "hello"}
    assert check([{**request(), "url": url, "body": body}])["found"]["endpoint"] == url


def test_streaming_that_is_switched_off_is_accepted():
    assert check([request(stream=False)])["found"]["requests"] == "1"


def test_a_custom_id_of_64_characters_is_accepted():
    assert check([request("aZ0_-" + "x" * 59)])["found"]["different ids"] == "1"


# The message


def message(bad):
    with pytest.raises(BatchFileError) as error:
        check(bad)
    return str(error.value)


def test_one_problem_is_a_short_message():
    text = message([request("two words")])
    assert text.startswith("1 problem, nothing was uploaded:\n- line 1 ('two words')")


def test_ten_problems_are_all_shown():
    text = message([request("two words")] * 10)
    assert text.startswith("10 problems")
    assert text.count("\n- line ") == 10
    assert "more" not in text


def test_of_more_than_ten_problems_ten_are_shown_and_the_rest_counted():
    text = message([request("two words")] * 11)
    assert text.startswith("11 problems")
    assert "line 10 " in text
    assert "line 11 " not in text
    assert text.endswith("... and 1 more")


def test_the_error_holds_every_problem_however_many():
    with pytest.raises(BatchFileError) as error:
        check([request("two words")] * 13)
    assert len(error.value.problems) == 13


# A file to check


@pytest.fixture
def file(tmp_path):
    def with_lines(*lines):
        path = tmp_path / "requests.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return with_lines


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"\n",
        b"not json\n",
        b'{"a": NaN}\n',
        b"\xff\xfe\n",
        b"{} {}\n",
        b'{"a": "\\ud800"}\n',
    ],
)
def test_a_line_of_a_file_that_is_not_json_is_named(file, line):
    with pytest.raises(BatchFileError, match="line 2: is not JSON"):
        check(file(encode(request("a")), line, encode(request("b"))))


def test_lines_after_one_that_is_not_json_keep_their_numbers(file):
    with pytest.raises(BatchFileError, match=r"line 3 \('b c'\)"):
        check(file(encode(request("a")), b"{\n", encode(request("b c"))))


def test_a_byte_order_mark_is_refused(file):
    with pytest.raises(BatchFileError, match=r"line 1: is not JSON.*byte order mark"):
        check(file(b"\xef\xbb\xbf", encode(request())))


def test_a_file_may_end_without_a_line_break(file):
    found = check(file(encode(request("a")), encode(request("b")).rstrip()))["found"]
    assert found["requests"] == "2"


def test_a_file_may_have_line_breaks_of_windows(file):
    lines = [encode(request(name)).replace(b"\n", b"\r\n") for name in "ab"]
    assert check(file(*lines))["found"]["requests"] == "2"


def test_line_separators_inside_a_text_do_not_end_a_line(file):
    line = json.dumps(request(text="\u2028\x85\x0b"), ensure_ascii=False).encode() + b"\n"
    assert check(file(line))["found"]["requests"] == "1"


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.jsonl"):
        check(tmp_path / "missing.jsonl")


def test_a_file_and_its_requests_are_checked_to_the_same_result(tmp_path):
    (shard,) = write(recorded(), tmp_path / "job")
    pd.testing.assert_frame_equal(check(shard.path), check(recorded()))


# What a check found


def test_a_check_says_what_it_found_and_what_the_limits_are():
    found = check([request("a"), request("b", "a longer text"), request("c")])
    longest = len(encode(request("b", "a longer text")))
    assert found["found"].to_dict() == {
        "requests": "3",
        "size": "0.00 MB",
        "longest request": f"{longest} bytes",
        "different ids": "3",
        "model": "gpt-6-luna",
        "endpoint": "/v1/chat/completions",
        "batch files needed": "1",
    }
    assert found.loc["requests", "limit"] == "50,000 per batch file"
    assert found.loc["size", "limit"] == "200 MB per batch file"


def test_the_size_is_that_of_all_requests_together():
    found = check([request("a", "x" * 1_500_000), request("b", "é" * 250_000)])["found"]
    assert found["size"] == "2.00 MB"


def test_more_than_50_000_requests_need_a_second_batch_file():
    found = check(request(f"row-{number}") for number in range(50_001))["found"]
    assert (found["requests"], found["batch files needed"]) == ("50,001", "2")


# Values in a request


@pytest.mark.parametrize(
    "value, name",
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (np.float64("nan"), "nan"),
        (np.float32("nan"), "nan"),
        (b"picture", "bytes"),
        ("half \ud83d", "lone surrogate"),
        (pd.NA, "NAType"),
        (pd.NaT, "NaTType"),
        (pd.Timestamp("2026-11-01"), "Timestamp"),
        (datetime.date(2026, 11, 1), "date"),
        (datetime.datetime(2026, 11, 1), "datetime"),
        (np.datetime64("NaT"), "datetime64"),
        (datetime.timedelta(1), "timedelta"),
        (decimal.Decimal("0.1"), "Decimal"),
        ({"a", "b"}, "set"),
        (pd.Series([1]), "Series"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "nest, place",
    [
        (lambda value: value, "seed"),
        (lambda value: {"b": [0, "x", {"c": value}]}, r"seed\.b\[2\]\.c"),
        (lambda value: [[None, value], None], r"seed\[0\]\[1\]"),
        (lambda value: (1, {"é": value}), r"seed\[1\]\.é"),
    ],
    ids=["flat", "deep", "beside nulls", "in a tuple"],
)
def test_a_value_that_json_cannot_say_is_refused_with_its_place(value, name, nest, place):
    with pytest.raises(
        BatchFileError, match=rf"line 2 \('b'\): is not JSON: body\.{place} .*{name}"
    ):
        check([request("a"), request("b", seed=nest(value))])


def test_an_integer_over_64_bits_is_refused():
    with pytest.raises(BatchFileError, match=r"line 1 .*64-bit"):
        check([request(seed=2**64)])


def test_a_key_that_is_no_text_is_refused():
    with pytest.raises(BatchFileError, match=r"body.logit_bias has the key 50256; write it as"):
        check([request(logit_bias={50256: -100})])


def test_a_nan_in_an_array_is_refused_with_its_place():
    with pytest.raises(BatchFileError, match=r"body\.seed\[1\] is nan"):
        check([request(seed=np.array([1.0, math.nan]))])


def test_numpy_values_are_fine_beside_a_null():
    line = encode(request(seed=np.int64(3), n=np.array([1, 2]), stop=None))
    assert json.loads(line)["body"]["seed"] == 3


@pytest.mark.parametrize("depth", [900, 2_000])
def test_a_request_nested_too_deeply_is_refused(depth):
    value = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(BatchFileError, match="line 1"):
        check([request(seed=[value, None])])


@pytest.mark.parametrize("key", ["custom_id", "method", "url", "body"])
@pytest.mark.parametrize("value", [pd.NA, ["a"], {"a": 1}, 5, pd.Series([1])])
def test_a_key_field_of_another_type_is_refused(key, value):
    with pytest.raises(BatchFileError, match="line 2"):
        check([request("a"), request("b") | {key: value}])


@pytest.mark.parametrize("field", ["model", "messages"])
@pytest.mark.parametrize("value", [pd.NA, "", [], 5, np.array([1, 2])])
def test_a_model_or_messages_of_another_type_are_refused(field, value):
    with pytest.raises(BatchFileError, match="line 1"):
        check([request(**{field: value})])


def test_a_file_over_a_limit_is_refused(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b"".join(encode(request(f"row-{n}")) for n in range(50_001)))
    with pytest.raises(BatchFileError, match=r"requests.jsonl has 50,001 requests.*50,000"):
        check(path)


def test_a_file_without_any_json_is_reported_once_a_line(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text("id,text\n1,hello\n")
    with pytest.raises(BatchFileError, match="2 problems, nothing") as caught:
        check(str(path))
    assert len(caught.value.problems) == 2


def test_batch_files_needed_are_those_that_write_makes(tmp_path):
    requests = [request(f"row-{n}", "x" * 80_000_000) for n in range(3)]
    assert check(requests)["found"]["batch files needed"] == "2"
    assert len(write(requests, str(tmp_path / "films"))) == 2


def test_many_small_files_are_not_open_at_once(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        shards = write((request(f"row-{n}") for n in range(300)), tmp_path / "a", max_requests=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(shards) == 300


@pytest.mark.parametrize(
    "value, plain",
    [
        (np.int64(3), 3),
        (np.int8(-3), -3),
        (np.uint64(2**63), 2**63),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array([1, 2]), [1, 2]),
        (np.array([[0.5], [1.5]]), [[0.5], [1.5]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numpy_values_become_plain_ones(value, plain):
    assert json.loads(encode(request(seed=[value])))["body"]["seed"] == [plain]


@pytest.mark.parametrize("value", [None, [None], [1, None], {"a": None}, {"a": [{"b": None}]}])
def test_real_nulls_are_accepted(value):
    assert json.loads(encode(request(stop=value)))["body"]["stop"] == value


@pytest.mark.parametrize("text", ["[null,null]", '{"a":null}', "NaN", "\u2028", "日本", "😀", "\0"])
def test_any_proper_text_is_accepted(text):
    line = encode(request(text=text))
    assert json.loads(line)["body"]["messages"][0]["content"] == text
    assert line.count(b"\n") == 1


def test_nan_beside_a_real_null_is_still_found():
    with pytest.raises(ValueError, match=r"is not JSON: body\.seed is nan"):
        encode(request(stop=None, seed=math.nan))


# Batch files on disk


def test_all_requests_come_back_from_the_files_in_order(tmp_path):
    shards = write(requests(7), tmp_path / "job", max_requests=3)
    assert [line for shard in shards for line in read(shard.path)] == requests(7)


def test_files_are_split_by_count(tmp_path):
    shards = write(requests(7), tmp_path / "job", max_requests=3)
    assert [shard.requests for shard in shards] == [3, 3, 1]


def test_a_full_file_is_not_followed_by_an_empty_one(tmp_path):
    shards = write(requests(6), tmp_path / "job", max_requests=3)
    assert [shard.requests for shard in shards] == [3, 3]


def test_files_are_split_by_bytes(tmp_path):
    size = len(encode(request("row-1")))
    shards = write(requests(5), tmp_path / "job", max_bytes=2 * size)
    assert [shard.bytes for shard in shards] == [2 * size, 2 * size, size]


def test_one_byte_less_puts_each_request_in_a_file_of_its_own(tmp_path):
    size = len(encode(request("row-1")))
    shards = write(requests(3), tmp_path / "job", max_bytes=2 * size - 1)
    assert [shard.requests for shard in shards] == [1, 1, 1]


def test_bytes_are_counted_not_characters(tmp_path):
    pair = [request("a", "é" * 100), request("b", "é" * 100)]
    size = len(encode(pair[0]))
    assert len(write(pair, tmp_path / "job", max_bytes=2 * size)) == 1
    assert len(write(pair, tmp_path / "job", max_bytes=2 * size - 1)) == 2


def test_without_other_limits_a_file_takes_50_000_requests(tmp_path):
    shards = write((request(f"row-{n}") for n in range(50_001)), tmp_path / "job")
    assert [shard.requests for shard in shards] == [50_000, 1]


def test_a_shard_says_what_is_in_its_file(tmp_path):
    for shard in write(requests(5), tmp_path / "job", max_requests=2):
        content = shard.path.read_bytes()
        assert shard.sha256 == hashlib.sha256(content).hexdigest()
        assert shard.bytes == len(content)
        assert shard.requests == content.count(b"\n")
        assert (shard.model, shard.endpoint) == ("gpt-6-luna", "/v1/chat/completions")


def test_shards_carry_the_round_they_are_written_for(tmp_path):
    assert [shard.round for shard in write(requests(1), tmp_path / "job")] == [1]
    assert [shard.round for shard in write(requests(1), tmp_path / "job", round=3)] == [3]


def test_every_written_file_passes_the_check(tmp_path):
    shards = write(requests(5), tmp_path / "job", max_requests=2)
    counts = [check(shard.path)["found"]["requests"] for shard in shards]
    assert counts == ["2", "2", "1"]


def test_only_the_batch_files_are_left_in_the_folder(tmp_path):
    shards = write(requests(5), tmp_path / "job", max_requests=2)
    assert files_in(tmp_path) == sorted(shard.path for shard in shards)


def test_files_are_numbered_in_order_and_end_in_jsonl(tmp_path):
    paths = [shard.path for shard in write(requests(5), tmp_path / "job", max_requests=2)]
    assert paths == sorted(paths)
    assert {path.suffix for path in paths} == {".jsonl"}


def test_the_folder_is_named_after_its_content(tmp_path):
    (shard,) = write(requests(1), tmp_path / "job")
    name, _, digits = shard.path.parent.name.rpartition("-")
    assert name == "job"
    assert len(digits) == 16
    assert int(digits, 16) >= 0


def test_the_same_requests_give_the_same_files(tmp_path):
    first = write(requests(5), tmp_path / "job", max_requests=2)
    content = [shard.path.read_bytes() for shard in first]
    assert write(requests(5), tmp_path / "job", max_requests=2) == first
    assert [shard.path.read_bytes() for shard in first] == content


def test_writing_again_keeps_what_else_is_in_the_folder(tmp_path):
    (shard,) = write(requests(1), tmp_path / "job")
    results = shard.path.with_name("results.jsonl")
    results.write_text("paid for")
    write(requests(1), tmp_path / "job")
    assert results.read_text() == "paid for"


@pytest.mark.parametrize(
    "others",
    [requests(3), requests(2)[::-1], [request("row-1"), request("row-2", "changed")]],
    ids=["more", "reordered", "changed"],
)
def test_other_requests_get_a_folder_of_their_own(tmp_path, others):
    (first,) = write(requests(2), tmp_path / "job")
    (second,) = write(others, tmp_path / "job")
    assert first.path.parent != second.path.parent
    assert list(read(first.path)) == requests(2)


def test_another_split_gets_a_folder_of_its_own(tmp_path):
    (whole,) = write(requests(2), tmp_path / "job")
    halves = write(requests(2), tmp_path / "job", max_requests=1)
    assert {shard.path.parent for shard in halves}.isdisjoint({whole.path.parent})


def test_missing_folders_on_the_way_are_made(tmp_path):
    (shard,) = write(requests(1), tmp_path / "jobs" / "today" / "job")
    assert shard.path.parent.parent == tmp_path / "jobs" / "today"


def test_requests_are_taken_one_at_a_time(tmp_path):
    class Watched(dict):
        pass

    alive, most = weakref.WeakValueDictionary(), []

    def made():
        for number in range(20):
            most.append(len(alive))
            one = alive[number] = Watched(request(f"row-{number}"))
            yield one

    write(made(), tmp_path / "job", max_requests=5)
    assert max(most) <= 2


# When something goes wrong


def test_a_line_over_the_limit_of_a_file_is_refused_with_both_sizes(tmp_path):
    long = request("long", "x" * 2_000)
    with pytest.raises(BatchFileError) as error:
        write([request("a"), long], tmp_path / "job", max_bytes=1_500)
    assert "line 2 ('long')" in str(error.value)
    assert f"{len(encode(long)):,} bytes, over the 1,500" in str(error.value)
    assert "shorten its text" in str(error.value)


def test_a_line_that_just_fills_a_file_is_accepted(tmp_path):
    (shard,) = write([request()], tmp_path / "job", max_bytes=len(encode(request())))
    assert shard.requests == 1


@pytest.mark.parametrize(
    "bad", [[], [*requests(3), request("row-1")], [request(seed=math.nan)], requests(1) * 9]
)
def test_refused_requests_leave_nothing_behind(tmp_path, bad):
    with pytest.raises(BatchFileError):
        write(bad, tmp_path / "job", max_requests=1)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_requests_are_made_leaves_nothing_behind(tmp_path):
    def made():
        yield request("a")
        raise RowError("Row 2 is empty")

    with pytest.raises(RowError, match="Row 2 is empty"):
        write(made(), tmp_path / "job")
    assert list(tmp_path.iterdir()) == []


def test_refused_requests_leave_an_earlier_job_as_it_was(tmp_path):
    (shard,) = write(requests(2), tmp_path / "job")
    content = shard.path.read_bytes()
    with pytest.raises(BatchFileError):
        write([*requests(2), request("row-1")], tmp_path / "job")
    assert files_in(tmp_path) == [shard.path]
    assert shard.path.read_bytes() == content


def test_ids_are_read_wherever_they_stand_in_the_line(tmp_path):
    decoy = {"body": {"custom_id": "not-this"}, "custom_id": "b"}
    lines = [{"custom_id": "a"}, decoy, {"custom_id": "c", "body": {}}]
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    assert list(batchfile.ids(path)) == ["a", "b", "c"]
