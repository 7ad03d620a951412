"""The real app in real Chromium, without network: nothing may leave this computer."""

from __future__ import annotations

import os
import socket

import pytest

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from playwright.sync_api import expect, sync_playwright

from app.ui import build, launch_options
from tests.browser.chromium import ARGS, find_chromium
from tests.browser.driver import Page

expect.set_options(timeout=30_000)  # a busy machine may be slow, but not wrong


@pytest.fixture(scope="session")
def address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = build().queue(api_open=False)
    _, url, _ = page.launch(
        server_name="127.0.0.1",
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        **launch_options(),
    )
    yield url
    page.close()


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

    def open_page(width=1280, height=900, theme="light"):
        context = browser.new_context(viewport={"width": width, "height": height})
        page = Page(context, address, theme)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.close()
        assert page.complaints == []


@pytest.fixture
def page(open_page):
    return open_page()
