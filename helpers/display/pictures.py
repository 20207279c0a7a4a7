"""Pictures for a page: what one weighs at several sizes, and many at a glance."""

import base64
import io
import math
from collections.abc import Sequence

import pandas as pd
from PIL import Image, ImageOps

from helpers.checks import MAX_BYTES
from helpers.formats.pictures import Picture, embeddable, size_of
from helpers.images import image_tokens


def size_table(
    picture: Picture, price: float, long_sides: Sequence[int] = (512, 768, 1024)
) -> pd.DataFrame:
    """What one picture weighs at several sizes: one line per long side in pixels.

    Columns: width, height, kilobytes (as embedded text, 4/3 of the file), low and auto (estimated
    tokens for that ``detail``), usd_per_1000 (1,000 such pictures at ``auto``, for ``price`` US
    dollars per million input tokens), per_file (how many fit in a batch file of 200 MB).
    """
    lines = {}
    for long_side in long_sides:
        media_type, content = embeddable(picture, long_side)
        width, height = size_of(content)
        embedded = len(base64.b64encode(content)) + len(media_type)
        tokens = image_tokens(width, height)
        lines[long_side] = {
            "width": width,
            "height": height,
            "kilobytes": embedded / 1000,
            "low": image_tokens(width, height, "low"),
            "auto": tokens,
            "usd_per_1000": tokens * 1000 * price / 1e6,
            "per_file": MAX_BYTES // embedded,
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("long_side")


def contact_sheet(pictures: Sequence[Picture], columns: int = 4, width: int = 220) -> Image.Image:
    """All pictures as one, in rows of ``columns``, each fitted into ``width`` pixels at 4:3."""
    height = width * 3 // 4
    rows = max(1, math.ceil(len(pictures) / columns))
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for number, picture in enumerate(pictures):
        with Image.open(io.BytesIO(embeddable(picture, 2 * width)[1])) as image:
            small = ImageOps.pad(image.convert("RGB"), (width - 4, height - 4), color="white")
        sheet.paste(small, (number % columns * width + 2, number // columns * height + 2))
    return sheet
