"""Keys stay in memory, job folders are private, and nothing in a table chooses a path."""

import traceback
from contextlib import contextmanager

import httpx2
import openai
import pytest

import helpers
from helpers.paths import ROOT
from helpers.replay import create_app
from helpers.replay.clients import local_client, replay_client
from support import Wire, recorded, run, served

KEY, PASSWORD = "canary-7f3a9c51e0", "canary-swordfish"
UNREACHABLE = "http://127.0.0.1:9/v1"


@pytest.fixture
def client(wire):
    http_client = httpx2.Client(transport=wire)
    return openai.OpenAI(api_key=KEY, base_url="http://replay.invalid/v1", http_client=http_client)


def test_the_key_is_written_to_no_file_and_to_no_output(client, tmp_path, capsys):
    films = recorded("apollo-13-1995", "jaws-1975", "the-silence-of-the-lambs-1991")
    outcomes = helpers.run(
        client, films, tmp_path / "films", budget=1, show=helpers.Progress(), try_first=1
    )
    assert outcomes["outcome"].value_counts().to_dict() == {"ok": 2, "failed": 1}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"requests-001.json", "replay.sqlite"} <= {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    said = capsys.readouterr()
    assert "completed" in said.out
    assert KEY not in said.out + said.err


@contextmanager
def behind_a_password(state):
    """The address of a replay that is reached with a name and a password only."""
    seen, replay = [], create_app(state)

    def app(environ, start):
        seen.append(environ["HTTP_AUTHORIZATION"])
        return replay({**environ, "HTTP_AUTHORIZATION": "Bearer any"}, start)

    with served(app) as address:
        yield address.replace("//", f"//me:{PASSWORD}@"), seen


@pytest.mark.parametrize("mode", ["live", "record"])
def test_a_password_in_the_base_url_is_used_and_gets_into_no_file_and_no_output(
    mode, tmp_path, capsys, monkeypatch
):
    more = helpers.write(recorded("m-1931"), tmp_path / "more")
    with behind_a_password(tmp_path / "there.sqlite") as (url, seen):
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("COOKBOOK_RECORDINGS", str(tmp_path / "films.jsonl"))
        client = helpers.connect(mode).with_options(max_retries=0)
        job = run(client, helpers.write(recorded("jaws-1975"), tmp_path / "films"))
        assert helpers.collect(client, job)["outcome"].tolist() == ["ok"]
    # The server is gone by now.
    with client, pytest.raises((openai.APIError, helpers.JobError)) as error:
        helpers.submit(client, more)
    assert {value.split()[0] for value in seen} == {"Basic"}
    said = capsys.readouterr()
    assert f"{mode}: http://127.0.0.1:" in said.out
    assert PASSWORD not in said.out + said.err + str(client.base_url) + str(error.value)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("mode", "variable", "value"),
    [
        ("live", "OPENAI_BASE_URL", f"http://me:{'p/' + 'w'}@host/v1"),
        ("live", "OPENAI_BASE_URL", "http://me:swordfish:12@host:port/v1"),
        ("local", "COOKBOOK_UPSTREAM", "me:swordfish@localhost:11434/v1"),
        ("local", "COOKBOOK_UPSTREAM", "http://me:swordfish:12@host:port/v1"),
    ],
)
def test_a_password_in_an_address_that_is_none_is_not_repeated(monkeypatch, mode, variable, value):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(variable, value)
    with pytest.raises(helpers.ModeError) as error:
        helpers.connect(mode, say=lambda line: None)
    shown = "".join(traceback.format_exception(error.value))
    assert "swordfish" not in shown
    assert "p/w" not in shown


@pytest.mark.parametrize("make", [replay_client, lambda state: local_client(UNREACHABLE, state)])
def test_the_databases_are_open_to_their_owner_only(make, tmp_path):
    (tmp_path / "old.sqlite").touch(0o644)
    for name in ("new.sqlite", "old.sqlite"):
        list(make(tmp_path / name).batches.list())
    assert {path.name for path in tmp_path.iterdir()} >= {"new.sqlite", "old.sqlite"}
    assert not [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077]


def test_the_key_does_arrive_at_the_server(tmp_path):
    seen = []
    wire = Wire(lambda environ, start: seen.append(environ["HTTP_AUTHORIZATION"]) or [b""])
    client = openai.OpenAI(
        api_key=KEY,
        base_url="http://replay.invalid/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=wire),
    )
    with pytest.raises((openai.APIError, AssertionError)):
        client.models.list()
    assert seen == [f"Bearer {KEY}"]


def test_a_job_folder_is_open_to_its_owner_only(client, tmp_path):
    job = run(client, helpers.write(recorded("jaws-1975"), tmp_path / "films"))
    assert job.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("custom_id", ["../../etc/passwd", "a/b", "..", "C:\\x", "a\0b"])
def test_an_id_that_looks_like_a_path_is_refused(custom_id, tmp_path):
    (film,) = recorded("jaws-1975")
    with pytest.raises(helpers.BatchFileError, match="custom_id is not"):
        helpers.write([{**film, "custom_id": custom_id}], tmp_path / "films")
    assert list(tmp_path.iterdir()) == []


def test_no_key_stands_in_the_project():
    kept = ("*.py", "*.md", "*.jsonl", "*.csv", "*.ipynb", "*.toml", "*.txt")
    folders = ("helpers", "notebooks", "data", "tests")
    files = [path for f in folders for kind in kept for path in (ROOT / f).rglob(kind)]
    assert len(files) > 50
    assert not [path for path in files if "sk-" + "proj" in path.read_text("utf-8")]
