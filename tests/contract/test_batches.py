"""Batches: created, refused, listed, cancelled."""

import time

import openai
import pytest

from contract.cases import ALL_LINES, BATCH, GUIDE, SEEN_ERRORS, assumes


@assumes("A new batch is validating, with its window, endpoint and file", BATCH)
def test_a_new_batch_is_validating(stopped, seen):
    created, _, _ = stopped
    seen(created.status, created.completion_window)
    assert created.status == "validating"
    assert created.endpoint == "/v1/chat/completions"
    assert created.completion_window == "24h"
    assert created.input_file_id


@assumes("Times are seconds since 1970", BATCH)
def test_times_are_in_seconds(stopped, seen):
    created, _, _ = stopped
    seen(created.created_at, created.expires_at)
    assert abs(created.created_at - time.time()) < 86_400


@assumes("Metadata comes back where the batch is created, retrieved and listed", BATCH)
def test_metadata_is_kept(server, stopped, seen):
    created, _, _ = stopped
    mark = {"contract": "cancelled"}
    listed = {batch.id: batch for batch in server.client.batches.list(limit=20).data}
    seen(created.metadata)
    assert created.metadata == server.client.batches.retrieve(created.id).metadata == mark
    assert listed[created.id].metadata == mark


@assumes("A new batch is in the list at once", "openai/resources/batches.py")
def test_a_new_batch_is_listed(server, seen):
    batch = server.create(input_file_id=server.upload(["{}"]).id)
    ids = [b.id for b in server.client.batches.list(limit=20).data]
    seen(f"place {ids.index(batch.id) + 1 if batch.id in ids else 'none'}")
    assert batch.id in ids


@assumes("Batches are listed newest first, over all pages", "openai/pagination.py")
def test_batches_are_paged_newest_first(server, looks, refused, stopped, seen):
    first = server.client.batches.list(limit=2)
    second = first.get_next_page()
    times = [batch.created_at for batch in (*first.data, *second.data)]
    seen(times)
    assert len(first.data) == 2
    assert not {batch.id for batch in first.data} & {batch.id for batch in second.data}
    assert times == sorted(times, reverse=True)


@assumes("The same file may be sent twice: nothing keeps from paying twice", "openai SDK: "
         "batches.create takes no idempotency key")  # fmt: skip
def test_the_same_file_twice_is_two_batches(server, seen):
    file = server.upload(["{}"])
    ids = {server.create(input_file_id=file.id).id for _ in range(2)}
    seen(f"{len(ids)} batches")
    assert len(ids) == 2


@assumes("A batch that is not there is 404", SEEN_ERRORS)
@pytest.mark.parametrize("call", ["retrieve", "cancel"])
def test_an_unknown_batch_is_404(server, seen, call):
    with pytest.raises(openai.NotFoundError) as caught:
        getattr(server.client.batches, call)("batch_that_is_not_there")
    seen(caught.value.body)


@assumes("An endpoint that takes no batches is a 400", SEEN_ERRORS)
def test_an_unknown_endpoint_is_refused(server, seen):
    with pytest.raises(openai.BadRequestError) as caught:
        server.create(input_file_id=server.upload(ALL_LINES).id, endpoint="/v1/no-such-endpoint")
    seen(caught.value.body)


@assumes("A window other than 24h is a 400", SEEN_ERRORS)
def test_another_window_is_refused(server, seen):
    with pytest.raises(openai.BadRequestError) as caught:
        server.create(input_file_id=server.upload(ALL_LINES).id, completion_window="1h")
    seen(caught.value.body)


@assumes("Metadata that is no text is a 400", SEEN_ERRORS)
def test_metadata_that_is_no_text_is_refused(server, seen):
    with pytest.raises(openai.BadRequestError) as caught:
        server.create(input_file_id=server.upload(ALL_LINES).id, metadata={"tags": ["a"]})
    seen(caught.value.body)


@assumes("A missing input file is a 4xx at once, or a batch that fails", SEEN_ERRORS)
def test_a_missing_file_is_an_error_sooner_or_later(server, seen):
    try:
        batch = server.create(input_file_id="file-that-is-not-there")
    except (openai.BadRequestError, openai.NotFoundError) as error:
        seen("at once", error.body)
        return
    batch = server.finished(batch)[-1]
    seen("later", batch.status, batch.errors)
    assert batch.status == "failed"


# Validation


@assumes("One bad line fails the whole batch", SEEN_ERRORS)
def test_a_bad_line_fails_the_batch(refused, seen):
    seen(refused.status)
    assert refused.status == "failed"
    assert not refused.output_file_id


@assumes("Errors of validation say code and message, and in which line", BATCH)
def test_errors_of_validation_name_their_line(refused, seen):
    errors = refused.errors.data if refused.errors else []
    seen(*[(error.line, error.code) for error in errors])
    assert errors
    assert all(error.message for error in errors)
    assert {error.line for error in errors} <= {2, 3, 4, 5, 6}


@assumes("Broken JSON in a line is reported as invalid_json_line", SEEN_ERRORS)
def test_broken_json_is_reported(refused, seen):
    found = [(e.line, e.code) for e in (refused.errors.data if refused.errors else [])]
    seen(*found)
    assert (2, "invalid_json_line") in found


@assumes("A batch that failed its validation says when, and ran nothing", BATCH)
def test_a_refused_batch_ran_nothing(refused, seen):
    counts = refused.request_counts
    seen(refused.failed_at, counts)
    assert refused.failed_at
    assert not (counts and (counts.completed or counts.failed))


# Cancellation


@assumes("A running batch can be cancelled", "openai/resources/batches.py")
def test_a_running_batch_is_cancelled(stopped, seen):
    _, said, last = stopped
    seen(getattr(said, "status", said), last.status)
    assert said.status in ("cancelling", "cancelled")
    assert last.status == "cancelled"
    assert last.cancelled_at or last.cancelling_at


@assumes("A batch that is completed cannot be cancelled: 409", SEEN_ERRORS)
def test_a_completed_batch_cannot_be_cancelled(server, done, seen):
    with pytest.raises(openai.ConflictError) as caught:
        server.client.with_options(max_retries=0).batches.cancel(done.id)
    seen(caught.value.body)


@assumes("A batch that has ended does not change any more", GUIDE)
def test_a_final_batch_stays(server, done, seen):
    again = server.client.batches.retrieve(done.id)
    seen(again.status)
    assert again.to_dict() == done.to_dict()
