"""The servers that the contract is tried on, the batches it looks at, and the table at the end."""

import json
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import openai
import pytest
from openai.types import Batch

from contract.cases import ALL_LINES, REFUSED
from helpers.replay import create_app
from support import served

FINAL = {"completed", "failed", "expired", "cancelled"}
# Twelve requests of at most 60 tokens, with answers of at most 16: data/prices.csv.
MOST_REQUESTS, MOST_USD = 12, 12 * (60 * 0.10 + 16 * 0.50) / 1e6
ENDPOINT = "/v1/chat/completions"


@dataclass
class Server:
    """A server under test, and how long it may take."""

    client: openai.OpenAI
    http: httpx2.Client
    model: str
    patience: float = 60
    pause: float = 0
    picks_up: bool = False
    uploads: list[str] = field(default_factory=list)

    def bodies(self, lines):
        """The lines with the model of this server."""
        return json.loads(json.dumps(lines).replace('"MODEL"', json.dumps(self.model)))

    def upload(self, lines, name="contract.jsonl", **options):
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        content = "".join(f"{text}\n" for text in texts).replace('"MODEL"', json.dumps(self.model))
        file = self.client.files.create(file=(name, content.encode()), purpose="batch", **options)
        self.uploads.append(file.id)
        return file

    def create(self, **options) -> Batch:
        asked = {"endpoint": ENDPOINT, "completion_window": "24h", **options}
        return self.client.with_options(max_retries=0).batches.create(**asked)

    def batch(self, name, lines) -> Batch:
        """The batch of this name: found again at a server that keeps it, or created now."""
        mark = {"contract": f"{name}-1", "model": self.model}
        if self.picks_up:
            for batch in self.client.batches.list(limit=100):
                if batch.metadata == mark:
                    return batch
        batch = self.create(input_file_id=self.upload(lines).id, metadata=mark)
        # It may be picked up by a later run, so its file stays.
        self.uploads.remove(batch.input_file_id)
        return batch

    def tidy(self):
        """Deletes what was uploaded and is not needed any more."""
        for file_id in self.uploads:
            with suppress(openai.APIError):
                self.client.files.delete(file_id)

    def finished(self, batch) -> list[Batch]:
        """Every look at the batch up to its end."""
        looks, until = [batch], time.monotonic() + self.patience
        while looks[-1].status not in FINAL:
            assert time.monotonic() < until, (
                f"{batch.id} is {looks[-1].status} after {self.patience:g} seconds. "
                "Run the same command again: it picks the batch up."
            )
            answer = self.client.batches.with_raw_response.retrieve(batch.id)
            looks.append(answer.parse())
            asked = answer.headers.get("openai-poll-after-ms", "")
            time.sleep(int(asked) / 1_000 if asked.isdecimal() else self.pause)
        return looks


# Servers


def pytest_generate_tests(metafunc):
    if "server" not in metafunc.fixturenames:
        return
    config = metafunc.config
    if config.getoption("--live"):
        kinds = ["live"]
    elif url := config.getoption("--server"):
        kinds = [url]
    else:
        kinds = ["in process", "on a port"]
    metafunc.parametrize("server", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request, tmp_path_factory):
    model = request.config.getoption("--model")
    with ExitStack() as stack:
        if request.param in ("in process", "on a port"):
            state = tmp_path_factory.mktemp("contract") / "replay.sqlite"
            yield replay(stack, state, in_process=request.param == "in process")
            return
        key, url = os.environ.get("OPENAI_API_KEY"), request.param
        patience, pause = 900, 1
        if url == "live":
            if not key:
                pytest.exit("Set OPENAI_API_KEY: the contract is tried with that key.", 4)
            url, patience, pause = os.environ.get("OPENAI_BASE_URL"), 26 * 3_600, 15
        server = far(stack, url, key or "none", model, patience, pause)
        stack.callback(server.tidy)
        yield server


def far(stack, url, key, model, patience, pause):
    client = stack.enter_context(openai.OpenAI(api_key=key, base_url=url))
    http = stack.enter_context(httpx2.Client(base_url=client.base_url))
    return Server(client, http, model, patience, pause, picks_up=True)


def replay(stack, state, in_process):
    """A replay that has answers to the two lines."""
    app = create_app(state, recordings=Path(__file__).parent / "recordings")
    if in_process:
        transport, address = httpx2.WSGITransport(app=app), "http://replay.invalid/v1"
    else:
        transport, address = None, stack.enter_context(served(app))
    http = stack.enter_context(httpx2.Client(transport=transport, base_url=f"{address}/"))
    client = openai.OpenAI(api_key="any", base_url=address, http_client=http)
    return Server(client, http, "gpt-6-luna")


# Batches


@pytest.fixture(scope="session")
def looks(server):
    """Every look at the batch of two lines, one that succeeds and one that does not."""
    return server.finished(server.batch("two", ALL_LINES))


@pytest.fixture(scope="session")
def done(looks):
    return looks[-1]


@pytest.fixture(scope="session")
def refused(server):
    """A batch whose lines have a mistake of each kind."""
    return server.finished(server.batch("refused", REFUSED))[-1]


@pytest.fixture(scope="session")
def stopped(server):
    """A batch as it was created, what cancelling it said, and its end."""
    created = server.create(
        input_file_id=server.upload(ALL_LINES).id, metadata={"contract": "cancelled"}
    )
    try:
        said = server.client.batches.cancel(created.id)
    except openai.ConflictError as error:
        said = error
    return created, said, server.finished(created)[-1]


@pytest.fixture(scope="session")
def output(server, done):
    return lines_of(server, done.output_file_id)


@pytest.fixture(scope="session")
def errors(server, done):
    return lines_of(server, done.error_file_id)


def lines_of(server, file_id):
    content = server.client.files.content(file_id).content if file_id else b""
    return [json.loads(line) for line in content.splitlines() if line.strip()]


# The table


@pytest.fixture
def seen(request):
    """What was seen, for the table."""
    notes = []
    yield lambda *values: notes.append(", ".join(map(str, values)))
    request.node.user_properties.append(("seen", "; ".join(notes)))


def pytest_configure(config):
    config.addinivalue_line("markers", "assumes(what, source): an assumption, and who says so")


def pytest_report_header(config):
    if config.getoption("--live"):
        return (
            f"contract: at most {MOST_REQUESTS} tiny requests to {config.getoption('--model')}, "
            f"with gpt-6-luna {MOST_USD:.4f} US dollars; a batch may take minutes or hours"
        )
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    mark = item.get_closest_marker("assumes")
    if mark:
        item.session.stash.setdefault(TABLE, {})
        if report.failed:
            report.sections.append(("what this rests on", mark.kwargs["source"]))
        row = item.session.stash[TABLE].setdefault(item.nodeid, {"mark": mark, "held": True})
        row["held"] = row["held"] and not report.failed
        row["item"] = item
        if report.failed and call.excinfo:
            row["why"] = str(call.excinfo.value).splitlines()[0][:160]
    return report


TABLE = pytest.StashKey[dict]()


def pytest_terminal_summary(terminalreporter, config):
    rows = terminalreporter._session.stash.get(TABLE, {})
    if not rows or not (config.getoption("--live") or config.getoption("--server")):
        return
    terminalreporter.section("the contract")
    for row in rows.values():
        notes = dict(row["item"].user_properties).get("seen", "")
        said = notes if row["held"] else (row.get("why") or notes)
        held = "held    " if row["held"] else "NOT HELD"
        terminalreporter.write_line(f"{held}  {row['mark'].kwargs['what']}")
        terminalreporter.write_line(f"          seen: {said or 'as said'}")
        terminalreporter.write_line(f"          from: {row['mark'].kwargs['source']}")
    held = sum(row["held"] for row in rows.values())
    terminalreporter.write_line(f"{held} of {len(rows)} assumptions held.")
