"""What the benchmarks that drive a browser share: Chromium and percentiles."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.chromium import ARGS, find_chromium

VIEWPORT = {"width": 1280, "height": 900}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Headless Chromium as the tests start it. Raises RuntimeError if there is none."""
    path = await asyncio.to_thread(find_chromium)  # in a thread: it may start Playwright itself
    if path is None:
        raise RuntimeError("there is no Chromium: `python -m playwright install chromium`")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGS)
        try:
            yield browser
        finally:
            await browser.close()


async def new_page(browser: Browser) -> Page:
    """A page in a context of its own, so that nothing is cached; says what goes wrong in it.

    With reduced motion: t must not move by itself where it is measured how it is moved.
    """
    page = await browser.new_page(viewport=VIEWPORT, reduced_motion="reduce")
    page.on("pageerror", lambda error: print(f"error in the page: {error}", file=sys.stderr))
    return page


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
