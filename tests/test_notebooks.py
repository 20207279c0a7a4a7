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
from PIL import Image, ImageChops

import helpers
from helpers.paths import DATA, ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_CELLS = {"movie_categorization": 36, "furniture_captioning": 32}
SECRETS = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|Bearer [A-Za-z0-9]|/(?:home|root|tmp|Users)/\w")


def cells_of(path: Path) -> list[dict]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def code_of(path: Path) -> list[dict]:
    return [cell for cell in cells_of(path) if cell["cell_type"] == "code"]


def lines_of(cell: dict) -> int:
    return sum(1 for line in cell["source"].splitlines() if line.strip())


pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_no_more_cells_than_agreed(path):
    assert len(cells_of(path)) <= MOST_CELLS[path.stem]


def test_it_opens_with_one_title_that_says_what_it_takes(path):
    first, *others = (c["source"] for c in cells_of(path) if c["cell_type"] == "markdown")
    assert first.startswith("# ")
    assert len(first) > 200
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


def test_the_model_is_a_constant_in_the_first_code_cell(path):
    first, *others = (cell["source"] for cell in code_of(path))
    (model,) = re.findall(r'(?m)^MODEL = "(.+)"$', first)
    assert not [source for source in others if model in source]


def test_the_place_to_edit_is_marked_once(path):
    assert sum(cell["source"].count("# EDIT HERE") for cell in code_of(path)) == 1


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
    assert data_of(path, "try", "image/jpeg") == files[0].read_bytes()
    sources = re.findall(r'src="([^"]+)"', data_of(path, "gallery", "text/html"))
    assert [(path.parent / source).resolve() for source in sources] == files[:12]
    with Image.open(io.BytesIO(data_of(path, "data", "image/png"))) as sheet:
        assert ImageChops.difference(sheet, helpers.contact_sheet(files[:8])).getbbox() is None
