"""The gate: what reaches Gradio is a request that this page makes, of bearable size and number.

Gradio serves many pages with one server, so it has routes that this page has no use for: proxies,
recordings, monitoring, functions called past the queue. Only what is listed here is open.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import deque
from contextlib import suppress
from typing import Any

from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.events import EXPORT, EXPORT_JOB, EXPORT_RUN, NETWORK
from app.server import shape
from app.server.health import PATH, leaving
from app.server.limits import Buckets, Rate
from app.settings import bytes_of, current

API = "/gradio_api/"
READ = re.compile(
    rf"/|/config/?|/(?:favicon\.ico|robots\.txt|manifest\.json|theme\.css)|{PATH}"
    r"|/pwa_icon(?:/\d{1,4})?|/(?:static|assets|svelte)/.+"
    rf"|{API}(?:app_id|info|openapi\.json|startup-events|theme\.css|queue/data|upload_progress)/?"
    rf"|{API}heartbeat/{shape.SESSION.pattern}"
    rf"|{API}call/(?:v2/)?[A-Za-z0-9_]{{1,64}}/{shape.SESSION.pattern}"
    rf"|{API}file=.+"
)
JOIN, CANCEL, UPLOAD = API + "queue/join", API + "cancel", API + "upload"
RESET = API + "reset"  # does nothing any more, but a page that cancels still asks for it
CALL = re.compile(rf"{API}call/(v2/)?([A-Za-z0-9_]{{1,64}})")

LARGEST_BODY = 2**20  # bytes of what is not a file
PATIENCE = 30.0  # seconds for which a client may send nothing
HOUR = 3600.0
HEAVY_KINDS = {kind["concurrency_id"] for kind in (NETWORK, EXPORT, EXPORT_RUN, EXPORT_JOB)}
LIGHT = Rate(burst=200, per_second=20)  # of one session
SESSIONS = 20  # as many sessions may share an address, a class behind one router, at full rate


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, sentence: str, wait: float = 0.0) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.wait = status, sentence, wait


class Gate:
    """ASGI middleware between the network and Gradio's routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        minute = current().rate
        heavy = Rate(burst=max(1, minute / 2), per_second=minute / 60)
        self.limits = [  # (of heavy events?, of an address?, buckets)
            (True, False, Buckets(heavy)),
            (False, False, Buckets(LIGHT)),
            (True, True, Buckets(_times(heavy, SESSIONS))),
            (False, True, Buckets(_times(LIGHT, SESSIONS))),
        ]
        self.uploaded: deque[tuple[float, int]] = deque()  # when, and how many bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise Refused(404, "There is no such page here.")
            receive = await self._let_in(scope, receive)
        except Refused as refusal:
            headers = {"Retry-After": str(math.ceil(refusal.wait))} if refusal.wait else None
            answer = JSONResponse({"detail": refusal.sentence}, refusal.status, headers)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive) -> Receive:
        """What the request's body is to be read from; raises `Refused`."""
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD"):
            if not READ.fullmatch(path) or "\0" in path:
                raise Refused(404, "There is no such page here.")
            self._check_stream(scope, path)
            return receive
        if method != "POST":
            raise Refused(405, "Only GET, HEAD and POST are answered here.")
        path = path.rstrip("/")
        call = CALL.fullmatch(path)
        if path not in (JOIN, CANCEL, RESET, UPLOAD) and not call:
            raise Refused(404, "There is no such page here.")
        if leaving.is_set():
            raise Refused(503, "The server is about to restart: try again in a minute.", 10)
        if path == UPLOAD:
            return self._bounded(scope, receive)
        body = await _body(receive)
        page = scope["app"].get_blocks()
        try:
            value = shape.parse(body)
            if path == CANCEL:
                shape.cancelled(value, page)
            elif path == RESET:
                shape.check_event(value)
            else:
                if call:
                    function = shape.called(call[2], value, page, by_name=bool(call[1]))
                else:
                    function = shape.joined(value, page)
                heavy = function.concurrency_id in HEAVY_KINDS
                self._take(scope, value.get("session_hash"), heavy)
        except KeyError:
            raise Refused(404, "There is no such function: /gradio_api/info names them.") from None
        except ValueError as error:
            raise Refused(400, str(error)) from None
        return _replayed(body, receive)

    def _check_stream(self, scope: Scope, path: str) -> None:
        """A stream of events is for a session that has asked for something here."""
        if path.rstrip("/") != API + "queue/data":
            return
        query = scope["query_string"].decode("latin-1")
        session = re.search(rf"(?:^|&)session_hash=({shape.SESSION.pattern})(?:&|$)", query)
        known = scope["app"].get_blocks().state_holder
        if session is None or session[1] not in known:
            raise Refused(404, "This session has asked for nothing: reload the page.")

    def _take(self, scope: Scope, session: Any, heavy: bool) -> None:
        """Count an event against what its session, and its address, may ask for."""
        if not current().rate:
            return
        address = (scope.get("client") or ("",))[0]
        for of_heavy, of_address, buckets in self.limits:
            key = address if of_address else session
            if of_heavy == heavy and key is not None and (wait := buckets.wait(key)):
                s = "" if wait <= 1 else "s"
                raise Refused(
                    429,
                    "That was asked for more often than the server can bear: "
                    f"wait {math.ceil(wait)} second{s}.",
                    wait,
                )

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Let an upload in as far as there is room for it among those of the last hour."""
        largest = 3 * bytes_of(current().max_upload)  # a handful of pictures comes together
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            raise Refused(411, "An upload must say its length.")
        length = int(length[:18])
        if length > largest:
            raise Refused(413, f"An upload may have {largest >> 20} MB at most, all together.")
        if length > self._room():
            raise Refused(503, "Too much was uploaded in the last hour: try later.", 600)
        self.uploaded.append((time.monotonic(), length))

        async def bounded() -> Message:
            with suppress(TimeoutError):
                message = await asyncio.wait_for(receive(), PATIENCE)
                if message["type"] != "http.disconnect":
                    return message
            # Not a disconnection: only at a mistake does Gradio take away what it has written.
            raise MultiPartException("The upload was cut off: send it again.")

        return bounded

    def _room(self) -> int:
        now = time.monotonic()
        while self.uploaded and now - self.uploaded[0][0] > HOUR:
            self.uploaded.popleft()
        return bytes_of(current().max_uploads) - sum(size for _, size in self.uploaded)


def _times(rate: Rate, count: int) -> Rate:
    return Rate(rate.burst * count, rate.per_second * count)


async def _body(receive: Receive) -> bytes:
    """The whole body; raises `Refused` for one that is too large, too slow or cut off."""
    parts, size, more = [], 0, True
    while more:
        try:
            message = await asyncio.wait_for(receive(), PATIENCE)
        except TimeoutError:
            raise Refused(408, f"Nothing came for {PATIENCE:.0f} seconds: send again.") from None
        if message["type"] == "http.disconnect":
            raise Refused(400, "The body is incomplete.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            raise Refused(413, f"The body may have {LARGEST_BODY >> 20} MB at most.")
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, and then whatever else comes: that the client has gone."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
