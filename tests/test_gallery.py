"""The gallery, as a page and as a widget: everything in its place, and nothing runs."""

import base64
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from ipywidgets.widgets.widget import _instances
from PIL import Image

from helpers import Gallery
from helpers.display.gallery import _widget_of

WIDGET = "application/vnd.jupyter.widget-view+json"
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
    paths = [tmp_path / f"{color}.png" for color in ("red", "green", "blue")]
    for path in paths:
        Image.new("RGB", (8, 8), path.stem).save(path)
    return pd.DataFrame(
        {
            "picture": paths,
            "title": ["Chair", "Table", "Stool"],
            "caption": ["A red chair.", "A green table.", "A blue stool."],
            "kind": ["seat", "table", "seat"],
        }
    )


class Shown:
    """The widget of a gallery with its parts by name, worked by code instead of a mouse."""

    def __init__(self, gallery):
        view = _widget_of(gallery)[WIDGET]
        bar, self.figure = _instances[view["model_id"]].children
        self.back, self.forward, self.place, self.kinds = bar.children

    @property
    def text(self):
        return Page(self.figure.value).text

    @property
    def picture(self):
        (image,) = Page(self.figure.value).of("img")
        return base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))


# The page


def test_the_page_has_a_figure_for_each_item(items):
    page = Page(Gallery(items).page())
    assert [tag for tag, _ in page.tags].count("figure") == 3
    assert page.text == "ChairA red chair.TableA green table.StoolA blue stool."


def test_every_picture_on_the_page_has_its_title_as_alternative_text(items):
    page = Page(Gallery(items).page())
    assert [image["alt"] for image in page.of("img")] == ["Chair", "Table", "Stool"]


def test_the_sources_on_the_page_are_relative_paths_that_exist(items):
    sources = [image["src"] for image in Page(Gallery(items).page()).of("img")]
    assert [Path(unquote(source)).resolve() for source in sources] == [
        path.resolve() for path in items["picture"]
    ]
    assert not any(os.path.isabs(source) for source in sources)  # noqa: PTH117


def test_a_path_may_be_a_string(items):
    texts = items.assign(picture=items["picture"].map(str))
    assert Gallery(texts).page() == Gallery(items).page()


@pytest.mark.parametrize("column", ["title", "caption", "kind"])
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


def test_quotes_in_a_file_name_do_not_end_the_source(items, tmp_path):
    path = tmp_path / "a \" onerror='x'.png"
    path.write_bytes(items.loc[0, "picture"].read_bytes())
    image = Page(Gallery(items.assign(picture=path)).page()).of("img")[0]
    assert sorted(image) == ["alt", "src", "style", "width"]
    assert Path(unquote(image["src"])).resolve() == path.resolve()


@pytest.mark.parametrize("missing", MISSING, ids=["None", "nan", "NA", "NaT"])
def test_missing_values_are_empty(missing, items):
    empty = items.assign(title=[missing] * 3, caption=[missing] * 3, kind=[missing] * 3)
    gallery = Gallery(empty)
    page = Page(gallery.page())
    assert page.text == ""
    assert [image["alt"] for image in page.of("img")] == ["", "", ""]
    assert gallery.kinds() == [""]
    assert gallery.text() == "\n".join([":"] * 3)


def test_numbers_can_be_titles_and_kinds(items):
    gallery = Gallery(items.assign(title=[1, 2, 3], kind=[10, 9, 10]))
    assert gallery.text().startswith("1: A red chair.")
    assert gallery.kinds() == ["10", "9"]


def test_columns_of_other_names_can_be_named(items):
    renamed = items.rename(
        columns={"picture": "file", "title": "name", "caption": "text", "kind": "sort"}
    )
    gallery = Gallery(renamed, picture="file", title="name", caption="text", kind="sort")
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


def test_kinds_are_named_once_in_order(items):
    assert Gallery(items).kinds() == ["seat", "table"]


# The widget


def test_the_widget_begins_with_the_first_item(items):
    shown = Shown(Gallery(items))
    assert shown.place.value == "1 of 3"
    assert shown.text == "ChairA red chair."
    assert shown.picture == items.loc[0, "picture"].read_bytes()


def test_next_goes_through_all_items_and_round_to_the_first(items):
    shown = Shown(Gallery(items))
    seen = []
    for _ in range(3):
        shown.forward.click()
        seen.append((shown.place.value, shown.picture))
    files = [path.read_bytes() for path in items["picture"]]
    assert seen == [("2 of 3", files[1]), ("3 of 3", files[2]), ("1 of 3", files[0])]


def test_previous_goes_from_the_first_item_round_to_the_last(items):
    shown = Shown(Gallery(items))
    shown.back.click()
    assert (shown.place.value, shown.text) == ("3 of 3", "StoolA blue stool.")
    shown.back.click()
    assert shown.place.value == "2 of 3"


def test_a_single_item_stays_where_it_is(items):
    shown = Shown(Gallery(items.head(1)))
    for button in (shown.forward, shown.back):
        button.click()
        assert (shown.place.value, shown.text) == ("1 of 1", "ChairA red chair.")


def test_the_filter_offers_all_and_every_kind(items):
    shown = Shown(Gallery(items))
    assert [name for name, _ in shown.kinds.options] == ["everything", "seat", "table"]
    assert shown.kinds.label == "everything"


def test_the_filter_shows_only_its_kind(items):
    shown = Shown(Gallery(items))
    shown.kinds.value = "seat"
    seen = [shown.text]
    for _ in range(2):
        shown.forward.click()
        seen.append(shown.text)
    chair, stool = "ChairA red chair.", "StoolA blue stool."
    assert seen == [chair, stool, chair]
    assert shown.place.value == "1 of 2"


def test_a_filter_begins_with_its_first_item_wherever_one_was(items):
    shown = Shown(Gallery(items))
    shown.back.click()
    shown.kinds.value = "table"
    assert (shown.place.value, shown.text) == ("1 of 1", "TableA green table.")


def test_the_filter_can_be_taken_back(items):
    shown = Shown(Gallery(items))
    shown.kinds.value = "table"
    shown.kinds.label = "everything"
    assert (shown.place.value, shown.kinds.label) == ("1 of 3", "everything")


def test_numbers_as_kinds_can_be_filtered(items):
    shown = Shown(Gallery(items.assign(kind=[1, 2, 1])))
    shown.kinds.value = "2"
    assert shown.text.startswith("Table")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_widget_reads_markup_as_text(hostile, items):
    shown = Shown(Gallery(items.assign(title=hostile, caption=hostile, kind=hostile)))
    shown.forward.click()
    shown.kinds.value = hostile
    tags = {tag for tag, _ in Page(shown.figure.value + shown.place.value).tags}
    assert tags == {"figure", "img", "figcaption", "b", "br"}
    assert shown.text == hostile * 2


def test_missing_values_are_empty_in_the_widget(items):
    shown = Shown(Gallery(items.assign(title=None, caption=float("nan"), kind=None)))
    assert shown.text == ""


def test_two_galleries_do_not_move_each_other(items):
    one, other = Shown(Gallery(items)), Shown(Gallery(items))
    one.forward.click()
    assert (one.place.value, other.place.value) == ("2 of 3", "1 of 3")


# Nothing to show


def test_no_items_make_an_empty_page_and_text(items):
    gallery = Gallery(items.head(0))
    assert Page(gallery.page()).text == gallery.text() == ""
    assert gallery.kinds() == []


def test_no_items_make_a_widget_that_shows_none(items):
    shown = Shown(Gallery(items.head(0)))
    assert [name for name, _ in shown.kinds.options] == ["everything"]
    shown.forward.click()
    assert shown.text == ""


def test_a_picture_in_the_widget_has_its_title_as_alternative_text(items):
    (image,) = Page(Shown(Gallery(items)).figure.value).of("img")
    assert image["alt"] == "Chair"


def test_one_column_can_have_two_roles(items):
    assert Gallery(items, title="kind").text().startswith("seat: A red chair.")


def test_a_kind_called_everything_can_be_chosen(items):
    shown = Shown(Gallery(items.assign(kind=["everything", "a", "b"])))
    shown.kinds.value = "everything"
    assert shown.place.value == "1 of 1"


def test_without_kinds_everything_is_shown(items):
    gallery = Gallery(items.drop(columns="kind"), kind=None)
    assert gallery.page() == Gallery(items).page()
    assert Shown(gallery).place.value == "1 of 3"


def test_a_missing_picture_is_named_with_its_row(items):
    with pytest.raises(ValueError, match=r"Row 2: there is no picture 'nowhere.jpg'"):
        Gallery(items.assign(picture=[items["picture"][0], "nowhere.jpg", "x"]))


def test_a_missing_column_is_named_with_those_that_exist(items):
    with pytest.raises(ValueError, match=r"no column 'caption' and 'kind'\..*'title'"):
        Gallery(items.drop(columns=["caption", "kind"]))


def test_a_line_break_in_a_caption_does_not_break_the_line(items):
    assert len(Gallery(items.assign(caption="one\ntwo")).text().splitlines()) == 3
