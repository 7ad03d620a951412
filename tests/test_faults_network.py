"""What a bad network does: connections that say nothing, clients that go away in the middle."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio.utils import get_upload_folder

from app import runs
from tests.browser.driver import eventually
from tests.visitor import Visitor, run

SILENT, HALF_SAID, HALF_SENT = 100, 50, 50  # connections
BEGUN = b"GET / HTTP/1.1\r\nHost: here\r\nX-Slow: "
UPLOAD = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\n"
    b"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: %d\r\n\r\n"
    b'--edge\r\nContent-Disposition: form-data; name="files"; filename="large.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
)
JOIN = (
    b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: here\r\n"
    b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    b'{"fn_index": 0,'
)


@pytest.fixture
def connect(address):
    """Opens connections to the app; what is still open at the end is closed."""
    where = (urlsplit(address).hostname, urlsplit(address).port)
    with ExitStack() as all_of_them:

        def connect(says: bytes = b"") -> socket.socket:
            connection = all_of_them.enter_context(socket.create_connection(where, timeout=30))
            connection.sendall(says)
            return connection

        yield connect


def visit(address) -> list[str]:
    """Load a page and let go of its slider; returns what went wrong, event by event."""

    async def visit() -> list[str]:
        visitor = Visitor(address)
        try:
            await asyncio.wait_for(visitor.open(), 60)
            visitor.trigger(visitor.site.find("forward-time"), "settled", {"t": 300})
            await asyncio.wait_for(visitor.quiet(), 60)
            return [event.error for event in visitor.events]
        finally:
            await visitor.leave()

    return run(visit())


def test_two_hundred_connections_that_say_nothing_keep_nobody_waiting(address, connect):
    idle = [connect() for _ in range(SILENT)]
    idle += [connect(BEGUN) for _ in range(HALF_SAID)]
    idle += [connect(JOIN) for _ in range(HALF_SENT)]
    assert visit(address) == [""] * 4
    for connection in idle:
        connection.close()
    assert visit(address) == [""] * 4


# A run of a thousand steps that nobody else asks for, as controls of the page and as settings.
CONTROLS = {"reverse-model": "cats", "reverse-label": "1", "steps-A": 1000, "reverse-seed": 4711}


def test_a_run_ends_with_the_page_that_asked_for_it(address, running):
    settings = runs.run_settings(
        model="cats", label=1, seed=4711, sampler="ddpm", steps=1000, guidance=2
    )

    async def go_away_in_the_middle() -> None:
        visitor = Visitor(address)
        await visitor.open()
        await asyncio.wait_for(visitor.quiet(), 60)
        for name, value in CONTROLS.items():
            visitor.values[visitor.site.find(name)] = value
        visitor.trigger(visitor.site.find("reverse-run"), "click")
        for _ in range(600):
            await asyncio.sleep(0.05)
            if any(event.words for event in visitor.under_way):
                break
        else:
            pytest.fail("the run never began")
        assert settings in runs.RUNS._under_way
        await visitor.leave()

    run(go_away_in_the_middle())
    assert eventually(lambda: running._queue.get_active_worker_count() == 0)
    assert eventually(lambda: settings not in runs.RUNS._under_way)
    assert runs.RUNS.cache.get(settings) is None  # it did not come to its end


def files(folder: str) -> set[Path]:
    return {path for path in Path(folder).rglob("*") if path.is_file()}


def test_half_an_upload_leaves_nothing_behind(address, connect):
    folder = get_upload_folder()
    before = files(folder)
    cut = connect(UPLOAD % 9_000_000 + bytes(4_000_000))
    assert eventually(lambda: files(folder) != before)  # it is being written
    cut.close()
    assert eventually(lambda: files(folder) == before)
    assert visit(address) == [""] * 4
