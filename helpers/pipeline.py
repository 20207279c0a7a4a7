"""All steps in one call, for somebody who has read the notebooks."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from os import PathLike
from typing import Any, cast

import openai
import pandas as pd
from openai.types import Batch, CompletionUsage
from pydantic import BaseModel

from helpers.batch import check_model, submit, unsubmitted
from helpers.batch import wait as wait_for
from helpers.batchfile import Shard, assemble, read, write
from helpers.checks import MAX_REQUESTS
from helpers.costs import BudgetError, actual, estimate, price
from helpers.job import (
    FINAL,
    Job,
    JobError,
    Records,
    found_no_room,
    locked,
    look,
    server_of,
    visible,
)
from helpers.outcome import answered
from helpers.reuse import Known, known_of
from helpers.table import collect, merge, retry

_SHOWN = 200
# So many requests of a round that was answered say what another one costs.
_MEASURED = 200

Finished = tuple[Job, pd.DataFrame]


def run(
    client: openai.OpenAI,
    requests: Iterable[dict] | list[Shard],
    folder: str | PathLike,
    *,
    budget: float,
    answer: type[BaseModel] | None = None,
    try_first: int = 3,
    rounds: int = 2,
    max_completion_tokens: int | None = None,
    max_requests: int = MAX_REQUESTS,
    max_tokens: int | None = None,
    reuse: bool = True,
    wait: bool = True,
    show: Callable[[list[Batch]], Any] | None = None,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """The outcomes of all requests: one line each, in order, as `collect` gives them.

    Checks and writes the batch files (``max_requests`` and ``max_tokens`` as for `write`; batch
    files that exist are put together as `assemble` does it), tries the first ``try_first`` requests
    with Chat Completions (`JobError` if none of the answers can be used), estimates the cost from
    them (`BudgetError` above ``budget`` US dollars), and only then submits. What this server has
    answered before, in any job of the same jobs folder, is taken over and not paid again, unless
    with ``reuse=False``; a column ``source`` then says where each row came from. What is on its way
    in another job is a `JobError`. Waits, collects, and sends what can succeed on another try
    again, in up to ``rounds`` rounds, with ``max_completion_tokens`` also what was cut off, with
    that as its cap. With ``wait=False`` it returns at once, and rows of batches that have not ended
    are missing.

    Safe to run again: what was tried, submitted or collected is not paid twice. ``say`` gets a line
    for everything found in order before the job starts, and the counts at its end; ``show`` is that
    of `wait`.
    """
    if isinstance(requests, list) and requests and isinstance(requests[0], Shard):
        shards = assemble(cast(list[Shard], requests), folder)
    else:
        made = cast(Iterable[dict], requests)
        shards = write(made, folder, max_requests=max_requests, max_tokens=max_tokens)
    count = sum(shard.requests for shard in shards)
    say(f"checked: {count:,} requests to {shards[0].model}, batch files: {len(shards)}")
    if try_first < 1 or shards[0].endpoint != "/v1/chat/completions":
        raise ValueError(
            "run estimates from at least one request tried with Chat Completions. For other "
            "endpoints take the steps one by one: write, submit, wait, collect."
        )
    known = known_of(client, shards, answer) if reuse else Known(shards, pd.DataFrame(), [], [])
    if known.asked:
        shards = known.shards
        sources = known.outcomes["source"]
        jobs = ", ".join(sorted({*sources} - {""}))
        count = int((sources != "").sum())
        say(f"answered before: {count:,}, in {jobs}; to be sent: {len(sources) - count:,}")
        if not shards:
            return known.outcomes
    trial = _Trial(client, shards, try_first, answer)
    expected = None
    if not unsubmitted(client, shards):
        # The batches exist: no trial, price or budget stands between them and the reader.
        trial.report_if_complete(budget, say)
    elif known.asked:
        # What was answered before shows as much as a trial would, and is paid.
        expected = estimate(shards, known.asked, known.usages)
        expected.attrs["tried"] = 0.0
        _say_price(expected, budget, say)
    else:
        trial.ask(budget)
        expected = trial.report(budget, say)

    unfinished: list[Batch] = []

    def finished(batch_files: list[Shard], expected: pd.DataFrame | None, limit: float) -> Finished:
        # What exists needs no budget: then there is no estimate either.
        limited = None if expected is None else limit
        job = submit(client, batch_files, expected=expected, budget=limited, say=say)
        now = None if wait else look(client, job)
        if now is None or now.over:
            wait_for(client, job, show=show, say=say)
            return job, collect(client, job, answer)
        waits = (now.batches[place] for place in now.waiting)
        unfinished.extend([*waits, *(one for one in now.batches if one.status not in FINAL)])
        # That they have not ended is said in the end.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return job, collect(client, job, answer)

    job, outcomes = finished(shards, expected, budget)
    sent = {shard.path for shard in shards}
    while again := [
        shard
        for shard in retry(
            job, outcomes, rounds=rounds, max_completion_tokens=max_completion_tokens
        )
        if shard.path not in sent
    ]:
        sent |= {shard.path for shard in again}
        spent = actual(outcomes, again[0].model)["batch_usd"].sum()
        try:
            more, left = None, max(0.0, budget - spent)
            if unsubmitted(client, again):
                more = trial.estimate(again, outcomes, known, left)
            second = finished(again, more, left)[1]
        except BudgetError as error:
            say(f"not asked again: {error}")
            break
        outcomes = merge(outcomes, second)
    if known.asked:
        outcomes = merge(known.outcomes, outcomes)
    if unfinished:
        _report_unfinished(unfinished, outcomes, say)
    else:
        _report(outcomes, say)
    return outcomes


def _report_unfinished(
    batches: list[Batch], outcomes: pd.DataFrame, say: Callable[[str], None]
) -> None:
    """Says what is on its way; what of the rows failed is not known before the end."""
    waiting = sum(map(found_no_room, batches))
    answered = (outcomes["outcome"] == "ok").sum()
    room = f", without room in the queue: {waiting:,}" if waiting else ""
    say(
        f"submitted: batches on their way: {len(batches) - waiting:,}{room}; rows with an answer: "
        f"{answered:,} of {len(outcomes):,}"
    )
    say(f"Run the same lines again to {'send and ' if waiting else ''}collect them.")


def _say_price(expected: pd.DataFrame, budget: float, say: Callable[[str], None]) -> None:
    costs = expected["batch_usd"]
    say(
        f"price: {costs['expected']:.4f} US dollars expected, {costs['longest']:.4f} with the "
        f"longest answers, {budget:.4f} allowed"
    )


def _report(outcomes: pd.DataFrame, say: Callable[[str], None]) -> None:
    """Says how many rows came to which outcome, and what failed, with an example of each kind."""
    counts = outcomes["outcome"].value_counts()
    say(f"outcomes: {', '.join(f'{n:,} {outcome}' for outcome, n in counts.items())}")
    left = outcomes[outcomes["outcome"] != "ok"]
    for code, rows in left.groupby("code", sort=False):
        example = visible(rows["reason"].iloc[0])[:_SHOWN]
        say(f"{len(rows):,} {visible(code)}, such as {rows.index[0]}: {example}")
    if len(left):
        say('All of them: outcomes[outcomes["outcome"] != "ok"]')


class _Trial:
    """The first requests of a job, tried with Chat Completions.

    The answers are kept in the record of the first batch file, so that each is paid once; the
    answer model judges them again each time.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        shards: list[Shard],
        count: int,
        answer: type[BaseModel] | None,
    ):
        self.client, self.shards, self.answer = client, shards, answer
        self.requests = list(islice(read(shards[0].path), count))
        self.records = Records(server_of(client))
        self.failed: list[str] = []
        self._read()

    def _read(self) -> None:
        record = self.records[self.shards[0]]
        self.kept, self.model = record.tried, record.model

    @property
    def tried(self) -> list[dict]:
        return [request for request in self.requests if request["custom_id"] in self.kept]

    def ask(self, budget: float) -> None:
        """Asks what has no answer yet; one process at a time, so that nothing is asked twice."""
        first = self.shards[0]
        with locked(first.path.with_name("trial.lock")):
            self._read()
            if not self.model or len(self.tried) < len(self.requests):
                with self.records.change(first) as record:
                    record.model = self.model = check_model(self.client, first.model)
            # A price that is missing stops the job here, before anything is paid.
            rates = price(first.model, "standard")
            price(first.model, "batch")
            for request in self.requests:
                if (
                    sum(rates.of(u.prompt_tokens, 0, u.completion_tokens) for u in self.usages)
                    > budget
                ):
                    return
                if request["custom_id"] not in self.kept:
                    self._ask(request)

    @property
    def usages(self) -> list[CompletionUsage]:
        """The usage of each request that was tried."""
        kept = (self.kept[request["custom_id"]]["usage"] for request in self.tried)
        return [CompletionUsage.construct(**usage) for usage in kept]

    def _ask(self, request: dict) -> None:
        custom_id, body = request["custom_id"], request["body"]
        try:
            # extra_body: a compatible server may know parameters that the SDK does not.
            completion = self.client.chat.completions.create(
                model=body["model"], messages=body["messages"], extra_body=body
            )
        except (openai.InternalServerError, openai.BadRequestError, openai.NotFoundError) as error:
            # The row's or the moment's, so others may go well.
            self.failed.append(f"{custom_id}: {_reason(error)}")
            return
        except openai.APIError as error:
            raise JobError(
                f"The trial of {custom_id} failed, nothing was submitted: {_reason(error)}"
            ) from error
        if completion.usage is None:
            raise JobError("The server reports no usage, so the cost cannot be estimated.")
        self.kept[custom_id] = completion.to_dict(mode="json", warnings=False)
        with self.records.change(self.shards[0]) as record:
            record.tried[custom_id] = self.kept[custom_id]

    def estimate(
        self, again: list[Shard], outcomes: pd.DataFrame, known: Known, budget: float
    ) -> pd.DataFrame:
        """What another round could cost, by what was answered before, or else by a trial."""
        for tried, usages in (
            self._measured(outcomes),
            (self.tried, self.usages),
            (known.asked, known.usages),
        ):
            if tried:
                table = estimate(again, tried, usages)
                table.attrs["tried"] = 0.0
                return table
        self.ask(budget)
        if not self.tried:
            raise BudgetError(
                "Nobody knows what a request costs: no answer came, also not to those tried "
                f"({self.failed[0] if self.failed else 'the budget is used up'})."
            )
        return estimate(again, self.tried, self.usages)

    def _measured(self, outcomes: pd.DataFrame) -> tuple[list[dict], list[CompletionUsage]]:
        """Some requests that were answered, and what they used."""
        used = outcomes.loc[outcomes["prompt_tokens"] > 0, ["prompt_tokens", "completion_tokens"]]
        answered = {*used.index}
        asked = (request for shard in self.shards for request in read(shard.path))
        some = [*islice((r for r in asked if r["custom_id"] in answered), _MEASURED)]
        return some, [CompletionUsage.construct(**used.loc[r["custom_id"]].to_dict()) for r in some]

    def report_if_complete(self, budget: float, say: Callable[[str], None]) -> None:
        """Says of a job that was submitted before what was said of it then, if it is known."""
        lines: list[str] = []
        with suppress(JobError, BudgetError, LookupError):
            if len(self.tried) == len(self.requests):
                self.report(budget, lines.append)
                for line in lines:
                    say(line)

    def report(self, budget: float, say: Callable[[str], None]) -> pd.DataFrame:
        """Says what the trials showed, and what the job will cost; the estimate."""
        usable, useless = [], self.failed.copy()
        for request in self.tried:
            outcome = answered(self.kept[request["custom_id"]], self.answer)
            if outcome.outcome == "ok":
                usable.append(visible(outcome.answer)[:_SHOWN])
            else:
                useless.append(f"{request['custom_id']}: {outcome.code}, {visible(outcome.reason)}")
        if not usable:
            heading = "None of the answers tried can be used, nothing was submitted:"
            ending = (
                "Change the request or the answer model, or run this again after a server error."
            )
            # One in full is enough to know what to do.
            shown = [useless[0], *(line[:_SHOWN] for line in useless[1:])] if useless else []
            raise JobError("\n- ".join([heading, *shown]) + f"\n{ending}")
        say(self.model)
        say(f"tried: {len(self.requests)}, {len(usable)} can be used; the first: {usable[0]}")
        for trial in useless:
            say(f"cannot be used: {trial}")
        expected = estimate(self.shards, self.tried, self.usages, budget=budget)
        _say_price(expected, budget, say)
        return expected


def _reason(error: openai.APIError) -> str:
    """What the server says, without the wrapping of the SDK."""
    body = error.body if isinstance(error.body, dict) else {}
    return visible(body.get("message") or error)
