"""Two replicas behind nginx with the very file in deploy/: one ends, and nobody's page breaks."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, async_playwright

from tests.browser.chromium import ARGS, find_chromium
from tests.process import APP, ROOT, Server
from tests.visitor import Visitor, run

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]
COOKIE = "unnoise_replica"
MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/unnoise.conf;
}}
"""


@pytest.fixture(scope="module")
def replicas():
    """Two of the real app; a test that ends one starts it again."""
    small = {"UNNOISE_PROCESSES": "0"}  # six processes would wait for two cores
    with Server(APP, small) as one, Server(APP, small) as two:
        for replica in (one, two):
            replica.wait()
        yield {"one": one, "two": two}


@pytest.fixture(scope="module")
def proxy(replicas, tmp_path_factory):
    """The address of nginx before them."""
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    ours = {"7861": replicas["one"].port, "7862": replicas["two"].port, "8080": port}
    text = re.sub(r"\b(7861|7862|8080)\b", lambda found: str(ours[found[0]]), text)
    text = text.replace("/var/cache/unnoise", f"{folder}/cache")
    (folder / "unnoise.conf").write_text(text)
    # Root's nginx would work as somebody who may not read root's temporary folders.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "main.conf").write_text(MAIN.format(folder=folder, user=user))
    command = [NGINX, "-p", str(folder), "-c", str(folder / "main.conf")]
    with open(folder / "log", "w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            else:
                log.seek(0)
                pytest.fail(f"nginx does not answer: {log.read()}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def ask(address: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """One request without a browser; the answer is read."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def sent_to(address: str, path: str = "/", **headers: str) -> str | None:
    """Which replica the visitor is told to come back to; None where nothing is told."""
    cookie = ask(address, path, **headers).getheader("Set-Cookie", "")
    found = re.match(rf"{COOKIE}=(\w+); Path=/; HttpOnly; SameSite=Lax$", cookie)
    return found and found[1]


def where(visitor: Visitor) -> str:
    return next(cookie.value for cookie in visitor.http.cookie_jar if cookie.key == COOKIE)


def test_newcomers_are_spread_although_they_share_an_address(proxy):
    places = [sent_to(proxy) for _ in range(6)]
    assert sorted(places) == ["one"] * 3 + ["two"] * 3


def test_who_was_here_before_comes_back_to_the_same(proxy):
    for place in ("one", "two"):
        for path in ("/", "/config", "/gradio_api/app_id"):
            assert sent_to(proxy, path, Cookie=f"{COOKIE}={place}") is None
    foreign = [sent_to(proxy, Cookie=f"{COOKIE}=three") for _ in range(2)]
    assert sorted(foreign) == ["one", "two"]


def test_programs_without_cookies_stay_too(proxy):
    assert len({sent_to(proxy, "/gradio_api/app_id") for _ in range(6)}) == 1


def test_the_page_shrinks_and_streams_do_not(proxy):
    page = ask(proxy, "/", **{"Accept-Encoding": "gzip"})
    assert page.getheader("Content-Encoding") == "gzip"
    assert len(page.body) < 200_000
    script = re.search(rb"assets/index-[\w-]+\.js", ask(proxy, "/").body)[0].decode()
    assert ask(proxy, f"/{script}").status == 200
    assert ask(proxy, f"/{script}").body == ask(proxy, f"/{script}").body


@pytest.fixture
def both(replicas):
    """Both replicas, running."""
    ended = [replica for replica in replicas.values() if not replica.running]
    for replica in ended:
        replica.start()
    for replica in ended:
        replica.wait()
    return replicas


async def settle(visitor: Visitor) -> list[str]:
    """Let go of the timestep; returns what went wrong."""
    before = len(visitor.events)
    visitor.trigger(visitor.site.find("forward-time"), "settled", {"t": 300})
    await asyncio.wait_for(visitor.quiet(), 60)
    return [event.error for event in visitor.events[before:] if event.error]


@asynccontextmanager
async def visits(address: str, count: int) -> AsyncIterator[list[Visitor]]:
    """So many visits, their pages loaded."""
    visitors = [Visitor(address) for _ in range(count)]
    try:
        for visitor in visitors:
            await visitor.open()
            await asyncio.wait_for(visitor.quiet(), 60)
        yield visitors
    finally:
        for visitor in visitors:
            await visitor.leave()


@asynccontextmanager
async def chromium_page(address: str) -> AsyncIterator[Page]:
    """A page in real Chromium, with the Reverse tab open and its first run on show."""
    path = await asyncio.to_thread(find_chromium)
    if path is None:
        pytest.skip("there is no Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGS)
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(60_000)
        page = await context.new_page()
        await page.goto(address)
        await page.wait_for_selector("#forward-cards canvas")
        await to_reverse(page)
        yield page
        await browser.close()


async def to_reverse(page: Page) -> None:
    await page.get_by_role("tab", name="Reverse", exact=True).click()
    await page.wait_for_selector("#reverse-walk canvas")
    await page.wait_for_selector("#reverse-progress .progress:empty", state="attached")


async def replica_of(page: Page) -> str:
    cookies = await page.context.cookies()
    return next(cookie["value"] for cookie in cookies if cookie["name"] == COOKIE)


def other(name: str) -> str:
    return "two" if name == "one" else "one"


async def another_run(page: Page) -> None:
    """New noise, and what it comes to: the page works."""
    looks = "document.querySelector('#reverse-walk canvas').toDataURL()"
    before = await page.evaluate(looks)
    await page.locator("#reverse-again").click()
    await page.wait_for_function(f"before => {looks} !== before", arg=before)


def test_one_is_killed_and_the_other_serves_all(proxy, both):
    async def play() -> None:
        async with visits(proxy, 4) as visitors, chromium_page(proxy) as page:
            assert sorted(map(where, visitors)) == ["one"] * 2 + ["two"] * 2
            gone = await replica_of(page)
            waiting = await page.context.new_page()  # of the same person, so at the same replica
            await waiting.goto(proxy)
            await to_reverse(waiting)
            await long_run(waiting)
            both[gone].kill()

            # The page that heard nothing of it: what it asks for next, the other replica does.
            await page.bring_to_front()
            await another_run(page)
            assert await replica_of(page) == other(gone)
            for visitor in visitors:
                assert await settle(visitor) == []
                assert where(visitor) == other(gone)

            # The page that was waiting says what happened, loads itself again, and works.
            await waiting.bring_to_front()
            await waiting.wait_for_function("window.loads === undefined")
            await to_reverse(waiting)
            await another_run(waiting)

    run(play())


async def long_run(page: Page) -> None:
    """Begin a run of a thousand steps, and mark the page as the one that did."""
    await page.evaluate("window.loads = 1")
    await page.locator("#steps-A input[type=range]").press("End")
    await page.wait_for_selector("#reverse-progress .body")


def test_one_after_the_other_ends_in_order_while_people_go_on(proxy, both):
    async def play() -> None:
        async with visits(proxy, 4) as visitors:
            for name in ("one", "two"):
                stopping = asyncio.create_task(asyncio.to_thread(both[name].stop))
                said = set()
                while not stopping.done():
                    for visitor in visitors:
                        said |= set(await settle(visitor))
                    await asyncio.sleep(0.1)
                assert all("about to restart" in words for words in said), said
                for visitor in visitors:
                    assert await settle(visitor) == []
                if name == "one":
                    both[name].start()
                    await asyncio.to_thread(both[name].wait)

    run(play())
