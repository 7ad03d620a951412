"""How soon a drag of the timestep shows: our Forward tab beside the plain Gradio way.

    python -m benchmarks.drag

Both apps run at once, each in its own process, and one headless Chromium drags both sliders with
real mouse moves, by turns, so that whatever slows the machine slows both. README.md says what
the columns mean.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass, field

from playwright.async_api import Browser, Page, Request

from benchmarks.browser import chromium, new_page, percentile
from benchmarks.command import count, table
from tests.process import APP, ROOT, Server

SCRIPT = ROOT / "benchmarks" / "drag.js"
PLAIN = ["-m", "benchmarks.plain_gradio"]
MOVE_EVERY = 0.016  # seconds: as often as a display of 60 Hz shows something new
MARGIN = 14  # px at either end of the track, so that every move changes the value
LIMIT = 30  # seconds for one answer
HEAD = [
    "ms",
    *("drawn p50", "p95", "max"),
    *("mouse p50", "p95"),
    *("frame p50", "p95"),
    "requests",
]


@dataclass
class Dragged:
    """One line of the table: a page with a slider, and what all drags of it measured."""

    title: str
    page: Page
    slider: str  # a selector
    samples: list[dict[str, float]] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    requests: int = 0  # made between press and release

    def __post_init__(self) -> None:
        self._pending: set[Request] = set()
        self._dragging = False
        self.page.on("request", self._begun)
        self.page.on("requestfinished", self._ended)
        self.page.on("requestfailed", self._ended)

    def _begun(self, request: Request) -> None:
        self._pending.add(request)
        self.requests += self._dragging

    def _ended(self, request: Request) -> None:
        self._pending.discard(request)

    async def drag(self, moves: int, shift: float = 0) -> None:
        """Drag the slider from its left to its right end, and keep what the page measured.

        `shift`, 0 to 1, moves all places by a part of a move: other values, nothing cached.
        """
        await self.page.bring_to_front()
        box = await self.page.locator(self.slider).bounding_box()
        y = box["y"] + box["height"] / 2
        left, width = box["x"] + MARGIN, box["width"] - 2 * MARGIN
        await self.page.mouse.move(left, y)
        await self.page.mouse.down()
        await self._settle()
        self._dragging = True
        await self.page.evaluate("benchmark.start()")
        await self.move([(left + width * (i + 1 - shift) / moves, y) for i in range(moves)])
        measured = await self.page.evaluate("benchmark.stop()")
        self._dragging = False
        await self.page.mouse.up()
        await self._settle()
        self.samples += measured["samples"]
        self.frames += measured["frames"]

    async def _settle(self) -> None:
        """Wait until what a press or a release set off in Python is over."""
        quiet = 0
        while quiet < 10:  # half a second: our page tells Python a little later, in two requests
            await asyncio.sleep(0.05)
            quiet = 0 if self._pending else quiet + 1

    async def move(self, places: list[tuple[float, float]]) -> None:
        """Move the mouse there, place after place, at the pace of a hand."""
        sent = []
        start = time.perf_counter()
        for i, place in enumerate(places, 1):
            # Not awaited here: Chromium confirms a move a frame or two later.
            sent.append(asyncio.create_task(self.page.mouse.move(*place)))
            await asyncio.sleep(max(0, start + i * MOVE_EVERY - time.perf_counter()))
        await asyncio.gather(*sent)
        await asyncio.sleep(0.1)  # the last frame

    def figure(self, key: str, share: float) -> float:
        return percentile([sample[key] for sample in self.samples], share)

    def row(self) -> list[str]:
        figures = [
            *(self.figure("drawn", share) for share in (0.5, 0.95, 1)),
            *(self.figure("fromMouse", share) for share in (0.5, 0.95)),
            *(percentile(self.frames, share) for share in (0.5, 0.95)),
        ]
        return [self.title, *(f"{figure:.1f}" for figure in figures), str(self.requests)]


class Plain(Dragged):
    """The plain Gradio way, one move at a time: the next waits until this one is drawn."""

    async def move(self, places: list[tuple[float, float]]) -> None:
        for i, place in enumerate(places, 1):
            await self.page.mouse.move(*place)
            await asyncio.wait_for(self.page.evaluate("i => benchmark.until(i)", i), LIMIT)


async def open_ours(
    browser: Browser, server: Server, title: str, *, schedules: int = 2, side: int = 64
) -> Dragged:
    """Our page with so many schedules (2 or all 5) and pixels a side, ready to be dragged."""
    page = await new_page(browser)
    await page.add_init_script(path=SCRIPT)
    await page.goto(server.address)
    await page.wait_for_selector("#forward-cards canvas.picture")
    if schedules == 5:
        for name in ("scaled linear", "sigmoid", "custom"):
            await page.get_by_role("checkbox", name=name, exact=True).check()
    if side != 64:
        await page.get_by_role("button", name="Size, colour and seed").click()
        await page.get_by_role("radio", name=str(side), exact=True).check()
    await page.wait_for_function(
        """([schedules, side]) => {
            const pictures = [...document.querySelectorAll('#forward-cards canvas.picture')];
            return pictures.length === schedules && pictures.every(c => c.width === side);
        }""",
        arg=[schedules, side],
    )
    await page.evaluate("benchmark.watchScene('forward', '#forward-cards canvas.picture')")
    return Dragged(title, page, "#forward-time input[type=range]")


async def open_plain(browser: Browser, server: Server, title: str) -> Plain:
    page = await new_page(browser)
    await page.add_init_script(path=SCRIPT)
    await page.goto(server.address)
    await page.wait_for_function("document.querySelectorAll('.noised img').length === 2")
    await page.evaluate("benchmark.watchImages('.noised img')")
    return Plain(title, page, "#time input[type=range]")


async def measure(repeats: int, moves: int, round_trips: int) -> tuple[list[Dragged], Plain]:
    """Drag all pages by turns; the first turn warms up and does not count."""
    with Server(APP) as our_server, Server(PLAIN) as plain_server:
        for server in (our_server, plain_server):
            await asyncio.to_thread(server.wait)
        async with chromium() as browser:
            ours = [
                await open_ours(browser, our_server, "Unnoise, 2 schedules, 64×64"),
                await open_ours(browser, our_server, "Unnoise, 5 schedules, 64×64", schedules=5),
                await open_ours(browser, our_server, "Unnoise, 2 schedules, 128×128", side=128),
            ]
            plain = await open_plain(browser, plain_server, "plain Gradio, 2 schedules, 64×64")
            for page in [*ours, plain]:
                await page.drag(10)
                page.samples, page.frames, page.requests = [], [], 0
            for turn in range(repeats):
                for page in ours:
                    await page.drag(moves, turn / repeats)
                await plain.drag(round_trips, turn / repeats)
            for page in ours:
                looked = await page.page.evaluate("benchmark.looked")
                if looked["unchanged"] or not looked["changed"]:
                    raise RuntimeError(f"{page.title}: pixels have not changed: {looked}")
            return ours, plain


def report(ours: list[Dragged], plain: Plain) -> str:
    """The table, the ratios to the first of ours, and what we aim at."""
    first = ours[0]
    ratios = [plain.figure("drawn", share) / first.figure("drawn", share) for share in (0.5, 0.95)]
    return "\n".join(
        [
            table(HEAD, [page.row() for page in [*ours, plain]]),
            "",
            f"The plain way takes {ratios[0]:.1f} times as long at p50, "
            f"{ratios[1]:.1f} times at p95.",
            "Aims: drawn p95 at most 16.7 ms, no requests, at least 10 times as fast.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drag", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--repeats", type=count, default=5, help="turns of each page (%(default)s)")
    parser.add_argument(
        "--moves", type=count, default=120, help="mouse moves in a drag of ours (%(default)s)"
    )
    parser.add_argument(
        "--round-trips", type=count, default=40, help="moves in a drag of theirs (%(default)s)"
    )
    options = parser.parse_args()
    ours, plain = asyncio.run(measure(options.repeats, options.moves, options.round_trips))
    print(report(ours, plain))


if __name__ == "__main__":
    main()
