"""Tables as Jupyter shows them after `readable_tables`."""

import pandas as pd

import helpers
from helpers.display.tables import _page_of


def test_texts_are_aligned_to_the_left_and_numbers_stay_to_the_right():
    table = pd.DataFrame({"title": ["Heat", "12 Monkeys", "300"], "usd": [-0.5, 12, 3]})
    page = _page_of(table)
    left = '<td style="text-align: left">'
    assert f"{left}Heat</td>" in page
    assert f"{left}300</td>" in page
    assert page.count("<td>") == 3
    assert "<td>" not in _page_of(pd.DataFrame({"retry": [True, False]}))
    assert '<th style="text-align: left">usd</th>' in page


def test_what_stands_in_a_cell_is_not_changed():
    table = pd.DataFrame({"text": ["<td>a</td>", "a <th> b"]})
    assert _page_of(table).count("&lt;td&gt;a&lt;/td&gt;") == 1
    assert "a &lt;th&gt; b" in _page_of(table)


def test_a_table_with_more_columns_than_are_shown_is_all_to_the_left():
    with pd.option_context("display.max_columns", 20):
        assert "<td>" not in _page_of(pd.DataFrame([range(60)]))
    with pd.option_context("display.max_columns", 0):
        assert _page_of(pd.DataFrame([range(60)])).count("<td>") == 60


def test_no_text_of_a_table_becomes_a_formula_in_a_spreadsheet():
    texts = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "fine", "", "a=b"]
    table = pd.DataFrame({"text": texts, "number": [-1.5] * len(texts)})
    safe = helpers.for_spreadsheet(table)
    assert safe["text"].tolist() == [*(f"'{text}" for text in texts[:6]), *texts[6:]]
    assert safe["number"].tolist() == table["number"].tolist()
    assert table["text"].tolist() == texts


def test_what_a_model_says_cannot_steer_a_terminal_that_shows_a_view():
    table = pd.DataFrame({"kind": ["a\x1b[2J"], "text": ["x"]})
    assert helpers.ResultsBrowser(table, "kind", ["text"]).text() == r"a\x1b[2J (1)"
