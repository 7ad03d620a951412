"""``/healthz``: whether this process serves, for a proxy, a container or a person."""

from __future__ import annotations

import threading

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PATH = "/healthz"
leaving = threading.Event()  # set when the process was asked to end: no new work


async def healthz(request: Request) -> JSONResponse:
    """200 with {"status": "ok"}, or 503 with {"status": "leaving"} once the process is to end."""
    headers = {"Cache-Control": "no-store"}
    if leaving.is_set():
        return JSONResponse({"status": "leaving"}, 503, headers)
    return JSONResponse({"status": "ok"}, 200, headers)


ROUTE = Route(PATH, healthz, methods=["GET"])
