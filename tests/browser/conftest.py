"""A real browser on JupyterLab and on the exported pages, outside of the plain `pytest`:

    .venv/bin/pip install playwright
    .venv/bin/pytest tests/browser

The browser is the Chromium of the system; none is downloaded. All runs in a temporary copy of the
project, and leaves pictures of each stage in `build/screens/`.
"""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from lab import Lab, serve
from playwright.sync_api import expect, sync_playwright

from helpers.paths import ROOT

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
MARKUP = '<b>bold</b><script>window.hacked=1</script><img src="x" onerror="window.hacked=2">'
# Five looks, three seconds apart: time to press a button.
A_JOB_TO_CANCEL = """\
import time
import helpers
client = helpers.connect()
body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hello"}]}
asked = [
    {"custom_id": f"row-{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    for n in range(40)
]
job = helpers.submit(client, helpers.write(asked, helpers.JOBS / "long", max_requests=20))
pause = lambda _: time.sleep(3)
helpers.wait(client, job, sleep=pause)"""
# A file of ten rows is written every second, twice.
LONG_WORK = """\
import time
import helpers
body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hello"}]}
asked = {"method": "POST", "url": "/v1/chat/completions", "body": body}
def slowly(row):
    time.sleep(0.1)
    return {"custom_id": f"row-{row}", **asked}
for name in ("first", "second"):
    shards = helpers.write(map(slowly, range(60)), helpers.JOBS / name, max_requests=10)
    print(name, len(shards))"""
GALLERY_OF_MARKUP = f"""\
import pandas as pd
import helpers
row = dict.fromkeys(["title", "caption"], {MARKUP!r})
row["picture"] = helpers.DATA / "furniture" / "desk-drawers.jpg"
helpers.Gallery(pd.DataFrame([row]))"""


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert path, f"No browser: none of {', '.join(CHROMIUM)} is in PATH. Install Chromium."
    with sync_playwright() as playwright:
        expect.set_options(timeout=30_000)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screens() -> Path:
    folder = ROOT / "build" / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def markup() -> str:
    """What stands in the only row of the notebook `markup`, which the copied project has too."""
    return MARKUP


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    left_out = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for part in ("data", "helpers", "notebooks"):
        shutil.copytree(ROOT / part, folder / part, ignore=left_out)
    for text in ROOT.glob("*.md"):
        shutil.copy(text, folder)
    sources = {
        "markup": GALLERY_OF_MARKUP,
        "long": LONG_WORK,
        "cancel": A_JOB_TO_CANCEL,
        "interrupt": A_JOB_TO_CANCEL.replace("row-", "line-"),
    }
    for name, source in sources.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    return folder


@pytest.fixture(scope="session")
def environment(project, tmp_path_factory) -> dict[str, str]:
    """That of Jupyter: the copied project, and none of the user's settings and keys."""
    home = tmp_path_factory.mktemp("home")
    private = ("JUPYTER", "IPYTHON", "XDG_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    ours = {"HOME": home, "JUPYTER_CONFIG_DIR": home / "config", "COOKBOOK_JOBS": home / "jobs"}
    return {**kept, **{name: str(path) for name, path in ours.items()}, "PYTHONPATH": str(project)}


@pytest.fixture(scope="session")
def lab(browser, project, environment, screens):
    with serve(project, environment) as url:
        yield Lab(url, browser, screens)
