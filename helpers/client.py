"""The OpenAI client for one of four modes, by one switch, COOKBOOK_MODE.

``replay`` is offline, ``live`` the real API, ``record`` keeps its answers for the replay, and
``local`` puts batches in front of a server that has only Chat Completions: vLLM, llama.cpp, Ollama.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import httpx2
import openai

from helpers.paths import JOBS, ROOT
from helpers.replay import create_app
from helpers.replay.record import Recorder
from helpers.replay.upstream import Upstream

MODES = ("replay", "live", "record", "local")

# A local model may take minutes for an answer; that a server is not there shows at once.
_PATIENCE = httpx2.Timeout(600, connect=5)


class ModeError(ValueError):
    """COOKBOOK_MODE names no mode, or the mode lacks what it needs."""


def connect(mode: str | None = None, say: Callable[[str], None] = print) -> openai.OpenAI:
    """A plain OpenAI client, after saying in a line or two where it leads and what that costs.

    The mode is ``mode`` or the environment variable COOKBOOK_MODE: ``replay``, the default even
    when a key is set, answers from ``data/recordings`` without network; ``live`` talks to
    OPENAI_BASE_URL (or OpenAI) with OPENAI_API_KEY; ``record`` does the same and writes the answers
    to the JSONL file COOKBOOK_RECORDINGS, for the replay; ``local`` runs the batches in this
    process and sends their lines to the server at COOKBOOK_UPSTREAM, with OPENAI_API_KEY if that is
    set. Raises `ModeError` for any other mode, and for one that lacks what it needs.
    """
    mode = mode or os.environ.get("COOKBOOK_MODE") or "replay"
    if mode == "replay":
        say(
            "replay: no key, no network, no cost. For the real API set COOKBOOK_MODE=live.\n"
            "The answers are samples written for this cookbook, not a model's output."
        )
        return replay_client()
    if mode == "live":
        if not os.environ.get("OPENAI_API_KEY"):
            raise ModeError(
                "COOKBOOK_MODE is live, but OPENAI_API_KEY is not set. Set it in the environment "
                "(never in a notebook) and start Jupyter anew, or unset COOKBOOK_MODE to replay."
            )
        client = openai.OpenAI()
        say(f"live: {client.base_url}, paid with OPENAI_API_KEY. To replay, unset COOKBOOK_MODE.")
        return client
    if mode == "record":
        return _recording_client(say)
    if mode == "local":
        url = _upstream_url()
        key = "with OPENAI_API_KEY" if os.environ.get("OPENAI_API_KEY") else "without a key"
        say(
            f"local: the answers come from {_without_password(url)}, asked {key};\n"
            "the batches run here, whenever they are looked at. To replay, unset COOKBOOK_MODE."
        )
        return local_client(url)
    raise ModeError(f"COOKBOOK_MODE is {mode!r}. The modes are: {', '.join(MODES)}.")


def _recording_client(say: Callable[[str], None]) -> openai.OpenAI:
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
    client = openai.OpenAI(http_client=openai.DefaultHttpxClient(transport=recorder))
    say(
        f"record: {client.base_url}, paid with OPENAI_API_KEY. What comes back is written to "
        f"{path}. To replay, unset COOKBOOK_MODE."
    )
    return client


def replay_client(state: Path | None = None, **options) -> openai.OpenAI:
    """The official client over a transport that leads into the replay app in this process.

    ``state`` is the replay's database, by default in the jobs folder, so that its batches outlive
    the kernel; ``options`` are those of `helpers.replay.create_app`.
    """
    app = create_app(state or JOBS / "replay.sqlite", **options)
    return _client_of(app, "replay")


def local_client(url: str, state: Path | None = None) -> openai.OpenAI:
    """The official client over a transport that leads into a Batch API in this process.

    It sends the lines of its batches to the server with the base URL ``url``. ``state`` is its
    database, by default in the jobs folder, one for each server: what one has answered is never
    taken for the answer of another.
    """
    key = os.environ.get("OPENAI_API_KEY")
    http = httpx2.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"} if key else None,
        timeout=_PATIENCE,
        # A kept connection that the server closes meanwhile would cost a line its answer.
        limits=httpx2.Limits(max_keepalive_connections=0),
        follow_redirects=True,
    )
    name = f"local-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    return _client_of(create_app(state or JOBS / f"{name}.sqlite", upstream=Upstream(http)), name)


def _client_of(app: Callable, name: str) -> openai.OpenAI:
    return openai.OpenAI(
        api_key=name,
        base_url=f"http://{name}.invalid/v1",
        http_client=httpx2.Client(transport=httpx2.WSGITransport(app=app)),
    )


def _upstream_url() -> str:
    url = os.environ.get("COOKBOOK_UPSTREAM", "").strip().rstrip("/")
    if url.startswith(("http://", "https://")):
        return url
    found = f"is {url!r}" if url else "is not set"
    raise ModeError(
        f"COOKBOOK_MODE is local, but COOKBOOK_UPSTREAM {found}. Set it to the base URL of a "
        "server with /chat/completions, for Ollama http://localhost:11434/v1, and start Jupyter "
        "anew."
    )


def _without_password(url: str) -> str:
    return str(httpx2.URL(url).copy_with(userinfo=b""))
