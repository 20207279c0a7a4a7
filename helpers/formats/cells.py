"""What stands in the cells of a table: nothing, in all its forms, and whole numbers."""

import math
from collections.abc import Sized
from typing import Any

import numpy as np
import pandas as pd

# Decimal numbers from here on do not hold every whole number.
EXACT = 2**53
# Blanks, and what a reader cannot see: joiners, marks of direction, fillers.
_BLANK = "\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2800\u3000\u3164\ufeff\uffa0" + "".join(
    chr(letter)
    for first, last in (
        (0x09, 0x0D), (0x1C, 0x20), (0x80, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F),
        (0x205F, 0x206F), (0xFE00, 0xFE0F),
    )
    for letter in range(first, last + 1)
)  # fmt: skip


def is_empty(value: Any) -> bool:
    """Whether a cell has nothing in it: None, NaN, invisible text, an empty list."""
    if isinstance(value, str):
        return not value.strip(_BLANK)
    if isinstance(value, np.ndarray):
        return value.size == 0
    if isinstance(value, Sized):
        return len(value) == 0
    return value is None or bool(pd.api.types.is_scalar(value) and pd.isna(value))


def empty_places(values: list) -> list[int]:
    """The places of the values that are empty."""
    kinds = set(map(type, values))
    # Whole columns of one kind, the commonest, are looked at without a call for each value.
    if kinds <= {int, bool}:
        return []
    if kinds == {str} and all(map(str.strip, values)) and all(map(str.isascii, values)):
        return []
    if kinds == {float}:
        return [place for place, value in enumerate(values) if math.isnan(value)]
    return [place for place, value in enumerate(values) if is_empty(value)]


def as_whole(column: pd.Series) -> pd.Series:
    """The column with whole numbers as such, if it has no others."""
    if column.dtype.kind != "f":
        return column
    numbers = column.to_numpy(dtype=float, na_value=math.nan)
    known = numbers[~np.isnan(numbers)]
    if not len(known) or not (abs(known) < EXACT).all() or (known % 1).any():
        return column
    return column.astype("Int64")
