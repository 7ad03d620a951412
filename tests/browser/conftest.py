"""The real app in real Chromium, without network: nothing may leave this computer."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.chromium import ARGS, find_chromium
from tests.browser.driver import Page

expect.set_options(timeout=30_000)  # a busy machine may be slow, but not wrong


@pytest.fixture(scope="session")
def browser():
    path = find_chromium()  # before Playwright starts: it asks Playwright too
    devices = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGS, *devices])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the app in a browser of its own; afterwards its console must be empty."""
    opened = []

    def open_page(width=1280, height=900, theme="light", query="", **context):
        # Without the sweep of the first look, which moves t until somebody touches the page.
        context = {"reduced_motion": "reduce", **context}
        context = browser.new_context(viewport={"width": width, "height": height}, **context)
        page = Page(context, address, theme, query)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.close()
        assert page.complaints == []


@pytest.fixture
def page(open_page):
    return open_page()
