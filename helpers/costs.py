"""What a job will cost, before it starts, and what it did cost, from the usage in its answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from openai.types import Batch, CompletionUsage

from helpers.batchfile import Shard, read
from helpers.checks import encode
from helpers.paths import DATA

PRICES = DATA / "prices.csv"


class BudgetError(RuntimeError):
    """The job could cost more than its budget, and was not submitted."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens of one model, for one kind of service."""

    input: float
    cached: float
    output: float
    as_of: str

    def of(self, prompt: float, cached: float, completion: float) -> float:
        """US dollars for so many tokens; the cached ones are part of the prompt's."""
        uncached = prompt - cached
        return (uncached * self.input + cached * self.cached + completion * self.output) / 1e6


def price(model: str, service: str = "batch", table: Path = PRICES) -> Price:
    """The price of a model from the price table; ``service`` is ``batch`` or ``standard``.

    Raises LookupError with the models that the table has a price for, or for half a price.
    """
    prices = pd.read_csv(table, dtype={"shutdown_date": str})
    known = prices[prices["service"] == service].set_index("model")
    file = f"{table.parent.name}/{table.name}"
    if model not in known.index:
        raise LookupError(
            f"{file} has no {service} price for {model!r}, only for "
            f"{', '.join(known.index)}. Add its lines, batch and standard, with date and source."
        )
    found = known.loc[model]
    if found[["input", "output"]].isna().any():
        raise LookupError(
            f"{file}: the {service} line of {model!r} lacks a price for input or output. Fill it "
            "in; 0 if it costs nothing."
        )
    # Where no price for cached input is known, it counts as uncached: too high, never too low.
    cached = found["cached_input"] if pd.notna(found["cached_input"]) else found["input"]
    return Price(found["input"], cached, found["output"], found["as_of"])


def estimate(
    shards: Sequence[Shard],
    tried: Sequence[dict],
    usages: Sequence[CompletionUsage],
    budget: float,
) -> pd.DataFrame:
    """Tokens and US dollars of the whole job, measured on the requests already tried.

    Two lines: ``expected`` (prompt tokens per byte, or per request where pictures are embedded, and
    answer tokens per request as in the tried requests) and
    ``longest`` (every answer as long as its max_completion_tokens allows; unknown without a cap;
    the prompts as expected, so leave the budget some margin).
    Columns: input_tokens, output_tokens, batch_usd, standard_usd. Raises `BudgetError` when either
    line (without a cap only the first) costs more than ``budget`` US dollars, and ValueError
    without a tried request.
    """
    if not shards or not tried or len(tried) != len(usages):
        raise ValueError("Needs batch files, tried requests, and one usage for each tried one.")
    requests = sum(shard.requests for shard in shards)
    repeats = requests / len(usages)
    encoded = [encode(request) for request in tried]
    # Text costs tokens by its length. An embedded picture does not: its bytes say nothing.
    pictures = any(b'"image_url"' in line for line in encoded)
    by_length = sum(shard.bytes for shard in shards) / sum(map(len, encoded))
    prompt = sum(usage.prompt_tokens for usage in usages)
    prompt *= repeats if pictures else by_length
    answer = sum(usage.completion_tokens for usage in usages) * repeats
    lines = {"expected": (prompt, answer), "longest": (prompt, _longest_answers(shards))}
    batch, standard = (price(shards[0].model, service) for service in ("batch", "standard"))
    table = pd.DataFrame.from_dict(
        {name: _line(tokens[0], 0, tokens[1], batch, standard) for name, tokens in lines.items()},
        orient="index",
    )
    highest = table["batch_usd"].max()
    if highest > budget:
        raise BudgetError(
            f"This job could cost {highest:.4f} US dollars, the budget is {budget:.4f}. It is "
            "not submitted. Raise the budget, lower max_completion_tokens, or take fewer rows."
        )
    return table


def actual(outcomes: pd.DataFrame, model: str) -> pd.DataFrame:
    """One line, ``actual``, with the columns of `estimate`: what the answers' usage adds up to.

    Failed requests without usage count nothing; truncated and refused answers are billed.
    """
    tokens = outcomes[["prompt_tokens", "cached_tokens", "completion_tokens"]].sum()
    line = _line(*tokens, price(model, "batch"), price(model, "standard"))
    return pd.DataFrame.from_dict({"actual": line}, orient="index")


def cost_so_far(batch: Batch) -> float | None:
    """US dollars of what the batch has answered; None where its usage or price is not known."""
    if batch.usage is None or batch.model is None:
        return None
    usage = batch.usage
    try:
        known = price(batch.model)
    except LookupError:
        return None
    return known.of(
        usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens
    )


def _longest_answers(shards: Sequence[Shard]) -> float:
    bodies = (request["body"] for shard in shards for request in read(shard.path))
    return sum(_longest_answer(body) for body in bodies)


def _longest_answer(body: dict) -> float:
    cap = body.get("max_completion_tokens") or body.get("max_tokens") or math.nan
    return cap * (body.get("n") or 1)


def _line(prompt: float, cached: float, answer: float, batch: Price, standard: Price) -> dict:
    return {
        "input_tokens": round(prompt),
        "output_tokens": round(answer) if math.isfinite(answer) else pd.NA,
        "batch_usd": batch.of(prompt, cached, answer),
        "standard_usd": standard.of(prompt, cached, answer),
    }
