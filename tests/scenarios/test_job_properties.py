"""Properties of whole jobs: every row comes back in order, and none is ever paid twice."""

import contextlib
import json
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import httpx2
import openai
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import helpers
from faults import Faults
from helpers.replay import create_app
from support import connect, forget, no_pause, recorded

# Two that fail once with a server error, one refused, one cut off, and good ones.
FILMS = [
    "apollo-13-1995", "amelie-2001", "the-silence-of-the-lambs-1991",
    "everything-everywhere-all-at-once-2022", "jaws-1975", "alien-1979", "once-2007", "m-1931",
]  # fmt: skip
REQUESTS = recorded(*FILMS)
ROOM_FOR_A_FEW = 1_000
# A reader is told of lines that a batch counts and does not show, and goes on.
COUNTED = "The batches count"
CREATE, LIST, LOOK = "POST /v1/batches", "GET /v1/batches", "GET /v1/batches/<id>"
CONTENT = "GET /v1/files/<id>/content"

line_faults = st.sampled_from([
    "all_failed", "status_0", "missing_lines", "duplicate_lines", "unknown_ids", "blank_lines",
    "vllm_errors",
])  # fmt: skip
call_faults = st.fixed_dictionaries(
    {
        "at": st.sampled_from([CREATE, LIST, LOOK, CONTENT]),
        "fault": st.sampled_from(["lost", "reset", "truncated"]),
        "after": st.integers(0, 2),
    }
)
scripts = st.fixed_dictionaries(
    {
        "faults": st.lists(
            call_faults
            | st.fixed_dictionaries({"at": st.just("results"), "fault": line_faults}),
            max_size=3,
        )
    },
    optional={"queue_tokens": st.just(ROOM_FOR_A_FEW), "expire_after": st.integers(0, 3)},
)  # fmt: skip


class Server:
    """A replay, and what it knows of what was paid."""

    def __init__(self, folder: Path):
        self.app = create_app(folder / "replay.sqlite", faults=Faults())
        # An app of its own over the same memory: no fault that is meant for a client meets it.
        self.observer = connect(httpx2.WSGITransport(app=create_app(folder / "replay.sqlite")))

    def client(self) -> openai.OpenAI:
        return connect(httpx2.WSGITransport(app=self.app), max_retries=0)

    def script(self, **script) -> None:
        self.client().put("/replay", body=script, cast_to=object)

    def lines(self, file_id: str) -> list[dict]:
        return [
            json.loads(line)
            for line in self.observer.files.content(file_id).content.splitlines()
            if line.strip()
        ]

    def ids_in_live_batches(self) -> Counter:
        live = [b for b in self.observer.batches.list() if b.status not in helpers.job.FINAL]
        return Counter(
            line["custom_id"] for batch in live for line in self.lines(batch.input_file_id)
        )

    def answers(self) -> Counter:
        """How many batches answered each row."""
        outputs = [b.output_file_id for b in self.observer.batches.list() if b.output_file_id]
        return Counter(
            custom_id
            for file_id in outputs
            for custom_id in {
                line["custom_id"]
                for line in self.lines(file_id)
                if line["response"]["status_code"] == 200
            }
        )

    def paid_at_most_once(self) -> bool:
        live, answered = self.ids_in_live_batches(), self.answers()
        answered.pop("nobody-asked-for-this", None)
        return all(count == 1 for count in (*live.values(), *answered.values()))


def again_until(done, what, tries=8):
    """Runs a step as a reader would: once more when an error says so."""
    for _ in range(tries):
        try:
            return what()
        except (helpers.JobError, openai.APIError):
            done()
    raise AssertionError("the same error again and again")


def outcomes_of(client, shards, done=lambda: None):
    """All cells of a notebook."""
    job = again_until(done, lambda: helpers.submit(client, shards, sleep=no_pause))
    again_until(done, lambda: helpers.wait(client, job, sleep=no_pause))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", COUNTED)
        return job, again_until(done, lambda: helpers.collect(client, job, sleep=no_pause))


@settings(deadline=None, max_examples=60)
@given(
    ids=st.lists(st.sampled_from(FILMS), min_size=1, unique=True),
    size=st.integers(1, 4),
    script=scripts,
)
def test_every_row_comes_back_in_order_and_is_in_one_live_batch_at_most(ids, size, script):
    asked = [next(r for r in REQUESTS if r["custom_id"] == custom_id) for custom_id in ids]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        client = server.client()
        size = 1 if "queue_tokens" in script else size
        shards = helpers.write(asked, Path(folder, "films"), max_requests=size)
        server.script(**script)

        def check():
            assert server.paid_at_most_once()

        job, outcomes = outcomes_of(client, shards, check)
        while again := helpers.retry(job, outcomes, rounds=3):
            check()
            _, second = outcomes_of(client, again, check)
            outcomes = helpers.merge(outcomes, second)
        server.script()
        check()
        counts = outcomes["outcome"].value_counts()
        assert list(outcomes.index) == ids
        assert counts.sum() == len(ids)
        assert set(counts.index) <= {"ok", "failed", "missing"}
        assert (outcomes.loc[outcomes["outcome"] != "ok", "reason"] != "").all()


class Reader(RuleBasedStateMachine):
    """Somebody who runs the cells up to any point, again and again, while things go wrong."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.server = Server(Path(self.folder.name))

    def teardown(self):
        self.server.script()
        outcomes = self.cells()
        left = outcomes[outcomes["outcome"] != "ok"]
        assert list(outcomes.index) == [request["custom_id"] for request in REQUESTS]
        assert not (left["retry"] & (left["round"] < 5)).any()
        self.no_row_is_paid_twice()
        self.folder.cleanup()

    def cells(self, until="merge", waits=True):
        """All cells, in a kernel of their own that dies after the step ``until``."""
        client = self.server.client()
        shards = helpers.write(REQUESTS, Path(self.folder.name, "films"), max_requests=1)
        job = helpers.submit(client, shards, sleep=no_pause)
        if until == "submit":
            return None
        if waits:
            helpers.wait(client, job, sleep=no_pause)
        with warnings.catch_warnings():
            # Unless it was waited for, a batch may still be running.
            warnings.simplefilter("error" if waits else "ignore")
            warnings.filterwarnings("ignore", COUNTED)
            outcomes = helpers.collect(client, job, sleep=no_pause)
        while again := helpers.retry(job, outcomes):
            if until == "retry":
                return None
            second = helpers.submit(client, again, sleep=no_pause)
            if until == "submit again":
                return None
            helpers.wait(client, second, sleep=no_pause)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", COUNTED)
                second = helpers.collect(client, second, sleep=no_pause)
            outcomes = helpers.merge(outcomes, second)
        return outcomes

    @rule(
        until=st.sampled_from(["submit", "collect", "retry", "submit again", "merge"]),
        waits=st.booleans(),
    )
    def run_cells(self, until, waits):
        try:
            self.cells(until, waits)
        except (helpers.JobError, openai.APIError) as error:
            self.error = error

    @rule(script=scripts)
    def something_will_go_wrong(self, script):
        self.server.script(**script)

    @rule(looks=st.integers(1, 3), every=st.integers(1, 3))
    def time_passes(self, looks, every):
        client = self.server.client()
        for _ in range(looks):
            for batch in list(self.server.observer.batches.list())[::every]:
                with contextlib.suppress(openai.APIConnectionError):
                    client.batches.retrieve(batch.id)

    @rule()
    def cancel(self):
        client = self.server.client()
        shards = helpers.write(REQUESTS, Path(self.folder.name, "films"), max_requests=1)
        try:
            job = helpers.submit(client, shards, sleep=no_pause)
            helpers.cancel(client, job, say=lambda line: None)
        except (helpers.JobError, openai.APIError) as error:
            self.error = error

    @rule()
    def the_folder_is_lost(self):
        for folder in Path(self.folder.name).glob("films-*"):
            forget(folder)

    @invariant()
    def no_row_is_paid_twice(self):
        assert self.server.paid_at_most_once()


Reader.TestCase.settings = settings(deadline=None, max_examples=30, stateful_step_count=12)
TestReader = Reader.TestCase
