"""The replay is a faithful Batch API: what goes in over HTTP, what comes out, and when."""

import itertools
import json
import time

import httpx2
import openai
import pytest

from helpers.replay import create_app
from helpers.replay.clients import replay_client
from support import RECORDED, recorded, request

FINAL = {"completed", "failed", "expired", "cancelled"}
FAILS_ONCE = "apollo-13-1995"
FIVE = [line for line in recorded() if line["custom_id"] != FAILS_ONCE][:5]
IDS = [line["custom_id"] for line in FIVE]
ANSWERS = {line["custom_id"]: line["answers"][-1]["body"] for line in RECORDED}


def encode(*lines):
    return b"".join(x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in lines)


def upload(client, *lines, name="requests.jsonl", purpose="batch", **options):
    return client.files.create(file=(name, encode(*lines)), purpose=purpose, **options)


def create(client, *lines, **options):
    asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h", **options}
    if "input_file_id" not in asked:
        asked["input_file_id"] = upload(client, *lines).id
    return client.batches.create(**asked)


def walk(client, batch, until=FINAL):
    """The batch as created and at every look, up to a status."""
    looks = [batch]
    while looks[-1].status not in until:
        assert len(looks) < 20, f"the batch stays {looks[-1].status}"
        looks.append(client.batches.retrieve(batch.id))
    return looks


def finish(client, *lines, **options):
    return walk(client, create(client, *lines, **options))[-1]


def lines_of(client, file_id):
    return [json.loads(line) for line in client.files.content(file_id).content.splitlines()]


def ids_of(client, file_id):
    return [line["custom_id"] for line in lines_of(client, file_id)]


def counts(batch):
    return batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed


def without(key, line):
    return {name: value for name, value in line.items() if name != key}


def ticking(begin=1_000_000):
    """A clock by which a minute passes every time somebody looks at it."""
    return itertools.count(begin, 60).__next__


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A client for tests that do not depend on what was asked before; they share its server."""
    return replay_client(tmp_path_factory.mktemp("server") / "replay.sqlite", clock=ticking())


@pytest.fixture
def client(tmp_path):
    return replay_client(tmp_path / "replay.sqlite", clock=ticking())


@pytest.fixture(scope="module")
def looks(server):
    """Every look at a batch of five lines that succeed and two that fail."""
    return walk(server, create(server, *FIVE, request("bad-1"), request("bad-2", "bye")))


@pytest.fixture(scope="module")
def batch(looks):
    return looks[-1]


# Uploads


def test_an_uploaded_batch_file_is_described_and_kept_for_thirty_days(server):
    file = upload(server, *FIVE)
    assert (file.filename, file.purpose, file.status) == ("requests.jsonl", "batch", "processed")
    assert file.bytes == len(encode(*FIVE))
    assert file.expires_at - file.created_at == 30 * 86_400


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("requests.json", encode(request()), "Invalid file format for Batch API. Must be .jsonl"),
        ("requests", encode(request()), "Must be .jsonl"),
        ("requests.jsonl", b"", "Invalid file format"),
        ("requests.jsonl", b"id,text\n1,hello\n", "Invalid file format"),
        ("requests.jsonl", b"\n" + encode(request()), "Invalid file format"),
    ],
    ids=["json", "no extension", "empty", "csv", "empty first line"],
)
def test_an_upload_that_is_no_batch_file_is_refused(server, name, content, message):
    before = server.files.list().data
    with pytest.raises(openai.BadRequestError) as caught:
        upload(server, content, name=name)
    assert message in caught.value.body["message"]
    assert (caught.value.type, caught.value.code) == ("invalid_request_error", None)
    assert server.files.list().data == before


def test_a_batch_file_over_200_mb_is_refused(server):
    with pytest.raises(openai.BadRequestError, match=r"File is too large\."):
        upload(server, encode(request()), bytes(200_000_000))


def test_a_bad_later_line_is_accepted_at_upload(server):
    assert upload(server, request(), b"not json\n").status == "processed"


def test_a_file_of_another_purpose_is_not_checked_and_does_not_expire(server):
    file = upload(server, b"text", name="notes.txt", purpose="user_data")
    assert (file.purpose, file.expires_at) == ("user_data", None)


def test_an_upload_without_purpose_names_the_parameter(server):
    with pytest.raises(openai.BadRequestError, match="Missing required parameter: 'purpose'"):
        upload(server, *FIVE, purpose="")


@pytest.mark.parametrize("seconds", [3_600, 2_592_000])
def test_an_upload_expires_when_it_was_asked_to(server, seconds):
    file = upload(server, *FIVE, expires_after={"anchor": "created_at", "seconds": seconds})
    assert file.expires_at - file.created_at == seconds


@pytest.mark.parametrize("seconds", [0, 3_599, 2_592_001])
def test_an_upload_that_expires_too_soon_or_too_late_is_refused(server, seconds):
    with pytest.raises(openai.BadRequestError, match="between 3600 and 2592000") as caught:
        upload(server, *FIVE, expires_after={"anchor": "created_at", "seconds": seconds})
    assert caught.value.param == "expires_after.seconds"


# Files


def test_an_uploaded_file_comes_back_byte_for_byte(client):
    file = upload(client, *FIVE)
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).content == encode(*FIVE)


def test_files_are_listed_newest_first_and_by_purpose(client):
    old, new = upload(client, request("a")), upload(client, request("b"))
    note = upload(client, b"text", name="notes.txt", purpose="user_data")
    assert [file.id for file in client.files.list()] == [note.id, new.id, old.id]
    assert [file.id for file in client.files.list(purpose="batch")] == [new.id, old.id]


def test_files_are_listed_oldest_first_where_asked(client):
    files = [upload(client, *FIVE).id for _ in range(3)]
    assert [file.id for file in client.files.list(order="asc", limit=2)] == files


def test_a_list_of_files_goes_on_over_its_pages(client):
    files = [upload(client, request(f"row-{number}")).id for number in range(5)]
    assert len(client.files.list(limit=2).data) == 2
    assert [file.id for file in client.files.list(limit=2)] == files[::-1]


def test_a_deleted_file_is_gone(client):
    kept, file = upload(client, request("a")), upload(client, request("b"))
    assert client.files.delete(file.id).deleted
    assert [file.id for file in client.files.list()] == [kept.id]
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match=file.id):
            call(file.id)


def test_the_id_of_a_deleted_file_is_not_given_again(client):
    file = upload(client, *FIVE)
    client.files.delete(file.id)
    assert upload(client, *FIVE).id != file.id


# Creation


@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ({"endpoint": "/v1/decisions"}, "invalid_value", "endpoint"),
        ({"endpoint": "/chat/completions"}, "invalid_value", "endpoint"),
        ({"completion_window": "1h"}, "invalid_value", "completion_window"),
        ({"input_file_id": None}, None, "input_file_id"),
        ({"metadata": {"tags": ["a"]}}, "invalid_type", "metadata.tags"),
        ({"metadata": {"round": 1}}, "invalid_type", "metadata.round"),
        ({"metadata": {"k" * 65: "v"}}, None, "metadata"),
        ({"metadata": {"k": "v" * 513}}, None, "metadata"),
        ({"metadata": {f"k{number}": "v" for number in range(17)}}, None, "metadata"),
    ],
)
def test_a_batch_that_is_asked_for_wrongly_is_refused_with_the_parameter(
    server, options, code, param
):
    before = server.batches.list().data
    with pytest.raises(openai.BadRequestError) as caught:
        create(server, *FIVE, **options)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert server.batches.list().data == before


@pytest.mark.parametrize("metadata", [None, {}, {f"{n:064}": "v" * 512 for n in range(16)}])
def test_metadata_up_to_its_limits_comes_back(server, metadata):
    batch = create(server, *FIVE, metadata=metadata)
    assert server.batches.retrieve(batch.id).metadata == metadata


def test_a_new_batch_is_validating_with_nothing_counted(server):
    batch = create(server, *FIVE)
    assert (batch.status, counts(batch)) == ("validating", (0, 0, 0))
    assert (batch.output_file_id, batch.error_file_id, batch.errors) == (None, None, None)


def test_a_missing_input_file_fails_late_and_not_at_create(server):
    batch = finish(server, input_file_id="file-nowhere")
    (error,) = batch.errors.data
    assert batch.status == "failed"
    assert (error.code, error.line, error.param) == ("invalid_request", None, "file_id")
    assert error.message.startswith("Cannot find file file-nowhere")


def test_an_input_file_that_was_deleted_counts_as_missing(server):
    file = upload(server, *FIVE)
    server.files.delete(file.id)
    assert finish(server, input_file_id=file.id).errors.data[0].param == "file_id"


# Validation

LUNA = request("good")


@pytest.mark.parametrize(
    ("bad", "code", "param", "message"),
    [
        (b"not json\n", "invalid_json_line", None, "not parseable as valid JSON"),
        (b'{"custom_id": NaN}\n', "invalid_json_line", None, "not parseable as valid JSON"),
        *(
            (without(key, LUNA), "missing_required_parameter", key, f"parameter: '{key}'.")
            for key in ("custom_id", "method", "url", "body")
        ),
        (LUNA, "duplicate_custom_id", "custom_id", "good"),
        (
            request() | {"url": "/v1/embeddings"},
            "invalid_url",
            "url",
            "The URL provided for this request does not match the batch endpoint.",
        ),
        (
            request() | {"body": without("model", LUNA["body"])},
            "invalid_request",
            "body.model",
            "Model parameter is required.",
        ),
        (
            request() | {"body": without("messages", LUNA["body"])},
            "invalid_request",
            "body.messages",
            "Messages parameter is required.",
        ),
        (request(model="gpt-6-sol"), "mismatched_model", "body.model", "gpt-6-sol"),
        (
            request(stream=True),
            "streaming_unsupported",
            "body.stream",
            "Streaming is not supported in the Batch API.",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_code_line_and_parameter(server, bad, code, param, message):
    (error,) = finish(server, LUNA, bad).errors.data
    assert (error.code, error.line, error.param) == (code, 2, param)
    assert message in error.message


def test_a_model_that_the_api_does_not_serve_fails_the_batch(server):
    (error,) = finish(server, request(model="gpt-7-imaginary")).errors.data
    assert (error.code, error.line, error.param) == ("model_not_found", 1, "body.model")
    assert "'gpt-7-imaginary' is not supported by the Batch API" in error.message


def test_more_than_50000_requests_fail_the_batch(server):
    body = LUNA["body"]
    lines = [{**LUNA, "custom_id": str(number), "body": body} for number in range(50_001)]
    (error,) = finish(server, *lines).errors.data
    assert (error.line, "50000" in error.message.replace(",", "")) == (None, True)


@pytest.mark.parametrize("bad", [b"[1]\n", b'"text"\n', request() | {"body": "text"}])
def test_a_line_that_is_valid_json_of_the_wrong_form_fails_the_batch(server, bad):
    (error,) = finish(server, LUNA, bad).errors.data
    assert error.line == 2


def test_one_bad_line_fails_the_whole_batch(server):
    batch = finish(server, *FIVE, b"not json\n")
    assert (batch.status, counts(batch)) == ("failed", (0, 0, 0))
    assert (batch.output_file_id, batch.error_file_id) == (None, None)
    assert (batch.in_progress_at, batch.usage) == (None, None)
    assert batch.failed_at > batch.created_at


def test_every_bad_line_is_reported_once(server):
    other = [request(f"row-{number}", model="gpt-6-sol", stream=True) for number in (4, 5)]
    errors = finish(server, LUNA, b"not json\n", b"[1]\n", *other).errors
    assert errors.object == "list"
    assert [(error.line, error.code) for error in errors.data] == [
        (2, "invalid_json_line"),
        (3, "invalid_json_line"),
        (4, "mismatched_model"),
        (5, "mismatched_model"),
    ]


def test_the_values_of_a_body_are_not_validated(server):
    batch = finish(server, request(temperature="hot", max_completion_tokens=-1))
    assert (batch.status, batch.errors, counts(batch)) == ("completed", None, (1, 0, 1))


# The walk of a batch


def test_a_batch_walks_from_validating_to_completed(looks):
    assert list(dict.fromkeys(batch.status for batch in looks)) == [
        "validating", "in_progress", "finalizing", "completed",
    ]  # fmt: skip


def test_the_times_of_a_completed_batch_ascend(batch):
    times = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at]
    assert times == sorted(set(times))
    assert (batch.failed_at, batch.expired_at, batch.cancelled_at) == (None, None, None)


def test_a_time_is_set_when_its_status_begins_and_not_before(looks):
    for batch in looks[1:]:
        names = ["in_progress_at", "finalizing_at", "completed_at"]
        reached = names[: names.index(f"{batch.status}_at") + 1]
        assert [name for name in names if getattr(batch, name) is not None] == reached


def test_a_batch_expires_one_day_after_its_creation(looks):
    assert {batch.expires_at - batch.created_at for batch in looks} == {86_400}


def test_a_final_batch_does_not_change_any_more(client):
    batch = finish(client, *FIVE, request())
    files = client.files.list().data
    assert client.batches.retrieve(batch.id) == batch
    assert client.files.list().data == files


def test_a_running_batch_shows_no_result_file_and_how_far_it_is(looks):
    running = looks[1:-1]
    assert {(batch.output_file_id, batch.error_file_id) for batch in running} == {(None, None)}
    done = [batch.request_counts.completed for batch in running]
    assert done == sorted(done)
    assert 0 < done[-1] <= 5
    assert {batch.request_counts.total for batch in running} == {7}


def test_the_server_asks_for_a_short_pause_between_two_looks(server, batch):
    answer = server.batches.with_raw_response.retrieve(batch.id)
    assert 0 < float(answer.headers["openai-poll-after-ms"]) <= 100


# Time


@pytest.fixture
def hands(tmp_path):
    """A clock that the test turns, and a server by it whose batches run for 15 seconds."""
    hands = [1_000_000.0]
    client = replay_client(tmp_path / "slow.sqlite", seconds=15, clock=lambda: hands[0])
    return hands, client


def test_a_batch_of_15_seconds_shows_its_progress_and_takes_15_seconds(hands):
    hands, client = hands
    batch = walk(client, create(client, *recorded()[:30]), {"in_progress"})[-1]
    done = []
    for _ in range(16):
        batch = client.batches.retrieve(batch.id)
        done.append((batch.status, batch.request_counts.completed + batch.request_counts.failed))
        hands[0] += 1
    assert done[:15] == [("in_progress", 2 * second) for second in range(15)]
    assert done[15] == ("finalizing", 30)
    assert client.batches.retrieve(batch.id).status == "completed"


def test_a_batch_of_15_seconds_goes_on_in_a_new_server(hands, tmp_path):
    hands, client = hands
    batch = walk(client, create(client, *recorded()[:30]), {"in_progress"})[-1]
    client.batches.retrieve(batch.id)
    hands[0] += 14
    again = replay_client(tmp_path / "slow.sqlite", seconds=15, clock=lambda: hands[0])
    assert counts(again.batches.retrieve(batch.id))[0] == 30
    assert again.batches.retrieve(batch.id).request_counts.completed >= 25
    hands[0] += 1
    assert walk(again, batch)[-1].status == "completed"


def test_a_batch_of_15_seconds_can_be_cancelled_and_keeps_what_it_has(hands):
    hands, client = hands
    batch = walk(client, create(client, *FIVE), {"in_progress"})[-1]
    client.batches.retrieve(batch.id)
    hands[0] += 8
    client.batches.retrieve(batch.id)
    batch = walk(client, client.batches.cancel(batch.id))[-1]
    assert (batch.status, counts(batch)) == ("cancelled", (5, 2, 0))
    assert len(ids_of(client, batch.output_file_id)) == 2


def test_nothing_that_a_new_batch_shows_lies_in_the_past(tmp_path):
    begun = int(time.time())
    client = replay_client(tmp_path / "replay.sqlite")
    batch = finish(client, *FIVE)
    assert begun <= batch.created_at <= batch.in_progress_at <= batch.completed_at <= time.time()
    assert batch.expires_at == batch.created_at + 86_400


# Results


def test_every_output_line_holds_the_answer_to_its_request(server, batch):
    lines = lines_of(server, batch.output_file_id)
    assert {line["custom_id"]: line["response"]["body"] for line in lines} == {
        custom_id: ANSWERS[custom_id] for custom_id in IDS
    }


def test_output_and_error_lines_have_the_envelope_of_the_guide(server, batch):
    for file_id, status in ((batch.output_file_id, 200), (batch.error_file_id, 404)):
        for line in lines_of(server, file_id):
            assert list(line) == ["id", "custom_id", "response", "error"]
            assert list(line["response"]) == ["status_code", "request_id", "body"]
            assert line["id"].startswith("batch_req_")
            assert line["response"]["request_id"].startswith("req_")
            assert (line["response"]["status_code"], line["error"]) == (status, None)


def test_the_ids_of_output_lines_are_unique_over_batches(client):
    batches = [finish(client, *FIVE), finish(client, *FIVE)]
    lines = [line for batch in batches for line in lines_of(client, batch.output_file_id)]
    assert len({line["id"] for line in lines}) == len(lines) == 10


def test_output_lines_come_in_another_order_than_the_input(server, batch):
    order = ids_of(server, batch.output_file_id)
    assert order != IDS
    assert sorted(order) == sorted(IDS)


def test_failed_lines_stand_in_a_file_of_their_own(server, batch):
    assert sorted(ids_of(server, batch.error_file_id)) == ["bad-1", "bad-2"]
    assert batch.error_file_id != batch.output_file_id


def test_a_failed_line_gives_its_reason_in_the_body_of_the_response(server, batch):
    for line in lines_of(server, batch.error_file_id):
        error = line["response"]["body"]["error"]
        assert list(error) == ["message", "type", "param", "code"]
        assert error["code"] == "not_recorded"


def test_a_batch_without_failed_lines_has_no_error_file(server):
    batch = finish(server, *FIVE)
    assert (batch.status, batch.error_file_id) == ("completed", None)


def test_a_batch_whose_lines_all_fail_is_completed_without_an_output_file(server):
    batch = finish(server, request("a"), request("b"))
    assert (batch.status, batch.output_file_id, batch.errors) == ("completed", None, None)
    assert sorted(ids_of(server, batch.error_file_id)) == ["a", "b"]
    assert counts(batch) == (2, 0, 2)


def test_request_counts_tell_successes_from_failures(batch):
    assert counts(batch) == (7, 5, 2)


def test_usage_is_the_sum_over_the_output_lines(server, batch):
    lines = lines_of(server, batch.output_file_id)
    usages = [line["response"]["body"]["usage"] for line in lines]
    assert batch.usage.input_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert batch.usage.output_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert batch.usage.total_tokens == sum(usage["total_tokens"] for usage in usages) > 0


def test_a_completed_batch_names_its_model(batch):
    assert batch.model == "gpt-6-luna"


def test_result_files_are_files_of_the_account_for_thirty_days(server, batch):
    files = [server.files.retrieve(id) for id in (batch.output_file_id, batch.error_file_id)]
    assert {(file.purpose, file.expires_at - file.created_at) for file in files} == {
        ("batch_output", 30 * 86_400)
    }
    assert [file.bytes for file in files] == [
        len(server.files.content(file.id).content) for file in files
    ]


# Failures that a second try mends


def test_a_request_recorded_with_a_failure_first_succeeds_in_the_second_batch(client):
    line = recorded(FAILS_ONCE)
    first, second = finish(client, *line), finish(client, *line)
    assert (counts(first), counts(second)) == ((1, 0, 1), (1, 1, 0))
    assert lines_of(client, first.error_file_id)[0]["response"]["status_code"] == 500


def test_a_request_made_by_hand_does_not_use_up_its_recorded_failure(client):
    (line,) = recorded(FAILS_ONCE)
    assert client.chat.completions.create(**line["body"]).id == ANSWERS[FAILS_ONCE]["id"]
    assert counts(finish(client, line)) == (1, 0, 1)


# Expiry


@pytest.fixture(scope="module")
def expiring(tmp_path_factory):
    state = tmp_path_factory.mktemp("expiring") / "replay.sqlite"
    return replay_client(state, expire_after=2, clock=ticking())


@pytest.fixture(scope="module")
def expired(expiring):
    return finish(expiring, *FIVE)


def test_an_expired_batch_keeps_its_finished_lines(expiring, expired):
    finished = lines_of(expiring, expired.output_file_id)
    unfinished = lines_of(expiring, expired.error_file_id)
    assert (expired.status, len(finished), len(unfinished)) == ("expired", 2, 3)
    assert sorted(line["custom_id"] for line in finished + unfinished) == sorted(IDS)
    assert {line["response"]["status_code"] for line in finished} == {200}


def test_the_unfinished_lines_of_an_expired_batch_say_so(expiring, expired):
    for line in lines_of(expiring, expired.error_file_id):
        assert (line["response"], line["error"]["code"]) == (None, "batch_expired")
        assert "before the completion window expired" in line["error"]["message"]


def test_expired_lines_are_not_counted_as_failed(expired):
    assert counts(expired) == (5, 2, 0)


def test_lines_that_failed_before_the_expiry_are_counted_as_failed(expiring):
    batch = finish(expiring, request("a"), request("b"), request("c"))
    assert (counts(batch), batch.output_file_id) == ((3, 0, 2), None)
    codes = [(line["error"] or {}).get("code") for line in lines_of(expiring, batch.error_file_id)]
    assert sorted(codes, key=str) == [None, None, "batch_expired"]


def test_an_expired_batch_is_billed_for_its_finished_lines_only(expiring, expired):
    bodies = [line["response"]["body"] for line in lines_of(expiring, expired.output_file_id)]
    assert expired.usage.total_tokens == sum(body["usage"]["total_tokens"] for body in bodies) > 0


def test_an_expired_batch_carries_the_time_of_its_expiry(expired):
    assert expired.expired_at > expired.in_progress_at
    assert expired.completed_at is None


def test_an_expired_line_was_not_tried(tmp_path):
    state, line = tmp_path / "replay.sqlite", recorded(FAILS_ONCE)
    assert finish(replay_client(state, expire_after=0), *line).status == "expired"
    assert counts(finish(replay_client(state), *line)) == (1, 0, 1)


# Cancellation


def cancelled(client, *lines):
    """A batch that was cancelled while part of its lines were done."""
    batch = create(client, *lines)
    while client.batches.retrieve(batch.id).request_counts.completed == 0:
        pass
    return walk(client, client.batches.cancel(batch.id))


def test_a_cancelled_batch_is_cancelling_first(client):
    assert [batch.status for batch in cancelled(client, *FIVE)] == ["cancelling", "cancelled"]


def test_a_cancelled_batch_keeps_its_finished_lines(client):
    batch = cancelled(client, *FIVE)[-1]
    finished = ids_of(client, batch.output_file_id)
    assert counts(batch) == (5, len(finished), 0)
    assert 0 < len(finished) < 5
    assert set(finished) < set(IDS)


def test_a_cancelled_batch_is_billed_for_its_finished_lines_only(client):
    batch = cancelled(client, *FIVE)[-1]
    bodies = [line["response"]["body"] for line in lines_of(client, batch.output_file_id)]
    assert batch.usage.total_tokens == sum(body["usage"]["total_tokens"] for body in bodies) > 0


def test_a_cancelled_batch_carries_the_times_of_both_steps(client):
    cancelling, last = cancelled(client, *FIVE)
    assert (cancelling.cancelled_at, last.completed_at) == (None, None)
    assert last.in_progress_at < last.cancelling_at <= last.cancelled_at


def test_a_batch_that_is_cancelled_at_once_has_run_nothing(client):
    batch = walk(client, client.batches.cancel(create(client, *FIVE).id))[-1]
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("cancelled", None, None)
    assert batch.request_counts.completed == batch.request_counts.failed == 0


@pytest.mark.parametrize(
    ("options", "status"),
    [({}, "completed"), ({"queue_tokens": 1}, "failed"), ({"expire_after": 1}, "expired")],
)
def test_a_final_batch_cannot_be_cancelled(tmp_path, options, status):
    client = replay_client(tmp_path / "replay.sqlite", **options).with_options(max_retries=0)
    batch = finish(client, *FIVE)
    message = f"Cannot cancel a batch with status '{status}'"
    with pytest.raises(openai.ConflictError, match=message):
        client.batches.cancel(batch.id)
    assert client.batches.retrieve(batch.id) == batch


def test_a_cancelled_batch_may_be_cancelled_again(client):
    batch = cancelled(client, *FIVE)[-1]
    assert client.batches.cancel(batch.id) == batch


# The queue


def test_a_full_queue_fails_the_batch_after_create_and_not_at_create(tmp_path):
    client = replay_client(tmp_path / "replay.sqlite", queue_tokens=1_000)
    batch = create(client, *FIVE)
    assert (batch.status, batch.errors) == ("validating", None)
    batch = client.batches.retrieve(batch.id)
    (error,) = batch.errors.data
    assert batch.status == "failed"
    assert (error.code, error.line, error.param) == ("token_limit_exceeded", None, None)
    assert "Enqueued token limit reached for gpt-6-luna in organization" in error.message
    assert "Limit: 1,000 enqueued tokens." in error.message


def test_the_queue_has_room_again_when_a_batch_has_ended(tmp_path):
    client = replay_client(tmp_path / "replay.sqlite", queue_tokens=2_000)
    running = create(client, *FIVE)
    assert client.batches.retrieve(running.id).status == "in_progress"
    assert finish(client, *FIVE).errors.data[0].code == "token_limit_exceeded"
    assert walk(client, running)[-1].status == "completed"
    assert finish(client, *FIVE).status == "completed"


# Lists of batches


def test_batches_are_listed_newest_first_over_all_pages(client):
    batches = [create(client, *FIVE).id for _ in range(5)]
    assert [batch.id for batch in client.batches.list(limit=2)] == batches[::-1]


def test_a_page_of_batches_says_whether_there_are_more(client):
    for _ in range(3):
        create(client, *FIVE)
    page = client.batches.list(limit=2)
    assert (len(page.data), page.has_more) == (2, True)
    assert (len(page.get_next_page().data), page.get_next_page().has_more) == (1, False)


def test_a_page_holds_twenty_batches_unless_told(client):
    file = upload(client, *FIVE)
    for _ in range(21):
        create(client, input_file_id=file.id)
    assert len(client.batches.list().data) == 20
    assert len(list(client.batches.list())) == 21


def test_time_moves_on_for_whoever_only_lists(client):
    ids = {create(client, *FIVE).id for _ in range(3)}
    pages = [list(client.batches.list()) for _ in range(4)]
    assert {batch.id for page in pages for batch in page} == ids
    assert [{batch.status for batch in page} for page in pages] == [
        {"in_progress"}, {"in_progress"}, {"finalizing"}, {"completed"},
    ]  # fmt: skip
    assert all(ids_of(client, batch.output_file_id) for batch in pages[-1])


def test_only_the_batches_of_the_page_move_on(client):
    for _ in range(2):
        create(client, *FIVE)
    for _ in range(3):
        client.batches.list(limit=1)
    assert [batch.status for batch in client.batches.list().data] == ["completed", "in_progress"]


def test_the_list_asks_for_the_same_pause_as_a_look_at_a_batch(server, batch):
    pauses = [
        call.headers["openai-poll-after-ms"]
        for call in (
            server.batches.with_raw_response.list(),
            server.batches.with_raw_response.retrieve(batch.id),
        )
    ]
    assert pauses[0] == pauses[1]


def test_a_listed_batch_is_as_it_was_last_seen(client):
    batch = finish(client, *FIVE, metadata={"round": "1"})
    assert client.batches.list().data == [batch]


# Models


def test_a_model_tells_when_it_shuts_down(server):
    assert server.models.retrieve("gpt-4-turbo").shutdown_date == "2026-10-23"
    assert server.models.retrieve("gpt-6-luna").shutdown_date is None


def test_a_listed_model_is_the_one_that_is_retrieved(server):
    models = server.models.list().data
    assert len({model.id for model in models}) == len(models) > 0
    assert [server.models.retrieve(model.id) for model in models] == models


# Errors in the API's envelope


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.files.retrieve("nothing-has-this-id"),
        lambda client: client.files.content("nothing-has-this-id"),
        lambda client: client.files.delete("nothing-has-this-id"),
        lambda client: client.batches.retrieve("nothing-has-this-id"),
        lambda client: client.batches.cancel("nothing-has-this-id"),
        lambda client: client.models.retrieve("nothing-has-this-id"),
    ],
)
def test_an_unknown_id_is_not_found(server, call):
    with pytest.raises(openai.NotFoundError, match="nothing-has-this-id") as caught:
        call(server)
    assert caught.value.type == "invalid_request_error"


@pytest.fixture
def http(tmp_path):
    transport = httpx2.WSGITransport(app=create_app(tmp_path / "replay.sqlite"))
    with httpx2.Client(transport=transport, base_url="http://replay.invalid") as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing-here", 404),
        ("POST", "/v1/nothing-here", 404),
        ("GET", "/", 404),
        ("PUT", "/v1/files", 405),
        ("GET", "/v1/chat/completions", 405),
    ],
)
def test_an_unknown_route_is_an_error_in_the_envelope_of_the_api(http, method, path, status):
    answer = http.request(method, path, headers={"Authorization": "Bearer key"})
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    error = answer.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["message"].startswith(f"{method} {path}: ")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic key"}])
@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches", "/v1/models"])
def test_a_call_without_a_key_is_unauthorized(http, headers, path):
    answer = http.get(path, headers=headers)
    assert answer.status_code == 401
    assert "API key" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/chat/completions"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_a_body_that_is_no_json_object_is_a_bad_request(http, path, content):
    answer = http.post(path, content=content, headers={"Authorization": "Bearer key"})
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]["message"]


# Memory


def test_a_batch_goes_on_in_a_new_server_on_the_same_file(tmp_path):
    state = tmp_path / "replay.sqlite"
    seen = walk(replay_client(state), create(replay_client(state), *FIVE), {"finalizing"})
    batch = replay_client(state).batches.retrieve(seen[-1].id)
    assert batch.status == "completed"
    assert sorted(ids_of(replay_client(state), batch.output_file_id)) == sorted(IDS)
    assert replay_client(state).batches.list().data == [batch]


def test_a_recorded_failure_is_remembered_by_a_new_server_on_the_same_file(tmp_path):
    line = recorded(FAILS_ONCE)
    batches = [finish(replay_client(tmp_path / "replay.sqlite"), *line) for _ in range(2)]
    assert [counts(batch) for batch in batches] == [(1, 0, 1), (1, 1, 0)]


def history(state):
    """Everything that a new server answers to the same calls."""
    client = replay_client(state, clock=ticking())
    batch = finish(client, *FIVE, request(), metadata={"round": "1"})
    again = finish(client, input_file_id=batch.input_file_id)
    files = client.files.list().data
    return batch, again, files, [client.files.content(file.id).content for file in files]


def test_the_same_history_gives_the_same_ids_times_and_bytes_on_a_second_server(tmp_path):
    assert history(tmp_path / "one.sqlite") == history(tmp_path / "two.sqlite")


def test_the_same_file_uploaded_twice_is_two_files(client):
    one, two = upload(client, *FIVE), upload(client, *FIVE)
    assert one.id != two.id
    assert one.created_at < two.created_at


def test_two_batches_of_one_file_are_two_batches(client):
    file = upload(client, *FIVE)
    one, two = (create(client, input_file_id=file.id) for _ in range(2))
    assert one.id != two.id


def test_ids_follow_from_the_content(tmp_path):
    ids = [
        upload(replay_client(tmp_path / f"{name}.sqlite"), request(name)).id for name in ("a", "b")
    ]
    assert ids[0] != ids[1]
    assert all(id.startswith("file-") for id in ids)
