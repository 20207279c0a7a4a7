"""One picture made fit to send: small, upright, opaque, without what a reader cannot see."""

import io
import re
import struct
from os import PathLike
from pathlib import Path

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
