"""The notebooks in JupyterLab, as somebody sees them who opens and runs them."""

import json
import re

import pytest
from lab import PROMPTS, choose
from playwright.sync_api import expect

from helpers.paths import ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
WIDGET_TROUBLE = ("Error displaying widget", "Loading widget")
HREFS = "links => links.map(link => link.href)"
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


def test_long_work_shows_a_bar_that_leaves_no_gap(lab):
    page = lab.open("long")
    choose(page, "Run", "Run All Cells")
    bar = page.get_by_text("rows/s")
    expect(bar).to_be_visible()
    lab.picture(page, "long-1-writing")
    expect(page.get_by_text("first 6")).to_be_visible()
    expect(bar).to_be_visible()
    expect(page.get_by_text("second 6")).to_be_visible()
    expect(bar).to_have_count(0)
    lab.picture(page, "long-2-written")
    first, second = (line.bounding_box() for line in page.locator(".jp-OutputArea-child").all())
    assert second["y"] == first["y"] + first["height"]
    choose(page, "File", "Save Notebook")
    expect(page.locator(".jp-mod-dirty")).to_have_count(0)
    page.context.close()
    again = lab.open("long")
    expect(again.locator(".jp-OutputArea-output")).to_have_text(["first 6\n", "second 6\n"])
    again.context.close()


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


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_picture_is_there_and_every_link_leads_somewhere(name, lab):
    page = lab.ran(name)
    images = page.evaluate("[...document.images].map(i => ({alt: i.alt, width: i.naturalWidth}))")
    assert images
    assert not [image for image in images if not image["width"]]
    links = page.locator(".jp-RenderedMarkdown a:not(.jp-InternalAnchorLink)")
    inside = [link for link in links.evaluate_all(HREFS) if link.startswith(lab.url)]
    assert inside
    assert [link for link in inside if not page.request.get(link).ok] == []


@pytest.mark.parametrize("view", ["lab/tree", "notebooks"])
def test_a_notebook_that_was_only_opened_shows_its_pictures_in_lab_and_in_notebook(view, lab):
    page = lab.browser.new_context().new_page()
    page.goto(f"{lab.url}/{view}/notebooks/furniture_captioning.ipynb")
    expect(page.locator("figure")).to_have_count(12)
    widths = page.locator("figure img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert min(widths) > 0
    links = page.locator('.jp-RenderedMarkdown a[href*="/files/"]')
    expect(links.first).to_be_attached()
    assert [link for link in links.evaluate_all(HREFS) if not page.request.get(link).ok] == []
    page.context.close()


def test_a_category_unfolds_to_all_its_films(lab):
    page = lab.ran("movie_categorization")
    for folded in page.locator("details").all()[:3]:
        name, count = re.fullmatch(
            r"(.+) \((\d+)\)", folded.locator("summary").inner_text()
        ).groups()
        rows = folded.locator("tr")
        expect(rows.first).not_to_be_visible()
        folded.locator("summary").click()
        expect(rows.first).to_be_visible()
        assert rows.count() == 1 + int(count)
        kinds = rows.evaluate_all("rows => rows.slice(1).map(r => r.cells[1].innerText)")
        assert all(name in kind.split(", ") for kind in kinds)
    lab.picture(page, "movie_categorization-5-category")


def test_a_notebook_saved_and_opened_again_shows_its_gallery_and_no_error(lab):
    first = lab.ran("furniture_captioning")
    choose(first, "File", "Save Notebook")
    expect(first.locator(".jp-mod-dirty")).to_have_count(0)
    page = lab.open("furniture_captioning")
    expect(page.locator("figure")).to_have_count(12)
    lab.picture(page, "furniture_captioning-6-reopened", whole=True)
    text = page.inner_text("body")
    assert not [trouble for trouble in WIDGET_TROUBLE if trouble in text]
    page.context.close()


def test_markup_in_a_gallery_stays_text(lab, markup):
    page = lab.ran("markup")
    expect(page.locator("figcaption b")).to_have_text(markup)
    expect(page.locator("figcaption")).to_have_text(markup * 2)
    assert page.evaluate("window.hacked") is None


def test_captions_can_be_read_in_both_themes(lab):
    page = lab.ran("furniture_captioning")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose(page, "Settings", "Theme", theme)
        page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached")
        page.wait_for_load_state("networkidle")
        lab.picture(page, f"furniture_captioning-5-{theme.split()[1].lower()}", whole=True)
        assert page.locator("figcaption").first.evaluate(CONTRAST) > LEAST_CONTRAST
