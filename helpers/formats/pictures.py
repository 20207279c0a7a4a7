"""Pictures of every kind, made fit to send, and what is wrong with those in a request."""

import base64
import binascii
import io
import math
import re
import struct
import threading
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

Picture = str | PathLike | bytes | bytearray | Image.Image | Mapping[str, Any]
LONG_SIDE = 768
# What the API reads: https://developers.openai.com/api/docs/guides/images-vision
_MEDIA_TYPES = {
    "PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif",
}  # fmt: skip
LINK = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_DATA_URL = re.compile(r"data:image/(?:png|jpe?g|webp|gif);base64,", re.IGNORECASE)


class PictureError(ValueError):
    """A picture cannot be read or sent. The message names the file."""


_QUALITY = 85
_PRIVATE = {"exif", "xmp", "XML:com.adobe.xmp", "photoshop", "comment", "Comment"}
_PLAIN_SEGMENTS = {"APP0", "APP2", "APP14"}
DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
# Pillow hands others, PostScript among them, to programs outside of it, whatever a file is named.
_READ = (
    "PNG", "JPEG", "MPO", "WEBP", "GIF", "TIFF", "BMP", "DIB", "TGA", "JPEG2000", "PPM", "ICO",
    "PCX", "AVIF", "HEIF",
)  # fmt: skip
_HEIC = re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL)
# As base64 begins for the signatures of JPEG, PNG, GIF, WEBP.
_BASE64 = re.compile(r"/9j/|iVBORw0KGgo|R0lGOD|UklGR")
# Decoded, a picture of so many pixels takes 80 MB and more: one at a time is enough.
_BIG = 20_000_000
_one_big = threading.Lock()


def embeddable(picture: Picture, long_side: int = LONG_SIDE) -> tuple[str, bytes]:
    """Media type and bytes of the picture, small and without anything that a reader cannot see.

    Original bytes stay as they are when nothing has to change, so that the same file makes the
    same request on every machine. Otherwise: upright (EXIF orientation), first frame, transparency
    on white, colours in sRGB, 8 bits each, shrunk to ``long_side``, without metadata such as a GPS
    position.
    """
    source = _content(picture)
    try:
        if isinstance(source, Image.Image):
            if source.format not in (None, *_READ):
                raise UnidentifiedImageError
            return _encoded(source.copy(), long_side)
        with Image.open(io.BytesIO(source), formats=_formats()) as image:
            pixels = image.width * image.height
            # Pillow itself warns only, and a limit of None is the reader's wish to have none.
            if pixels > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            format = image.format or ""
            fine = _is_fine(image, long_side) and _ends_well(format, source)
            if not fine:
                # JPEG can be decoded at a half, a quarter or an eighth of its size: much faster.
                image.draft("RGB", (long_side, long_side))
            with _one_big if pixels > _BIG else nullcontext():
                image.load()
                return (_MEDIA_TYPES[format], source) if fine else _encoded(image, long_side)
    except UnidentifiedImageError:
        name = _name(picture)
        if isinstance(source, bytes) and _HEIC.match(source):
            way = "Install pillow-heif, and it is read, or save it as JPEG"
            raise PictureError(f"{name} is HEIC, as phones take it. {way}.") from None
        raise PictureError(f"{name} is not a picture. Take it out.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{_name(picture)} is too large to open ({error}). Shrink it.") from None
    except DAMAGE as error:
        raise PictureError(
            f"{_name(picture)} is damaged: {error}. Save it anew, or take it out."
        ) from error


@cache
def _formats() -> list[str]:
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    return [format for format in _READ if format in Image.OPEN]


def _content(picture: Picture) -> bytes | Image.Image:
    """The bytes of a picture, wherever they are."""
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, Mapping) and (picture.get("bytes") or picture.get("path")):
        return _content(picture.get("bytes") or picture["path"])
    if isinstance(picture, bytes | bytearray):
        picture = bytes(picture)
        text = picture[:16].decode("latin-1")
        return _decoded(picture) if _BASE64.match(text) else picture
    if isinstance(picture, str) and _BASE64.match(picture) and len(picture) > 64:
        return _decoded(picture.encode("ascii", "replace"))
    if isinstance(picture, str | PathLike):
        return _read(picture)
    raise PictureError(f"{picture!r:.80} is no picture, file name or link. Fill the cell.")


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as error:
        message = f"The base64 text {text[:20].decode('latin-1')!r} is damaged: {error}."
        raise PictureError(f"{message} Encode the file anew.") from None


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
        and not _foreign_profile(image)
        and {name for name, _ in getattr(image, "applist", [])} <= _PLAIN_SEGMENTS
    )


def _ends_well(format: str, content: bytes) -> bool:
    """Whether the file is whole and nothing is appended behind the picture, as phones do."""
    if format == "WEBP":
        return len(content) == int.from_bytes(content[4:8], "little") + 8
    ends = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b"\x3b"}
    return content.endswith(ends[format])


def _encoded(image: Image.Image, long_side: int) -> tuple[str, bytes]:
    profile = _foreign_profile(image)
    if image.mode in ("L", "RGB", "RGBA", "LA", "CMYK", "YCbCr"):
        # First of all, so that no more than one copy at full size is ever in memory.
        _shrink(image, long_side)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode[0] in "IF":
        image = _scaled(image)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if profile:
        image = _in_srgb(image, profile)
    image = image.convert("RGB")
    if alpha:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
    _shrink(image, long_side)
    # A bare copy of the pixels: whatever else the file carried stays behind.
    bare = Image.frombytes("RGB", image.size, image.tobytes())
    memory = io.BytesIO()
    bare.save(memory, "JPEG", quality=_QUALITY)
    return "image/jpeg", memory.getvalue()


def _shrink(image: Image.Image, long_side: int) -> None:
    image.thumbnail((long_side, long_side), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _scaled(image: Image.Image) -> Image.Image:
    """Numbers of 16 or 32 bits, or fractions, as 8 bits; a plain conversion would cut them off."""
    # Fractions go from 0 to 1 as often as from 0 to 255.
    tops = (1, 255, 65_535) if image.mode == "F" else (255, 65_535)
    numbers = np.asarray(image, dtype=np.float32)
    low, high = float(numbers.min()), float(numbers.max())
    if not math.isfinite(high - low):
        raise ValueError("it has pixels that are no numbers")
    if low < 0 or high > tops[-1]:
        factor, start = 255 / max(high - low, 1e-9), low
    else:
        factor, start = next((255 / top, 0.0) for top in tops if high <= top)
    return Image.fromarray(((numbers - start) * factor + 0.5).astype(np.uint8))


def _foreign_profile(image: Image.Image) -> bytes:
    """The colour profile of the picture, if it has one that is not sRGB."""
    profile = image.info.get("icc_profile")
    if not profile:
        return b""
    try:
        description = ImageCms.getProfileDescription(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError):
        return b""
    return b"" if "srgb" in description.lower() else profile


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """A camera's or phone's wider colours, where they would else look pale or wrong."""
    image = image if image.mode in ("L", "CMYK") else image.convert("RGB")
    try:
        found = ImageCms.profileToProfile(
            image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, ValueError):
        # A profile for another kind of picture than it is in.
        return image
    return found or image


def _read(path: str | PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{_name(path)} cannot be read: {reason}. Correct the name.") from None


def _name(picture: Picture) -> str:
    if isinstance(picture, Mapping):
        return str(picture.get("path") or f"The picture of {len(picture['bytes'])} bytes")[:200]
    if isinstance(picture, bytes | bytearray):
        return f"The picture of {len(picture)} bytes"
    if isinstance(picture, Image.Image):
        name = getattr(picture, "filename", "") or f"{picture.width} x {picture.height}"
        return f"The picture {name} ({picture.mode})"
    name = str(picture)
    return name if len(name) <= 200 else f"{name[:80]!r} and more"


def url_fault(url: Any) -> str:
    """What is wrong with the link or data URL of a picture in a request, or an empty string.

    A link is not fetched.
    """
    if not isinstance(url, str) or LINK.match(url):
        # What is no text at all is found by its type.
        return ""
    if url[:5].lower() != "data:":
        return "is neither a link nor a data URL; image_part embeds a file"
    if not (head := _DATA_URL.match(url)):
        return "is no data URL of a PNG, JPEG, WEBP or GIF; image_part makes it"
    try:
        size_of(base64.b64decode(url[head.end() :], validate=True))
    except DAMAGE:
        return "holds no picture; image_part makes it, or base64.b64encode(...).decode()"
    return ""


def size_of(content: bytes) -> tuple[int, int]:
    """Width and height of a picture of a kind that the API reads, in pixels."""
    with Image.open(io.BytesIO(content), formats=list(_MEDIA_TYPES)) as image:
        return image.size


# What a picture costs

# openai/types/chat/chat_completion_content_part_image_param.py; "original" counts as "auto" does.
Detail = Literal["auto", "low", "high", "original"]

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
    check_detail(detail)
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


def is_link(url: Any) -> bool:
    """Whether the picture has to be fetched by the API."""
    return str(url)[:5].lower() != "data:"


def token_bound(url: Any, detail: Any, model: str = "") -> int:
    """The most prompt tokens that the picture behind a link or in a data URL can cost."""
    detail = detail if detail in get_args(Detail) else "auto"
    encoded = "" if is_link(url) else str(url).partition(",")[2]
    # The head of a picture says its size; only rarely does it stand far behind.
    for head in (encoded[:8_000], encoded) if encoded else ():
        with suppress(*DAMAGE):
            return image_tokens(*size_of(base64.b64decode(head)), detail, model)
    if tiles := _tiles_of(model):
        return tiles[0] if detail == "low" else tiles[0] + tiles[1] * _MOST_TILES
    most = {"low": _LOW_SIDE**2 // _PATCH**2, "high": _HIGH_PATCHES}.get(detail, _MOST_PATCHES)
    return math.ceil(most * _FACTOR)


def _tiles_of(model: str) -> tuple[int, int] | None:
    return next((tiles for name, tiles in _TILES.items() if model.startswith(name)), None)


def check_detail(detail: str) -> None:
    if detail not in get_args(Detail):
        raise ValueError(f"detail is {detail!r}; it can be {', '.join(get_args(Detail))}.")
