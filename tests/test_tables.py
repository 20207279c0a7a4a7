"""Tables as Jupyter shows them after `readable_tables`."""

import pandas as pd

from helpers.views import _left


def test_texts_are_aligned_to_the_left_and_numbers_stay_to_the_right():
    table = pd.DataFrame({"title": ["Heat", "12 Monkeys", "300"], "usd": [-0.5, 12, 3]})
    page = _left(table.to_html())
    left = '<td style="text-align: left">'
    assert f"{left}Heat</td>" in page
    assert f"{left}12 Monkeys</td>" in page
    assert page.count("<td>") == 4
    assert '<th style="text-align: left">usd</th>' in page


def test_what_stands_in_a_cell_is_not_changed():
    table = pd.DataFrame({"text": ["<td>a</td>", "a <th> b"]})
    assert _left(table.to_html()).count("&lt;td&gt;a&lt;/td&gt;") == 1
    assert "a &lt;th&gt; b" in _left(table.to_html())
