"""Which recorded answer a request gets, and what is said when there is none."""

import base64
import json

import openai
import pytest

import helpers
from helpers.replay.clients import replay_client
from helpers.replay.recordings import Recordings, key_of
from support import RECORDED, recorded, request, run

PIXELS, OTHER_PIXELS = b"\xff\xd8 one chair" * 50, b"\xff\xd8 one table" * 50


def data_url(pixels, kind="jpeg"):
    return f"data:image/{kind};base64,{base64.b64encode(pixels).decode()}"


def picture(url, **body):
    """The body of a request with a picture."""
    content = [
        {"type": "text", "text": "Describe it."},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    return {"model": "gpt-6-luna", "messages": [{"role": "user", "content": content}], **body}


def completion(text):
    body = json.loads(json.dumps(RECORDED[0]["answers"][0]["body"]))
    body["choices"][0]["message"]["content"] = text
    return body


def record(folder, **bodies):
    """A recordings folder that answers each body with the name it is given here."""
    folder.mkdir()
    lines = [
        {
            "custom_id": name,
            "request": body,
            "answers": [{"status_code": 200, "body": completion(name)}],
        }
        for name, body in bodies.items()
    ]
    (folder / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def replay(tmp_path):
    """A function that gives a client which replays these bodies and no others."""

    def replay(**bodies):
        recordings = record(tmp_path / "recordings", **bodies)
        return replay_client(tmp_path / "own.sqlite", recordings=recordings)

    return replay


def ask(client, body):
    return client.chat.completions.create(**body).choices[0].message.content


def reason(client, body):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, body)
    assert caught.value.code == "not_recorded"
    return caught.value.body["message"]


# What counts as the same request


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": "m", "seed": 1}, {"seed": 1, "model": "m"}),
        ({"a": {"b": 1, "c": [{"d": 2, "e": 3}]}}, {"a": {"c": [{"e": 3, "d": 2}], "b": 1}}),
        (picture(data_url(PIXELS)), picture(data_url(PIXELS))),
        (picture(data_url(PIXELS, "jpeg")), picture(data_url(PIXELS, "png"))),
        (picture(data_url(PIXELS)), dict(reversed(picture(data_url(PIXELS)).items()))),
    ],
    ids=["keys", "nested keys", "picture", "picture type", "picture and keys"],
)
def test_requests_that_say_the_same_have_the_same_key(one, other):
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 1}, {"seed": 2}),
        ({"seed": 1}, {"seed": "1"}),
        ({"seed": 1}, {"seed": True}),
        ({"seed": None}, {}),
        ({"messages": ["a", "b"]}, {"messages": ["b", "a"]}),
        ({"a": "x "}, {"a": "x"}),
        (picture(data_url(PIXELS)), picture(data_url(OTHER_PIXELS))),
        (picture(data_url(PIXELS)), picture(data_url(PIXELS[:-1]))),
        (picture("https://example.org/a.jpg"), picture("https://example.org/b.jpg")),
    ],
    ids=[
        "value", "text", "truth", "null", "order of a list", "blank",
        "other picture", "shorter picture", "other address",
    ],
)  # fmt: skip
def test_requests_that_differ_have_different_keys(one, other):
    assert key_of(one) != key_of(other)


def test_the_order_of_keys_does_not_matter_in_a_batch_file(client, tmp_path):
    (line,) = recorded("the-secret-in-their-eyes-2009")
    turned = {**line, "body": dict(reversed(line["body"].items()))}
    job = run(client, helpers.write([turned], tmp_path / "job"))
    assert client.batches.retrieve(job.batch_ids[0]).request_counts.completed == 1


def test_the_custom_id_does_not_matter(client, tmp_path):
    (line,) = recorded("the-secret-in-their-eyes-2009")
    job = run(client, helpers.write([{**line, "custom_id": "my-own-id"}], tmp_path / "job"))
    batch = client.batches.retrieve(job.batch_ids[0])
    assert json.loads(client.files.content(batch.output_file_id).text)["custom_id"] == "my-own-id"


def test_a_picture_gets_the_answer_to_its_own_bytes(replay):
    chair, table = picture(data_url(PIXELS)), picture(data_url(OTHER_PIXELS))
    client = replay(chair=chair, table=table)
    assert (ask(client, table), ask(client, chair)) == ("table", "chair")


def test_a_picture_saved_as_another_type_with_the_same_bytes_gets_the_same_answer(replay):
    client = replay(chair=picture(data_url(PIXELS, "jpeg")))
    assert ask(client, picture(data_url(PIXELS, "jpg"))) == "chair"


def test_recordings_of_all_files_in_the_folder_are_used(tmp_path):
    folder = record(tmp_path / "recordings", one=request(text="one")["body"])
    (folder / "own.jsonl").rename(folder / "first.jsonl")
    more = record(tmp_path / "more", two=request(text="two")["body"]) / "own.jsonl"
    more.rename(folder / "second.jsonl")
    client = replay_client(tmp_path / "own.sqlite", recordings=folder)
    assert [ask(client, request(text=text)["body"]) for text in ("one", "two")] == ["one", "two"]


def test_answers_are_given_in_their_order_and_the_last_one_stays(tmp_path):
    body = request()["body"]
    answers = [{"status_code": code, "body": {"code": code}} for code in (500, 429, 200)]
    line = {"custom_id": "a", "request": body, "answers": answers}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    recordings = Recordings(tmp_path)
    chat = "/v1/chat/completions"
    given = [recordings.answer(chat, body, lambda key, n=n: n).status for n in range(5)]
    assert given == [500, 429, 200, 200, 200]


# What is said when nothing is recorded


def test_an_unrecorded_request_fails_as_one_line_of_its_batch(client, tmp_path):
    known = recorded("the-secret-in-their-eyes-2009")
    job = run(client, helpers.write([*known, request("unknown")], tmp_path / "job"))
    batch = client.batches.retrieve(job.batch_ids[0])
    line = json.loads(client.files.content(batch.error_file_id).text)
    assert batch.status == "completed"
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
    assert (line["custom_id"], line["response"]["status_code"]) == ("unknown", 404)


def test_a_line_and_a_call_that_are_not_recorded_say_the_same(client, tmp_path):
    job = run(client, helpers.write([request()], tmp_path / "job"))
    batch = client.batches.retrieve(job.batch_ids[0])
    line = json.loads(client.files.content(batch.error_file_id).text)
    assert line["response"]["body"]["error"]["message"] == reason(client, request()["body"])


def test_the_message_names_the_nearest_recording_the_field_and_both_values(client):
    (line,) = recorded("apollo-13-1995")
    message = reason(client, {**line["body"], "temperature": 0.7})
    assert "nearest recorded one (apollo-13-1995) in temperature." in message
    assert "Here temperature is 0.7, recorded is 0." in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 7}, "Here seed is 7, recorded is absent."),
        ({"model": "gpt-6-sol"}, "Here model is 'gpt-6-sol', recorded is 'gpt-6-luna'."),
        ({"reasoning_effort": "low"}, "Here reasoning_effort is 'low', recorded is 'none'."),
    ],
)
def test_the_message_shows_what_was_changed(client, change, said):
    (line,) = recorded("apollo-13-1995")
    assert said in reason(client, {**line["body"], **change})


def test_the_message_shows_what_was_taken_away(client):
    body = dict(recorded("apollo-13-1995")[0]["body"])
    del body["max_completion_tokens"]
    assert "Here max_completion_tokens is absent, recorded is 120." in reason(client, body)


def test_the_message_names_the_place_of_a_field_inside_messages(client):
    (line,) = recorded("apollo-13-1995")
    body = json.loads(json.dumps(line["body"]))
    body["messages"][0]["content"] = "Be brief."
    assert "messages[0].content is 'Be brief.', recorded is 'You sort" in reason(client, body)


def test_the_message_names_several_fields_that_differ(client):
    (line,) = recorded("apollo-13-1995")
    message = reason(client, {**line["body"], "temperature": 1, "seed": 7})
    assert "(apollo-13-1995) in seed, temperature." in message


@pytest.mark.parametrize("change", [{"seed": 1}, picture(data_url(PIXELS)), request()["body"]])
def test_the_message_names_the_two_ways_on(client, change):
    message = reason(client, {**recorded("apollo-13-1995")[0]["body"], **change})
    assert "Take back the change" in message
    assert "COOKBOOK_MODE=live with OPENAI_API_KEY" in message


def test_the_nearest_recording_is_the_one_with_most_in_common(replay):
    client = replay(
        far=request(text="bye", temperature=1, seed=1)["body"],
        near=request(text="hello", temperature=0, seed=1)["body"],
        farther=request(text="hi", temperature=1, seed=2)["body"],
    )
    message = reason(client, request(text="hello", temperature=0, seed=2)["body"])
    assert "nearest recorded one (near) in seed. Here seed is 2, recorded is 1." in message


def conversation(*texts):
    return {"model": "gpt-6-luna", "messages": [{"role": "user", "content": t} for t in texts]}


def test_of_two_long_texts_only_the_first_difference_is_shown_with_the_words_around_it(replay):
    words = "word " * 2_000
    client = replay(long=conversation("Sort.", f"{words}in English {words}"))
    message = reason(client, conversation("Sort.", f"{words}in French {words}"))
    assert "is '...word word word word word in French word" in message
    assert "recorded is '...word word word word word in English word" in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("sent", "recorded", "said"),
    [
        ("one", "one two", "is 'one', recorded is 'one two'."),
        ("one two", "one", "is 'one two', recorded is 'one'."),
        ("", "one", "is '', recorded is 'one'."),
        ("One", "one", "is 'One', recorded is 'one'."),
        ("x" * 500 + "a", "x" * 500 + "b", f"is '...{'x' * 30}a', recorded is '...{'x' * 30}b'."),
    ],
    ids=["end missing", "end added", "empty", "first letter", "one long word"],
)
def test_the_difference_is_in_the_excerpts_wherever_it_is(replay, sent, recorded, said):
    client = replay(known=conversation("Sort.", recorded))
    assert said in reason(client, conversation("Sort.", sent))


def test_of_a_prompt_that_was_changed_the_same_row_is_the_nearest_recording(client):
    for line in (recorded("apollo-13-1995")[0], ticket := tickets()[5]):
        body = json.loads(json.dumps(line["body"]))
        body["messages"][0]["content"] = "Answer in French. " + body["messages"][0]["content"]
        message = reason(client, body)
        assert f"nearest recorded one ({line['custom_id']}) in messages[0].content." in message
        assert "is 'Answer in French. You" in message
    assert ticket["custom_id"].startswith("ticket")


def test_a_new_text_under_a_known_prompt_is_compared_with_a_recording_of_that_prompt(client):
    body = json.loads(json.dumps(tickets()[5]["body"]))
    body["messages"][-1]["content"] = "My parcel is a brick."
    assert "nearest recorded one (ticket-" in reason(client, body)


def test_a_request_that_is_like_none_is_not_compared_with_any(client):
    message = reason(client, request(text="My parcel is a brick.", temperature=0)["body"])
    assert message.startswith("Not recorded: no recorded request has a text, a picture or an answ")
    assert "differs" not in message


def tickets():
    lines = (helpers.DATA / "recordings" / "tickets.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [{"custom_id": line["custom_id"], "body": line["request"]} for line in found]


def test_a_picture_is_shown_by_its_digest(replay):
    client = replay(chair=picture(data_url(PIXELS)))
    message = reason(client, picture(data_url(OTHER_PIXELS)))
    assert "messages[0].content[1].image_url.url is 'picture sha256:" in message
    assert base64.b64encode(OTHER_PIXELS).decode()[:40] not in message


def test_an_empty_recordings_folder_says_so(replay):
    message = reason(replay(), request()["body"])
    assert message.startswith("There are no recordings.")
    assert "COOKBOOK_MODE=live" in message


def test_a_batch_over_an_empty_recordings_folder_completes_with_failed_lines(replay, tmp_path):
    client = replay()
    job = run(client, helpers.write([request("a"), request("b")], tmp_path / "job"))
    batch = client.batches.retrieve(job.batch_ids[0])
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert client.files.content(batch.error_file_id).text.count("There are no recordings.") == 2
