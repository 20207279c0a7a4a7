"""Rows by what stands in one column: as a page and as text."""

from html.parser import HTMLParser

import pandas as pd
import pytest

from helpers import ResultsBrowser


class Page(HTMLParser):
    """The names of the tags, and the texts of the cells row by row, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.summaries = [], [], []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._inside = tag
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self._inside == "summary":
            self.summaries.append(data)
        else:
            self.rows[-1][-1] += data


@pytest.fixture
def films():
    return pd.DataFrame(
        {
            "title": ["Arrival", "Alien", "Heat", "Lost"],
            "kinds": [["sci-fi", "drama"], ["sci-fi", "horror"], ["drama"], None],
            "year": [2016, 1979, 1995, None],
        },
        index=[7, 7, 8, 9],
    )


def browse(films):
    return ResultsBrowser(films, by="kinds", columns=["title", "kinds"])


def test_the_page_has_every_value_with_its_rows_the_largest_first(films):
    page = Page(browse(films).page())
    assert page.summaries == ["drama (2)", "sci-fi (2)", "horror (1)"]
    assert page.rows[:3] == [["title", "kinds"], ["Arrival", "sci-fi, drama"], ["Heat", "drama"]]


def test_the_page_has_as_many_rows_of_a_value_as_asked_and_says_so():
    films = pd.DataFrame({"title": range(8), "kind": "drama"})
    page = Page(ResultsBrowser(films, "kind", ["title"], rows=5).page())
    assert page.summaries == ["drama (8), the first 5"]
    assert page.rows[1:] == [["0"], ["1"], ["2"], ["3"], ["4"]]


def test_without_a_number_two_hundred_rows_of_a_value_are_on_the_page():
    films = pd.DataFrame({"title": range(201), "kind": ["drama"] * 201})
    page = Page(ResultsBrowser(films, "kind", ["title"]).page())
    assert page.summaries == ["drama (201), the first 200"]
    assert len(page.rows) == 201


def test_the_text_has_a_line_for_each_value(films):
    assert browse(films).text().split("\n") == ["drama (2)", "sci-fi (2)", "horror (1)"]


def test_a_row_that_names_a_value_twice_is_shown_once():
    films = pd.DataFrame({"title": ["Arrival"], "kinds": [["drama", "drama"]]})
    assert browse(films).text() == "drama (1)"


def test_empty_cells_are_shown_empty(films):
    page = Page(ResultsBrowser(films, "title", ["year"]).page())
    assert page.rows[-2:] == [["year"], [""]]


def test_a_column_that_does_not_exist_is_named(films):
    with pytest.raises(ValueError, match=r"no column 'genre'.*'title', 'kinds', 'year'"):
        ResultsBrowser(films, by="genre", columns=["title"])


def test_markup_in_the_table_stays_text():
    markup = '<script>alert(1)</script>" onload="x'
    films = pd.DataFrame({"title": [markup], "kinds": [markup], markup: [[markup]]})
    page = Page(ResultsBrowser(films, "kinds", ["title", markup]).page())
    assert set(page.tags) == {"details", "summary", "table", "tr", "th", "td"}
    assert page.summaries == [f"{markup} (1)"]
    assert page.rows == [["title", markup], [markup, markup]]


def test_the_bundle_has_the_page_and_the_text(films):
    bundle = browse(films)._repr_mimebundle_()
    assert bundle["text/html"] == browse(films).page()
    assert bundle["text/plain"] == browse(films).text()


def test_a_table_without_any_value_has_an_empty_page():
    films = pd.DataFrame({"title": ["Lost"], "kinds": [None]})
    assert browse(films).page() == browse(films).text() == ""
