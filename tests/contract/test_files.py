"""Uploads, and the account's files."""

import openai
import pytest

from contract.cases import ALL_LINES, FILE, SEEN_UPLOADS, assumes


@pytest.fixture(scope="module")
def file(server):
    return server.upload(ALL_LINES)


@assumes("An upload is described by id, name, bytes and purpose", FILE)
def test_an_upload_is_described(file, seen):
    seen(file.id, file.filename, file.bytes, file.purpose, file.status)
    assert file.id
    assert (file.filename, file.purpose, file.object) == ("contract.jsonl", "batch", "file")
    assert file.bytes > 0


@assumes("A file is retrieved by its id as it was described", "openai/resources/files.py")
def test_a_file_is_retrieved(server, file, seen):
    again = server.client.files.retrieve(file.id)
    seen(again.status)
    assert (again.id, again.bytes, again.filename) == (file.id, file.bytes, file.filename)


@assumes("A file comes back byte for byte", "openai/resources/files.py")
def test_a_file_comes_back(server, file, seen):
    content = server.client.files.content(file.id).content
    seen(f"{len(content)} bytes")
    assert len(content) == file.bytes
    assert content.startswith(b'{"custom_id": "good"')


@assumes("A file expires when it was asked to", "openai/types/file_create_params.py")
def test_a_file_expires_when_it_was_asked_to(server, seen):
    asked = {"anchor": "created_at", "seconds": 3_600}
    file = server.upload(ALL_LINES, expires_after=asked)
    seen(file.created_at, file.expires_at)
    assert file.expires_at - file.created_at == 3_600


@assumes("Files are listed by purpose, newest first", "openai/types/file_list_params.py")
def test_files_are_listed(server, file, seen):
    newer = server.upload(ALL_LINES)
    ids = [f.id for f in server.client.files.list(purpose="batch", limit=100).data]
    seen(f"{len(ids)} files")
    assert ids.index(newer.id) < ids.index(file.id)


@assumes("A list of files goes on over its pages", "openai/pagination.py")
def test_files_are_paged(server, file, seen):
    server.upload(ALL_LINES)
    first = server.client.files.list(limit=1, purpose="batch")
    second = first.get_next_page()
    seen(first.has_more)
    assert len(first.data) == len(second.data) == 1
    assert first.data[0].id != second.data[0].id


@assumes("A deleted file is gone", "openai/types/file_deleted.py")
def test_a_deleted_file_is_gone(server, seen):
    file = server.upload(ALL_LINES)
    seen(server.client.files.delete(file.id).deleted)
    with pytest.raises(openai.NotFoundError):
        server.client.files.retrieve(file.id)


@assumes("A file that is not there is 404", "openai/_exceptions.py")
def test_an_unknown_file_is_404(server, seen):
    with pytest.raises(openai.NotFoundError) as caught:
        server.client.files.retrieve("file-that-is-not-there")
    seen(caught.value.body)


@assumes("A batch file is named .jsonl", SEEN_UPLOADS)
def test_a_file_that_is_not_named_jsonl_is_refused(server, seen):
    with pytest.raises(openai.BadRequestError) as caught:
        server.upload(ALL_LINES, name="contract.csv")
    seen(caught.value.body)


@assumes("A file that does not begin with JSON is refused at its upload", SEEN_UPLOADS)
def test_a_file_that_does_not_begin_with_json_is_refused(server, seen):
    with pytest.raises(openai.BadRequestError) as caught:
        server.upload(["id,text", "1,hello"])
    seen(caught.value.body)


@assumes("A mistake in a later line is no matter at the upload", SEEN_UPLOADS)
def test_a_later_mistake_is_taken(server, seen):
    seen(server.upload([*ALL_LINES, "this is no JSON"]).status)


@assumes("A purpose that does not exist is a 400", "openai/types/file_purpose.py")
def test_an_unknown_purpose_is_refused(server, seen):
    with pytest.raises(openai.BadRequestError) as caught:
        server.client.files.create(file=("a.jsonl", b"{}\n"), purpose="no-such-purpose")
    seen(caught.value.body)
