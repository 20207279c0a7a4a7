"""The exported pages, made with the README's command, on a telephone and on a desk."""

import re
import subprocess
import sys

import pytest

from helpers.paths import ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
WIDTHS = (390, 1280)
NO_TEXT = "No description has been provided for this image"  # what nbconvert writes itself
IMAGES = "[...document.images].map(i => ({alt: i.alt, width: i.naturalWidth}))"
CUT_OFF = """[...document.querySelectorAll('main *')].filter(e =>
    ['hidden', 'clip'].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1
).map(e => e.innerText)"""


@pytest.fixture(scope="module")
def pages(project, environment, tmp_path_factory):
    """The folder of the pages, beside the data that they refer to."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (command,) = re.findall(r"\.venv/bin/(jupyter nbconvert .*--to html.*)", readme)
    jobs = {"COOKBOOK_JOBS": str(tmp_path_factory.mktemp("jobs"))}
    run = f"'{sys.executable}' -m {command}"
    subprocess.run(run, shell=True, check=True, cwd=project, env={**environment, **jobs})
    return project / "build"


@pytest.fixture
def visit(pages, browser):
    """Opens a page at a width; nothing but files is within its reach."""
    opened = []

    def open_page(name, width):
        page = browser.new_page(viewport={"width": width, "height": 900})
        opened.append(page)
        page.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
        page.goto((pages / f"{name}.html").as_uri())
        return page

    yield open_page
    for page in opened:
        page.close()


by_page = pytest.mark.parametrize("name", NOTEBOOKS)
by_width = pytest.mark.parametrize("width", WIDTHS)


@by_page
@by_width
def test_a_page_fits_its_window_and_cuts_nothing_off(name, width, visit, screens):
    page = visit(name, width)
    page.screenshot(path=screens / f"{name}-page-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []


@by_page
@by_width
def test_every_picture_is_loaded_and_described(name, width, visit):
    images = visit(name, width).evaluate(IMAGES)
    assert images
    assert not [image for image in images if not image["width"]]
    assert not [image for image in images if image["alt"].strip() in ("", NO_TEXT)]


@by_page
def test_no_page_waits_for_a_widget(name, visit):
    text = visit(name, 1280).inner_text("body")
    assert "completed, " in text
    assert "Loading widget" not in text
    assert "Error displaying widget" not in text


@by_page
def test_a_page_asks_nothing_of_any_server(name, pages, browser):
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((pages / f"{name}.html").as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


@by_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_follows_the_theme_of_the_reader(name, scheme, pages, browser, screens):
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    page.goto((pages / f"{name}.html").as_uri())
    page.screenshot(path=screens / f"{name}-page-{scheme}.png", full_page=True)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (brightness > 200) if scheme == "light" else (brightness < 60)
    page.close()


def test_markup_in_a_gallery_stays_text_on_a_page(visit, markup):
    page = visit("markup", 1280)
    assert page.inner_text("figcaption") == f"{markup}\n{markup}"
    assert page.evaluate("window.hacked") is None
