"""The page itself travels compressed: it carries the layout of all tabs, most of it repeated.

Gradio compresses its files, but not what it writes for each visitor.
"""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PAGES = ("/", "/config", "/config/")  # never a stream: that must arrive as it is written
LEVEL = 6  # 600 kB become 100 kB in about 10 ms; a higher one takes longer and gains little


class Compression:
    """ASGI middleware that compresses `PAGES` for those who accept it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.compressed = GZipMiddleware(app, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["type"] == "http" and scope["path"] in PAGES
        await (self.compressed if page else self.app)(scope, receive, send)
