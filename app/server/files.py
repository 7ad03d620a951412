"""Gradio's scripts and styles, a hundred files a page, from memory: read and compressed once.

Gradio does both anew for every visitor, which takes as long as everything else of a visit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FILES = re.compile(r"/(?:assets|static)/[^%?]+")
NAMED_BY_CONTENT = "/assets/"  # another content has another name: a browser need never ask again
TEXT = (".js", ".css", ".json", ".svg", ".html", ".txt", ".md")
QUALITY = 6  # of 0 to 11; a large script takes 20 ms
ROOM = 32 << 20  # bytes in all; what does not fit is left to Gradio
SMALL = 400  # bytes that are not worth compressing


@dataclass(frozen=True)
class _File:
    start: Message
    body: Message


class Files:
    """ASGI middleware that keeps the answers to GET of `FILES`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.kept: dict[tuple[str, bool], _File] = {}  # by path, and whether it is compressed
        self.size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not FILES.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        asked, path = Headers(scope=scope), scope["path"]
        if "range" in asked or "if-range" in asked:
            await self.app(scope, receive, send)
            return
        brotli_too = path.endswith(TEXT) and "br" in asked.get("accept-encoding", "")
        file = self.kept.get((path, brotli_too))
        if file is None:
            file = await self._fetch(scope, receive, brotli_too)
        # Copies: what is outside of this adds headers of its own.
        await send({**file.start, "headers": list(file.start["headers"])})
        await send(dict(file.body))

    async def _fetch(self, scope: Scope, receive: Receive, compressed: bool) -> _File:
        """The whole answer of Gradio; kept if it is a file and there is room."""
        messages: list[Message] = []

        async def gather(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, gather)
        start, *parts = messages
        body = b"".join(part.get("body", b"") for part in parts)
        headers = MutableHeaders(raw=list(start["headers"]))
        if start["status"] == 200:
            if scope["path"].startswith(NAMED_BY_CONTENT):
                headers["Cache-Control"] = "public, max-age=31536000, immutable"
            if scope["path"].endswith(TEXT):
                headers.add_vary_header("Accept-Encoding")
            if compressed and len(body) >= SMALL:
                body = brotli.compress(body, mode=brotli.MODE_TEXT, quality=QUALITY)
                headers["Content-Encoding"] = "br"
        headers["Content-Length"] = str(len(body))
        file = _File(
            {**start, "headers": headers.raw}, {"type": "http.response.body", "body": body}
        )
        if start["status"] == 200 and self.size + len(body) <= ROOM:
            self.kept[scope["path"], compressed] = file
            self.size += len(body)
        return file
