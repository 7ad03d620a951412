"""Takes the README's pictures of the running app: `python -m docs.screenshots [ADDRESS]`."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.chromium import ARGS, find_chromium

HERE = Path(__file__).parent


def take(address: str) -> None:
    """Save forward.png and reverse.png beside this file; the app must be running at `address`."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
        page.goto(f"{address}?__theme=light")
        page.wait_for_selector("#forward-cards canvas")
        page.wait_for_timeout(1500)  # until the last panel has its numbers
        page.screenshot(path=HERE / "forward.png")
        page.get_by_role("tab", name="Reverse").click()
        page.wait_for_selector("#reverse-walk canvas")
        page.wait_for_timeout(1500)
        page.screenshot(path=HERE / "reverse.png")
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860")
