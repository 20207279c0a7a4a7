"""What a batch of two lines comes to: one that succeeds, and one that its endpoint refuses."""

import httpx2
import openai
import pytest

from contract.cases import BATCH, GOOD, GUIDE, assumes

LINES_OF_ERRORS = "https://github.com/openai/openai-openapi/issues/302"
ORDER = ["validating", "in_progress", "finalizing", "completed"]


def named(custom_id, lines):
    found = [line for line in lines if line["custom_id"] == custom_id]
    assert len(found) == 1, f"{len(found)} lines for {custom_id}"
    return found[0]


@assumes("A batch walks from validating over in_progress and finalizing to completed", GUIDE)
def test_a_batch_walks_to_its_end(looks, seen):
    statuses = list(dict.fromkeys(batch.status for batch in looks))
    seen(*statuses)
    assert statuses == [status for status in ORDER if status in statuses]
    assert statuses[-1] == "completed"


@assumes("Each step says when it began, in this order", BATCH)
def test_times_ascend(done, seen):
    times = [done.created_at, done.in_progress_at, done.finalizing_at, done.completed_at]
    seen(*times)
    assert all(times)
    assert times == sorted(times)


@assumes("request_counts tell successes from failures", "openai/types/batch_request_counts.py")
def test_counts_tell_successes_from_failures(done, seen):
    counts = done.request_counts
    seen(counts)
    assert (counts.total, counts.completed, counts.failed) == (2, 1, 1)


@assumes("Successes and failures are in two files", GUIDE)
def test_there_are_two_files(done, seen):
    seen(done.output_file_id, done.error_file_id)
    assert done.output_file_id
    assert done.error_file_id
    assert done.output_file_id != done.error_file_id


@assumes("Each request has one line, known by its custom_id", GUIDE)
def test_each_request_has_one_line(output, errors, seen):
    ids = [line["custom_id"] for line in (*output, *errors)]
    seen(*ids)
    assert sorted(ids) == ["bad", "good"]


@assumes("A line of the output has the answer in response.body, and no error", GUIDE)
def test_an_output_line_has_the_answer(output, seen):
    line = named("good", output)
    seen(*line, line["response"]["status_code"])
    assert line["response"]["status_code"] == 200
    assert line["error"] is None
    body = line["response"]["body"]
    assert isinstance(body["choices"][0]["message"]["content"], str)
    assert body["usage"]["prompt_tokens"] > 0


@assumes("A refused request has its cause in response.body.error; error is null", LINES_OF_ERRORS)
def test_an_error_line_has_its_cause_in_the_body(errors, seen):
    line = named("bad", errors)
    seen(line["response"], line["error"])
    assert 400 <= line["response"]["status_code"] < 500
    assert line["response"]["body"]["error"]["message"]
    assert line["error"] is None


@assumes("The batch counts its tokens", "openai/types/batch_usage.py")
def test_the_batch_counts_its_tokens(done, output, seen):
    usage = done.usage
    seen(usage)
    assert usage, "there is no usage"
    said = named("good", output)["response"]["body"]["usage"]
    assert usage.input_tokens == said["prompt_tokens"]
    assert usage.output_tokens == said["completion_tokens"]


@assumes("A result file says how long it is, and whose it is", "openai/types/file_object.py")
def test_a_result_file_says_how_long_it_is(server, done, seen):
    file = server.client.files.retrieve(done.output_file_id)
    seen(file.purpose, file.bytes, file.filename, file.expires_at)
    assert file.purpose == "batch_output"
    assert file.bytes == len(server.client.files.content(file.id).content)


@assumes("A result file can be streamed", "openai/resources/files.py")
def test_a_result_file_streams(server, done, output, seen):
    streaming = server.client.files.with_streaming_response
    with streaming.content(done.output_file_id) as response:
        pieces = list(response.iter_bytes())
    seen(f"{sum(map(len, pieces))} bytes")
    assert b'"good"' in b"".join(pieces)


# Beside batches


@assumes("A request that is tried by hand gives text and usage", "openai/types/chat")
def test_a_request_is_tried_by_hand(server, seen):
    answer = server.client.chat.completions.create(**server.bodies(GOOD))
    seen(answer.choices[0].message.content, answer.usage)
    assert answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 0


@assumes("A model that exists is retrieved; one that does not is 404", "openai/types/model.py")
def test_a_model_is_retrieved(server, seen):
    model = server.client.models.retrieve(server.model)
    seen(model.id, getattr(model, "shutdown_date", "no shutdown_date"))
    assert model.id == server.model
    with pytest.raises(openai.NotFoundError):
        server.client.models.retrieve("no-such-model-0")


@assumes("The models are listed", "openai/resources/models.py")
def test_models_are_listed(server, seen):
    models = [model.id for model in server.client.models.list()]
    seen(f"{len(models)} models")
    assert server.model in models


@assumes("Every answer has an x-request-id", "openai/_response.py")
def test_every_answer_has_a_request_id(server, seen):
    answer = server.client.models.with_raw_response.list()
    seen(answer.headers.get("x-request-id"))
    assert answer.headers.get("x-request-id")


@assumes("A call without a key is 401", "openai/_exceptions.py")
def test_a_call_without_a_key_is_401(server, seen):
    answer = server.http.get("files")
    seen(answer.status_code)
    assert answer.status_code == httpx2.codes.UNAUTHORIZED
