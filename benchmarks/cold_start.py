"""How long from starting the app to using it: ours beside a Gradio app of one slider.

    python -m benchmarks.cold_start

Each repeat starts both apps, one after the other, and opens each in a browser that has never seen
it; Chromium itself is already running. README.md says what the columns mean.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from playwright.async_api import Browser

from benchmarks.browser import chromium, new_page
from benchmarks.command import count, table
from tests.process import APP, Server

ONE_SLIDER = ["-m", "benchmarks.one_slider"]
LIMIT = 60  # seconds from the server's first answer until a control must be usable
HEAD = ["medians", "server answers", "usable", "memory", "requests", "weight", "at rest"]
REST = 5  # seconds after which a page that nobody touched has loaded all that it will

# Moves the slider, elsewhere at each try, until that shows. A page that is not ready has no
# slider yet, or nothing to show, or nobody who listens to the slider.
TRY_SLIDER = """async ([slider, shown]) => {
  const look = new Function(`return ${shown}`);
  const nextFrame = () => new Promise(requestAnimationFrame);
  for (let t = 400; ; t++) {
    const range = document.querySelector(slider), before = look();
    if (range && before !== null && before !== undefined) {
      range.value = t;
      range.dispatchEvent(new Event('input', { bubbles: true }));
      const triedAt = performance.now();
      while (performance.now() - triedAt < 100) {
        await nextFrame();
        if (look() !== before) return;
      }
    }
    await nextFrame();
  }
}"""


@dataclass(frozen=True)
class App:
    """What to start, and how its page shows that its slider works."""

    title: str
    arguments: Sequence[str]
    slider: str  # a selector
    shown: str  # JavaScript: what the slider changes; null or undefined if not there yet


OURS = App(
    "Unnoise",
    APP,
    "#forward-time input[type=range]",
    "[...document.querySelectorAll('#forward-cards canvas.picture')]"
    ".map(canvas => canvas.toDataURL()).join() || null",
)
THEIRS = App(
    "one-slider Gradio app",
    ONE_SLIDER,
    "#time input[type=range]",
    "document.querySelector('#twice input')?.value",
)


@dataclass(frozen=True)
class Start:
    """What one start took."""

    answers: float  # seconds from the start of the process to the first page served
    usable: float  # ... and to a slider that works, in the browser
    memory: float  # MB that the server holds then
    requests: int
    weight: float  # MB over the network until then, compressed as sent
    rest: float  # MB of a second visit that nobody touches, streams in full


async def start(app: App, browser: Browser) -> Start:
    """Start the app, open its page, use its slider, and end it."""
    page = await new_page(browser)
    network = await page.context.new_cdp_session(page)
    asked, received = [], []
    network.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
    network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    await network.send("Network.enable")
    with Server(app.arguments) as server:
        answers = await asyncio.to_thread(server.wait)
        await page.goto(server.address, wait_until="commit")
        await asyncio.wait_for(page.evaluate(TRY_SLIDER, [app.slider, app.shown]), LIMIT)
        usable = time.perf_counter() - server.started
        requests = sum(url.startswith("http") for url in asked)
        memory, weight = server.memory(), sum(received) / 1e6
        await page.close()  # first, for it still loads what lies below
        rest = await weigh(server.address, browser)
    return Start(answers, usable, memory, requests, weight, rest)


async def weigh(address: str, browser: Browser) -> float:
    """MB that a first visit loads before anybody touches the page, compressed as sent."""
    page = await browser.new_page()
    network = await page.context.new_cdp_session(page)
    streams: set[str] = set()
    sizes: dict[str, float] = {}

    def asked(event: dict) -> None:
        if event["request"]["url"].startswith("http"):
            sizes[event["requestId"]] = 0
        if "/queue/data" in event["request"]["url"]:
            streams.add(event["requestId"])

    def came(event: dict, size: str) -> None:
        number = event["requestId"]
        # A stream is never over, and never compressed.
        if number in sizes and (number in streams) == (size == "dataLength"):
            sizes[number] += event[size]

    network.on("Network.requestWillBeSent", asked)
    network.on("Network.dataReceived", lambda event: came(event, "dataLength"))
    network.on("Network.loadingFinished", lambda event: came(event, "encodedDataLength"))
    await network.send("Network.enable")
    await page.goto(address)
    await asyncio.sleep(REST)
    await page.close()
    return sum(sizes.values()) / 1e6


async def measure(repeats: int) -> tuple[list[Start], list[Start]]:
    """Start both by turns; the first turn only warms the system's caches."""
    async with chromium() as browser:
        turns = [
            (await start(OURS, browser), await start(THEIRS, browser)) for _ in range(repeats + 1)
        ]
    ours, theirs = zip(*turns[1:], strict=True)
    return list(ours), list(theirs)


def row(title: str, starts: Sequence[Start]) -> list[str]:
    def middle(of: Callable[[Start], float]) -> float:
        return median(of(start) for start in starts)

    return [
        title,
        f"{middle(lambda s: s.answers):.2f} s",
        f"{middle(lambda s: s.usable):.2f} s",
        f"{middle(lambda s: s.memory):.0f} MB",
        f"{middle(lambda s: s.requests):.0f}",
        f"{middle(lambda s: s.weight):.2f} MB",
        f"{middle(lambda s: s.rest):.2f} MB",
    ]


def report(ours: Sequence[Start], theirs: Sequence[Start]) -> str:
    """The table of medians, the ratio, and what we aim at."""
    ratio = median(start.usable for start in ours) / median(start.usable for start in theirs)
    return "\n".join(
        [
            table(HEAD, [row(OURS.title, ours), row(THEIRS.title, theirs)]),
            "",
            f"Unnoise takes {ratio:.2f} times as long to be usable.",
            "Aim: at most 1.5 times as long.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cold_start", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--repeats", type=count, default=5, help="starts of each (%(default)s)")
    print(report(*asyncio.run(measure(parser.parse_args().repeats))))


if __name__ == "__main__":
    main()
