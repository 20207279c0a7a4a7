"""The OpenAI client for one of four modes, by one switch, COOKBOOK_MODE.

``replay`` is offline, ``live`` the real API, ``record`` keeps its answers for the replay, and
``local`` puts batches in front of a server that has none: vLLM, llama.cpp, Ollama.
"""

import math
import os
from collections.abc import Callable

import openai

from helpers.replay.clients import (
    ModeError,
    live_client,
    local_client,
    parts_of,
    recording_client,
    replay_client,
    upstream_url,
)
from helpers.replay.misses import shorten_misses

MODES = ("replay", "live", "record", "local")


def connect(mode: str | None = None, say: Callable[[str], None] = print) -> openai.OpenAI:
    """A plain OpenAI client, after saying in a line or two where it leads and what that costs.

    The mode is ``mode`` or the environment variable COOKBOOK_MODE: ``replay``, the default even
    when a key is set, answers from ``data/recordings`` without network, and its batches take
    COOKBOOK_REPLAY_SECONDS, or as long as two looks; ``live`` talks to OPENAI_BASE_URL (or OpenAI)
    with OPENAI_API_KEY; ``record`` does the same and writes the answers to the JSONL file
    COOKBOOK_RECORDINGS, for the replay; ``local`` runs the batches in this process and sends their
    lines to the server at COOKBOOK_UPSTREAM, COOKBOOK_AT_ONCE (16) at a time, with OPENAI_API_KEY
    if that is set. A name and password in one of the addresses is used and shown nowhere. Raises
    `ModeError` for any other mode, and for one that lacks what it needs.
    """
    mode = mode or os.environ.get("COOKBOOK_MODE") or "replay"
    if mode == "replay":
        return _replaying_client(say)
    if mode == "live":
        if not os.environ.get("OPENAI_API_KEY"):
            raise ModeError(
                "COOKBOOK_MODE is live, but OPENAI_API_KEY is not set. Set it in the environment "
                "(never in a notebook) and start Jupyter anew, or unset COOKBOOK_MODE to replay."
            )
        client = live_client()
        say(f"live: {client.base_url}, paid with OPENAI_API_KEY. To replay, unset COOKBOOK_MODE.")
        return client
    if mode == "record":
        return recording_client(say)
    if mode == "local":
        url = upstream_url()
        key = "with OPENAI_API_KEY" if os.environ.get("OPENAI_API_KEY") else "without a key"
        client = local_client(url, at_once=int(_number("COOKBOOK_AT_ONCE", 1, 1_000) or 16))
        say(
            f"local: the answers come from {parts_of(url)[0]}, asked {key};\n"
            "the batches run here, as long as this kernel does. To replay, unset COOKBOOK_MODE."
        )
        return client
    raise ModeError(f"COOKBOOK_MODE is {mode!r}. The modes are: {', '.join(MODES)}.")


def _replaying_client(say: Callable[[str], None]) -> openai.OpenAI:
    seconds = _number("COOKBOOK_REPLAY_SECONDS", 0, 86_400)
    takes = "" if seconds is None else f"\nA batch takes {seconds:g} seconds."
    say(
        "replay: no key, no network, no cost. For the real API set COOKBOOK_MODE=live.\n"
        f"The answers are samples written for this cookbook, not a model's output.{takes}"
    )
    shorten_misses()
    return replay_client(seconds=seconds)


def _number(name: str, least: float, most: float) -> float | None:
    """The environment variable as a number; None where it is not set."""
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ModeError(f"{name} is {text!r}. Set it to a number from {least:g} to {most:,g}.")
    return number
