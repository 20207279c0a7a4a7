"""Records: what is known of a batch outlives the process, and one that cannot be read says so."""

import json
from dataclasses import asdict

import pandas as pd
import pytest

import helpers
from helpers.job import Record, Records, locked, server_of
from support import connect, recorded, run

SERVER = "http://replay.invalid/v1/"


@pytest.fixture
def shards(tmp_path):
    return helpers.write(recorded()[:2], tmp_path / "films")


@pytest.fixture
def path(shards):
    return shards[0].path.with_suffix(".json")


def change(shard, server=SERVER, **facts):
    with Records(server).change(shard) as record:
        for name, value in facts.items():
            setattr(record, name, value)


def test_what_is_known_of_a_shard_outlives_the_process(shards):
    change(shards[0], intent=7.5)
    change(shards[0], batch={"id": "batch_1", "status": "validating"})
    record = Records(SERVER)[shards[0]]
    assert (record.intent, record.batch["id"]) == (7.5, "batch_1")


def test_nothing_is_known_of_a_shard_before_it_is_submitted(shards, path):
    assert Records(SERVER)[shards[0]] == Record()
    assert not path.exists()


def test_a_change_that_fails_leaves_the_old_record(shards):
    change(shards[0], file_id="file-1")
    with pytest.raises(TypeError):
        change(shards[0], file_id=object())
    assert Records(SERVER)[shards[0]].file_id == "file-1"
    assert not [*shards[0].path.parent.glob(".*")]


def test_nothing_is_written_when_nothing_changed(shards, path):
    change(shards[0], file_id="file-1")
    before = path.stat().st_mtime_ns
    change(shards[0], file_id="file-1")
    assert path.stat().st_mtime_ns == before


def test_each_server_has_its_own_record(shards):
    change(shards[0], file_id="file-1")
    change(shards[0], server="http://elsewhere.invalid/v1/", file_id="file-2")
    assert Records(SERVER)[shards[0]].file_id == "file-1"
    assert Records("http://elsewhere.invalid/v1/")[shards[0]].file_id == "file-2"


def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known(shards, path):
    change(shards[0], file_id="file-1")
    content = json.loads(path.read_text("utf-8"))
    content["servers"][SERVER]["weather"] = "fine"
    path.write_text(json.dumps(content), "utf-8")
    assert Records(SERVER)[shards[0]].file_id == "file-1"


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", '{"shard": 1, "servers": {}}', '{"servers": {}}', "\udcff"]
)
def test_a_damaged_record_names_the_file_and_the_way_on(client, shards, path, damage):
    run(client, shards)
    path.write_text(damage, "utf-8", errors="surrogateescape")
    with pytest.raises(helpers.JobError, match=r"requests-001.json is damaged.*Delete it and run"):
        helpers.submit(client, shards)
    path.unlink()
    helpers.submit(client, shards)
    assert len(list(client.batches.list())) == 1


@pytest.mark.parametrize("place", ["", "earlier"])
def test_a_folder_of_an_earlier_version_is_refused_before_anything_is_paid(
    client, wire, shards, tmp_path, place
):
    folder = shards[0].path.parent
    if place:
        folder = folder.with_name(folder.name[:-8])
        folder.mkdir(exist_ok=True)
    (folder / "job.json").write_text("{}", "utf-8")
    with pytest.raises(helpers.JobError, match=r"job.json was written by an earlier version.*mov"):
        helpers.submit(client, shards)
    with pytest.raises(helpers.JobError, match="earlier version"):
        helpers.run(client, recorded()[:2], tmp_path / "films", budget=1)
    assert wire.calls == []


def test_a_record_of_other_requests_is_refused(client, shards, path):
    run(client, shards)
    content = json.loads(path.read_text("utf-8"))
    content["shard"]["sha256"] = "0" * 64
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(helpers.JobError, match="the record of other requests"):
        helpers.submit(client, shards)


def test_a_lock_that_another_process_holds_says_to_wait(tmp_path):
    with (
        locked(tmp_path / "job.lock"),
        pytest.raises(helpers.JobError, match="another process works on this job"),
        locked(tmp_path / "job.lock", patience=0),
    ):
        pass


def test_a_job_whose_folder_was_deleted_says_to_run_from_the_first_cell(tmp_path):
    with (
        pytest.raises(helpers.JobError, match=r"Is the folder gone.*from the first cell"),
        locked(tmp_path / "gone" / "job.lock"),
    ):
        pass


def test_a_record_tells_no_password(tmp_path, wire, shards, path):
    client = connect(wire).with_options(base_url="http://ann:secret@replay.invalid/v1")
    change(shards[0], server=server_of(client), file_id="file-1")
    assert Records(SERVER)[shards[0]].file_id == "file-1"
    assert "secret" not in path.read_text("utf-8")


def test_a_record_says_all_of_its_shard(client, shards, path):
    run(client, shards)
    facts = json.loads(path.read_text("utf-8"))["shard"]
    known = asdict(shards[0]) | {"carries": []}
    assert facts | {"path": shards[0].path} == known


def test_a_job_can_be_collected_part_by_part(client, tmp_path):
    job = run(client, helpers.write(recorded()[:5], tmp_path / "parts", max_requests=2))
    tables = [helpers.collect(client, part) for part in job.parts]
    assert [len(table) for table in tables] == [2, 2, 1]
    assert pd.concat(tables).equals(helpers.collect(client, job))
