"""The gallery as a page and as text: everything in its place, and nothing in a table runs."""

import base64
import io
from html.parser import HTMLParser

import pandas as pd
import pytest
from PIL import Image

from helpers import Gallery, PictureError

HOSTILE = [
    "<script>alert(1)</script>",
    '"><script>alert(1)</script>',
    '" onerror="alert(1)',
    "' onload='alert(1)",
    "<img src=x onerror=alert(1)>",
    "</figcaption></figure><h1>mine</h1>",
    "<!-- ",
    "&lt;b&gt; & <b>",
    "<a href='javascript:alert(1)'>x</a>",
    "]]><style>*{display:none}</style>",
]
COLORS = [(255, 0, 0), (0, 128, 0), (0, 0, 255)]
MISSING = [None, float("nan"), pd.NA, pd.NaT]


class Page(HTMLParser):
    """The tags with their attributes, and the text, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


@pytest.fixture
def items(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, color in zip(paths, COLORS, strict=True):
        Image.new("RGB", (8, 8), color).save(path)
    return pd.DataFrame(
        {
            "picture": paths,
            "title": ["Chair", "Table", "Stool"],
            "caption": ["A red chair.", "A green table.", "A blue stool."],
        }
    )


# The page


def test_the_page_has_a_figure_for_each_item(items):
    page = Page(Gallery(items).page())
    assert [tag for tag, _ in page.tags].count("figure") == 3
    assert page.text == "ChairA red chair.TableA green table.StoolA blue stool."


def test_every_picture_on_the_page_has_its_title_as_alternative_text(items):
    page = Page(Gallery(items).page())
    assert [image["alt"] for image in page.of("img")] == ["Chair", "Table", "Stool"]


def test_the_page_holds_the_pictures_themselves(items):
    for image, color in zip(Page(Gallery(items).page()).of("img"), COLORS, strict=True):
        kind, content = image["src"].split(";base64,")
        assert kind == "data:image/png"
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert picture.getpixel((4, 4)) == color


def test_a_large_picture_is_shrunk_for_the_page(items, tmp_path):
    Image.new("RGB", (3000, 1500), "red").save(tmp_path / "large.jpg", exif=b"Exif\0\0II*\0")
    (image, *_) = Page(Gallery(items.assign(picture=tmp_path / "large.jpg")).page()).of("img")
    content = base64.b64decode(image["src"].split(";base64,")[1])
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (400, 200)


def test_a_path_may_be_a_string(items):
    texts = items.assign(picture=items["picture"].map(str))
    assert Gallery(texts).page() == Gallery(items).page()


@pytest.mark.parametrize("column", ["title", "caption"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_markup_in_the_table_adds_no_tag_and_no_attribute(hostile, column, items):
    page = Page(Gallery(items.assign(**{column: hostile})).page())
    usual = Page(Gallery(items).page())
    assert [(tag, list(attributes)) for tag, attributes in page.tags] == [
        (tag, list(attributes)) for tag, attributes in usual.tags
    ]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_markup_in_the_table_is_read_as_text(hostile, items):
    page = Page(Gallery(items.assign(title=hostile, caption=hostile)).page())
    assert page.text == hostile * 6
    assert {image["alt"] for image in page.of("img")} == {hostile}


@pytest.mark.parametrize("missing", MISSING, ids=["None", "nan", "NA", "NaT"])
def test_missing_values_are_empty(missing, items):
    empty = items.assign(title=[missing] * 3, caption=[missing] * 3)
    gallery = Gallery(empty)
    page = Page(gallery.page())
    assert page.text == ""
    assert [image["alt"] for image in page.of("img")] == ["", "", ""]
    assert gallery.text() == "\n".join([":"] * 3)


def test_numbers_can_be_titles(items):
    assert Gallery(items.assign(title=[1, 2, 3])).text().startswith("1: A red chair.")


def test_columns_of_other_names_can_be_named(items):
    renamed = items.rename(columns={"picture": "file", "title": "name", "caption": "text"})
    gallery = Gallery(renamed, picture="file", title="name", caption="text")
    assert gallery.page() == Gallery(items).page()


def test_the_table_stays_as_it_was(items):
    before = items.copy()
    Gallery(items).page()
    pd.testing.assert_frame_equal(items, before)


# The text and the bundle


def test_the_text_has_a_line_for_each_item(items):
    lines = ["Chair: A red chair.", "Table: A green table.", "Stool: A blue stool."]
    assert Gallery(items).text().split("\n") == lines


def test_the_bundle_has_the_page_and_the_text(items):
    gallery = Gallery(items)
    bundle = gallery._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/html"] == gallery.page()
    assert bundle["text/plain"] == gallery.text()


# Nothing to show


def test_no_items_make_an_empty_page_and_text(items):
    gallery = Gallery(items.head(0))
    assert Page(gallery.page()).text == gallery.text() == ""


def test_one_column_can_have_two_roles(items):
    assert Gallery(items, title="caption").text().startswith("A red chair.: A red chair.")


def test_a_missing_picture_is_named_with_its_row(items):
    with pytest.raises(ValueError, match=r"Row 2: there is no picture 'nowhere.jpg'"):
        Gallery(items.assign(picture=[items["picture"][0], "nowhere.jpg", "x"]))


def test_a_file_that_is_no_picture_is_named(items, tmp_path):
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(PictureError, match=r"notes\.jpg is not a picture"):
        Gallery(items.assign(picture=tmp_path / "notes.jpg")).page()


def test_a_missing_column_is_named_with_those_that_exist(items):
    with pytest.raises(ValueError, match=r"no column 'title' and 'caption'\..*'picture'"):
        Gallery(items.drop(columns=["caption", "title"]))


def test_a_line_break_in_a_caption_does_not_break_the_line(items):
    assert len(Gallery(items.assign(caption="one\ntwo")).text().splitlines()) == 3
