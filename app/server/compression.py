"""The page itself travels compressed: it carries the layout of all tabs, much of it repeated.

Gradio compresses its files, but not what it writes for each visitor.
"""

from __future__ import annotations

from gradio.brotli_middleware import BrotliMiddleware
from starlette.types import ASGIApp, Scope

PAGES = ("/", "/config", "/config/")  # never a stream: that must arrive as it is written
QUALITY = 5  # 680 kB become 62 kB in 10 ms; gzip finds repetitions only nearby, and leaves 120


class Compression(BrotliMiddleware):
    """ASGI middleware that compresses `PAGES` for those who accept it."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, quality=QUALITY)

    def _is_compressible_file_type(self, scope: Scope) -> bool:
        return scope["path"] in PAGES
