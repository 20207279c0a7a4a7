"""What every notebook keeps to: readable, run once from top to bottom, nothing private in it."""

import base64
import io
import itertools
import json
import re
import statistics
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import helpers
from helpers.images import embeddable
from helpers.paths import DATA, ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECRETS = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|Bearer [A-Za-z0-9]|/(?:home|root|tmp|Users)/\w")


def cells_of(path: Path) -> list[dict]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def code_of(path: Path) -> list[dict]:
    return [cell for cell in cells_of(path) if cell["cell_type"] == "code"]


def lines_of(cell: dict) -> int:
    return sum(1 for line in cell["source"].splitlines() if line.strip())


pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def words_of(cell: dict) -> int:
    """Words of a text cell, without code, tags and the targets of links."""
    text = re.sub(r"(?s)```.*?```|<[^>]+>|(?<=\])\([^)]*\)", " ", cell["source"])
    return len(re.findall(r"\b[\w'\u2019-]+\b", text))


def test_it_is_short_enough_to_be_read(path):
    words = [words_of(cell) for cell in cells_of(path) if cell["cell_type"] == "markdown"]
    assert sum(words) <= 1_600
    assert statistics.median(words) <= 50
    assert max(words) <= 150


def test_it_opens_with_one_title_that_says_what_it_takes(path):
    first, *others = (c["source"] for c in cells_of(path) if c["cell_type"] == "markdown")
    assert first.startswith("# ")
    assert all(
        word in first for word in ("**Time**", "**Cost**", "**You need**", "**Runs offline**")
    )
    assert not any(re.search(r"(?m)^# ", text) for text in others)


def test_it_ends_with_the_verbs_that_it_opened_with(path):
    texts = [c["source"] for c in cells_of(path) if c["cell_type"] == "markdown"]
    promised, kept = (re.findall(r"(?m)^- \*\*(\w+)\*\*", text) for text in (texts[0], texts[-1]))
    assert len(promised) >= 3
    assert kept == promised


def test_every_code_cell_is_led_in_by_prose(path):
    kinds = [cell["cell_type"] for cell in cells_of(path)]
    assert ("code", "code") not in list(itertools.pairwise(kinds))
    assert kinds[0] == kinds[-1] == "markdown"


def test_cells_are_short(path):
    lengths = [lines_of(cell) for cell in code_of(path)]
    assert min(lengths) > 0
    assert statistics.median(lengths) <= 5
    assert max(lengths) <= 15


def test_it_was_saved_from_one_clean_run(path):
    counts = [cell["execution_count"] for cell in code_of(path)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_output_is_an_error_a_warning_or_a_widget_that_is_gone(path):
    outputs = [output for cell in code_of(path) for output in cell["outputs"]]
    assert outputs
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert not [o for o in outputs if any("widget" in mime for mime in o.get("data", {}))]


def test_at_most_one_cell_is_exempt_from_comparison(path):
    exempt = re.compile(r"(?i)nbval[-_]|raises[-_]exception")
    tagged = [c for c in code_of(path) if exempt.search(" ".join(c["metadata"].get("tags", [])))]
    marked = [c for c in code_of(path) if exempt.search(c["source"])]
    assert len(tagged) <= 1
    assert not marked


def test_the_model_is_named_once(path):
    (model,) = re.findall(r'(?m)^MODEL = "(.+)"$', "\n".join(c["source"] for c in code_of(path)))
    assert sum(cell["source"].count(model) for cell in code_of(path)) == 1


def test_the_cells_to_edit_are_numbered_and_are_as_many_as_the_text_says(path):
    marks = [re.findall(r"(?m)^# EDIT (\d)$", cell["source"]) for cell in code_of(path)]
    numbers = [int(number) for found in marks for number in found]
    assert numbers == [*range(1, len(numbers) + 1)]
    text = "\n".join(c["source"] for c in cells_of(path) if c["cell_type"] == "markdown")
    (said,) = re.findall(r"(\w+) cells are marked `EDIT`", text)
    (edited,) = re.findall(r"Edit (\w+) cells", text)
    assert said.lower() == edited == {2: "two", 3: "three"}[len(numbers)]


def test_nothing_private_stands_in_it(path):
    assert not SECRETS.search(path.read_text("utf-8"))


def test_links_to_files_lead_somewhere(path):
    text = "\n".join(c["source"] for c in cells_of(path) if c["cell_type"] == "markdown")
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert links
    assert not [link for link in links if not (path.parent / link).exists()]


def data_of(path: Path, cell_id: str, mime: str) -> str | bytes:
    (cell,) = (cell for cell in code_of(path) if cell["id"] == cell_id)
    (found,) = (o["data"][mime] for o in cell["outputs"] if mime in o.get("data", {}))
    return base64.b64decode(found) if mime.startswith("image/") else "".join(found)


def test_the_pictures_on_the_page_are_those_on_disk(path):
    if path.stem != "furniture_captioning":
        assert "image/jpeg" not in path.read_text("utf-8")
        return
    items = pd.read_csv(DATA / "furniture.csv")["id"]
    files = [DATA / "furniture" / f"{item}.jpg" for item in items]
    assert data_of(path, "first", "image/jpeg") == files[0].read_bytes()
    small = re.findall(
        r'src="data:image/jpeg;base64,([^"]+)"', data_of(path, "gallery", "text/html")
    )
    assert [base64.b64decode(content) for content in small] == [
        embeddable(file, 400)[1] for file in files[:12]
    ]
    sheet = helpers.contact_sheet(files[:8])
    assert data_of(path, "contact", "image/jpeg") == sheet._repr_jpeg_()


def test_a_chart_has_no_ground_of_its_own_so_that_it_fits_both_themes(path):
    charts = ("loop", "count") if path.stem == "movie_categorization" else ()
    for cell_id in charts:
        with Image.open(io.BytesIO(data_of(path, cell_id, "image/png"))) as chart:
            assert chart.convert("RGBA").getpixel((0, 0))[3] == 0
