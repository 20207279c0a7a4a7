"""Pictures of every odd kind become parts that the API reads, or an error that names them."""

import base64
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from helpers import PictureError, contact_sheet, image_part, image_parts, image_tokens, size_table
from helpers.formats.pictures import embeddable, token_bound
from helpers.paths import ROOT

RED, GREEN, BLUE, WHITE, BLACK = (
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0),
)  # fmt: skip
ORIENTATION, GPS, LATITUDE_REF = 0x0112, 0x8825, 1

# How a camera stores an upright picture under each EXIF orientation.
STORED = {
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


def plain(color=RED, size=(64, 48)):
    return Image.new("RGB", size, color)


def quarters(size=(64, 32)):
    """Red, green, blue and white from top left to bottom right."""
    image = Image.new("RGB", (2, 2))
    places = ((0, 0), (1, 0), (0, 1), (1, 1))
    for place, color in zip(places, (RED, GREEN, BLUE, WHITE), strict=True):
        image.putpixel(place, color)
    return image.resize(size, Image.Resampling.NEAREST)


def file_of(image, kind, **options):
    memory = io.BytesIO()
    image.save(memory, kind, **options)
    return memory.getvalue()


def chunk(name, content=b""):
    sum_of = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + sum_of


def png(width, height, depth, kind, pixels, *more):
    """A PNG byte by byte: for headers that lie and for kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def sent(picture, **options):
    """The picture that the model gets to see."""
    media_type, content = embeddable(picture, **options)
    image = Image.open(io.BytesIO(content))
    assert Image.MIME[image.format] == media_type
    return image.convert("RGB")


def near(pixel, color):
    return all(abs(a - b) <= 12 for a, b in zip(pixel, color, strict=True))


def corners(image):
    right, bottom = image.width - 3, image.height - 3
    return [image.getpixel(at) for at in ((2, 2), (right, 2), (2, bottom), (right, bottom))]


def exif(orientation=1):
    data = Image.Exif()
    data[ORIENTATION] = orientation
    data.get_ifd(GPS)[LATITUDE_REF] = "secret"
    return data


def text_chunks():
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "secret")
    return info


def xmp_chunk():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x>secret</x>")
    return info


def animated(kind):
    frames = [plain(RED), plain(BLUE)]
    return file_of(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def after_the_start_of(jpeg, marker, content):
    return jpeg[:2] + marker + struct.pack(">H", 2 + len(content)) + content + jpeg[2:]


# What passes through


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
    ],
)
def test_a_fine_picture_is_sent_byte_for_byte(kind, media_type):
    content = file_of(plain(), kind)
    assert embeddable(content) == (media_type, content)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_fine_png_with_gray_or_a_palette_is_sent_byte_for_byte(mode):
    content = file_of(plain().convert(mode), "PNG")
    assert embeddable(content)[1] == content


def test_a_picture_of_exactly_the_long_side_is_sent_byte_for_byte():
    content = file_of(plain(size=(100, 20)), "PNG")
    assert embeddable(content, long_side=100)[1] == content


def test_a_picture_one_pixel_over_the_long_side_is_shrunk():
    assert sent(file_of(plain(size=(101, 20)), "PNG"), long_side=100).size == (100, 20)


def test_a_part_holds_the_picture_and_the_detail():
    content = file_of(plain(), "PNG")
    url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    part = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    assert image_part(content, "low") == part


@pytest.mark.parametrize("link", ["https://example.org/a.jpg?x=1", "http://example.org/a.jpg"])
def test_a_link_is_passed_on_as_it_is(link):
    assert image_part(link) == {"type": "image_url", "image_url": {"url": link, "detail": "auto"}}


@pytest.mark.parametrize("form", [lambda path: path, str, lambda path: path.read_bytes()])
def test_a_path_a_string_and_bytes_of_the_same_file_make_the_same_part(form, tmp_path):
    path = tmp_path / "ein Sessel, grün.png"
    path.write_bytes(file_of(plain(), "PNG"))
    assert image_part(form(path)) == image_part(bytearray(path.read_bytes()))


def test_a_pillow_image_is_sent_as_jpeg():
    image = quarters()
    media_type, _ = embeddable(image)
    assert media_type == "image/jpeg"
    assert all(map(near, corners(sent(image)), (RED, GREEN, BLUE, WHITE)))


def test_a_pillow_image_stays_as_it_was():
    image = quarters((900, 600))
    before = image.tobytes()
    embeddable(image)
    assert (image.size, image.tobytes()) == ((900, 600), before)


def test_the_same_picture_makes_the_same_bytes_each_time():
    content = file_of(quarters((900, 600)), "PNG")
    assert embeddable(content) == embeddable(content)


# Upright


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_turned_picture_comes_out_upright(orientation, kind):
    stored = quarters()
    for turn in STORED[orientation]:
        stored = stored.transpose(turn)
    image = sent(file_of(stored, kind, exif=exif(orientation)))
    assert image.size == (64, 32)
    assert all(map(near, corners(image), (RED, GREEN, BLUE, WHITE)))


def test_a_large_turned_picture_is_upright_and_shrunk():
    image = sent(file_of(quarters((1600, 1200)), "JPEG", exif=exif(6)))
    assert image.size == (576, 768)
    assert all(map(near, corners(image), (BLUE, RED, WHITE, GREEN)))


# Private


JPEG, PNG = file_of(plain(), "JPEG"), file_of(plain(), "PNG")
IEND = 12
PRIVATE = {
    "jpeg gps": file_of(plain(), "JPEG", exif=exif()),
    "png gps": file_of(plain(), "PNG", exif=exif()),
    "webp gps": file_of(plain(), "WEBP", exif=exif()),
    "jpeg xmp": file_of(plain(), "JPEG", xmp=b"<x>secret</x>"),
    "webp xmp": file_of(plain(), "WEBP", xmp=b"<x>secret</x>"),
    "png xmp": file_of(plain(), "PNG", pnginfo=xmp_chunk()),
    "png text": file_of(plain(), "PNG", pnginfo=text_chunks()),
    "png text behind": PNG[:-IEND] + chunk(b"tEXt", b"Author\0secret") + PNG[-IEND:],
    "png gps behind": PNG[:-IEND] + chunk(b"eXIf", exif().tobytes()[6:]) + PNG[-IEND:],
    "jpeg comment": file_of(plain(), "JPEG", comment=b"secret"),
    "gif comment": file_of(plain(), "GIF", comment=b"secret"),
    "jpeg photoshop": after_the_start_of(
        JPEG, b"\xff\xed", b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x06secret"
    ),
    "large jpeg gps": file_of(plain(size=(900, 700)), "JPEG", exif=exif()),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_metadata_is_gone(name):
    assert b"secret" in PRIVATE[name]
    content = embeddable(PRIVATE[name])[1]
    assert b"secret" not in content
    image = Image.open(io.BytesIO(content))
    assert not image.getexif()
    assert near(image.convert("RGB").getpixel((9, 9)), RED)


def test_metadata_packed_into_a_compressed_chunk_is_gone():
    packed = chunk(b"zTXt", b"Author\0\0" + zlib.compress(b"secret"))
    content = PNG[:33] + packed + PNG[33:]
    assert packed not in embeddable(content)[1]


def test_metadata_of_a_pillow_image_is_gone():
    with Image.open(io.BytesIO(PRIVATE["jpeg gps"])) as image:
        assert b"secret" not in embeddable(image)[1]


# Transparent

CLEAR = Image.new("RGBA", (64, 48), (255, 0, 0, 0))
LISTED = Image.new("P", (64, 48))
TRANSPARENT = {
    "png rgba": file_of(CLEAR, "PNG"),
    "png la": file_of(CLEAR.convert("LA"), "PNG"),
    "png palette": file_of(LISTED, "PNG", transparency=0),
    "png palette with alpha": file_of(LISTED, "PNG", transparency=b"\0\0"),
    "png gray key": png(1, 1, 8, 0, b"\0\x40", chunk(b"tRNS", b"\0\x40")),
    "png rgb key": png(1, 1, 8, 2, b"\0@@@", chunk(b"tRNS", b"\0@\0@\0@")),
    "webp": file_of(CLEAR, "WEBP", lossless=True, exact=True),
    "gif": file_of(LISTED, "GIF", transparency=0),
    "tiff": file_of(CLEAR, "TIFF"),
    "pillow image": CLEAR,
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparency_becomes_white(name):
    assert near(sent(TRANSPARENT[name]).getpixel((0, 0)), WHITE)


def test_half_transparency_is_mixed_with_white():
    half = file_of(Image.new("RGBA", (64, 48), (255, 0, 0, 128)), "PNG")
    assert near(sent(half).getpixel((9, 9)), (255, 127, 127))


# Odd kinds

GRAY = (76, 76, 76)
ODD = {
    "cmyk jpeg": (file_of(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "JPEG"), RED),
    "large cmyk jpeg": (file_of(Image.new("CMYK", (999, 9), (0, 255, 255, 0)), "JPEG"), RED),
    "cmyk tiff": (file_of(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "TIFF"), RED),
    "tiff": (file_of(plain(), "TIFF"), RED),
    "lzw tiff": (file_of(plain(), "TIFF", compression="tiff_lzw"), RED),
    "bmp": (file_of(plain(), "BMP"), RED),
    "tga": (file_of(plain(), "TGA"), RED),
    "jpeg 2000": (file_of(plain(), "JPEG2000"), RED),
    "ppm": (file_of(plain(), "PPM"), RED),
    "animated gif": (animated("GIF"), RED),
    "animated webp": (animated("WEBP"), RED),
    "animated png": (animated("PNG"), RED),
    "tiff of two pages": (animated("TIFF"), RED),
    "jpeg of two pictures": (animated("MPO"), RED),
    "progressive jpeg": (file_of(plain(), "JPEG", progressive=True), RED),
    "interlaced gif": (file_of(plain(), "GIF", interlace=1), RED),
    "png of 48 bits": (png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 65535, 0, 0)), RED),
    "png of 1 bit": (file_of(plain(WHITE).convert("1"), "PNG"), WHITE),
    "gray jpeg": (file_of(plain().convert("L"), "JPEG"), GRAY),
    "gray with full alpha": (file_of(plain().convert("LA"), "PNG"), GRAY),
    "palette": (plain().convert("P"), RED),
    "ycbcr": (plain().convert("YCbCr"), RED),
    "float tiff": (file_of(plain().convert("F"), "TIFF"), GRAY),
    "float": (plain().convert("F"), GRAY),
    "hsv": (plain().convert("HSV"), RED),
    "rgb with full alpha": (file_of(plain().convert("RGBA"), "PNG"), RED),
    "one pixel": (file_of(plain(size=(1, 1)), "PNG"), RED),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_shows_what_it_showed(name):
    picture, color = ODD[name]
    assert near(sent(picture).getpixel((0, 0)), color)


@pytest.mark.parametrize(
    "name", ["cmyk jpeg", "tiff", "bmp", "animated gif", "animated webp", "animated png"]
)
def test_a_picture_that_the_api_does_not_read_becomes_a_jpeg(name):
    assert embeddable(ODD[name][0])[0] == "image/jpeg"


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_cut_off(kind):
    levels = np.repeat(np.array([[0, 16448, 32896, 49344, 65535]], np.uint16), 16, axis=1)
    image = Image.fromarray(np.repeat(levels, 16, axis=0))
    assert image.mode == "I;16"
    shown = sent(file_of(image, kind))
    for number, value in enumerate((0, 64, 128, 192, 255)):
        assert near(shown.getpixel((number * 16 + 8, 8)), (value, value, value))


# Sizes


@pytest.mark.parametrize(
    ("size", "long_side", "expected"),
    [
        ((3000, 2000), 768, (768, 512)),
        ((2000, 3000), 768, (512, 768)),
        ((1024, 1024), 512, (512, 512)),
        ((769, 10), 768, (768, 10)),
        ((5000, 1), 768, (768, 1)),
        ((1, 5000), 768, (1, 768)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_long_side_is_shrunk_and_the_aspect_ratio_kept(size, long_side, expected, kind):
    assert sent(file_of(plain(size=size), kind), long_side=long_side).size == expected


def test_a_small_picture_is_not_enlarged():
    assert sent(file_of(plain(size=(20, 10)), "BMP")).size == (20, 10)


def test_a_shrunk_picture_keeps_its_corners():
    image = sent(file_of(quarters((3000, 1500)), "JPEG"))
    assert all(map(near, corners(image), (RED, GREEN, BLUE, WHITE)))


# What is no picture

PHOTO = Image.effect_noise((120, 120), 50)
HUGE_GIF = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
HUGE_GIF += b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x00;"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"just text",
        b"<!doctype html><html><body>404</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"%PDF-1.7\n",
        b"\0" * 1000,
        png(0, 0, 8, 0, b""),
    ],
    ids=["nothing", "text", "html", "svg", "pdf", "zeros", "png without size"],
)
def test_bytes_that_are_no_picture_are_refused_by_their_size(content):
    with pytest.raises(PictureError, match=f"{len(content)} bytes is not a picture. Take it out"):
        image_part(content)


@pytest.mark.parametrize("name", ["notes.jpg", "page.png", "drawing.svg"])
def test_a_file_that_is_no_picture_is_refused_by_name(name, tmp_path):
    path = tmp_path / name
    path.write_text("<p>nothing to see</p>", "utf-8")
    with pytest.raises(PictureError, match=rf"{name} is not a picture\. Take it out"):
        image_part(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_truncated_picture_is_damaged(kind, tmp_path):
    content = file_of(PHOTO, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(PictureError, match=r"cut\.img is damaged: .+ Save it anew, or take it out"):
        image_part(path)


@pytest.mark.parametrize("form", [bytes, bytearray])
def test_truncated_bytes_are_named_by_their_size(form):
    content = form(file_of(PHOTO, "JPEG")[:1000])
    with pytest.raises(PictureError, match="The picture of 1000 bytes is damaged"):
        image_part(content)


def test_a_picture_without_its_pixels_is_damaged():
    with pytest.raises(PictureError, match="is damaged"):
        image_part(png(10, 10, 8, 0, b""))


@pytest.mark.parametrize(
    "content",
    [png(60_000, 60_000, 8, 0, b""), png(10_000, 10_000, 8, 0, b""), HUGE_GIF],
    ids=["huge png", "large png", "huge gif"],
)
def test_a_decompression_bomb_is_too_large(content):
    with pytest.raises(PictureError, match=r"bytes is too large to open .*pixels.*Shrink it"):
        image_part(content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PictureError, match=r"chair\.jpg cannot be read: No such file"):
        image_part(tmp_path / "chair.jpg")


def test_a_folder_is_named(tmp_path):
    folder = tmp_path / "chairs"
    folder.mkdir()
    with pytest.raises(PictureError, match=r"chairs cannot be read"):
        image_part(str(folder))


def test_an_empty_pillow_image_is_refused():
    with pytest.raises(PictureError, match="0 x 0"):
        image_part(Image.new("RGB", (0, 0)))


def test_a_pillow_image_of_a_cut_file_is_named(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(file_of(PHOTO, "JPEG")[:1000])
    with Image.open(path) as image, pytest.raises(PictureError, match=r"cut\.jpg.* is damaged"):
        image_part(image)


# Many pictures


def test_many_pictures_keep_their_order():
    sizes = [1 + number % 37 * 20 for number in range(80)]
    pictures = [file_of(plain(size=(size, 5)), "BMP") for size in sizes]
    parts = image_parts(pictures, "low", 1000)
    assert parts == [image_part(picture, "low", 1000) for picture in pictures]
    assert len({part["image_url"]["url"] for part in parts}) == len(set(sizes))


def test_no_pictures_are_no_parts():
    assert image_parts([]) == []


def test_all_bad_pictures_among_many_are_named(tmp_path):
    with pytest.raises(PictureError, match="2 of 4 pictures:") as caught:
        image_parts([PNG, tmp_path / "gone.png", tmp_path / "lost.png", PNG])
    assert all(f"{name}.png cannot be read" in str(caught.value) for name in ("gone", "lost"))


@pytest.mark.parametrize("detail", ["auto", "low", "high", "original"])
def test_every_level_of_detail_is_sent(detail):
    assert image_part(PNG, detail)["image_url"]["detail"] == detail


def test_another_level_of_detail_is_refused():
    with pytest.raises(ValueError, match="'hi'; it can be auto, low, high"):
        image_part(PNG, "hi")


@pytest.mark.parametrize("long_side", [0, "768", 0.5])
def test_a_long_side_that_is_no_number_of_pixels_is_refused(long_side):
    with pytest.raises(ValueError, match="it is a number of pixels"):
        image_part(PNG, long_side=long_side)


# Tokens


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [
        (512, 384, "auto", 231),
        (768, 576, "auto", 519),
        (1024, 768, "auto", 922),
        (1024, 1024, "auto", 1229),
        (4032, 3024, "low", 231),
        (4032, 3024, "high", 2942),
        (4032, 3024, "auto", 14364),
        (3024, 4032, "auto", 14364),
        (512, 384, "low", 231),
        (1024, 768, "original", 922),
        (1024, 768, "high", 922),
        (1, 1, "auto", 2),
        (33, 32, "auto", 3),
    ],
)
def test_tokens_of_a_picture(width, height, detail, tokens):
    assert image_tokens(width, height, detail) == tokens


@pytest.mark.parametrize("size", [(9000, 6000), (2048, 2048), (12_000, 800), (1700, 1600)])
def test_high_detail_never_costs_more_than_its_limit_of_patches(size):
    assert image_tokens(*size, "high") <= 3000


def test_the_size_table_has_a_line_for_each_size():
    table = size_table(file_of(plain(size=(2000, 1500)), "PNG"), price=0.05)
    assert table.index.tolist() == [512, 768, 1024]
    assert table[["width", "height"]].to_numpy().tolist() == [[512, 384], [768, 576], [1024, 768]]
    assert table["auto"].tolist() == [231, 519, 922]
    assert table["low"].tolist() == [231, 231, 231]
    assert table["usd_per_1000"].tolist() == pytest.approx([0.01155, 0.02595, 0.0461])


def test_the_size_table_weighs_the_embedded_text():
    content = file_of(PHOTO, "PNG")
    table = size_table(content, price=0.05, long_sides=[300])
    embedded = image_part(content)["image_url"]["url"]
    assert table.loc[300, "kilobytes"] == pytest.approx(len(embedded) / 1000, abs=0.02)
    assert table.loc[300, "per_file"] * len(embedded) == pytest.approx(200_000_000, rel=0.01)


# Contact sheet


def test_the_contact_sheet_has_a_row_for_each_so_many_columns():
    sheet = contact_sheet([plain()] * 7, columns=3, width=100)
    assert (sheet.mode, sheet.size) == ("RGB", (300, 225))


def test_every_picture_is_at_its_place_on_the_contact_sheet():
    colors = [RED, GREEN, BLUE, BLACK, RED]
    pictures = [file_of(plain(color), "PNG") for color in colors]
    sheet = contact_sheet(pictures, columns=2, width=100)
    for number, color in enumerate(colors):
        column, row = number % 2, number // 2
        assert near(sheet.getpixel((column * 100 + 50, row * 75 + 37)), color)
    assert sheet.getpixel((150, 187)) == WHITE


@pytest.mark.parametrize("size", [(600, 40), (40, 600), (1, 1), (300, 400)])
def test_a_picture_of_any_shape_fits_the_contact_sheet(size):
    sheet = contact_sheet([plain(size=size)], columns=1, width=100)
    assert sheet.size == (100, 75)
    assert any(near(sheet.getpixel((x, y)), RED) for x in range(45, 55) for y in range(32, 43))


def test_a_bad_picture_on_the_contact_sheet_is_named(tmp_path):
    with pytest.raises(PictureError, match=r"gone\.png"):
        contact_sheet([PNG, tmp_path / "gone.png"])


# Colours


def p3():
    """A profile of wider colours, as phones write it: the primaries of Display P3."""
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Every number of a profile is 16 bits before the point and 16 behind it, signed.
    colours = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    content = bytearray(wide)
    for place in range(132, 132 + 12 * struct.unpack(">I", wide[128:132])[0], 12):
        name, offset, size = struct.unpack(">4sII", wide[place : place + 12])
        if name in colours:
            numbers = struct.pack(">3i", *(round(value * 65_536) for value in colours[name]))
            content[offset + 8 : offset + 20] = numbers
        elif name == b"desc":
            content[offset : offset + size] = wide[offset : offset + size].replace(
                "sRGB built-in".encode("utf-16-be"), "Display P3   ".encode("utf-16-be")
            )
    return bytes(content)


P3 = p3()
GREEN_OF_P3 = (60, 180, 75)


def as_shown(color):
    """What a screen in sRGB shows of a colour in P3."""
    return ImageCms.profileToProfile(
        plain(color), io.BytesIO(P3), ImageCms.createProfile("sRGB")
    ).getpixel((0, 0))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("size", [(64, 48), (900, 700)])
def test_a_colour_of_a_wider_profile_is_the_same_in_srgb(kind, size):
    options = {"quality": 100} if kind in ("JPEG", "WEBP") else {}
    content = file_of(plain(GREEN_OF_P3, size), kind, icc_profile=P3, **options)
    pixel = sent(content).getpixel((30, 20))
    wanted = as_shown(GREEN_OF_P3)
    assert all(abs(a - b) <= 2 for a, b in zip(pixel, wanted, strict=True))
    assert not all(abs(a - b) <= 2 for a, b in zip(pixel, GREEN_OF_P3, strict=True))


def test_the_profile_is_gone_after_it_was_used():
    content = embeddable(file_of(plain(GREEN_OF_P3), "JPEG", icc_profile=P3))[1]
    assert "icc_profile" not in Image.open(io.BytesIO(content)).info


def test_transparency_and_a_profile_go_together():
    half = Image.new("RGBA", (64, 48), (*GREEN_OF_P3, 0))
    assert near(sent(file_of(half, "PNG", icc_profile=P3)).getpixel((9, 9)), WHITE)


def test_a_picture_in_srgb_is_sent_byte_for_byte_with_its_profile():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = file_of(plain(), "JPEG", icc_profile=srgb)
    assert embeddable(content)[1] == content


@pytest.mark.parametrize("profile", [b"no profile", P3[:200], b"\0" * 500])
def test_a_profile_that_cannot_be_read_does_no_harm(profile):
    content = file_of(plain(), "TIFF", icc_profile=profile)
    assert near(sent(content).getpixel((9, 9)), RED)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_for_another_kind_of_picture_does_no_harm(mode):
    content = file_of(plain(WHITE).convert(mode), "TIFF", icc_profile=P3)
    assert near(sent(content).getpixel((9, 9)), WHITE)


# Depths


def levels(values, dtype):
    row = np.repeat(np.array([values], dtype), 16, axis=1)
    return Image.fromarray(np.repeat(row, 16, axis=0))


@pytest.mark.parametrize(
    ("values", "dtype", "shown"),
    [
        ([0, 0.25, 0.5, 1], np.float32, (0, 64, 128, 255)),
        ([0, 64, 128, 255], np.float32, (0, 64, 128, 255)),
        ([0, 16_448, 32_896, 65_535], np.float32, (0, 64, 128, 255)),
        ([-1, -0.5, 0, 1], np.float32, (0, 64, 128, 255)),
        ([0, 25_000, 50_000, 100_000], np.float32, (0, 64, 128, 255)),
        ([0, 16_448, 32_896, 65_535], np.int32, (0, 64, 128, 255)),
        ([0, 64, 128, 255], np.int32, (0, 64, 128, 255)),
        ([0, 0, 1, 1], np.int32, (0, 0, 1, 1)),
    ],
)
@pytest.mark.parametrize("as_file", [True, False])
def test_every_depth_is_scaled_to_what_it_shows(values, dtype, shown, as_file):
    image = levels(values, dtype)
    picture = sent(file_of(image, "TIFF") if as_file else image)
    for number, value in enumerate(shown):
        assert near(picture.getpixel((number * 16 + 8, 8)), (value, value, value))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_damage(value):
    with pytest.raises(PictureError, match="pixels that are no numbers"):
        image_part(levels([0, value], np.float32))


# Cells of every kind


@pytest.mark.parametrize(
    "cell",
    [
        lambda content, path: {"bytes": content, "path": None},
        lambda content, path: {"bytes": None, "path": str(path)},
        lambda content, path: {"bytes": content, "path": "elsewhere.png"},
        lambda content, path: base64.b64encode(content).decode(),
        lambda content, path: base64.b64encode(content),
        lambda content, path: base64.encodebytes(content).decode(),
    ],
    ids=["bytes", "path", "both", "base64", "base64 bytes", "base64 in lines"],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_cell_of_a_data_set_is_the_picture_in_it(cell, kind, tmp_path):
    content = file_of(PHOTO, kind)
    path = tmp_path / "chair"
    path.write_bytes(content)
    assert image_part(cell(content, path)) == image_part(path)


@pytest.mark.parametrize(
    "cell", [{}, {"bytes": None, "path": None}, {"bytes": b"", "path": ""}, None, 5, [], 2.5]
)
def test_a_cell_without_a_picture_is_refused(cell):
    with pytest.raises(PictureError, match=r"is no picture, file name or link\. Fill the cell"):
        image_part(cell)


@pytest.mark.parametrize("cell", [{"bytes": b"text"}, {"path": "gone.png"}])
def test_a_bad_picture_in_a_cell_is_named(cell):
    with pytest.raises(PictureError, match=r"4 bytes is not a picture|gone\.png cannot be read"):
        image_part(cell)


def test_damaged_base64_is_named_in_a_short_message():
    text = base64.b64encode(file_of(PHOTO, "PNG")).decode()
    with pytest.raises(PictureError, match=r"base64 text 'iVBORw0KGgo.*' is damaged"):
        image_part(text[:-3] + "!" + text[-2:])


@pytest.mark.parametrize("text", ["x" * 3_000_000, "é" * 300, "a/" * 3_000, "no\0name"])
def test_a_long_text_that_is_no_path_makes_a_short_message(text):
    with pytest.raises(PictureError, match="cannot be read") as error:
        image_part(text)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png;base64,None", "DATA:image/svg+xml;base64,AAAA"]
)
def test_a_data_url_without_a_picture_is_refused(url):
    with pytest.raises(PictureError, match=r"holds no picture|is no data URL of a PNG"):
        image_part(url)


def test_a_whole_data_url_is_passed_on():
    url = image_part(PNG)["image_url"]["url"]
    assert image_part(url)["image_url"]["url"] == url


# What must not be opened


def test_a_file_for_another_program_is_no_picture_whatever_its_name(tmp_path):
    path = tmp_path / "chair.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(PictureError, match=r"chair\.jpg is not a picture"):
        image_part(path)
    with Image.open(path) as image, pytest.raises(PictureError, match="is not a picture"):
        image_part(image)


def test_without_a_limit_of_pillow_pictures_are_still_read(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert embeddable(PNG)[1] == PNG
    assert sent(file_of(plain(size=(900, 700)), "PNG")).size == (768, 597)


def test_a_large_picture_takes_one_copy_at_full_size_at_a_time():
    side = 6_000
    content = png(side, side, 8, 2, b"".join([b"\0" + b"\xff\0\0" * side] * side))
    assert len(content) < 300_000
    code = (
        "import sys, resource; from helpers import image_parts\n"
        "content = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "image_parts([content] * 4)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, input=content, capture_output=True, cwd=ROOT, check=True)
    grown = int(run.stdout) * 1024
    assert grown < 2.5 * 4 * side * side


def test_heic_is_read_where_its_reader_is_installed():
    memory = io.BytesIO()
    heif = pillow_heif.from_pillow(plain(GREEN))
    heif.save(memory, quality=90)
    assert near(sent(memory.getvalue()).getpixel((30, 20)), GREEN)


def test_heic_that_cannot_be_read_is_named_with_the_way_to_read_it():
    with pytest.raises(PictureError, match=r"is HEIC.*Install pillow-heif.*or save it as JPEG"):
        image_part(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


def test_bad_pictures_among_many_have_their_numbers(tmp_path):
    with pytest.raises(PictureError, match=r"picture 2: .*gone\.png.*\n- picture 4: .*4 bytes"):
        image_parts([PNG, tmp_path / "gone.png", PNG, b"text"])


# What pictures of a request cost


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [(512, 384, "auto", 8_500), (1024, 768, "high", 25_501), (4032, 3024, "low", 2_833)],
)
def test_older_models_count_tiles(width, height, detail, tokens):
    assert image_tokens(width, height, detail, model="gpt-4o-mini") == tokens


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-4o", "gpt-4o-mini"])
@pytest.mark.parametrize("detail", ["auto", "low", "high", "original"])
@pytest.mark.parametrize("size", [(1, 1), (5_000, 5_000), (60_000, 400), (100, 9_000)])
def test_no_picture_that_is_taken_costs_more_than_a_link_can(model, detail, size):
    most = token_bound("https://e.com/a.png", detail, model)
    assert image_tokens(*size, detail, model) <= most
