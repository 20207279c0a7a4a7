"""All steps in one call, for somebody who has read the notebooks."""

from collections.abc import Callable, Iterable
from itertools import islice
from os import PathLike

import openai
import pandas as pd
from openai.types import CompletionUsage
from pydantic import BaseModel

from helpers.batch import check_model, submit, wait
from helpers.batchfile import Shard, read, write
from helpers.checks import MAX_REQUESTS
from helpers.costs import estimate, price
from helpers.display.progress import Progress
from helpers.job import JobError, State
from helpers.outcome import answered
from helpers.table import collect, merge, retry

_SHOWN = 200


def run(
    client: openai.OpenAI,
    requests: Iterable[dict],
    folder: str | PathLike,
    budget: float,
    answer: type[BaseModel] | None = None,
    try_first: int = 3,
    rounds: int = 2,
    max_requests: int = MAX_REQUESTS,
    show: Callable | None = None,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """The outcomes of all requests: one line each, in order, as `collect` gives them.

    Checks and writes the batch files (``max_requests`` as for `write`), tries the first
    ``try_first`` requests with Chat Completions (`JobError` if none of the answers can be used),
    estimates the cost from them (`BudgetError` above ``budget`` US dollars), and only then submits.
    Waits, collects, and sends what can succeed on another try again, in up to ``rounds`` rounds.
    Safe to run again: what was tried, submitted or collected is not paid twice. ``say`` gets a line
    for everything found in order before the job starts, and the counts at its end; ``show`` gets
    the batches at every look, and is a `Progress` by default.
    """
    shards = write(requests, folder, max_requests=max_requests)
    count = sum(shard.requests for shard in shards)
    say(f"checked: {count:,} requests to {shards[0].model}, batch files: {len(shards)}")
    tried, usages = _try(client, shards, try_first, answer, say)
    costs = estimate(shards, tried, usages, budget=budget)["batch_usd"]
    longest = f", {costs['longest']:.4f} with the longest answers" if costs["longest"] > 0 else ""
    say(f"price: {costs['expected']:.4f} US dollars expected{longest}, {budget:.4f} allowed")
    job = submit(client, shards)
    wait(client, job, show or Progress(client, job, say))
    outcomes = collect(client, job, answer)
    while again := retry(job, outcomes, rounds):
        second = submit(client, again)
        wait(client, second, show or Progress(client, second, say))
        outcomes = merge(outcomes, collect(client, second, answer))
    counts = outcomes["outcome"].value_counts()
    say(f"outcomes: {', '.join(f'{n:,} {outcome}' for outcome, n in counts.items())}")
    return outcomes


def _try(
    client: openai.OpenAI,
    shards: list[Shard],
    count: int,
    answer: type[BaseModel] | None,
    say: Callable[[str], None],
) -> tuple[list[dict], list[CompletionUsage]]:
    """The first requests that were answered, and the usage of each.

    The answers are kept in ``job.json``, so that each is paid once; the answer model judges them
    again each time.
    """
    if count < 1 or shards[0].endpoint != "/v1/chat/completions":
        raise ValueError(
            "run estimates from at least one request tried with Chat Completions. For other "
            "endpoints take the steps one by one: write, submit, wait, collect."
        )
    tried = list(islice(read(shards[0].path), count))
    state = State(str(client.base_url))
    kept, model = state[shards[0]].get("tried", {}), state[shards[0]].get("model")
    if not model or not all(request["custom_id"] in kept for request in tried):
        model = check_model(client, shards[0].model)
        state.save(shards[0], model=model)
    say(model)
    # A price that is missing stops the job here, before anything is paid.
    for service in ("batch", "standard"):
        price(shards[0].model, service)
    usable, useless = [], []
    for request in tried:
        custom_id = request["custom_id"]
        try:
            kept[custom_id] = kept.get(custom_id) or _asked(client, request)
        except openai.InternalServerError as error:
            useless.append(f"{custom_id}: {error}")
            continue
        except openai.APIError as error:
            message = f"The trial of {custom_id} failed, nothing was submitted: {error}"
            raise JobError(message) from error
        state.save(shards[0], tried=kept)
        outcome = answered(kept[custom_id], answer)
        if outcome.outcome == "ok":
            usable.append(str(outcome.answer)[:_SHOWN])
        else:
            useless.append(f"{custom_id}: {outcome.code}, {outcome.reason}")
    if not usable:
        heading = "None of the answers tried can be used, nothing was submitted:"
        ending = "Change the request or the answer model, or run this again after a server error."
        raise JobError("\n- ".join([heading, *useless]) + f"\n{ending}")
    say(f"tried: {len(tried)}, {len(usable)} can be used; the first: {usable[0]}")
    for trial in useless:
        say(f"cannot be used: {trial}")
    tried = [request for request in tried if request["custom_id"] in kept]
    usages = (kept[request["custom_id"]]["usage"] for request in tried)
    return tried, [CompletionUsage.model_validate(usage) for usage in usages]


def _asked(client: openai.OpenAI, request: dict) -> dict:
    """The answer of Chat Completions to one request."""
    body = request["body"]
    # extra_body: a compatible server may know parameters that the SDK does not.
    completion = client.chat.completions.create(
        model=body["model"], messages=body["messages"], extra_body=body
    )
    if completion.usage is None:
        raise JobError("The server reports no usage, so the cost cannot be estimated.")
    return completion.to_dict()
