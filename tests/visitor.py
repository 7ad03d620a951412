"""A page without a browser: it speaks what Gradio's own page speaks, for tests and benchmarks.

A visit loads the page, holds its heartbeat open, joins the queue with the very functions and
values that the page would send, and hears the answers over one stream. Whatever an answer sets
off in a page, `.then`, a changed state, a clock, it sets off here.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import orjson

T = TypeVar("T")
API = "/gradio_api"
LIGHT, EXPORT, HEAVY = "light", "export", "heavy"
CONNECTIONS = 6  # what a browser opens to one server
LOST = (aiohttp.ClientError, OSError)  # the connection failed, or ended too early


@dataclass
class Event:
    """One request to the queue; times are of `time.perf_counter`."""

    name: str
    kind: str
    joined: float
    told: float | None = None  # when its place in the queue was heard first
    started: float | None = None
    words: int = 0  # how often it told how far it is
    ended: float | None = None
    error: str = ""
    id: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.joined


def run(story: Coroutine[Any, Any, T]) -> T:
    """What `story` comes to, told in a thread of its own.

    Where Playwright is at work its loop runs in this one, and asyncio allows no second.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, story).result()


class Site:
    """What the config of a page says: components, what listens to them, and where they stand."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.components = {each["id"]: each for each in config["components"]}
        self.functions = {each["id"]: each for each in config["dependencies"]}
        self.listeners: dict[tuple[int | None, str], list[dict]] = defaultdict(list)
        self.after: dict[int, list[dict]] = defaultdict(list)
        for function in config["dependencies"]:
            for target, name in function["targets"]:
                self.listeners[target, name].append(function)
            if function["trigger_after"] is not None:
                self.after[function["trigger_after"]].append(function)
        self.tab_of: dict[int, str] = {}
        self._walk(config["layout"], "")

    def _walk(self, node: dict[str, Any], tab: str) -> None:
        component = self.components.get(node["id"])
        if component and component["type"] == "tabitem":
            tab = component["props"]["label"]
        self.tab_of[node["id"]] = tab
        for child in node.get("children") or ():
            self._walk(child, tab)

    def find(self, name: str, tab: str = "") -> int:
        """The component with that elem_id, label or text, of one tab where that is given."""
        for key in ("elem_id", "label", "value"):
            for number, component in self.components.items():
                if component["props"].get(key) == name and tab in ("", self.tab_of.get(number)):
                    return number
        raise LookupError(f"there is no {name!r} in {tab or 'the page'}")

    def page(self) -> int | None:
        """What `load` events have as their target: the whole page."""
        return next(target for target, name in self.listeners if name == "load")

    def choices(self, number: int) -> list[Any]:
        """The values that a component offers."""
        return [value for _, value in self.components[number]["props"]["choices"]]

    def kind(self, function: dict[str, Any]) -> str:
        """Which of the kinds of `app.events` an event is, as far as a page can see."""
        if function["show_progress"] != "hidden":
            return HEAVY
        outputs = [self.components[number] for number in function["outputs"]]
        classes = outputs[0]["props"].get("elem_classes") if len(outputs) == 1 else None
        return EXPORT if classes and "gone" in classes else LIGHT

    @classmethod
    def read(cls, page: str) -> Site:
        """From the text of the page."""
        start = page.index("window.gradio_config = ") + len("window.gradio_config = ")
        return cls(json.JSONDecoder().raw_decode(page, start)[0])


class Visitor:
    """One visit. `site` spares reading the config again where many visit the same page.

    `events` has every event that ended, `left` whether the visit is over: what was under way then
    is no error.
    """

    def __init__(self, address: str, site: Site | None = None) -> None:
        self.address = address.rstrip("/")
        self.site = site
        self.session = secrets.token_hex(6)
        self.events: list[Event] = []
        self.values: dict[int, Any] = {}
        self.left = False
        self.opened: set[str] = {""}  # tabs: what stands in others is not there yet
        self.when_shown: dict[int, Callable[[Any], Any]] = {}  # by component: hears its values
        self.http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=60),
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # from an address without a name, too
        )
        self._tasks: set[asyncio.Task] = set()
        self._under_way: dict[int, Event] = {}  # by function
        self._again: dict[int, tuple[int | None, Any]] = {}
        self._inboxes: dict[str, asyncio.Queue] = defaultdict(asyncio.Queue)
        self._waiting: set[str] = set()  # ids of events whose answers have not come
        self._listening: asyncio.Task | None = None
        self._clocks: dict[int, asyncio.Task] = {}

    # -- coming and going ----------------------------------------------------------------------

    async def open(self, assets: Sequence[str] = ()) -> float:
        """Load the page with these files, and set off what loading sets off.

        Returns the seconds that the page itself took, without its files.
        """
        start = time.perf_counter()
        async with self.http.get(self.address + "/") as answer:
            answer.raise_for_status()
            page = await answer.read()
        seconds = time.perf_counter() - start
        if self.site is None:
            self.site = Site.read(page.decode())
        self.values = {
            number: component["props"].get("value")
            for number, component in self.site.components.items()
            if component["type"] != "state"
        }
        await asyncio.gather(*(self._fetch(path) for path in assets))
        self._spawn(self._heartbeat())
        self.trigger(self.site.page(), "load")
        return seconds

    async def _fetch(self, path: str) -> None:
        async with self.http.get(self.address + path) as answer:
            answer.raise_for_status()
            await answer.read()

    async def _heartbeat(self) -> None:
        with suppress(*LOST):
            async with self.http.get(f"{self.address}{API}/heartbeat/{self.session}") as answer:
                async for _ in answer.content.iter_any():
                    pass

    @property
    def under_way(self) -> list[Event]:
        """What has been asked for and not been answered."""
        return list(self._under_way.values())

    @property
    def ticking(self) -> bool:
        """Whether a clock of the page runs."""
        return bool(self._clocks)

    async def quiet(self) -> None:
        """Wait until nothing is under way any more."""
        while self._under_way:
            await asyncio.sleep(0.02)

    async def leave(self) -> None:
        """Close the page, whatever it is waiting for."""
        self.left = True
        tasks = [*self._tasks, *self._clocks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.http.close()

    def _spawn(self, work: Any) -> asyncio.Task:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- what a person does --------------------------------------------------------------------

    def trigger(self, target: int | None, name: str, data: Any = None) -> None:
        """Let `name` happen to a component."""
        for function in self.site.listeners.get((target, name), ()):
            self._launch(function, target, data)

    def set(self, target: int, value: Any, *names: str) -> None:
        """Give a component another value by hand; `names` are what happens to it then."""
        changed = self.values.get(target) != value
        self.values[target] = value
        for name in names:
            self.trigger(target, name)
        if changed:
            self.trigger(target, "change")

    def select(self, tab: str) -> None:
        """Go to another tab."""
        self.opened.add(tab)
        number = next(
            number
            for number, component in self.site.components.items()
            if component["type"] == "tabitem" and component["props"]["label"] == tab
        )
        self.trigger(number, "select", {"value": tab, "index": 0})

    # -- what that sets off --------------------------------------------------------------------

    def _launch(self, function: dict[str, Any], target: int | None, data: Any) -> None:
        if self.left:
            return
        if function["id"] in self._under_way:
            if function["trigger_mode"] == "always_last":
                self._again[function["id"]] = (target, data)
            if function["trigger_mode"] != "multiple":
                return
        if not function["backend_fn"]:
            for number in function["cancels"]:
                if number in self._under_way:
                    self._spawn(self._cancel(number))
            return
        event = Event(
            function["api_name"] or str(function["id"]),
            self.site.kind(function),
            time.perf_counter(),
        )
        self._under_way[function["id"]] = event
        self._spawn(self._run(function, event, target, data))

    async def _cancel(self, number: int) -> None:
        body = {
            "session_hash": self.session,
            "fn_index": number,
            "event_id": self._under_way[number].id,
        }
        with suppress(*LOST):
            await self.http.post(f"{self.address}{API}/cancel", json=body)

    async def _run(
        self, function: dict[str, Any], event: Event, target: int | None, data: Any
    ) -> None:
        failed = True
        try:
            failed = await self._ask(function, event, target, data)
        except LOST as error:
            event.error = f"{type(error).__name__}: {error}"
        finally:
            self._waiting.discard(event.id)
            self._inboxes.pop(event.id, None)
            self._under_way.pop(function["id"], None)
            event.ended = time.perf_counter()
            if not self.left:
                self.events.append(event)
        again = self._again.pop(function["id"], None)
        if again:
            self._launch(function, *again)
        for following in self.site.after.get(function["id"], ()):
            only = "failure" if following["trigger_only_on_failure"] else "success"
            anyway = not (
                following["trigger_only_on_failure"] or following["trigger_only_on_success"]
            )
            if anyway or (only == "failure") == failed:
                self._launch(following, target, None)

    async def _ask(
        self, function: dict[str, Any], event: Event, target: int | None, data: Any
    ) -> bool:
        """Ask, and listen until the end; whether it failed."""
        body = {
            "data": [self.values.get(number) for number in function["inputs"]],
            "event_data": data,
            "fn_index": function["id"],
            "trigger_id": target,
            "session_hash": self.session,
        }
        status, said = await self._post("/queue/join?", body)
        if status != 200:
            event.error = f"{status}: {said[:200].decode(errors='replace')}"
            return True
        event.id = orjson.loads(said)["event_id"]
        self._waiting.add(event.id)
        if self._listening is None or self._listening.done():
            self._listening = self._spawn(self._listen())
        while True:
            message = await self._inboxes[event.id].get()
            now = time.perf_counter()
            match message["msg"]:
                case "estimation":
                    event.told = event.told or now
                case "process_starts":
                    event.started = now
                case "process_generating":
                    event.words += 1
                    self._changed_states(message["output"])
                case "log" if message["level"] == "error":  # refused, without a failure
                    event.error = message["log"]
                case "process_completed":
                    output = message["output"]
                    if not message["success"]:
                        event.error = str(output.get("error") or "no reason given")
                    else:
                        self._take(function, output)
                    return not message["success"]
                case "unexpected_error" | "server_stopped":
                    event.error = message.get("message") or message["msg"]
                    return True

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """The status and the text of an answer.

        Asks once more, as browsers do, where a kept connection turns out to be closed.
        """

        async def once() -> tuple[int, bytes]:
            async with self.http.post(f"{self.address}{API}{path}", json=body) as answer:
                return answer.status, await answer.read()

        try:
            return await once()
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await once()

    def _changed_states(self, output: dict[str, Any] | None) -> None:
        for state in (output or {}).get("changed_state_ids") or ():
            self.trigger(state, "change")

    def _take(self, function: dict[str, Any], output: dict[str, Any]) -> None:
        """Put an answer's values where they belong, and let that be noticed."""
        for number, value in zip(function["outputs"], output.get("data", ()), strict=False):
            if isinstance(value, dict) and value.get("__type__") == "update":
                if self.site.components[number]["type"] == "timer" and "active" in value:
                    self._clock(number, value["active"])
                if "value" not in value:
                    continue
                value = value["value"]
            if self.site.components[number]["type"] == "state":
                continue
            changed = self.values.get(number) != value
            self.values[number] = value
            if shown := self.when_shown.get(number):
                shown(value)
            if changed and self.site.tab_of.get(number) in self.opened:
                self.trigger(number, "change")
        self._changed_states(output)

    def _clock(self, number: int, active: bool) -> None:
        if not active:
            if clock := self._clocks.pop(number, None):
                clock.cancel()
        elif number not in self._clocks:
            self._clocks[number] = asyncio.create_task(self._tick(number))

    async def _tick(self, number: int) -> None:
        while True:
            await asyncio.sleep(self.values[number])
            self.trigger(number, "tick")

    # -- what comes back -----------------------------------------------------------------------

    async def _listen(self) -> None:
        """Hear the answers of this session, as long as there is one to come."""
        while self._waiting:
            problem = "the stream of answers ended"
            try:
                async for message in self._messages():
                    if message["msg"] == "close_stream":
                        problem = ""
                        break
                    if message.get("event_id"):
                        self._inboxes[message["event_id"]].put_nowait(message)
                    elif message["msg"] in ("unexpected_error", "server_stopped"):
                        problem = message.get("message") or message["msg"]
            except LOST as error:
                problem = f"{type(error).__name__}: {error}"
            if problem:
                for event in self._waiting:
                    lost = {"msg": "unexpected_error", "message": problem}
                    self._inboxes[event].put_nowait(lost)
                self._waiting.clear()
            else:
                await asyncio.sleep(0)  # those that are answered say so first

    async def _messages(self) -> AsyncIterator[dict[str, Any]]:
        path = f"{API}/queue/data?session_hash={self.session}"
        async with self.http.get(self.address + path) as answer:
            answer.raise_for_status()
            text = bytearray()
            async for chunk in answer.content.iter_any():
                searched = max(0, len(text) - 1)
                text += chunk
                while (end := text.find(b"\n\n", searched)) >= 0:
                    yield orjson.loads(text[len("data: ") : end])
                    del text[: end + 2]
                    searched = 0
