"""A whole job in a process of its own that can be killed at any step, and a server for it."""

import logging
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import httpx2
import openai
import pandas as pd
from werkzeug.serving import make_server

import helpers
from helpers.replay import create_app
from support import recorded

CHANGED = "once-upon-a-time-in-america-1984"
FILMS = ["apollo-13-1995", "jaws-1975", "alien-1979", "once-2007", "psycho-1960", "m-1931"]
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND


class Points:
    """Counts the steps of a job that matter: every file written or renamed, every exchange.

    At step number ``kill_at`` the process kills itself as a power cut would: no handler runs.
    """

    def __init__(self, folder: Path, kill_at: int = 0):
        self.folder = str(folder)
        self.kill_at = kill_at
        self.names: list[str] = []
        sys.addaudithook(self._audit)

    def hit(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, event: str, arguments: tuple) -> None:
        if event == "os.rename" and str(arguments[1]).startswith(self.folder):
            self.hit(f"rename to {Path(arguments[1]).name}")
        elif (
            event == "open" and str(arguments[0]).startswith(self.folder) and arguments[2] & WRITES
        ):
            name = Path(arguments[0]).name
            # A file that is not finished has a name by chance.
            self.hit(f"write {name.split('-')[0] if name.startswith('.') else name}")


class Exchanges(httpx2.BaseTransport):
    """Real HTTP, with a step before a request leaves and one after its answer has come."""

    def __init__(self, points: Points):
        self.points = points
        self.inner = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        call = f"{request.method} {request.url.path.split('/v1/')[1].split('/')[0]}"
        self.points.hit(f"before {call}")
        response = self.inner.handle_request(request)
        if not call.startswith("GET files"):
            response.read()
        self.points.hit(f"after {call}")
        return response


def serve(state: Path, port: Connection) -> None:
    """A replay on a free port; sends the port's number."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, create_app(state), threaded=True)
    port.send(server.server_port)
    server.serve_forever()


def whole_job(port: int, folder: Path, kill_at: int, answer: Connection) -> None:
    """Three shards and one retry round; sends the result as JSON, and the names of the steps."""
    points = Points(folder, kill_at)
    client = openai.OpenAI(
        api_key="any",
        base_url=f"http://127.0.0.1:{port}/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=Exchanges(points)),
    )
    outcomes = merged_outcomes(client, folder)
    answer.send((outcomes.to_json(orient="split"), points.names))


def merged_outcomes(client: openai.OpenAI, folder: Path) -> pd.DataFrame:
    """A job with a retry, and then the same table with one row changed."""
    shards = helpers.write(recorded(*FILMS), folder / "films", max_requests=2)
    job = finished(client, shards)
    outcomes = helpers.collect(client, job)
    second = finished(client, helpers.retry(job, outcomes))
    first = helpers.merge(outcomes, helpers.collect(client, second))
    changed = helpers.write(recorded(*FILMS[1:], CHANGED), folder / "changed")
    rest, earlier = helpers.reuse(client, changed)
    return pd.concat(
        [first, helpers.merge(earlier, helpers.collect(client, finished(client, rest)))]
    )


def finished(client: openai.OpenAI, shards: list[helpers.Shard]) -> helpers.Job:
    job = helpers.submit(client, shards, sleep=lambda seconds: None)
    helpers.wait(client, job, sleep=lambda seconds: None)
    return job
