"""Keys stay in memory, job folders are private, and nothing in a table chooses a path."""

import httpx2
import openai
import pytest

import helpers
from helpers.paths import ROOT
from support import Wire, recorded, run

KEY = "canary-7f3a9c51e0"


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
