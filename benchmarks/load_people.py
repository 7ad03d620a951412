"""The people of `benchmarks.load`: who looks around, who samples, who trains, each at their pace.

All but two speak the protocol of the page without a browser; those two are real Chromium.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradio_client import Client
from playwright.async_api import Browser, Page, Response

from app.scenes import START
from benchmarks.drag import SCRIPT, Dragged
from tests.visitor import Event, Site, Visitor

THINK = (1.0, 10.0)  # seconds between what one person does
VISIT = (60.0, 300.0)  # seconds that a person who looks around stays
IN_VIEW = 1 / 3  # of the visits look at the single steps, which then follow the slider
TRAINS = 120  # seconds of training, and then again
SETTLES = 0.2  # seconds until a view tells where its slider stands
TABS = ("Forward", "Schedules", "Reverse", "Subtract all", "U-Net", "Train")
# What everybody tries; beside it people have seeds of their own.
POPULAR = (
    {"reverse-model": "fashion"},
    {"reverse-model": "digits", "sampler-A": "ddim"},
    {"reverse-model": "cats", "sampler-A": "dpm_solver", "steps-A": 20},
)
SPEED = re.compile(r"([0-9,]+) pictures/s")
# When a tab has something to look at.
SIGHTS = {
    "Schedules": "#schedules-strip canvas",
    "Reverse": "#reverse-walk canvas",
    "Subtract all": "#subtract-walk canvas",
    "U-Net": "#unet-diagram svg",
    "Train": "#train-command >> text=model.train",
    "Forward": "#forward-cards canvas",
}


@dataclass
class Crowd:
    """Everybody at one server, and what they saw."""

    address: str
    site: Site
    assets: list[str]  # what a page loads beside itself
    ends: float  # of time.perf_counter
    seed: int
    counts_from: float = 0.0  # of time.perf_counter: when all have arrived
    events: list[Event] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=dict)  # by sampler: to the result
    pages: list[float] = field(default_factory=list)  # seconds of the page itself
    whole: list[float] = field(default_factory=list)  # ... and of all its files
    visits: int = 0
    errors: list[str] = field(default_factory=list)  # of what is no event
    watching: set[str] = field(default_factory=set)  # sessions that have the single steps in view
    shares: dict[str, float] = field(default_factory=dict)  # t / T by session
    speeds: list[float] = field(default_factory=list)  # pictures/s of the trainings
    sights: list[float] = field(default_factory=list)  # seconds, Chromium, until a tab shows
    drags: list[Dragged] = field(default_factory=list)
    unanswered: list[Event] = field(default_factory=list)  # when the time was over

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self.ends

    async def think(self, chance: random.Random) -> None:
        await asyncio.sleep(min(chance.uniform(*THINK), max(0, self.ends - time.perf_counter())))

    async def arrive(self) -> Visitor:
        """A new visit, its page loaded, and its slider telling where it stands, as the page's."""
        visitor = Visitor(self.address, self.site)
        start = time.perf_counter()
        self.pages.append(await visitor.open(self.assets))
        self.whole.append(time.perf_counter() - start)
        self.visits += 1
        site, loop = self.site, asyncio.get_running_loop()
        (drawn,) = (f["outputs"][0] for f in site.listeners[site.page(), "load"] if _draws(f))
        visitor.when_shown[drawn] = lambda _: loop.call_later(SETTLES, self.settle, visitor)
        for number, component in site.components.items():
            if component["type"] == "number" and component["props"].get("visible") is False:
                visitor.values[number] = 10  # the page's script fills in the slider's place
        return visitor

    def settle(self, visitor: Visitor, share: float | None = None) -> None:
        """The slider is let go, or tells where it stands since the picture is drawn anew."""
        if visitor.session not in self.watching:
            return
        share = self.shares[visitor.session] = share or self.shares.get(visitor.session, START)
        T = visitor.values[self.site.find("Number of steps T", "Forward")]
        slider = self.site.find("forward-time")
        visitor.trigger(slider, "settled", {"t": max(1, round(share * T))})

    async def part(self, visitor: Visitor, who: str = "") -> None:
        """The end of a visit; what it heard goes into the books."""
        now = time.perf_counter()
        self.unanswered += [e for e in visitor.under_way if now - e.joined > 30]
        await visitor.leave()
        self.events += visitor.events
        if who:
            waits = self.waits.setdefault(who, [])
            waits += [event.seconds for event in visitor.events if event.kind == "heavy"]

    async def keep(self, who: str, live: Callable[[random.Random], Any]) -> None:
        """One person after the other, until the time is over; what goes wrong is noted."""
        chance = random.Random(f"{self.seed} {who}")
        while not self.over:
            try:
                await live(chance)
            except Exception as error:  # a page that does not load, a connection that is refused
                self.errors.append(f"{who.rstrip('0123456789 ')}: {type(error).__name__}: {error}")
                await asyncio.sleep(1)


def _draws(function: dict[str, Any]) -> bool:
    """Whether it is the one that draws the first scene: it takes the most."""
    return len(function["inputs"]) > 2


# -- people without a browser ------------------------------------------------------------------


async def look(crowd: Crowd, chance: random.Random) -> None:
    """Drag, change this and that, open a tab, for a few minutes; then go."""
    visitor = await crowd.arrive()
    if chance.random() < IN_VIEW:
        crowd.watching.add(visitor.session)
    ends = time.perf_counter() + chance.uniform(*VISIT)
    actions, weights = zip(*_looking(crowd, visitor, chance), strict=True)
    try:
        while not crowd.over and time.perf_counter() < ends:
            await crowd.think(chance)
            chance.choices(actions, weights)[0]()
    finally:
        await crowd.part(visitor)


def _looking(crowd: Crowd, visitor: Visitor, chance: random.Random) -> list[tuple[Callable, int]]:
    """What a person who looks around does, and how often."""
    site = crowd.site

    def choose(name: str, tab: str) -> Callable:
        number = site.find(name, tab)
        return lambda: visitor.set(number, chance.choice(site.choices(number)), "input")

    def several() -> None:
        number = site.find("Schedules", "Forward")
        shown = chance.sample(site.choices(number), 2)
        visitor.set(number, shown, "input")

    def click(name: str, tab: str = "") -> Callable:
        return lambda: visitor.trigger(site.find(name, tab), "click")

    def picture() -> None:
        key = chance.choice(["hopper", "china", "flower", "digit-3"])
        visitor.trigger(site.find("forward-picker"), "picked", {"key": key})

    def points() -> None:
        middle = round(chance.uniform(0.3, 0.7), 2)
        drawn = [[0, 1], [0.5, middle], [1, 0.0001]]
        visitor.trigger(site.find("points"), "edited", {"points": drawn})

    def tab(name: str) -> Callable:
        return lambda: visitor.select(name)

    return [
        (lambda: crowd.settle(visitor, chance.random()), 45),
        (several, 5),
        (choose("Number of steps T", "Forward"), 5),
        (choose("Pixels a side", "Forward"), 3),
        (choose("Schedule of this panel and the next", "Forward"), 5),
        (click("New noise (another seed)", "Forward"), 5),
        (picture, 3),
        (tab("Schedules"), 6),
        (choose("Curves", "Schedules"), 5),
        (choose("Time axis", "Schedules"), 3),
        (points, 2),
        (tab("Reverse"), 3),
        (tab("Subtract all"), 1),
        (tab("U-Net"), 1),
        (tab("Train"), 2),
        (tab("Forward"), 3),
        (click("Save the strip (PNG)"), 2),
        (click("Save the process (GIF)"), 1),
        (click("All numbers (CSV)", "Schedules"), 1),
    ]


async def sample(crowd: Crowd, who: str, chance: random.Random) -> None:
    """Stay in the Reverse tab: half the time what everybody tries, else a seed of one's own."""
    visitor = await crowd.arrive()
    site = crowd.site
    visitor.select("Reverse")
    try:
        while not crowd.over:
            await visitor.quiet()  # they look at what they asked for
            await crowd.think(chance)
            if chance.random() < 0.5:
                for name, value in chance.choice(POPULAR).items():
                    visitor.values[site.find(name)] = value
                visitor.values[site.find("reverse-label")] = "1"
                visitor.values[site.find("reverse-seed")] = 0
                visitor.trigger(site.find("reverse-run"), "click")
            elif chance.random() < 0.8:
                visitor.trigger(site.find("reverse-again"), "click")
            else:
                visitor.trigger(site.find("draw-many"), "click")
    finally:
        await crowd.part(visitor, who)


def ask(crowd: Crowd, who: str) -> None:
    """The same over Gradio's own client, in a thread of its own: /sample and /schedule."""
    chance = random.Random(f"{crowd.seed} {who}")
    client = Client(crowd.address, verbose=False)
    waits = crowd.waits.setdefault(who, [])
    while not crowd.over:
        time.sleep(min(chance.uniform(*THINK), max(0, crowd.ends - time.perf_counter())))
        light = Event("/schedule", "light", time.perf_counter())
        try:
            client.predict(T=chance.choice([10, 50, 100]), api_name="/schedule")
        except Exception as error:
            light.error = f"{type(error).__name__}: {error}"
        light.ended = time.perf_counter()
        event = Event("/sample", "heavy", time.perf_counter())
        try:
            seed = 0 if chance.random() < 0.5 else chance.randrange(2**32)
            job = client.submit(model="digits", label=1, seed=seed, steps=20, api_name="/sample")
            while not job.done():
                status, now = job.status(), time.perf_counter()
                if status.rank is not None:
                    event.told = event.told or now
                if status.code.name in ("PROCESSING", "ITERATING"):
                    event.started = event.started or now
                time.sleep(0.1)
            job.result()
        except Exception as error:
            event.error = f"{type(error).__name__}: {error}"
        event.ended = time.perf_counter()
        crowd.events += [light, event]
        waits.append(event.seconds)


async def train(crowd: Crowd, chance: random.Random) -> None:
    """Train digits all the time; the page asks for it every second."""
    visitor = await crowd.arrive()
    site = crowd.site
    visitor.select("Train")
    visitor.values[site.find("train-amount")] = TRAINS

    def heard(value: Any) -> None:
        if value and (speed := SPEED.search(value.get("text", ""))):
            crowd.speeds.append(float(speed[1].replace(",", "")))

    visitor.when_shown[site.find("train-progress")] = heard
    try:
        while not crowd.over:
            visitor.trigger(site.find("train-start"), "click")
            await asyncio.sleep(5)
            while visitor.ticking and not crowd.over:
                await asyncio.sleep(1)
        visitor.trigger(site.find("train-stop"), "click")
        await asyncio.sleep(1)
    finally:
        await crowd.part(visitor)


# -- people with Chromium ----------------------------------------------------------------------


async def watch(crowd: Crowd, browser: Browser, chance: random.Random) -> None:
    """Drag the slider with a real mouse and go from tab to tab; complaints of the page count."""
    page = await browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    note_complaints(crowd, page)
    try:
        await page.add_init_script(path=SCRIPT)
        await page.goto(crowd.address)
        await page.wait_for_selector(SIGHTS["Forward"])
        await page.evaluate("benchmark.watchScene('forward', '#forward-cards canvas.picture')")
        dragged = Dragged("", page, "#forward-time input[type=range]")
        crowd.drags.append(dragged)
        ends = time.perf_counter() + chance.uniform(*VISIT)
        while not crowd.over and time.perf_counter() < ends:
            await dragged.drag(60, chance.random())
            await crowd.think(chance)
            tab = chance.choice(TABS[1:])
            for name in (tab, "Forward"):
                start = time.perf_counter()
                await page.get_by_role("tab", name=name, exact=True).click(timeout=60_000)
                await page.wait_for_selector(SIGHTS[name], timeout=120_000)
                crowd.sights.append(time.perf_counter() - start)
                await crowd.think(chance)
    finally:
        await page.context.close()


def note_complaints(crowd: Crowd, page: Page) -> None:
    """Whatever a page complains about goes into the books."""

    def answered(response: Response) -> None:
        if response.status >= 400:
            crowd.errors.append(f"Chromium: {response.status} for {response.url}")

    def said(message: Any) -> None:
        if message.type == "error":
            crowd.errors.append(f"Chromium's console: {message.text}")

    page.on("pageerror", lambda error: crowd.errors.append(f"Chromium: {error}"))
    page.on("console", said)
    page.on("response", answered)


async def files_of_a_page(browser: Browser, address: str) -> list[str]:
    """The paths that a browser which has never seen the page loads beside it."""
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    paths: list[str] = []
    page.on("request", lambda request: paths.append(request.url.removeprefix(address)))
    await page.goto(address)
    await page.wait_for_selector(SIGHTS["Forward"])
    await page.wait_for_selector("#forward-strip canvas")
    await asyncio.sleep(2)  # what it loads when nothing else is to be done
    await page.context.close()
    kept = [path for path in dict.fromkeys(paths) if ":" not in path and path]
    return [f"/{path}" for path in kept if "/queue/" not in path and "/heartbeat/" not in path]
