"""Batch files: checked line by line, written in shards, under a hash, and private."""

import hashlib
import json
import math
import resource
import weakref

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
