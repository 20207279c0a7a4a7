"""A picture as the image part of a request, made fit to send; sizes, tokens, contact sheet."""

import base64
import io
import math
import os
import re
import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError

Picture = str | PathLike | bytes | Image.Image

LONG_SIDE = 768
LINK = re.compile(r"(?:https?://|data:)", re.IGNORECASE)
_QUALITY = 85

# What the API reads: https://developers.openai.com/api/docs/guides/images-vision
_MEDIA_TYPES = {
    "PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif",
}  # fmt: skip
_PRIVATE = {"exif", "xmp", "XML:com.adobe.xmp", "photoshop", "comment", "Comment"}
_PLAIN_SEGMENTS = {"APP0", "APP2", "APP14"}
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error,
)  # fmt: skip


class PictureError(ValueError):
    """A picture cannot be read or sent. The message names the file."""


def embeddable(picture: Picture, long_side: int = LONG_SIDE) -> tuple[str, bytes]:
    """Media type and bytes of the picture, small and without anything that a reader cannot see.

    Original bytes stay as they are when nothing has to change, so that the same file makes the
    same request on every machine. Otherwise: upright (EXIF orientation), first frame, transparency
    on white, 8-bit RGB, shrunk to ``long_side``, without metadata such as a GPS position.
    """
    if isinstance(picture, str | PathLike):
        content: bytes | None = _read(picture)
    elif isinstance(picture, bytes | bytearray):
        content = bytes(picture)
    elif isinstance(picture, Image.Image):
        content = None
    else:
        raise PictureError(f"{picture!r:.80} is no picture, file name or link. Fill the cell.")
    try:
        if content is None:
            return _encode(picture.copy(), long_side)
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            fine = _is_fine(image, long_side) and _ends_well(image.format, content)
            if not fine:
                # JPEG can be decoded at a half, a quarter or an eighth of its size: much faster.
                image.draft("RGB", (long_side, long_side))
            image.load()
            return (_MEDIA_TYPES[image.format], content) if fine else _encode(image, long_side)
    except UnidentifiedImageError:
        raise PictureError(f"{_name(picture)} is not a picture. Take it out.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{_name(picture)} is too large to open ({error}). Shrink it.") from None
    except _DAMAGE as error:
        raise PictureError(
            f"{_name(picture)} is damaged: {error}. Save it anew, or take it out."
        ) from error


def _is_fine(image: Image.Image, long_side: int) -> bool:
    return (
        image.format in _MEDIA_TYPES
        and max(image.size) <= long_side
        and image.mode in ("RGB", "L", "P")
        and "transparency" not in image.info
        and not getattr(image, "is_animated", False)
        and not _PRIVATE & image.info.keys()
        and not getattr(image, "text", None)
        and not image.getexif()
        and {name for name, _ in getattr(image, "applist", [])} <= _PLAIN_SEGMENTS
    )


def _ends_well(format: str, content: bytes) -> bool:
    """Whether the file is whole and nothing is appended behind the picture, as phones do."""
    if format == "WEBP":
        return len(content) == int.from_bytes(content[4:8], "little") + 8
    ends = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b"\x3b"}
    return content.endswith(ends[format])


def _encode(image: Image.Image, long_side: int) -> tuple[str, bytes]:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I") and image.convert("I").getextrema()[1] > 255:
        # 16 bits a pixel; a plain conversion would cut off instead of scaling.
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    if image.mode != "RGB":
        image = image.convert("RGB")
    image.thumbnail((long_side, long_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    # A bare copy of the pixels: whatever else the file carried stays behind.
    bare = Image.frombytes("RGB", image.size, image.tobytes())
    memory = io.BytesIO()
    bare.save(memory, "JPEG", quality=_QUALITY)
    return "image/jpeg", memory.getvalue()


def _read(path: str | PathLike) -> bytes:
    if LINK.match(str(path)):
        raise PictureError(f"{str(path)[:80]} is a link; links are not fetched here.")
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. Correct the name."
        ) from None


def _name(picture: Picture) -> str:
    if isinstance(picture, bytes | bytearray):
        return f"The picture of {len(picture)} bytes"
    if isinstance(picture, Image.Image):
        name = getattr(picture, "filename", "") or f"{picture.width} x {picture.height}"
        return f"The picture {name} ({picture.mode})"
    return str(picture)


# openai/types/chat/chat_completion_content_part_image_param.py; "original" counts as "auto" does.
Detail = Literal["auto", "low", "high", "original"]

# Image tokens by patches of 32 pixels, from
# https://developers.openai.com/api/docs/guides/images-vision. It gives the factor 1.2 for
# gpt-6-astra and the gpt-5 families and does not name gpt-6-luna: an assumption, to be checked
# against the usage of one real answer.
_PATCH, _FACTOR, _LOW_SIDE, _HIGH_PATCHES = 32, 1.2, 512, 2_500


def image_part(picture: Picture, detail: Detail = "auto", long_side: int = LONG_SIDE) -> dict:
    """The part of a message that shows the model a picture: ``{"type": "image_url", ...}``.

    A link is passed on as it is, and has to be reachable for as long as the batch runs.
    Everything else is embedded: its very bytes when they are fine (PNG, JPEG, WEBP or still GIF,
    upright, opaque, without private metadata, at most ``long_side`` pixels), otherwise a JPEG that
    is. Raises `PictureError` for what is not a whole picture, ValueError for another ``detail``
    or a ``long_side`` that is no number of pixels.
    """
    _check_detail(detail)
    if not isinstance(long_side, int) or long_side < 1:
        raise ValueError(f"long_side is {long_side!r}; it is a number of pixels, such as 768.")
    if isinstance(picture, str) and LINK.match(picture):
        url = picture
    else:
        media_type, content = embeddable(picture, long_side)
        url = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def image_parts(
    pictures: Iterable[Picture], detail: Detail = "auto", long_side: int = LONG_SIDE
) -> list[dict]:
    """`image_part` of each picture, in order, several at a time: decoding uses all cores.

    Raises `PictureError` with all pictures that cannot be sent.
    """
    problems: list[str] = []

    def part(picture: Picture) -> dict:
        try:
            return image_part(picture, detail, long_side)
        except PictureError as error:
            problems.append(str(error))
            return {}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(part, pictures))
    if problems:
        raise PictureError("\n- ".join([f"{len(problems)} of {len(parts)} pictures:", *problems]))
    return parts


def image_tokens(width: int, height: int, detail: Detail = "auto") -> int:
    """Prompt tokens of a picture of so many pixels: one patch of 32 x 32 costs 1.2 tokens.

    ``low`` shrinks it to fit 512 x 512 first, ``high`` to at most 2,500 patches. The rule is
    documented for other models than the cookbook's (see the note above): an estimate.
    """
    _check_detail(detail)
    if detail == "low":
        scale = min(1, _LOW_SIDE / max(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    across, down = width / _PATCH, height / _PATCH
    if detail == "high" and math.ceil(across) * math.ceil(down) > _HIGH_PATCHES:
        scale = math.sqrt(_HIGH_PATCHES / (across * down))
        scale *= min(max(1, math.floor(side * scale)) / (side * scale) for side in (across, down))
        across, down = across * scale, down * scale
    return math.ceil(math.ceil(across) * math.ceil(down) * _FACTOR)


# A picture of more patches is refused, not shrunk: the same guide.
_MOST_PATCHES = 30_000
_HEADER = 60_000


def token_bound(url: Any, detail: Any) -> int:
    """The most prompt tokens that the picture behind a link or in a data URL can cost."""
    detail = detail if detail in get_args(Detail) else "auto"
    if isinstance(url, str) and url.startswith("data:"):
        try:
            content = base64.b64decode(url[url.index(",") + 1 :][:_HEADER])
            with Image.open(io.BytesIO(content), formats=list(_MEDIA_TYPES)) as image:
                return image_tokens(*image.size, detail)
        except _DAMAGE:
            pass
    most = {"low": _LOW_SIDE**2 // _PATCH**2, "high": _HIGH_PATCHES}.get(detail, _MOST_PATCHES)
    return math.ceil(most * _FACTOR)


def _check_detail(detail: str) -> None:
    if detail not in get_args(Detail):
        raise ValueError(f"detail is {detail!r}; it can be {', '.join(get_args(Detail))}.")


def size_table(
    picture: Picture,
    price: float,
    long_sides: Sequence[int] = (512, 768, 1024),
    *,
    file_bytes: int = 200_000_000,
) -> pd.DataFrame:
    """What one picture weighs at several sizes: one line per long side in pixels.

    Columns: width, height, kilobytes (as embedded text, 4/3 of the file), low and auto (estimated
    tokens for that ``detail``), usd_per_1000 (1,000 such pictures at ``auto``, for ``price`` US
    dollars per million input tokens), per_file (how many fit in a batch file of 200 MB).
    """
    lines = {}
    for long_side in long_sides:
        media_type, content = embeddable(picture, long_side)
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
        embedded = len(base64.b64encode(content)) + len(media_type)
        tokens = image_tokens(width, height)
        lines[long_side] = {
            "width": width,
            "height": height,
            "kilobytes": embedded / 1000,
            "low": image_tokens(width, height, "low"),
            "auto": tokens,
            "usd_per_1000": tokens * 1000 * price / 1e6,
            "per_file": file_bytes // embedded,
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
