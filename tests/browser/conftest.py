"""The real app in real Chromium, without network: nothing may leave this computer."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.chromium import ARGS, find_chromium
from tests.browser.driver import PATIENCE
from tests.browser.profiles import Profiles

expect.set_options(timeout=PATIENCE)
ALL_ARGS = [
    *ARGS,
    # No other computer has a name or can be reached: whatever asks for one complains.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def chromium():
    """Starts Chromium: by `launch` or `launch_persistent_context`, with the path and arguments."""
    path = find_chromium()  # before Playwright starts: it asks Playwright too
    with sync_playwright() as playwright:
        yield playwright.chromium, {"executable_path": path, "args": ALL_ARGS}


@pytest.fixture(scope="session")
def profiles(chromium, tmp_path_factory):
    profiles = Profiles(*chromium, tmp_path_factory.mktemp("profiles"))
    yield profiles
    profiles.close()


@pytest.fixture
def open_page(profiles, address):
    """Opens the app in a browser of its own; afterwards its console must be empty."""
    with ExitStack() as visits:
        yield lambda **how: visits.enter_context(profiles.visit(address, **how))


@pytest.fixture
def page(open_page):
    return open_page()
