"""What a reader of a notebook sees of a request that is not recorded: a short message."""

import re
import textwrap
from types import TracebackType
from typing import Any

import openai
from IPython import get_ipython

_WIDTH = 96


def shorten_misses() -> None:
    """In a notebook, lets a request that is not recorded end its cell in a short message.

    Its traceback leads through the SDK, whose frames say nothing of the reason.
    """
    shell = get_ipython()
    # A handler that is there already is the reader's own.
    if shell is not None and not shell.custom_exceptions:
        shell.set_custom_exc((openai.NotFoundError,), _show_shortly)


def _show_shortly(
    shell: Any,
    kind: type[BaseException],
    error: openai.NotFoundError,
    traceback: TracebackType,
    tb_offset: int | None = None,
) -> None:
    if error.code != "not_recorded" or not isinstance(error.body, dict):
        shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
        return
    parts = re.split(r" (?=Here |recorded is |Take back )", str(error.body.get("message")))
    lines = [line for part in parts for line in textwrap.wrap(part, _WIDTH)]
    shell._showtraceback(kind, error, lines)
