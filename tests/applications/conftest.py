"""The applications of examples/, prepared as their users do, served by ``inferd serve``, asked by a browser.

Everything here is marked ``applications``. Each application is prepared once for all tests, and served
once for those of a module. Pages are opened by ``desktop`` and ``phone``; what a page did wrong while
it was open (errors, refused scripts and styles, failed requests) fails the test that opened it.
"""

import contextlib
import importlib
from pathlib import Path

import pytest
from tests.applications.browser import DESKTOP, PHONE, SHOTS, launched
from tests.system.serving import serving

HERE = Path(__file__).parent
START = 180.0
"""Seconds that an application may take to come up: several models on a busy machine."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.applications)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(420))  # the first one of a module prepares


def pytest_terminal_summary(terminalreporter):
    if SHOTS.taken:
        terminalreporter.section("pictures of pages")
        for path in SHOTS.taken:
            terminalreporter.write_line(str(path))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Return a function: the folder to serve of an application, prepared where that was not done yet."""
    folders = {}

    def prepare(name):
        if name not in folders:
            out = tmp_path_factory.mktemp("applications") / name
            importlib.import_module(f"examples.{name}.prepare").build(out)
            folders[name] = out
        return folders[name]

    return prepare


@pytest.fixture(scope="module")
def serve(prepared, tmp_path_factory):
    """Return a function: a running server of an application (``tests.system.serving.Server``)."""
    with contextlib.ExitStack() as stack:

        def start(name, *arguments):
            folder = tmp_path_factory.mktemp(f"{name}-server")
            return stack.enter_context(serving(folder, prepared(name), *arguments, start=START))

        yield start


@pytest.fixture(scope="module")
def browser():
    """A running browser. While it is, this thread has an event loop: ``asyncio.run`` needs another."""
    with launched() as running:
        yield running


@pytest.fixture
def desktop(browser):
    """Return a function that opens a URL in a window of 1280 x 800."""
    with browser.window(DESKTOP) as window:
        yield window.open


@pytest.fixture
def phone(browser):
    """Return a function that opens a URL on a phone: 390 x 844, touched."""
    with browser.window(PHONE) as window:
        yield window.open


@pytest.fixture(scope="session", autouse=True)
def _shots(tmp_path_factory):
    SHOTS.otherwise = tmp_path_factory.getbasetemp() / "shots"
