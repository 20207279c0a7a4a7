"""The notebooks in JupyterLab, as somebody sees them who opens and runs them."""

import ast
import json
import re

import pandas as pd
import pytest
from lab import PROMPTS, choose
from playwright.sync_api import expect

from helpers.paths import DATA, ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
WIDGET_TROUBLE = ("Error displaying widget", "Loading widget")
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
CONTRAST = """element => {
    const numbers = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => {
        const [r, g, b] = numbers(color).map(v => v / 255).map(
            v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    let behind = element;
    while (numbers(getComputedStyle(behind).backgroundColor)[3] === 0)
        behind = behind.parentElement;
    const [text, ground] = [getComputedStyle(element).color,
                            getComputedStyle(behind).backgroundColor].map(light);
    return Math.max(text, ground) / Math.min(text, ground);
}"""


def gallery_in(page):
    """The gallery's cell, its title and its place among the others."""
    cell = page.locator(".jp-CodeCell", has=page.locator("figure"))
    return cell, cell.locator("figcaption b"), cell.locator(".widget-html-content").first


def rows_of_the_gallery() -> pd.DataFrame:
    items = pd.read_csv(DATA / "furniture.csv").head(12)
    return items.assign(kind=[ast.literal_eval(text)[-1] for text in items["categories"]])


@pytest.mark.parametrize("name", [*NOTEBOOKS, "markup"])
def test_a_notebook_runs_to_its_end_without_an_error(name, lab):
    page = lab.ran(name)
    counts = page.evaluate(PROMPTS)
    assert counts == [f"[{number}]:" for number in range(1, len(counts) + 1)]
    kinds = page.locator(".jp-OutputArea-output").evaluate_all("all => all.map(o => o.dataset)")
    assert not [k for k in kinds if k.get("mimeType", "").endswith(("jupyter.error", "stderr"))]
    text = page.inner_text("body")
    assert not [trouble for trouble in WIDGET_TROUBLE if trouble in text]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_printed_lines_are_those_of_the_saved_notebook(name, lab):
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    saved = "".join("".join(output.get("text", [])) for output in outputs)
    printed = lab.ran(name).locator('[data-mime-type$="jupyter.stdout"]').all_text_contents()
    assert "completed, " in saved
    assert "".join(printed) == saved


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_bar_moves_while_waiting_and_is_gone_afterwards(name, lab):
    page = lab.ran(name)
    seen = page.evaluate("[...new Set(window.bars)]")
    assert len(seen) > 1
    assert any("in_progress" in text and "waited 0:0" in text for text in seen)
    assert page.locator(".widget-hprogress").count() == 0


def test_a_job_is_cancelled_by_its_button_while_the_cell_runs_after_asking(lab):
    page = lab.open("cancel")
    choose(page, "Run", "Run All Cells")
    page.get_by_role("button", name="Cancel the job").click()
    lab.picture(page, "cancel-1-asked")
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_role("button", name="Yes, cancel").click()
    expect(page.get_by_text("Cancelling 2 of 2 batches")).to_be_visible()
    lab.picture(page, "cancel-2-cancelling")
    expect(page.get_by_text("JobError: The job was cancelled.")).to_be_visible()
    expect(page.locator(".widget-hprogress")).to_have_count(0)
    assert page.get_by_text(": cancelled, 0 ok").count() == 1
    lab.picture(page, "cancel-3-cancelled")
    choose(page, "Run", "Run All Cells")
    expect(page.get_by_text("JobError")).to_have_count(0)
    page.context.close()


def test_a_job_cancelled_after_an_interrupt_ends_the_cell_that_waits_for_it_again(lab):
    page = lab.open("interrupt")
    choose(page, "Run", "Run All Cells")
    page.get_by_role("button", name="Cancel the job").wait_for()
    choose(page, "Kernel", "Interrupt Kernel")
    expect(page.get_by_text("Run this again to wait for them.").first).to_be_visible()
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_role("button", name="Yes, cancel").click()
    expect(page.get_by_text("Cancelling 2 of 2 batches")).to_be_visible()
    choose(page, "Run", "Run All Cells")
    expect(page.get_by_text("JobError: The job was cancelled.")).to_be_visible()
    page.context.close()


def test_a_category_shows_all_its_films(lab):
    page = lab.ran("movie_categorization")
    cell = page.locator(".jp-CodeCell", has=page.locator(".widget-dropdown"))
    choice, rows = cell.get_by_role("combobox"), cell.locator(".widget-html tr")
    for category in choice.locator("option").all_text_contents()[:3]:
        choice.select_option(category)
        name, count = re.fullmatch(r"(.+)\s\((\d+)\)", category).groups()
        expect(rows).to_have_count(1 + int(count))
        shown = rows.evaluate_all("rows => rows.slice(1).map(r => r.cells[1].innerText)")
        assert all(name in kinds.split(", ") for kinds in shown)
    cell.screenshot(path=lab.screens / "movie_categorization-5-category.png")


def test_a_notebook_saved_and_opened_again_shows_its_gallery_and_no_error(lab):
    first = lab.ran("furniture_captioning")
    choose(first, "File", "Save Notebook")
    expect(first.locator(".jp-mod-dirty")).to_have_count(0)
    page = lab.open("furniture_captioning")
    _, title, _ = gallery_in(page)
    expect(title).to_be_visible()
    lab.picture(page, "furniture_captioning-6-reopened", whole=True)
    text = page.inner_text("body")
    assert not [trouble for trouble in WIDGET_TROUBLE if trouble in text]
    page.context.close()


def test_next_and_previous_leaf_through_the_gallery(lab):
    page = lab.ran("furniture_captioning")
    cell, title, place = gallery_in(page)
    titles = rows_of_the_gallery()["title"]
    cell.get_by_role("combobox").select_option("everything")
    expect(place).to_have_text("1 of 12")
    expect(title).to_have_text(titles[0])
    cell.get_by_role("button", name="Next").click()
    expect(place).to_have_text("2 of 12")
    expect(title).to_have_text(titles[1])
    cell.screenshot(path=lab.screens / "furniture_captioning-5-next.png")
    cell.get_by_role("button", name="Previous").click()
    expect(title).to_have_text(titles[0])


def test_the_filter_shows_one_kind_and_everything_again(lab):
    page = lab.ran("furniture_captioning")
    cell, title, place = gallery_in(page)
    rows = rows_of_the_gallery()
    sofas = rows["title"][rows["kind"] == "Sofas"]
    choice = cell.get_by_role("combobox")
    choice.select_option("Sofas")
    assert len(sofas) > 1
    for number, sofa in enumerate(sofas, start=1):
        expect(place).to_have_text(f"{number} of {len(sofas)}")
        expect(title).to_have_text(sofa)
        cell.screenshot(path=lab.screens / f"furniture_captioning-5-sofa-{number}.png")
        cell.get_by_role("button", name="Next").click()
    expect(place).to_have_text(f"1 of {len(sofas)}")
    choice.select_option("everything")
    expect(place).to_have_text("1 of 12")
    expect(choice).to_have_value("everything")


def test_a_gallery_begins_with_everything_chosen(lab):
    cell, _, _ = gallery_in(lab.ran("markup"))
    expect(cell.get_by_role("combobox")).to_have_value("everything")


def test_markup_in_a_gallery_stays_text(lab, markup):
    page = lab.ran("markup")
    _, title, _ = gallery_in(page)
    expect(title).to_have_text(markup)
    expect(page.locator("figcaption")).to_have_text(markup * 2)
    assert page.evaluate("window.hacked") is None


def test_captions_can_be_read_in_both_themes(lab):
    page = lab.ran("furniture_captioning")
    cell, _, place = gallery_in(page)
    parts = [cell.locator("figcaption"), place, cell.get_by_role("combobox")]
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose(page, "Settings", "Theme", theme)
        page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached")
        page.wait_for_load_state("networkidle")
        lab.picture(page, f"furniture_captioning-5-{theme.split()[1].lower()}", whole=True)
        assert min(part.evaluate(CONTRAST) for part in parts) > LEAST_CONTRAST
