"""A picture as the image part of a request, and what it costs."""

import base64
import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal, get_args

from helpers.formats.pictures import (
    DAMAGE,
    LINK,
    LONG_SIDE,
    Picture,
    PictureError,
    embeddable,
    size_of,
    url_fault,
)

# openai/types/chat/chat_completion_content_part_image_param.py; "original" counts as "auto" does.
Detail = Literal["auto", "low", "high", "original"]


def image_part(
    picture: Picture, detail: Detail = "auto", long_side: int = LONG_SIDE
) -> dict[str, Any]:
    """The part of a message that shows the model a picture: ``{"type": "image_url", ...}``.

    A link is passed on as it is, and has to be reachable for as long as the batch runs.
    Everything else is embedded: a file, its bytes, those as base64 text, a Pillow image, or a cell
    ``{"bytes": ..., "path": ...}`` as data sets have it. The very bytes are sent when they are fine
    (PNG, JPEG, WEBP or still GIF, upright, opaque, in sRGB, without private metadata, at most
    ``long_side`` pixels), otherwise a JPEG that is. HEIC is read where pillow-heif is installed.
    Raises `PictureError` for what is not a whole picture, ValueError for another ``detail`` or a
    ``long_side`` that is no number of pixels.
    """
    _check_detail(detail)
    if not isinstance(long_side, int) or long_side < 1:
        raise ValueError(f"long_side is {long_side!r}; it is a number of pixels, such as 768.")
    if isinstance(picture, str) and LINK.match(picture):
        url = picture
    elif isinstance(picture, str) and picture[:5].lower() == "data:":
        if fault := url_fault(picture):
            raise PictureError(f"The picture {picture[:40]!r} {fault}.")
        url = picture
    else:
        media_type, content = embeddable(picture, long_side)
        url = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def image_parts(
    pictures: Iterable[Picture], detail: Detail = "auto", long_side: int = LONG_SIDE
) -> list[dict[str, Any]]:
    """`image_part` of each picture, in order, several at a time: decoding uses all cores.

    Raises `PictureError` with all pictures that cannot be sent, and their numbers.
    """

    def part(numbered: tuple[int, Picture]) -> dict[str, Any] | str:
        try:
            return image_part(numbered[1], detail, long_side)
        except PictureError as error:
            return f"picture {numbered[0]}: {error}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(part, enumerate(pictures, start=1)))
    if problems := [found for found in parts if isinstance(found, str)]:
        raise PictureError("\n- ".join([f"{len(problems)} of {len(parts)} pictures:", *problems]))
    return [found for found in parts if not isinstance(found, str)]


# Image tokens by patches of 32 pixels, from
# https://developers.openai.com/api/docs/guides/images-vision. It gives the factor 1.2 for
# gpt-6-astra and the gpt-5 families and does not name gpt-6-luna: an assumption, to be checked
# against the usage of one real answer. A picture of more patches than the last is refused.
_PATCH, _FACTOR, _LOW_SIDE, _HIGH_PATCHES, _MOST_PATCHES = 32, 1.2, 512, 2_500, 30_000
# The same guide: these models count tiles of 512 pixels instead, a base and so much for each, of a
# picture fitted into 2,048 pixels with its short side shrunk to 768.
_TILES = {"gpt-4o-mini": (2_833, 5_667), "gpt-4o": (85, 170)}
_MOST_TILES = 8


def image_tokens(width: int, height: int, detail: Detail = "auto", model: str = "") -> int:
    """Prompt tokens of a picture of so many pixels: one patch of 32 x 32 costs 1.2 tokens.

    ``low`` shrinks it to fit 512 x 512 first, ``high`` to at most 2,500 patches. The rule is
    documented for other models than the cookbook's (see the note above): an estimate. The models
    of the gpt-4o family count tiles instead.
    """
    _check_detail(detail)
    if tiles := _tiles_of(model):
        base, each = tiles
        scale = min(1, 2_048 / max(width, height))
        scale = min(scale, 768 / min(width, height))
        across, down = (math.ceil(side * scale / 512) for side in (width, height))
        return base if detail == "low" else base + each * across * down
    if detail == "low":
        scale = min(1, _LOW_SIDE / max(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    wide, high = width / _PATCH, height / _PATCH
    if detail == "high" and math.ceil(wide) * math.ceil(high) > _HIGH_PATCHES:
        scale = math.sqrt(_HIGH_PATCHES / (wide * high))
        scale *= min(max(1, math.floor(side * scale)) / (side * scale) for side in (wide, high))
        wide, high = wide * scale, high * scale
    return math.ceil(math.ceil(wide) * math.ceil(high) * _FACTOR)


def token_bound(url: Any, detail: Any, model: str = "") -> int:
    """The most prompt tokens that the picture behind a link or in a data URL can cost."""
    detail = detail if detail in get_args(Detail) else "auto"
    with suppress(*DAMAGE):
        # The head of a picture says its size; only rarely does it stand far behind.
        encoded = url[url.index(",") + 1 :] if url[:5].lower() == "data:" else ""
        try:
            return image_tokens(*size_of(base64.b64decode(encoded[:8_000])), detail, model)
        except DAMAGE:
            return image_tokens(*size_of(base64.b64decode(encoded)), detail, model)
    if tiles := _tiles_of(model):
        return tiles[0] if detail == "low" else tiles[0] + tiles[1] * _MOST_TILES
    most = {"low": _LOW_SIDE**2 // _PATCH**2, "high": _HIGH_PATCHES}.get(detail, _MOST_PATCHES)
    return math.ceil(most * _FACTOR)


def _tiles_of(model: str) -> tuple[int, int] | None:
    return next((tiles for name, tiles in _TILES.items() if model.startswith(name)), None)


def _check_detail(detail: str) -> None:
    if detail not in get_args(Detail):
        raise ValueError(f"detail is {detail!r}; it can be {', '.join(get_args(Detail))}.")
