"""Batch files: checked line by line, written in shards, under a hash, and private."""

import hashlib
import json
import math
import os
import pickle
import resource
import shutil
import stat
import sys
import tempfile
import time
import weakref
from pathlib import Path

import pandas as pd
import pytest

from helpers import (
    BatchFileError,
    PictureError,
    RowError,
    assemble,
    batchfile,
    check,
    image_part,
    rows,
    write,
)
from helpers.batchfile import read
from helpers.checks import encode, prompt_size
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


# Limits, names, privacy


@pytest.mark.parametrize("value", [0, -1, 50_001, 100_000, 2.5, "10", None, True, math.nan])
def test_a_number_of_requests_that_no_file_can_have_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match=r"max_requests is .*; it is a whole number from 1 to 50,"):
        write(requests(1), tmp_path / "job", max_requests=value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0, -1, 200_000_001, 1e6, "1"])
def test_a_size_that_no_file_can_have_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match=r"max_bytes is .*; it is a whole number from 1 to 200,"):
        write(requests(1), tmp_path / "job", max_bytes=value)


@pytest.mark.parametrize("value", [0, -1, 1.0, "2"])
def test_a_round_that_is_no_number_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match="round is"):
        write(requests(1), tmp_path / "job", round=value)


def test_nobody_else_can_read_what_was_written(tmp_path):
    (shard,) = write(requests(1), tmp_path / "job")
    assert stat.S_IMODE(shard.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(shard.path.parent.stat().st_mode) == 0o700


def test_nobody_else_can_read_what_is_being_written(tmp_path):
    seen = []

    def watched():
        for number in range(3):
            seen.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*"))
            yield request(f"row-{number}", "x" * 2_000_000)

    write(watched(), tmp_path / "job")
    assert {*seen} == {0o700, 0o600}


def test_a_job_begun_under_an_earlier_name_is_continued(tmp_path):
    (shard,) = write(requests(2), tmp_path / "job")
    earlier = shard.path.parent.with_name(shard.path.parent.name[: len("job-") + 8])
    shard.path.parent.rename(earlier)
    (again,) = write(requests(2), tmp_path / "job")
    assert again.path == earlier / shard.path.name
    assert again.sha256 == shard.sha256


def test_another_job_under_an_earlier_name_is_left_alone(tmp_path):
    (shard,) = write(requests(2), tmp_path / "job")
    earlier = shard.path.parent.with_name(shard.path.parent.name[: len("job-") + 8])
    shard.path.parent.rename(earlier)
    (earlier / shard.path.name).write_text("another table's")
    (again,) = write(requests(2), tmp_path / "job")
    assert again.path.parent != earlier
    assert (earlier / shard.path.name).read_text() == "another table's"


def test_what_dead_processes_left_is_cleared_away_after_a_day(tmp_path):
    old, young, at_work = (tmp_path / f".writing-{name}" for name in ("old", "young", "at-work"))
    for folder in (old, young, at_work):
        folder.mkdir()
        (folder / "requests-001.jsonl").write_text("half")
    yesterday = time.time() - 25 * 60 * 60
    for path in (old / "requests-001.jsonl", old, at_work):
        os.utime(path, (yesterday, yesterday))
    write(requests(1), tmp_path / "job")
    assert [folder.exists() for folder in (old, young, at_work)] == [False, True, True]


def test_a_name_stands_for_its_content_with_64_bits(tmp_path):
    names = {
        write([request(text=f"text {number}")], tmp_path / "job")[0].path.parent.name
        for number in range(20)
    }
    assert len(names) == 20
    assert all(len(name.removeprefix("job-")) == 16 for name in names)


# What the checks have seen


def test_a_shard_knows_caps_texts_and_pictures_of_its_rows(tmp_path):
    link = {"type": "image_url", "image_url": {"url": "https://e.com/a.png", "detail": "low"}}
    shown = [{"role": "user", "content": [{"type": "text", "text": "abc"}, link]}]
    asked = [
        request("a", "hello", max_completion_tokens=10, n=3),
        request("b", "é", max_completion_tokens=5),
        request("c", messages=shown),
    ]
    (shard,) = write(asked, tmp_path / "job")
    assert (shard.answer_tokens, shard.uncapped) == (35, 1)
    size = shard.text_bytes, shard.image_tokens, shard.links, shard.link_tokens
    assert size == (5 + 2 + 3, 0, 1, 308)
    assert shard.longest_text == 5
    sizes = [prompt_size(one) for one in asked]
    assert size == tuple(map(sum, zip(*sizes, strict=True)))


def test_each_shard_counts_its_own_rows(tmp_path):
    asked = [request(f"row-{n}", "x" * n, max_completion_tokens=n) for n in range(1, 6)]
    shards = write(asked, tmp_path / "job", max_requests=2)
    assert [shard.answer_tokens for shard in shards] == [3, 7, 5]
    assert [shard.text_bytes for shard in shards] == [3, 7, 5]
    assert [shard.uncapped for shard in shards] == [0, 0, 0]


# Rows that cannot become a request


def request_for(row):
    return request(row["id"], row["text"])


@pytest.fixture(params=["check", "write"])
def made(request, tmp_path):
    return check if request.param == "check" else lambda made: write(made, tmp_path / "job")


def test_all_empty_cells_are_named_together_with_their_rows(made):
    table = pd.DataFrame({"id": list("abcd"), "text": ["one", None, "three", " "]})
    with pytest.raises(RowError) as error:
        made(map(request_for, rows(table)))
    assert "Row 2 (id 'b'): 'text' is empty" in str(error.value)
    assert "Row 4 (id 'd'): 'text' is empty" in str(error.value)


def test_a_generator_names_the_other_empty_rows_with_the_first(made):
    table = pd.DataFrame({"id": list("abcd"), "text": ["one", None, "three", " "]})
    with pytest.raises(RowError, match=r"Row 2 .*'text' is empty, and in row 4 as well"):
        made(request_for(row) for row in rows(table))


def test_all_damaged_pictures_are_named_together_with_their_lines(made, tmp_path):
    def show(number):
        return request(f"row-{number}", messages=[image_part(tmp_path / f"{number}.png")])

    with pytest.raises(PictureError) as error:
        made(map(show, range(3)))
    assert all(f"{number}.png cannot be read" in str(error.value) for number in range(3))


def test_rows_that_fail_and_requests_that_are_wrong_are_named_with_their_lines(made):
    def some(number):
        if number == 2:
            raise RowError("Row 2: nothing there")
        return request("two words" if number == 3 else f"row-{number}")

    with pytest.raises(BatchFileError) as error:
        made(map(some, (1, 2, 3)))
    first, second = error.value.problems
    assert first == "line 2: Row 2: nothing there"
    assert second.startswith("line 3 ('two words')")


@pytest.mark.parametrize("wrong", [None, 5, 2.5])
def test_what_cannot_be_gone_through_is_refused_in_a_sentence(made, wrong):
    with pytest.raises(BatchFileError, match="requests are a list or generator of dicts, not a"):
        made(wrong)


@pytest.mark.parametrize("wrong", [{"custom_id": "a"}, pd.DataFrame({"id": ["a"]}), b"ab"])
def test_what_is_no_list_of_requests_is_refused_by_line(made, wrong):
    with pytest.raises(BatchFileError, match=r"line 1: is a \w+, not an object"):
        made(wrong)


# Folders


@pytest.mark.skipif(sys.platform != "linux", reason="another disk is looked for at /dev/shm")
def test_a_job_folder_on_another_disk_is_written_to(tmp_path):
    (first,) = write([request()], tmp_path / "job")
    home = first.path.parent
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        shutil.move(home, Path(elsewhere, "job"))
        home.symlink_to(Path(elsewhere, "job"))
        first.path.write_bytes(b"")
        (again,) = write([request()], tmp_path / "job")
        assert again == first
        assert again.path.read_bytes()


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(BatchFileError, match=r"folder .* cannot be written .*COOKBOOK_JOBS"):
        write([request()], tmp_path / "file" / "job")


# Files within a limit of tokens, and in parts


def test_files_are_split_by_tokens_of_text_and_pictures(tmp_path):
    text = [request(f"row-{n}", "a" * 400) for n in range(5)]
    size = prompt_size(text[0]).tokens
    assert 100 <= size < 120
    shards = write(text, tmp_path / "job", max_tokens=int(2 * size))
    assert [shard.requests for shard in shards] == [2, 2, 1]
    part = {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg"}}
    picture = request("picture")
    picture["body"]["messages"][0]["content"] = [part]
    shards = write([text[0], picture, text[1]], tmp_path / "job", max_tokens=300)
    assert [shard.requests for shard in shards] == [1, 1, 1]


@pytest.mark.parametrize("value", [0, -1, 1.5, "2000000", True])
def test_a_limit_of_tokens_is_a_whole_number(tmp_path, value):
    with pytest.raises(ValueError, match="max_tokens is"):
        write(requests(1), tmp_path / "job", max_tokens=value)


def test_an_empty_part_is_no_file_where_that_is_allowed(tmp_path):
    assert write([], tmp_path / "part", may_be_empty=True) == []
    assert files_in(tmp_path) == []


def parts_of(tmp_path, *, size=1):
    return [
        shard
        for at in range(0, 3 * size, size)
        for shard in write(requests(3 * size)[at : at + size], tmp_path / "parts" / f"part-{at}")
    ]


def test_parts_are_one_job_with_names_that_do_not_depend_on_their_order(tmp_path):
    parts = parts_of(tmp_path)
    shards = assemble(parts, tmp_path / "job")
    assert [line for shard in shards for line in read(shard.path)] == requests(3)
    assert {shard.path.parent.name.rpartition("-")[0] for shard in shards} == {"job"}
    assert {s.path.name for s in shards} == {f"requests-00{n}.jsonl" for n in (1, 2, 3)}
    assert assemble(parts[::-1], tmp_path / "job") == shards[::-1]
    assert all(part.path.exists() for part in parts)


def test_parts_take_no_room_twice(tmp_path):
    parts = parts_of(tmp_path)
    for part, shard in zip(parts, assemble(parts, tmp_path / "job"), strict=True):
        assert shard.path.samefile(part.path)


@pytest.mark.skipif(sys.platform != "linux", reason="another disk is looked for at /dev/shm")
def test_parts_are_copied_to_another_disk(tmp_path):
    parts = parts_of(tmp_path)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        shards = assemble(parts, Path(elsewhere, "job"))
        assert [line for shard in shards for line in read(shard.path)] == requests(3)
    assert all(part.path.exists() for part in parts)


def test_files_of_a_job_are_left_where_they_are(tmp_path):
    shards = write(requests(3), tmp_path / "job", max_requests=1)
    assert assemble(shards, tmp_path / "job") == shards


def test_a_single_part_comes_into_the_folder_of_the_job_as_well(tmp_path):
    (part,) = write(requests(3), tmp_path / "parts" / "part-1")
    (shard,) = assemble([part, part], tmp_path / "job")
    assert shard.path.parent.parent == tmp_path
    assert shard.path.samefile(part.path)


def test_a_part_that_is_gone_or_spoiled_is_named(tmp_path):
    one, two = write(requests(2), tmp_path / "one"), write([request("x")], tmp_path / "two")
    for spoil in (lambda: two[0].path.write_text("{"), two[0].path.unlink):
        spoil()
        with pytest.raises(BatchFileError, match=r"two-\w+/requests-001.jsonl cannot be read"):
            assemble([*one, *two], tmp_path / "job")
    with pytest.raises(BatchFileError, match=r"two-\w+/requests-001.jsonl cannot be read"):
        assemble(two, tmp_path / "job")


def test_an_error_comes_back_whole_from_another_process():
    with pytest.raises(BatchFileError) as caught:
        check([{"custom_id": "a"}])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


def test_an_id_in_two_parts_is_refused_with_the_parts_name(tmp_path):
    one, two = write(requests(2), tmp_path / "one"), write(requests(1), tmp_path / "two")
    with pytest.raises(
        BatchFileError, match=r"the id 'row-1' .* once in two-\w+/requests-001.jsonl"
    ):
        assemble([*one, *two], tmp_path / "job")


def test_parts_with_different_models_are_refused(tmp_path):
    one = write([request("a")], tmp_path / "one")
    two = write([request("b", model="gpt-6.2-sol")], tmp_path / "two")
    with pytest.raises(BatchFileError, match=r"two-\w+/requests-001.jsonl asks gpt-6.2-sol at"):
        assemble([*one, *two], tmp_path / "job")


def test_parts_that_are_all_empty_are_refused(tmp_path):
    with pytest.raises(BatchFileError, match="are all parts empty"):
        assemble([], tmp_path / "job")
