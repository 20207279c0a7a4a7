"""The models that the replay serves."""

import pandas as pd

from helpers.paths import DATA

# openai/types/embedding_model.py; no price was found for them.
_UNPRICED = ["text-embedding-3-large", "text-embedding-3-small"]


def known_models() -> dict[str, dict]:
    """The models of the price table and those for embeddings, as the API shows them."""
    prices = pd.read_csv(DATA / "prices.csv", dtype=str).drop_duplicates("model")
    shutdown = prices["shutdown_date"].where(prices["shutdown_date"].notna(), None)
    days = dict(zip(prices["model"], shutdown, strict=True)) | dict.fromkeys(_UNPRICED)
    return {
        model: {
            "id": model, "object": "model", "created": 0, "owned_by": "openai",
            "shutdown_date": day,
        }
        for model, day in days.items()
    }  # fmt: skip
