"""What was answered before is taken over: a request is paid once, in whatever table it stands."""

import json
import shutil

import pytest
from pydantic import BaseModel

import helpers
from helpers.replay import create_app
from helpers.reuse import INDEX
from support import CREATE, UPLOAD, Wire, connect, recorded

CHAT = "POST /v1/chat/completions"
ALL_OK = [
    r for r in recorded()[:40]
    if r["custom_id"] not in ("apollo-13-1995", "the-silence-of-the-lambs-1991")
][:12]  # fmt: skip


class Film(BaseModel):
    categories: list[str]
    summary: str


class Other(BaseModel):
    mood: str


@pytest.fixture
def said():
    return []


@pytest.fixture
def first(client, tmp_path):
    """A job of ten films that has ended."""
    return helpers.run(client, ALL_OK[:10], tmp_path / "films", budget=1, say=lambda line: None)


def sent(client):
    """The custom_ids of each batch, newest first."""
    files = [batch.input_file_id for batch in client.batches.list()]
    contents = [client.files.content(file_id).content.splitlines() for file_id in files]
    return [[json.loads(line)["custom_id"] for line in lines] for lines in contents]


def changed(requests, place):
    """The same requests, but for one that is another film's."""
    return [*requests[:place], ALL_OK[10], *requests[place + 1 :]]


def test_a_table_with_one_row_changed_sends_one_request(client, wire, tmp_path, first, said):
    wire.calls.clear()
    requests = changed(ALL_OK[:10], 4)
    outcomes = helpers.run(client, requests, tmp_path / "films", budget=1, say=said.append)
    assert sent(client)[0] == [ALL_OK[10]["custom_id"]]
    assert outcomes.index.tolist() == [request["custom_id"] for request in requests]
    assert outcomes["outcome"].tolist() == ["ok"] * 10
    assert [wire.calls.count(call) for call in (CHAT, UPLOAD, CREATE)] == [0, 1, 1]
    assert any(line.startswith("answered before: 9, in films-") for line in said)


def test_the_table_says_which_row_came_from_where(client, tmp_path, first):
    outcomes = helpers.run(client, changed(ALL_OK[:10], 4), tmp_path / "films", budget=1)
    sources = outcomes["source"].tolist()
    assert sources[4] == ""
    assert {*sources} - {""} == {next(tmp_path.glob("films-*/requests-001.json")).parent.name}
    assert outcomes["prompt_tokens"].astype(bool).tolist() == [n == 4 for n in range(10)]


def test_keys_in_another_order_send_nothing(client, wire, tmp_path, first):
    wire.calls.clear()
    turned = [{**r, "body": dict(reversed(r["body"].items()))} for r in ALL_OK[:10]]
    outcomes = helpers.run(client, turned, tmp_path / "films", budget=0)
    assert [call for call in wire.calls if call.startswith("POST")] == []
    assert outcomes["answer"].tolist() == first["answer"].tolist()


def test_other_ids_and_another_order_of_rows_send_nothing(client, wire, tmp_path, first):
    wire.calls.clear()
    renamed = [{**r, "custom_id": f"row-{n}"} for n, r in enumerate(reversed(ALL_OK[:10]))]
    outcomes = helpers.run(client, renamed, tmp_path / "other", budget=0)
    assert outcomes.index.tolist() == [f"row-{n}" for n in range(10)]
    assert outcomes["answer"].tolist() == first["answer"].tolist()[::-1]
    assert CREATE not in wire.calls


def test_running_again_sends_nothing_more(client, wire, tmp_path, first):
    requests = changed(ALL_OK[:10], 4)
    before = helpers.run(client, requests, tmp_path / "films", budget=1)
    wire.calls.clear()
    assert helpers.run(client, requests, tmp_path / "films", budget=1).equals(before)
    assert [call for call in wire.calls if call.startswith("POST")] == []


def test_a_row_that_failed_for_good_is_not_sent_again_by_itself(client, tmp_path):
    films = [*ALL_OK[:3], *recorded("the-silence-of-the-lambs-1991")]
    for _ in range(3):
        outcomes = helpers.run(client, films, tmp_path / "films", budget=1, answer=Film)
    assert outcomes["code"].tolist() == ["", "", "", "refusal"]
    assert len(sent(client)) == 1


def test_without_reuse_all_are_asked_anew(client, tmp_path, first):
    requests = changed(ALL_OK[:10], 4)
    outcomes = helpers.run(client, requests, tmp_path / "films", budget=1, reuse=False)
    assert len(sent(client)[0]) == 10
    assert "source" not in outcomes


def test_an_answer_that_does_not_fit_the_model_is_asked_again(client, tmp_path, first):
    shards = helpers.write(changed(ALL_OK[:10], 4), tmp_path / "films")
    assert len(helpers.reuse(client, shards, Other)[0][0].path.read_bytes().splitlines()) == 10


def test_answers_of_another_server_are_not_taken(tmp_path, first):
    other = connect(Wire(None)).with_options(base_url="http://elsewhere.invalid/v1")
    shards = helpers.write(changed(ALL_OK[:10], 4), tmp_path / "films")
    assert helpers.reuse(other, shards)[0] == shards


@pytest.mark.parametrize("damage", [None, b"", b"no database"])
def test_an_index_that_is_lost_or_damaged_is_made_anew(client, wire, tmp_path, first, damage):
    helpers.run(client, changed(ALL_OK[:10], 4), tmp_path / "films", budget=1)
    index = tmp_path / INDEX
    index.unlink() if damage is None else index.write_bytes(damage)
    wire.calls.clear()
    helpers.run(client, changed(ALL_OK[:10], 6), tmp_path / "films", budget=1)
    assert wire.calls.count(CREATE) == 0
    assert index.stat().st_mode & 0o077 == 0


def test_answers_of_a_folder_that_is_gone_are_asked_for_again(client, tmp_path, first):
    helpers.run(client, changed(ALL_OK[:10], 4), tmp_path / "films", budget=1)
    for folder in tmp_path.glob("films-*"):
        shutil.rmtree(folder)
    helpers.run(client, changed(ALL_OK[:10], 6), tmp_path / "films", budget=1)
    assert len(sent(client)[0]) == 10


def test_step_by_step_it_is_one_step(client, tmp_path, first):
    shards = helpers.write(changed(ALL_OK[:10], 4), tmp_path / "films")
    rest, earlier = helpers.reuse(client, shards, Film)
    assert [shard.requests for shard in rest] == [1]
    job = helpers.submit(client, rest)
    helpers.wait(client, job, show=lambda batches: None)
    outcomes = helpers.merge(earlier, helpers.collect(client, job, Film))
    assert outcomes["outcome"].tolist() == ["ok"] * 10
    assert all(isinstance(kinds, list) for kinds in outcomes["categories"])
    assert outcomes["retry"].tolist() == [False] * 10


def test_rows_that_failed_before_do_not_stop_new_ones(client, wire, tmp_path):
    refused = recorded("the-silence-of-the-lambs-1991")
    helpers.run(client, [*refused, *ALL_OK[:3]], tmp_path / "films", budget=1, answer=Film)
    wire.calls.clear()
    grown = [*refused, *ALL_OK[:5]]
    outcomes = helpers.run(client, grown, tmp_path / "films", budget=1, answer=Film)
    assert outcomes["outcome"].tolist() == ["failed", *["ok"] * 5]
    assert wire.calls.count(CHAT) == 0
    assert sorted(sent(client)[0]) == sorted(r["custom_id"] for r in [*refused, *ALL_OK[3:5]])


def test_what_is_sent_beside_what_is_taken_over_keeps_to_the_budget(client, wire, tmp_path, first):
    with pytest.raises(helpers.BudgetError):
        helpers.run(client, changed(ALL_OK[:10], 4), tmp_path / "films", budget=0.000001)
    assert len(sent(client)) == 1


def test_what_another_job_answers_before_anything_is_sent_is_taken_over(client, tmp_path):
    shards = helpers.write(ALL_OK[:5], tmp_path / "films")
    assert helpers.reuse(client, shards)[0] == shards
    helpers.run(client, ALL_OK[2:5], tmp_path / "others", budget=1, say=lambda line: None)
    (rest,), _ = helpers.reuse(client, shards)
    assert rest.requests == 2


def submitted(client, requests, folder):
    """The first job, on its way."""
    return helpers.run(client, requests, folder, budget=1, wait=False, say=lambda line: None)


def test_rows_on_their_way_in_another_job_are_not_sent_with_more(tmp_path):
    slow = Wire(create_app(tmp_path / "replay.sqlite", seconds=1_000))
    client, folder = connect(slow, max_retries=0), tmp_path / "films"
    submitted(client, ALL_OK[:10], folder)
    with pytest.raises(helpers.JobError, match=r"10 of the requests are on their way in films-"):
        submitted(client, ALL_OK, folder)
    with pytest.raises(helpers.JobError, match=r"10 of .* Nothing was submitted.*reuse=False"):
        helpers.run(client, ALL_OK[:10], folder, budget=1, max_requests=4)
    assert slow.calls.count(CREATE) == 1
    submitted(client, ALL_OK[10:], folder)
    submitted(client, ALL_OK[:10], folder)
    helpers.run(client, ALL_OK, folder, budget=1, wait=False, reuse=False)
    assert [len(ids) for ids in sent(client)] == [12, 2, 10]


def test_what_has_ended_and_was_not_collected_is_taken_over(client, wire, tmp_path):
    submitted(client, ALL_OK[:10], tmp_path / "films")
    for _ in range(3):
        client.batches.retrieve(next(iter(client.batches.list())).id)
    outcomes = helpers.run(client, ALL_OK, tmp_path / "films", budget=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 12
    assert [len(ids) for ids in sent(client)] == [2, 10]


def test_a_job_that_another_key_has_sent_stops_nothing(client, wire, tmp_path):
    submitted(client, ALL_OK[:10], tmp_path / "films")
    other = connect(Wire(create_app(tmp_path / "other.sqlite")), max_retries=0)
    outcomes = helpers.run(other, ALL_OK, tmp_path / "films", budget=1)
    assert outcomes["outcome"].tolist() == ["ok"] * 12


def test_rows_that_wait_for_room_in_another_job_are_on_their_way_too(tmp_path):
    client = connect(Wire(create_app(tmp_path / "replay.sqlite", queue_tokens=400)), max_retries=0)
    options = {"budget": 1, "max_requests": 1, "wait": False}
    for _ in range(2):
        helpers.run(client, ALL_OK[:3], tmp_path / "films", **options)
    with pytest.raises(helpers.JobError, match="of the requests are on their way in films-"):
        helpers.run(client, ALL_OK[1:3], tmp_path / "others", budget=1)
