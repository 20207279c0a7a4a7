"""The Batch API, offline: the same HTTP, answered from recordings. See `helpers.replay.app`."""

from helpers.replay.app import create_app

__all__ = ["create_app"]
