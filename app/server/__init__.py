"""What stands between the network and the page: gate, headers, limits, files, health, journal.

All of it is plain ASGI around Gradio's own server; nothing here knows what a tab is.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app.server.compression import Compression
from app.server.files import Files
from app.server.gate import Gate
from app.server.headers import Headers
from app.server.health import ROUTE

# Seconds that a connection may rest: longer than the minute for which proxies keep theirs, which
# else send a request just when this side has closed it.
REST = 65


def options() -> dict[str, Any]:
    """What the page's web server is made with: `app_kwargs` of Gradio's `launch`."""
    layers = (Headers, Gate, Files, Compression)
    return {
        "middleware": [Middleware(layer) for layer in layers],
        "routes": [ROUTE],
    }


def keep_connections(page: gr.Blocks) -> None:
    """Let connections rest between requests, from now on, on a page that was launched."""
    page.server.config.timeout_keep_alive = REST
