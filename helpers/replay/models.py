"""The models that the replay serves."""

import pandas as pd

from helpers.paths import DATA


def known_models() -> dict[str, dict]:
    """The models of the price table, as the API shows them."""
    prices = pd.read_csv(DATA / "prices.csv", dtype=str).drop_duplicates("model")
    shutdown = prices["shutdown_date"].where(prices["shutdown_date"].notna(), None)
    return {
        model: {
            "id": model, "object": "model", "created": 0, "owned_by": "openai", "shutdown_date": day,
        }
        for model, day in zip(prices["model"], shutdown, strict=True)
    }  # fmt: skip
