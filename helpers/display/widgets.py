"""Whether there is a Jupyter to show widgets, and how one is put on the page."""

from typing import Any

from IPython import get_ipython

_VIEW = "application/vnd.jupyter.widget-view+json"


def in_jupyter() -> bool:
    """Whether this code runs in a kernel; a terminal shows text."""
    return getattr(get_ipython(), "kernel", None) is not None


def view_of(widget: Any) -> dict[str, Any]:
    """The display bundle of a widget's live view, without the text that stands for it elsewhere."""
    return {_VIEW: widget._repr_mimebundle_()[_VIEW]}
