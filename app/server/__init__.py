"""What stands between the network and the page: gate, headers, limits, files, health, journal.

All of it is plain ASGI around Gradio's own server; nothing here knows what a tab is.
"""

from __future__ import annotations

from typing import Any

from starlette.middleware import Middleware

from app.server.compression import Compression
from app.server.files import Files
from app.server.gate import Gate
from app.server.headers import Headers
from app.server.health import ROUTE


def options() -> dict[str, Any]:
    """What the page's web server is made with: `app_kwargs` of Gradio's `launch`."""
    layers = (Headers, Gate, Files, Compression)
    return {
        "middleware": [Middleware(layer) for layer in layers],
        "routes": [ROUTE],
    }
