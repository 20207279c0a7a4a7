"""The OpenAI client, for the offline replay or for the real API: one switch, COOKBOOK_MODE."""

import os
from collections.abc import Callable
from pathlib import Path

import httpx2
import openai

from helpers.paths import JOBS
from helpers.replay import create_app

MODES = ("replay", "live")


class ModeError(ValueError):
    """COOKBOOK_MODE names no mode, or the mode lacks what it needs."""


def connect(mode: str | None = None, say: Callable[[str], None] = print) -> openai.OpenAI:
    """A plain OpenAI client, after saying in one line where it leads and what that costs.

    The mode is ``mode`` or the environment variable COOKBOOK_MODE: ``replay``, the default even
    when a key is set, answers from ``data/recordings`` without network; ``live`` talks to
    OPENAI_BASE_URL (or OpenAI) with OPENAI_API_KEY. Raises `ModeError` for any other mode, and for
    ``live`` without a key.
    """
    mode = mode or os.environ.get("COOKBOOK_MODE") or "replay"
    if mode == "replay":
        say(
            "replay: no key, no network, no cost. The answers are samples written for this "
            "cookbook, not a model's output. For the real API set COOKBOOK_MODE=live."
        )
        return replay_client()
    if mode == "live":
        if not os.environ.get("OPENAI_API_KEY"):
            raise ModeError(
                "COOKBOOK_MODE is live, but OPENAI_API_KEY is not set. Set it in the environment "
                "(never in a notebook) and restart the kernel, or unset COOKBOOK_MODE to replay."
            )
        client = openai.OpenAI()
        say(f"live: {client.base_url}, paid with OPENAI_API_KEY. To replay, unset COOKBOOK_MODE.")
        return client
    raise ModeError(f"COOKBOOK_MODE is {mode!r}. The modes are: {', '.join(MODES)}.")


def replay_client(state: Path | None = None, **options) -> openai.OpenAI:
    """The official client over a transport that leads into the replay app in this process.

    ``state`` is the replay's database, by default in the jobs folder, so that its batches outlive
    the kernel; ``options`` are those of `helpers.replay.create_app`.
    """
    app = create_app(state or JOBS / "replay.sqlite", **options)
    return openai.OpenAI(
        api_key="replay",
        base_url="http://replay.invalid/v1",
        http_client=httpx2.Client(transport=httpx2.WSGITransport(app=app)),
    )
