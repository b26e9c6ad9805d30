"""A real browser for the tests of pages: Debian's Chromium, driven by playwright.

``window.open(url)`` returns playwright's page. A window remembers what went wrong in its pages, and
says it when it is closed. The functions below check what every page owes its users: that it fits the
screen, that each control has a name, and that all of it can be done by keyboard.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.system.engine import install

PROGRAM = "chromium"
FONTS = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
)  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
WITHOUT = "leave these tests out with: make test-applications ARGS=\"-k 'not page'\""
PATIENCE = 20_000
"""Milliseconds that playwright waits for what it is asked to find."""

CONTROLS = (
    "a[href], button:not([disabled]), input:not([disabled]):not([type=hidden]),"
    " select:not([disabled]), textarea:not([disabled]), summary, [tabindex='0']"
)
_PROBE = """selector => [...document.querySelectorAll(selector)]
  .filter(e => e.checkVisibility({visibilityProperty: true}))
  .map((e, i) => { e.dataset.seen = i; return e.outerHTML.slice(0, 120) })"""
_FOCUSED = "() => document.activeElement?.dataset.seen ?? null"
_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth
  if (document.documentElement.scrollWidth <= width) return []
  return [...document.body.querySelectorAll('*')]
    .filter(e => e.getBoundingClientRect().right > width + 1).map(e => e.outerHTML.slice(0, 120))
}"""
_UNNAMED = """selector => [...document.querySelectorAll(selector)]
  .filter(e => e.checkVisibility({visibilityProperty: true}))
  .filter(e => !(e.ariaLabel || e.getAttribute('aria-labelledby') || e.labels?.length
    || e.title || e.textContent.trim() || e.querySelector('img[alt]:not([alt=""])')))
  .map(e => e.outerHTML.slice(0, 120))"""


class Shots:
    """Where pictures go: ``$SHOTS``, else a folder of this run."""

    def __init__(self):
        self.otherwise = Path("shots")
        self.taken = []

    def path(self, name):
        folder = Path(os.environ.get("SHOTS") or self.otherwise)
        folder.mkdir(parents=True, exist_ok=True)
        self.taken.append(folder / f"{name}.png")
        return self.taken[-1]


SHOTS = Shots()


@contextlib.contextmanager
def launched(audio=None):
    """Run a browser for the length of a block. ``audio``: a wav file that its microphone hears."""
    packages = {PROGRAM: "chromium"}
    if not FONTS.exists():
        packages["(fonts)"] = "fonts-noto-cjk"
    install(packages, WITHOUT)
    arguments = list(ARGUMENTS)
    if audio is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={audio}%noloop")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=shutil.which(PROGRAM), args=arguments
        )  # fmt: skip
        try:
            yield Browser(running)
        finally:
            running.close()


class Browser:
    """A running browser, which opens windows."""

    def __init__(self, running):
        self._running = running

    @contextlib.contextmanager
    def window(self, kind=DESKTOP, **more):
        """A window of its own (no state is shared) for a block; what went wrong in it fails the block."""
        context = self._running.new_context(**kind, permissions=["microphone"], **more)
        context.set_default_timeout(PATIENCE)
        window = Window(context)
        try:
            yield window
        finally:
            context.close()
        assert not window.problems(), window.problems()


class Window:
    """One window: opens pages and hears of what goes wrong in them."""

    def __init__(self, context):
        self._context = context
        self._heard = []
        self._allowed = []

    def open(self, url, *, allow=None):
        """Open a URL and return playwright's page. ``allow``: pattern of problems that are meant."""
        if allow is not None:
            self._allowed.append(allow)
        page = self._context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._heard.append(f"uncaught: {error}"))
        page.on("requestfailed", self._failed)
        page.goto(url)
        return page

    def _console(self, message):
        if message.type in ("error", "warning"):
            place = message.location.get("url", "")
            self._heard.append(f"{message.type}: {message.text} ({place})")

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # a page may give up what it asked
            self._heard.append(f"failed: {request.method} {request.url}: {request.failure}")

    def problems(self):
        """Return what went wrong and was not meant to."""
        return [p for p in self._heard if not any(re.search(a, p) for a in self._allowed)]


def address(server, name=None):
    """Return the URL of a server's pages, or of the page of one of its models."""
    host, port = server.data
    return f"http://{host}:{port}/ui/" + (f"{name}/" if name else "")


def shot(page, name, *, full=True):
    """Take a picture of a page, all of it; return the file."""
    path = SHOTS.path(name)
    page.screenshot(path=path, full_page=full, animations="disabled")
    return path


def check_fits(page):
    """Fail where a page is wider than its window: nobody scrolls sideways."""
    assert page.evaluate(_OVERFLOW) == []


def check_names(page):
    """Fail where a control has no name that a screen reader could say, or a picture none."""
    assert page.evaluate(_UNNAMED, CONTROLS) == []
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("html[lang]").count() == 1
    assert page.locator("h1").count() == 1


def check_keyboard(page):
    """Fail where Tab does not lead to every control that is shown, or where focus cannot be seen."""
    there = page.evaluate(_PROBE, CONTROLS)
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0) }")
    reached = set()
    for _ in range(len(there) + 2):
        page.keyboard.press("Tab")
        if (focused := page.evaluate(_FOCUSED)) is not None:
            reached.add(int(focused))
    missed = [html for number, html in enumerate(there) if number not in reached]
    radios = re.compile(
        r"<input[^>]*type=\"radio\""
    )  # of a group one is reached, arrows do the rest
    assert not [html for html in missed if not radios.match(html)], missed


def check_page(page):
    """Check all of the above."""
    check_fits(page)
    check_names(page)
    check_keyboard(page)
