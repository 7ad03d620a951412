"""Bad days: the process is killed or asked to end in the middle of things."""

from __future__ import annotations

import asyncio
import http.client
import time
from pathlib import Path

import pytest

from tests.process import APP, Server
from tests.visitor import Visitor, run

PATIENCE = 60.0  # for what takes a second or two on a machine that is not busy
LONGEST_END = 10.0  # seconds from SIGTERM to the end, which is what containers are given


pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    environment = {"UNNOISE_CACHE": str(folder), "UNNOISE_LOG": "1", "OMP_NUM_THREADS": "1"}
    with Server(APP, environment) as server:
        server.wait()
        yield server


@pytest.fixture
def server(one_server):
    """One app for all of these tests, which goes on or is started again after each end."""
    if not one_server.running:
        one_server.start()
        one_server.wait()
    return one_server


async def until(condition, what):
    for _ in range(int(20 * PATIENCE)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what} did not come")


def memory_of(visitor):
    """The component that keeps what a browser remembers."""
    kinds = visitor.site.components.items()
    return next(number for number, component in kinds if component["type"] == "browserstate")


async def opened(server, remembers=None):
    visitor = Visitor(server.address)
    await visitor.open()
    await visitor.quiet()
    if remembers is not None:
        visitor.values[memory_of(visitor)] = remembers
        visitor.trigger(visitor.site.page(), "load")
        await visitor.quiet()
    return visitor


async def training(visitor):
    """Begin to train digits with what the tab suggests; returns when it has learned a little."""
    visitor.select("Train")
    await visitor.quiet()
    visitor.trigger(visitor.site.find("train-start"), "click")
    note = visitor.site.find("train-progress")
    await until(lambda: "step" in str(visitor.values.get(note)), "the first step")
    return visitor.values[memory_of(visitor)]


def test_a_killed_server_begins_anew_and_what_was_learned_is_still_there(server):
    async def story():
        visitor = await opened(server)
        remembered = await training(visitor)
        folder = Path(server.environment["UNNOISE_CACHE"])
        await until(lambda: list(folder.rglob("title.txt")), "the first save")
        server.kill()
        await visitor.leave()
        server.start()
        await asyncio.to_thread(server.wait)
        again = await opened(server, remembered)
        note = again.values[again.site.find("train-note")]
        await again.leave()
        return remembered, note

    remembered, note = run(story())
    assert remembered["job"]
    assert "Your training is over" in note
    assert "What it had learned is in the lists" in note


def test_a_connection_may_rest_for_longer_than_the_servers_own_five_seconds(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for rest in (6, 0):
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        kept = connection.sock
        time.sleep(rest)
    assert connection.sock is kept is not None
    connection.close()


@pytest.mark.parametrize("busy", [False, True], ids=["at rest", "while it trains"])
def test_asked_to_end_it_finishes_what_is_under_way(server, busy):
    async def story():
        visitor = await opened(server)
        if busy:
            await training(visitor)
        visitor.select("Reverse")
        await visitor.quiet()
        seed = visitor.site.find("reverse-seed")
        visitor.set(seed, 1000 + busy)
        await until(lambda: running(visitor), "the run")
        seconds = await asyncio.to_thread(server.stop)
        await until(lambda: not running(visitor), "the end of the run")
        await visitor.leave()
        return seconds, [event for event in visitor.events if event.name.startswith("show")]

    def running(visitor):
        return [event for event in visitor.under_way if event.name.startswith("show")]

    ended = '"event": "training", "outcome": "done"'
    before = server.log().count(ended)
    seconds, (*_, last) = run(story())
    assert server.log().count(ended) - before == busy  # and what it learned is kept
    assert last.error == ""
    assert seconds < LONGEST_END
    assert '"event": "left"' in server.log()


def test_a_run_too_long_to_wait_for_does_not_hold_the_end_up(server):
    async def story():
        visitor = await opened(server)
        visitor.select("Reverse")
        await visitor.quiet()
        visitor.set(visitor.site.find("steps-A"), 1000, "release")
        await until(lambda: visitor.under_way, "the run")
        seconds = await asyncio.to_thread(server.stop)
        await visitor.leave()
        return seconds

    began = time.monotonic()
    assert run(story()) < LONGEST_END
    assert not server.running
    assert time.monotonic() - began < 2 * PATIENCE
