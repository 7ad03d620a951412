"""Browsers for one visit after the other, which remember nothing of a visitor.

Each keeps in its profile what it compiled of Gradio's and Plotly's scripts. A new one for each
visit would compile them anew, which takes longer than most of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, BrowserType

from tests.browser.driver import PATIENCE, Page

REMEMBERED = "cookies,local_storage,indexeddb,service_workers,cache_storage"


class Profiles:
    """As many as there are visits at the same time; who leaves makes room for the next."""

    def __init__(self, chromium: BrowserType, how: dict[str, Any], folder: Path) -> None:
        self._chromium, self._how, self._folder = chromium, how, folder
        self._free: list[BrowserContext] = []
        self._all: list[BrowserContext] = []

    @contextmanager
    def visit(
        self,
        address: str,
        width: int = 1280,
        height: int = 900,
        theme: str = "light",
        query: str = "",
        motion: str = "reduce",
        permissions: Sequence[str] = (),
    ) -> Iterator[Page]:
        """The app in a browser that nobody uses; at the end its console must be empty.

        "reduce" keeps t from moving by itself.
        """
        context = self._free.pop() if self._free else self._begin()
        context.grant_permissions(list(permissions))
        tab = context.new_page()
        tab.set_viewport_size({"width": width, "height": height})
        tab.emulate_media(reduced_motion=motion)
        page = Page(tab, address, theme, query)
        try:
            yield page
        finally:
            self._leave(context, address)
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

    def _leave(self, context: BrowserContext, address: str) -> None:
        """Close what was opened, and forget what the browser knows of the app."""
        blank, *tabs = context.pages  # without any, the browser would end
        for tab in tabs:
            tab.close()
        network = context.new_cdp_session(blank)
        origin = address.rstrip("/")
        network.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": REMEMBERED})
        network.detach()
        context.clear_permissions()
        self._free.append(context)
