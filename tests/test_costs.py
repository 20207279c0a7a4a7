"""Costs: estimated from tried requests before a job, added up from usage after it."""

import datetime

import pandas as pd
import pytest
from openai.types import CompletionUsage

import helpers
from helpers.checks import prompt_size
from helpers.costs import PRICES, BudgetError, Price, price
from support import CREATE, LIST, RECORDED, UPLOAD, recorded, request, run

TABLE = pd.read_csv(PRICES, dtype={"shutdown_date": str})
BOTH = sorted(
    set(TABLE.loc[TABLE["service"] == "batch", "model"])
    & set(TABLE.loc[TABLE["service"] == "standard", "model"])
)
COLUMNS = ["input_tokens", "output_tokens", "batch_usd", "standard_usd"]
SERVER_ERROR_ONCE = "apollo-13-1995"
CUT_OFF = "everything-everywhere-all-at-once-2022"
REFUSED = "the-silence-of-the-lambs-1991"


def usage(prompt, answer):
    return CompletionUsage(
        prompt_tokens=prompt, completion_tokens=answer, total_tokens=prompt + answer
    )


def recorded_usage(custom_id):
    [found] = [r for r in RECORDED if r["custom_id"] == custom_id]
    return found["answers"][0]["body"]["usage"]


def asking(custom_id="row-1", text="hello", cap=100):
    return request(custom_id, text, max_completion_tokens=cap)


@pytest.fixture
def ten(tmp_path):
    """Ten requests of the same size, and the batch files that hold them."""
    requests = [asking(f"row-{number}") for number in range(10)]
    return requests, helpers.write(requests, tmp_path / "job")


# prices


def test_a_price_is_per_million_tokens():
    assert Price(1.0, 0.1, 5.0, "2026-11-22").of(1_000_000, 0, 1_000_000) == pytest.approx(6.0)


def test_cached_tokens_are_a_part_of_the_prompt_at_their_own_price():
    assert Price(1.0, 0.1, 5.0, "2026-11-22").of(1_000_000, 400_000, 0) == pytest.approx(0.64)


def test_cached_tokens_without_a_known_price_cost_as_much_as_others():
    found = price("gpt-4o-mini")
    assert found.cached == found.input
    assert found.of(1_000, 1_000, 0) == found.of(1_000, 0, 0)


@pytest.mark.parametrize("model", BOTH)
def test_a_batch_is_half_the_standard_price(model):
    batch, standard = price(model), price(model, "standard")
    assert batch.input == pytest.approx(standard.input / 2)
    assert batch.output == pytest.approx(standard.output / 2)


def test_cached_input_in_a_batch_is_half_the_standard_price_where_it_is_known():
    known = TABLE.pivot(index="model", columns="service", values="cached_input").dropna()
    assert "gpt-6-luna" in known.index
    assert known["batch"].to_list() == pytest.approx((known["standard"] / 2).to_list())


def test_an_unknown_model_is_an_error_that_names_the_known_ones():
    with pytest.raises(LookupError, match=r"gpt-9-nova.*gpt-6-luna") as caught:
        price("gpt-9-nova")
    assert "gpt-9-nova,batch,...\ngpt-9-nova,standard,..." in str(caught.value)


def test_a_model_without_a_batch_price_is_not_named_as_one_that_has_it():
    with pytest.raises(LookupError, match="no batch price for 'gpt-4-turbo'") as caught:
        price("gpt-4-turbo")
    assert str(caught.value).splitlines()[0].count("gpt-4-turbo") == 1
    assert price("gpt-4-turbo", "standard").input == 10


@pytest.mark.parametrize("line", ["mine,batch,0", "mine,batch,1000,,,,2026-11-01,own"])
def test_a_price_that_is_not_whole_is_an_error_and_no_free_job(line, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text(f"model,service,input,cached_input,output,shutdown_date,as_of,source\n{line}\n")
    with pytest.raises(LookupError, match="batch line of 'mine' lacks a price for input or"):
        price("mine", table=own)


def test_a_price_table_of_ones_own_can_be_used(tmp_path):
    own = tmp_path / "own.csv"
    own.write_text(
        "model,service,input,cached_input,output,shutdown_date,as_of,source\n"
        "mine,batch,2,1,3,,2026-11-01,invoice\n"
    )
    assert price("mine", table=own) == Price(2, 1, 3, "2026-11-01")
    with pytest.raises(LookupError, match=r"own\.csv"):
        price("gpt-6-luna", table=own)


@pytest.mark.parametrize(
    "row", list(TABLE.itertuples()), ids=lambda row: f"{row.model}-{row.service}"
)
def test_every_line_of_the_price_table_has_a_date_and_a_source(row):
    assert datetime.date.fromisoformat(row.as_of).year >= 2026
    assert "https://" in row.source


def test_every_model_has_one_price_per_service():
    assert not TABLE.duplicated(["model", "service"]).any()
    assert set(TABLE["service"]) == {"batch", "standard"}
    assert (TABLE[["input", "output"]] > 0).all(axis=None)


# estimate


def test_an_estimate_from_all_requests_is_what_they_used(ten):
    requests, shards = ten
    usages = [usage(20 + number, 5) for number in range(10)]
    table = helpers.estimate(shards, requests, usages, budget=1)
    assert list(table.columns) == COLUMNS
    assert table.loc["expected", ["input_tokens", "output_tokens"]].to_list() == [245, 50]


def test_an_estimate_scales_the_prompt_with_the_bytes_and_the_answer_with_the_requests(tmp_path):
    small, large = asking("row-1", "x"), asking("row-2", "x" * 1_000)
    small_shards = helpers.write([small], tmp_path / "small")
    both_shards = helpers.write([small, large], tmp_path / "both")
    table = helpers.estimate(both_shards, [small], [usage(1_000, 7)], budget=1)
    ratio = both_shards[0].text_bytes / small_shards[0].text_bytes
    assert table.loc["expected", "input_tokens"] == round(1_000 * ratio)
    assert table.loc["expected", "output_tokens"] == 14


def test_an_estimate_counts_every_shard(ten, tmp_path):
    requests, one_shard = ten
    shards = helpers.write(requests, tmp_path / "many", max_requests=3)
    tried = requests[:2], [usage(20, 5), usage(20, 5)]
    assert len(shards) == 4
    pd.testing.assert_frame_equal(
        helpers.estimate(shards, *tried, budget=1), helpers.estimate(one_shard, *tried, budget=1)
    )


def test_an_estimate_is_in_dollars_at_the_batch_and_at_the_standard_price(ten):
    requests, shards = ten
    table = helpers.estimate(shards, requests[:1], [usage(1_000, 100)], budget=1)
    expected = table.loc["expected"]
    assert expected["batch_usd"] == pytest.approx(10 * (1_000 * 0.05 + 100 * 0.25) / 1e6)
    assert expected["standard_usd"] == pytest.approx(2 * expected["batch_usd"])


def test_the_longest_answers_are_those_that_use_up_their_limit(tmp_path):
    requests = [asking("row-1", cap=100), asking("row-2", cap=250)]
    shards = helpers.write(requests, tmp_path / "job")
    table = helpers.estimate(shards, requests[:1], [usage(20, 5)], budget=1)
    longest, expected = table.loc["longest"], table.loc["expected"]
    assert longest["output_tokens"] == 350
    assert longest["input_tokens"] == expected["input_tokens"]
    assert longest["batch_usd"] > expected["batch_usd"]


def test_an_answer_without_a_cap_counts_as_the_longest_that_is_documented(tmp_path):
    requests = [asking("row-1"), request("row-2")]
    shards = helpers.write(requests, tmp_path / "job")
    table = helpers.estimate(shards, requests[:1], [usage(20, 5)])
    assert table.loc["longest", "output_tokens"] == 100 + 128_000
    with pytest.raises(BudgetError):
        helpers.estimate(shards, requests[:1], [usage(20, 5)], budget=0.01)


def test_a_job_that_could_cost_more_than_its_budget_is_an_error(ten):
    requests, shards = ten
    with pytest.raises(BudgetError, match=r"budget is 0\.0001.*It is not submitted") as caught:
        helpers.estimate(shards, requests[:1], [usage(20, 5)], budget=0.0001)
    assert "0.0003" in str(caught.value)
    assert "max_completion_tokens" in str(caught.value)


def test_a_budget_that_is_just_enough_is_enough(ten):
    requests, shards = ten
    tried = requests[:1], [usage(20, 5)]
    table = helpers.estimate(shards, *tried)
    spent = price("gpt-6-luna", "standard").of(20, 0, 5)
    enough = table["batch_usd"].max() + spent
    helpers.estimate(shards, *tried, budget=enough)
    with pytest.raises(BudgetError):
        helpers.estimate(shards, *tried, budget=enough * 0.999)


@pytest.mark.parametrize("budget", [float("nan"), float("inf"), -1, "5"])
def test_a_budget_that_is_no_number_of_dollars_is_refused(ten, budget):
    requests, shards = ten
    with pytest.raises(ValueError, match=r"budget is .*number of US dollars"):
        helpers.estimate(shards, requests[:1], [usage(20, 5)], budget=budget)


def test_short_rows_that_are_tried_say_what_long_ones_cost(tmp_path):
    short = [asking(f"row-{n}", "x" * 10) for n in range(3)]
    long = [asking(f"row-{n}", "x" * 4_000) for n in range(3, 20)]
    shards = helpers.write([*short, *long], tmp_path / "job")
    used = [usage(round(0.3 * prompt_size(one)[0]), 5) for one in short]
    table = helpers.estimate(shards, short, used)
    true = sum(0.3 * prompt_size(one)[0] for one in (*short, *long))
    assert table.loc["expected", "input_tokens"] == pytest.approx(true, rel=0.05)


def test_long_prompts_count_as_newly_cached(tmp_path):
    one = asking("row-1", "x" * 8_000)
    shards = helpers.write([one], tmp_path / "job")
    table = helpers.estimate(shards, [one], [usage(2_000, 5)])
    assert table.loc["expected", "batch_usd"] == pytest.approx((2_000 * 0.0625 + 5 * 0.25) / 1e6)


def test_prompts_above_the_tier_have_the_price_of_the_tier(tmp_path):
    one = asking("row-1", "x" * 1_200_000)
    shards = helpers.write([one], tmp_path / "job")
    table = helpers.estimate(shards, [one], [usage(300_000, 5)])
    assert table.loc["expected", "batch_usd"] == pytest.approx((300_000 * 0.125 + 5 * 0.375) / 1e6)


# the wall at the door


def test_what_is_submitted_is_compared_with_the_budget_of_that_moment(client, wire, ten):
    requests, shards = ten
    expected = helpers.estimate(shards, requests[:1], [usage(20, 5)], budget=1)
    with pytest.raises(BudgetError, match="It is not submitted"):
        helpers.submit(client, shards, expected=expected, budget=0.00001)
    assert wire.calls == [LIST]
    helpers.submit(client, shards, expected=expected, budget=1)
    assert wire.calls.count(CREATE) == 1


def test_an_estimate_of_other_files_opens_no_door(client, wire, ten, tmp_path):
    requests, shards = ten
    expected = helpers.estimate(shards, requests[:1], [usage(20, 5)], budget=1)
    others = helpers.write([asking("other")], tmp_path / "other")
    for known in (expected, None):
        with pytest.raises(BudgetError, match="not of these batch files"):
            helpers.submit(client, others, expected=known, budget=1)
    assert wire.calls.count(UPLOAD) == 0


def test_a_batch_that_exists_needs_no_budget(client, ten):
    requests, shards = ten
    job = helpers.submit(client, shards)
    expected = helpers.estimate(shards, requests[:1], [usage(20, 5)])
    assert helpers.submit(client, shards, expected=expected, budget=0) == job


# prices of one's own


def test_own_prices_stand_in_a_file_of_ones_own(monkeypatch, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("model,service,input,cached_input,output\nmine,batch,2,,3\n", "utf-8")
    monkeypatch.setenv("COOKBOOK_PRICES", str(own))
    assert price("mine") == Price(2, 2, 3, "")
    assert price("gpt-6-luna").input == 0.05
    own.write_text("model,service,input,cached_input,output\nmine,batch,20,,3\n", "utf-8")
    assert price("mine").input == 20


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2\n"])
def test_a_price_file_that_cannot_be_read_says_what_it_needs(monkeypatch, tmp_path, content):
    own = tmp_path / "own.csv"
    if content is not None:
        own.write_text(content, "utf-8")
    monkeypatch.setenv("COOKBOOK_PRICES", str(own))
    with pytest.raises(LookupError, match=r"own.csv cannot be read.*needs the columns model"):
        price("gpt-6-luna")


def test_a_local_model_costs_nothing_unless_it_has_a_price(monkeypatch):
    monkeypatch.setenv("COOKBOOK_MODE", "local")
    assert price("/models/own.gguf").of(1_000, 0, 1_000) == 0
    assert price("gpt-6-luna").input == 0.05


def test_an_estimate_without_a_tried_request_is_an_error(ten):
    with pytest.raises(ValueError, match="tried requests"):
        helpers.estimate(ten[1], [], [], budget=1)


def test_an_estimate_needs_one_usage_for_each_tried_request(ten):
    requests, shards = ten
    with pytest.raises(ValueError, match="one usage for each"):
        helpers.estimate(shards, requests[:2], [usage(20, 5)], budget=1)


def test_an_estimate_for_a_model_without_a_price_names_those_that_have_one(tmp_path):
    asked = asking()
    asked["body"]["model"] = "gpt-9-nova"
    with pytest.raises(LookupError, match=r"gpt-9-nova.*gpt-6-luna"):
        helpers.estimate(
            helpers.write([asked], tmp_path / "job"), [asked], [usage(20, 5)], budget=1
        )


# actual


def actual_of(client, requests, folder):
    """What the job of these requests cost, and its batch."""
    job = run(client, helpers.write(requests, folder))
    outcomes = helpers.collect(client, job)
    return helpers.actual(outcomes, "gpt-6-luna").loc["actual"], outcomes


def test_the_actual_cost_has_the_columns_of_the_estimate(client, tmp_path):
    cost, _ = actual_of(client, recorded()[:3], tmp_path / "job")
    assert list(cost.index) == COLUMNS


def test_the_actual_cost_adds_up_the_usage_of_the_answers(client, tmp_path):
    requests = recorded()[:3]
    cost, _ = actual_of(client, requests, tmp_path / "job")
    used = [recorded_usage(one["custom_id"]) for one in requests]
    prompt, answer = (sum(u[f"{kind}_tokens"] for u in used) for kind in ("prompt", "completion"))
    assert (cost["input_tokens"], cost["output_tokens"]) == (prompt, answer)
    assert cost["batch_usd"] == pytest.approx((prompt * 0.05 + answer * 0.25) / 1e6)
    assert cost["standard_usd"] == pytest.approx(2 * cost["batch_usd"])


def test_a_failed_request_without_usage_costs_nothing(client, tmp_path):
    cost, _ = actual_of(client, recorded(SERVER_ERROR_ONCE), tmp_path / "job")
    assert cost.to_list() == [0, 0, 0, 0]


@pytest.mark.parametrize("billed", [CUT_OFF, REFUSED])
def test_an_answer_that_is_no_use_is_paid_for(client, tmp_path, billed):
    cost, outcomes = actual_of(client, recorded(billed, SERVER_ERROR_ONCE), tmp_path / "job")
    assert set(outcomes["outcome"]) == {"failed"}
    assert cost["output_tokens"] == recorded_usage(billed)["completion_tokens"] > 0


def test_the_actual_cost_is_what_the_batch_itself_says_it_used(client, tmp_path):
    job = run(client, helpers.write(recorded()[:40], tmp_path / "job"))
    batch = client.batches.retrieve(job.batch_ids[0])
    cost = helpers.actual(helpers.collect(client, job), "gpt-6-luna").loc["actual"]
    assert cost["input_tokens"] == batch.usage.input_tokens
    assert cost["output_tokens"] == batch.usage.output_tokens


def test_cached_tokens_make_the_actual_cost_lower():
    tokens = {"prompt_tokens": [1_000], "cached_tokens": [600], "completion_tokens": [100]}
    cost = helpers.actual(pd.DataFrame(tokens), "gpt-6-luna").loc["actual"]
    assert cost["input_tokens"] == 1_000
    assert cost["batch_usd"] == pytest.approx((400 * 0.05 + 600 * 0.005 + 100 * 0.25) / 1e6)


def test_no_outcomes_cost_nothing(client):
    outcomes = helpers.collect(client, helpers.Job([], []))
    assert helpers.actual(outcomes, "gpt-6-luna").loc["actual"].to_list() == [0, 0, 0, 0]
