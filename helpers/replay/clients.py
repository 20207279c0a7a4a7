"""The clients of the four modes: into the replay, live, recorded, in front of one's own model."""

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai

from helpers.paths import JOBS, ROOT
from helpers.replay.app import create_app
from helpers.replay.local import Upstream
from helpers.replay.record import Recorder

# A local model may take minutes for an answer; that a server is not there shows at once.
_PATIENCE = httpx2.Timeout(600, connect=5)


class ModeError(ValueError):
    """COOKBOOK_MODE names no mode, or the mode lacks what it needs."""


def replay_client(state: Path | None = None, **options) -> openai.OpenAI:
    """The official client over a transport that leads into the replay app in this process.

    ``state`` is the replay's database, by default in the jobs folder, so that its batches outlive
    the kernel; ``options`` are those of `helpers.replay.create_app`.
    """
    return _client_of(_app(state or JOBS / "replay.sqlite", **options), "replay")


def local_client(url: str, state: Path | None = None, *, at_once: int = 16) -> openai.OpenAI:
    """The official client over a transport that leads into a Batch API in this process.

    It sends the lines of its batches to the server with the base URL ``url``, up to ``at_once`` at
    a time. ``state`` is its database, by default in the jobs folder, one for each server: what one
    has answered is never taken for the answer of another.
    """
    url, auth = parts_of(url)
    key = os.environ.get("OPENAI_API_KEY")
    http = httpx2.Client(
        base_url=url,
        auth=auth,
        headers={"Authorization": f"Bearer {key}"} if key else None,
        timeout=_PATIENCE,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=at_once),
        follow_redirects=True,
    )
    name = f"local-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    app = _app(state or JOBS / f"{name}.sqlite", upstream=Upstream(http, at_once))
    return _client_of(app, name)


def live_client(transport: httpx2.BaseTransport | None = None) -> openai.OpenAI:
    """The client for OPENAI_BASE_URL, whose name and password are sent but are no part of it.

    The base URL of a client is printed, and written into the folders of jobs.
    """
    url, auth = parts_of(os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1")
    if transport is None and auth is None:
        return openai.OpenAI(base_url=url)
    options: dict[str, Any] = {"transport": transport} if transport else {}
    return openai.OpenAI(base_url=url, http_client=openai.DefaultHttpxClient(auth=auth, **options))


def recording_client(say: Callable[[str], None]) -> openai.OpenAI:
    needed = ("OPENAI_API_KEY", "COOKBOOK_RECORDINGS")
    if lacking := " and ".join(name for name in needed if not os.environ.get(name)):
        raise ModeError(
            f"COOKBOOK_MODE is record, which needs OPENAI_API_KEY, and in COOKBOOK_RECORDINGS the "
            f"JSONL file to write. Not set: {lacking}. Set both in the environment and restart the "
            "kernel, or unset COOKBOOK_MODE to replay."
        )
    # A notebook's kernel runs in notebooks/, so a relative path begins at the project.
    path = (ROOT / os.environ["COOKBOOK_RECORDINGS"]).resolve()
    try:
        recorder = Recorder(path, say=say)
    except (ValueError, OSError) as error:
        raise ModeError(
            f"COOKBOOK_RECORDINGS cannot be written: {error}. Name a new .jsonl file, or one that "
            "holds recordings."
        ) from error
    client = live_client(recorder)
    say(
        f"record: {client.base_url}, paid with OPENAI_API_KEY. What comes back is written to "
        f"{path}. To replay, unset COOKBOOK_MODE."
    )
    return client


def upstream_url() -> str:
    url = os.environ.get("COOKBOOK_UPSTREAM", "").strip().rstrip("/")
    if url.startswith(("http://", "https://")):
        return url
    # What stands before an @ may be a password.
    found = f"is {re.sub(r'.*@', '...@', url)!r}" if url else "is not set"
    raise ModeError(
        f"COOKBOOK_MODE is local, but COOKBOOK_UPSTREAM {found}. Set it to the base URL of a "
        "server with /chat/completions, for Ollama http://localhost:11434/v1, and start Jupyter "
        "anew."
    )


def parts_of(url: str) -> tuple[str, tuple[str, str] | None]:
    """The URL without name and password, and these two if it has them."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        # Its message quotes the URL, and so may quote a password.
        raise ModeError(
            "The base URL (OPENAI_BASE_URL or COOKBOOK_UPSTREAM) is no URL. Characters such as "
            "/ : @ # in a password have to be written with %, as %2F %3A %40 %23."
        ) from None
    if not parsed.userinfo:
        return url, None
    return str(parsed.copy_with(userinfo=b"")), (parsed.username, parsed.password)


def _app(state: Path, **options: Any) -> Callable:
    try:
        return create_app(state, **options)
    except (OSError, sqlite3.Error) as error:
        raise ModeError(
            f"{state} cannot be written ({error}). Set COOKBOOK_JOBS to a folder that can be, and "
            "start Jupyter anew. If the file is damaged, delete it: it holds what was submitted "
            "to this server, nothing that was paid."
        ) from error


def _client_of(app: Callable, name: str) -> openai.OpenAI:
    return openai.OpenAI(
        api_key=name,
        base_url=f"http://{name}.invalid/v1",
        http_client=httpx2.Client(transport=httpx2.WSGITransport(app=app)),
    )
