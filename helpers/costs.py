"""What a job will cost, before it starts, and what it did cost, from the usage in its answers."""

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from openai.types import Batch, CompletionUsage

from helpers.batchfile import Shard
from helpers.checks import Size, prompt_size
from helpers.formats.bodies import TOKENS_PER_BYTE
from helpers.images import image_tokens
from helpers.paths import DATA, ROOT

PRICES = DATA / "prices.csv"

# Prompts are cached from this length on, and from the GPT-5.6 family on writing to the cache costs
# more than reading the prompt: https://developers.openai.com/api/docs/guides/prompt-caching
_CACHED_FROM = 1_024
# A request with a longer prompt has prices of its own, the columns long_... of the price table:
# https://developers.openai.com/api/docs/models/gpt-6.2-sol.md
_LONG = 272_000
# The longest answer that the same page names; those of other models were not found.
_LONGEST_ANSWER = 128_000
# Nobody knows the size of a picture behind a link before it is fetched. It is expected to have
# 1024 x 768 pixels, and counts with the most that its detail allows where the budget is compared.
_LINKED = image_tokens(1_024, 768)


class BudgetError(RuntimeError):
    """The job could cost more than its budget, and was not submitted."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens of one model, for one kind of service.

    ``cache_write`` is None where a newly cached prompt costs what any prompt costs; ``long`` is the
    price of requests whose prompt is longer than 272,000 tokens, None where it is not known.
    """

    input: float
    cached: float
    output: float
    as_of: str = ""
    cache_write: float | None = None
    long: "Price | None" = None

    def of(self, prompt: Any, cached: Any, completion: Any, cache_write: Any = 0) -> Any:
        """US dollars for so many tokens, or for columns of them.

        Cached and newly cached tokens are part of the prompt's.
        """
        write = self.input if self.cache_write is None else self.cache_write
        read = (prompt - cached - cache_write) * self.input + cached * self.cached
        return (read + cache_write * write + completion * self.output) / 1e6


def price(model: str, service: str = "batch", *, table: Path | None = None) -> Price:
    """The price of a model; ``service`` is ``batch`` or ``standard``.

    Looked for in ``table``, or else in the file that COOKBOOK_PRICES names and then in
    ``data/prices.csv``. In local mode a model without a price costs nothing. Raises LookupError for
    a model without a price, or with half a price, and says what to write where.
    """
    own = os.environ.get("COOKBOOK_PRICES", "")
    files = [table] if table else [*([ROOT / own] if own else []), PRICES]
    for file in files:
        prices = _read(file, file.stat().st_mtime_ns if file.exists() else 0)
        if found := prices.get((model, service)):
            return _price(found, f"{file.name}: the {service} line of {model!r}")
    if os.environ.get("COOKBOOK_MODE") == "local":
        return Price(0, 0, 0, "")
    known = [name for name, kind in prices if kind == service]
    raise LookupError(
        f"{file.parent.name}/{file.name} has no {service} price for {model!r}, only for "
        f"{', '.join(known)}. Write its prices in US dollars per million tokens into a file of "
        "your own, and name it in COOKBOOK_PRICES:\n"
        "model,service,input,cached_input,output,as_of,source\n"
        f"{model},batch,...\n{model},standard,..."
    )


@functools.cache
def _read(file: Path, changed: int) -> dict[tuple[str, str], dict[str, Any]]:
    """The lines of a price table by model and service, read again when ``changed`` differs."""
    try:
        lines = pd.read_csv(file, dtype={"model": str, "service": str}).to_dict("records")
        found = [{str(name): value for name, value in line.items()} for line in lines]
        return {(line["model"], line["service"]): line for line in found}
    except (OSError, ValueError, KeyError) as error:
        raise LookupError(
            f"The prices in {file.name} cannot be read ({error}). The file needs the columns "
            "model, service, input, cached_input, output."
        ) from None


def _price(found: dict[str, Any], line: str) -> Price:
    def rates(prefix: str) -> dict[str, float]:
        names = ("input", "cached_input", "cache_write", "output")
        known = {name: found.get(prefix + name, math.nan) for name in names}
        return {name: rate for name, rate in known.items() if math.isfinite(rate)}

    def of(rates: dict[str, float], long: Price | None = None) -> Price:
        # Where no price for cached input is known, it counts as uncached: never too low.
        cached = rates.get("cached_input", rates["input"])
        as_of = str(found.get("as_of", ""))
        return Price(rates["input"], cached, rates["output"], as_of, rates.get("cache_write"), long)

    usual, long = rates(""), rates("long_")
    if not {"input", "output"} <= usual.keys():
        raise LookupError(
            f"{line} lacks a price for input or output. Fill it in; 0 if it costs nothing."
        )
    return of(usual, of(long) if {"input", "output"} <= long.keys() else None)


def estimate(
    shards: Sequence[Shard],
    tried: Sequence[dict],
    usages: Sequence[CompletionUsage],
    *,
    budget: float | None = None,
) -> pd.DataFrame:
    """Tokens and US dollars of the batch files, measured on the requests already tried.

    Prompts count by the length of their own texts, with the tokens per byte that the tried ones
    showed, and by the pixels of their pictures (`helpers.image_tokens`). Two lines: ``expected``
    (the tokens per byte of all tried requests together, answers as long as theirs on average) and
    ``longest`` (the most tokens per byte that one of them showed, every answer as long as its cap
    allows, without a cap 128,000 tokens; long prompts as if all were newly cached).
    Columns: input_tokens, output_tokens, batch_usd, standard_usd.

    Raises `BudgetError` when either line, and what the tried requests cost, come to more than
    ``budget`` US dollars, and ValueError without a tried request. `submit` compares the table with
    a budget once more, where the money leaves.
    """
    if not shards or not tried or len(tried) != len(usages):
        raise ValueError("Needs batch files, tried requests, and one usage for each tried one.")
    measured = _Measured(tried, usages)
    services = {service: price(shards[0].model, service) for service in ("batch", "standard")}
    highest = {
        shard.sha256: max(
            measured.usd(measured.expected(shard), services["batch"]),
            measured.usd(measured.longest(shard), services["batch"]),
        )
        for shard in shards
    }
    lines = {}
    for name, tokens_of in (("expected", measured.expected), ("longest", measured.longest)):
        found = [tokens_of(shard) for shard in shards]
        lines[name] = {
            "input_tokens": round(sum(tokens.prompt for tokens in found)),
            "output_tokens": round(sum(tokens.answer for tokens in found)),
        } | {
            f"{service}_usd": sum(measured.usd(tokens, rates) for tokens in found)
            for service, rates in services.items()
        }
    table = pd.DataFrame.from_dict(lines, orient="index")
    table.attrs = {"highest": highest, "tried": measured.cost(services["standard"])}
    if budget is not None:
        check_budget(table, shards, budget)
    return table


def check_budget(expected: pd.DataFrame, shards: Sequence[Shard], budget: float) -> None:
    """Raises `BudgetError` unless these batch files fit the budget, by a table of `estimate`.

    What the tried requests have cost counts as well. Raises ValueError for a budget that is no
    number of US dollars.
    """
    if not isinstance(budget, int | float) or not math.isfinite(budget) or budget < 0:
        raise ValueError(f"The budget is {budget!r}. It has to be a number of US dollars.")
    highest = expected.attrs.get("highest", {})
    if unknown := [shard.path.name for shard in shards if shard.sha256 not in highest]:
        raise BudgetError(
            f"The estimate is not of these batch files ({unknown[0]} is another one). Nothing was "
            "submitted. Run estimate again with the files that are to be submitted."
        )
    cost = expected.attrs["tried"] + sum(highest[shard.sha256] for shard in shards)
    if cost > budget:
        raise BudgetError(
            f"This job could cost {cost:.4f} US dollars, the budget is {budget:.4f}. It is "
            "not submitted. Raise the budget, lower max_completion_tokens, or take fewer rows."
        )


class _Measured:
    """What tried requests show of others: tokens of prompts by their length, and of answers."""

    def __init__(self, tried: Sequence[dict], usages: Sequence[CompletionUsage]):
        sizes = [prompt_size(request) for request in tried]
        prompts = [usage.prompt_tokens for usage in usages]
        self.mean = self._rate(sum(prompts), Size(*map(sum, zip(*sizes, strict=True))))
        each = zip(prompts, sizes, strict=True)
        self.most = max(self._rate(prompt, size) for prompt, size in each)
        self.answer = sum(usage.completion_tokens for usage in usages) / len(usages)
        self.usages = usages

    def _rate(self, prompt: float, size: Size) -> float:
        """Tokens per byte of text.

        What the pictures cost by their rule is taken off. The rule is an assumption for some
        models; where it takes off too much, a text still counts as an ordinary one.
        """
        pictures = size.image_tokens + size.links * _LINKED
        least = TOKENS_PER_BYTE if pictures else 0
        return max(least, (prompt - pictures) / max(size.text_bytes, 1))

    def expected(self, shard: Shard) -> "_Tokens":
        pictures = shard.image_tokens + shard.links * _LINKED
        return self._tokens(self.mean, shard, pictures, self.answer * shard.requests)

    def longest(self, shard: Shard) -> "_Tokens":
        pictures = shard.image_tokens + shard.link_tokens
        answers = shard.answer_tokens + shard.uncapped * _LONGEST_ANSWER
        return self._tokens(self.most, shard, pictures, answers)

    def _tokens(self, rate: float, shard: Shard, pictures: float, answers: float) -> "_Tokens":
        prompts = rate * shard.text_bytes + pictures
        longest = rate * shard.longest_text + min(pictures, shard.most_images)
        return _Tokens(prompts, answers, longest)

    def usd(self, tokens: "_Tokens", rates: Price) -> float:
        """As if every prompt cost what the longest of them may cost: never too low."""
        if tokens.longest_prompt > _LONG and rates.long:
            rates = rates.long
        written = tokens.prompt if tokens.longest_prompt >= _CACHED_FROM else 0
        return rates.of(tokens.prompt, 0, tokens.answer, written)

    def cost(self, standard: Price) -> float:
        return sum(
            standard.of(usage.prompt_tokens, 0, usage.completion_tokens) for usage in self.usages
        )


class _Tokens(NamedTuple):
    """Those of all prompts and answers of a batch file, and of its longest prompt, at most."""

    prompt: float
    answer: float
    longest_prompt: float


def actual(outcomes: pd.DataFrame, model: str) -> pd.DataFrame:
    """One line, ``actual``, with the columns of `estimate`: what the answers' usage adds up to.

    Failed requests without usage count nothing; truncated and refused answers are billed.
    """
    tokens = (
        outcomes["prompt_tokens"], outcomes["cached_tokens"], outcomes["completion_tokens"],
        outcomes.get("cache_write_tokens", 0),
    )  # fmt: skip
    line = {"input_tokens": tokens[0].sum(), "output_tokens": tokens[2].sum()}
    for service in ("batch", "standard"):
        rates = price(model, service)
        usd = rates.of(*tokens)
        if rates.long:
            usd = usd.where(tokens[0] <= _LONG, rates.long.of(*tokens))
        line[f"{service}_usd"] = float(usd.sum())
    return pd.DataFrame.from_dict({"actual": line}, orient="index")


def cost_so_far(batch: Batch) -> float | None:
    """US dollars of what the batch has answered; None where its usage or price is not known."""
    usage = batch.usage
    if usage is None or batch.model is None:
        return None
    details = getattr(usage, "input_tokens_details", None)
    try:
        rates = price(batch.model)
        cached = getattr(details, "cached_tokens", 0) or 0
        return rates.of(usage.input_tokens, cached, usage.output_tokens)
    except (LookupError, AttributeError, TypeError):
        return None
