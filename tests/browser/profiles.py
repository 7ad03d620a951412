"""Browsers for one visit after the other, which remember nothing of a visitor.

Each keeps in its profile what it compiled of Gradio's and Plotly's scripts. A new one for each
visit would compile them anew, which takes longer than most of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, BrowserType

from tests.browser.driver import PATIENCE, Page

SIZE = (1280, 900)
REMEMBERED = "cookies,local_storage,indexeddb,service_workers,cache_storage"


class Profiles:
    """As many as there are visits at the same time; who leaves makes room for the next."""

    def __init__(self, chromium: BrowserType, how: dict[str, Any], folder: Path) -> None:
        self._chromium, self._how, self._folder = chromium, how, folder
        self._free: list[BrowserContext] = []
        self._all: list[BrowserContext] = []

    def open(
        self,
        address: str,
        width: int = SIZE[0],
        height: int = SIZE[1],
        theme: str = "light",
        query: str = "",
        motion: str = "reduce",
        permissions: list[str] | None = None,
    ) -> Page:
        """The app in a browser that nobody uses; "reduce" keeps t from moving by itself."""
        context = self._free.pop() if self._free else self._begin()
        context.grant_permissions(permissions or [])
        tab = context.new_page()
        tab.set_viewport_size({"width": width, "height": height})
        tab.emulate_media(reduced_motion=motion)
        return Page(tab, address, theme, query)

    def leave(self, page: Page) -> None:
        """Close the page, and forget what its browser knows of it."""
        context = page.context
        blank, *tabs = context.pages  # without any, the browser would end
        for tab in tabs:
            tab.close()
        network = context.new_cdp_session(blank)
        origin = page.address.rstrip("/")
        network.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": REMEMBERED})
        network.detach()
        context.clear_permissions()
        self._free.append(context)

    @contextmanager
    def visit(self, address: str, **how: Any) -> Iterator[Page]:
        """`open` and `leave`; at the end the page's console must be empty."""
        page = self.open(address, **how)
        yield page
        self.leave(page)
        assert page.complaints == []

    def close(self) -> None:
        for context in self._all:
            context.close()

    def _begin(self) -> BrowserContext:
        context = self._chromium.launch_persistent_context(
            self._folder / str(len(self._all)), **self._how
        )
        context.set_default_timeout(PATIENCE)
        self._all.append(context)
        return context
