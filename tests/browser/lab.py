"""JupyterLab as a process, and a person who opens notebooks in it and runs them."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

SETTINGS = {
    # Cells out of sight are part of the page as well.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
}
SIZE = {"width": 1280, "height": 900}
IDLE = '#jp-bottom-panel :text("| Idle")'
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.innerText)"
WATCH_BARS = """() => {
    window.bars = [];
    const look = () => document.querySelectorAll('.widget-hprogress').forEach(
        bar => window.bars.push(bar.closest('.widget-vbox').innerText));
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}"""


@contextmanager
def serve(project: Path, environment: dict[str, str]) -> Iterator[str]:
    """The URL of a JupyterLab in the project, with `SETTINGS`, on a free port."""
    config = Path(environment["JUPYTER_CONFIG_DIR"])
    (config / "labconfig").mkdir(parents=True)
    (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["ip=127.0.0.1", "port_retries=0", "token=", "password=", "allow_root=True"]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += [f"--ServerApp.{option}" for option in options]
    url, log = f"http://127.0.0.1:{port}", config / "lab.log"
    with log.open("wb") as file:
        server = subprocess.Popen(command, cwd=project, env=environment, stdout=file, stderr=file)
    try:
        wait_for(url, server, log)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def wait_for(url: str, server: subprocess.Popen, log: Path, limit: float = 60) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/api", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8')}")


class Lab:
    """Notebooks in a browser, by name; each is run once, by the first test that needs it."""

    def __init__(self, url: str, browser: Browser, screens: Path):
        self.url, self.browser, self.screens = url, browser, screens
        self._ran: dict[str, Page] = {}

    def open(self, name: str) -> Page:
        # A context of its own, so that no page takes over the layout of another.
        page = self.browser.new_context(viewport=SIZE).new_page()
        page.goto(f"{self.url}/lab/tree/notebooks/{name}.ipynb?reset")
        page.wait_for_selector(IDLE)
        page.wait_for_selector(".jp-Spinner", state="detached")
        return page

    def ran(self, name: str) -> Page:
        """The notebook after Clear Outputs of All Cells and Run All Cells."""
        if name not in self._ran:
            page = self.open(name)
            self.picture(page, f"{name}-1-opened")
            choose(page, "Edit", "Clear Outputs of All Cells")
            page.wait_for_function(f"{PROMPTS}.every(text => text == '[ ]:')")
            self.picture(page, f"{name}-2-cleared")
            page.evaluate(WATCH_BARS)
            choose(page, "Run", "Run All Cells")
            page.wait_for_function(f"{PROMPTS}.includes('[*]:')")
            self.picture(page, f"{name}-3-running")
            page.wait_for_function(f"{PROMPTS}.every(text => /^.\\d+.:$/.test(text))")
            page.wait_for_selector(IDLE)
            self.picture(page, f"{name}-4-done", whole=True)
            self._ran[name] = page
        return self._ran[name]

    def picture(self, page: Page, name: str, whole: bool = False) -> None:
        """What the page shows, or the whole notebook, as a file of this name."""
        if whole:
            panel = page.locator(".jp-WindowedPanel-outer")
            height = panel.evaluate("panel => panel.scrollHeight")
            page.set_viewport_size({**SIZE, "height": height + 150})
            panel.evaluate("panel => panel.scrollTo(0, 0)")
        page.screenshot(path=self.screens / f"{name}.png")
        page.set_viewport_size(SIZE)


def choose(page: Page, menu: str, *entries: str) -> None:
    """Clicks through a menu of JupyterLab."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    for entry in entries:
        page.locator(".lm-Menu-item", has_text=entry).first.click()
