"""A picture as the image part of a request, and what it costs."""

import base64
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.bars import along
from helpers.formats.pictures import (
    LINK,
    LONG_SIDE,
    Detail,
    Picture,
    PictureError,
    check_detail,
    embeddable,
    image_tokens,
    url_fault,
)

__all__ = ["PictureError", "embeddable", "image_part", "image_parts", "image_tokens"]


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
    check_detail(detail)
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
        numbered = [*enumerate(pictures, start=1)]
        made = pool.map(part, numbered)
        parts = list(along(made, "reading", total=len(numbered), unit=" pictures"))
    if problems := [found for found in parts if isinstance(found, str)]:
        raise PictureError("\n- ".join([f"{len(problems)} of {len(parts)} pictures:", *problems]))
    return [found for found in parts if not isinstance(found, str)]
