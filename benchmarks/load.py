"""A crowd at the app: people who look around, sample and train, all at once, for some minutes.

    python -m benchmarks.load [--looking 100] [--sampling 20] [--training 2] [--minutes 5]

Starts `python app.py` in a process of its own. Everybody speaks what the page speaks (see
`load_people.py` and `tests/visitor.py`); a quarter of those who sample use Gradio's client, and
two of those who look around sit at real Chromium. README.md says what the columns mean.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import psutil

from benchmarks import load_people as people
from benchmarks.browser import chromium, percentile
from benchmarks.command import count, table
from benchmarks.load_people import Crowd
from tests.process import APP, Server, memories_of
from tests.visitor import EXPORT, HEAVY, LIGHT, Event, Visitor

ARRIVALS = 60  # seconds over which everybody arrives; what they do meanwhile does not count
CHROMIUMS = 2
YARD = 1_000_000  # additions, by which the machine's own speed is measured
SMALL = 50  # MB; smaller processes are not named one by one
CROWD = 5  # people bring processors of their own: theirs stand back behind the page's here
HEAD = ["seconds", "number", "errors", "p50", "p95", "p99", "longest"]


@dataclass(frozen=True)
class Minute:
    """What the processes used since the row before."""

    ends: float  # of time.perf_counter
    memories: list[float]  # MB of the server's processes
    yard: float  # seconds of processor time for the same additions, on this side
    shares: tuple[float, ...] = ()  # of the machine: the server, this side, all


@dataclass
class Usage:
    """What the processes used, noted at every minute."""

    server: psutil.Process
    rows: list[Minute] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)  # of this process's own loop, seconds

    def __post_init__(self) -> None:
        self._used: dict[int, float] = {}  # processor time by process, also of those that ended
        self._serving: set[int] = set()
        self._before = self._seconds()
        self.rows.append(Minute(self._before[0], memories_of(self.server), yard()))

    def _seconds(self) -> tuple[float, float, float, float]:
        """Of the clock, and of processor time: the server, this side, the whole machine."""
        mine = psutil.Process()
        serving = [self.server, *self.server.children(recursive=True)]
        for process in [mine, *mine.children(recursive=True), *serving]:
            with suppress(psutil.NoSuchProcess):  # a tab of Chromium that has just ended
                times = process.cpu_times()
                self._used[process.pid] = times.user + times.system
        self._serving |= {process.pid for process in serving}
        used = [
            sum(seconds for pid, seconds in self._used.items() if (pid in self._serving) == server)
            for server in (True, False)
        ]
        whole = psutil.cpu_times()
        busy = sum(whole) - whole.idle - getattr(whole, "iowait", 0)
        return time.perf_counter(), *used, busy

    def note(self) -> None:
        """Add a row."""
        now = self._seconds()
        cores = psutil.cpu_count() or 1
        clock, *used = (b - a for a, b in zip(self._before, now, strict=True))
        shares = tuple(each / clock / cores for each in used)
        self.rows.append(Minute(now[0], memories_of(self.server), yard(), shares))
        self._before = now

    async def watch(self) -> None:
        """Note a row a minute, and how late this loop itself is, until cancelled."""
        due = time.perf_counter() + 60
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.05)
            now = time.perf_counter()
            self.lag.append(now - before - 0.05)
            if now >= due:
                self.note()
                due += 60
            elif len(self.lag) % 20 == 0:
                self._seconds()


def yard() -> float:
    """Processor time that a fixed piece of work takes: it tells how fast the machine is now."""

    def once() -> float:
        start = time.thread_time()
        for _ in range(YARD):
            pass
        return time.thread_time() - start

    return min(once() for _ in range(3))


async def keep_back(server: psutil.Process) -> None:
    """Let Chromium's processes, which choose a priority of their own, stand back too."""
    while True:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process != server and server not in process.parents() and process.nice() < CROWD:
                    process.nice(CROWD)
        await asyncio.sleep(2)


async def drive(options: argparse.Namespace, server: Server) -> tuple[Crowd, Usage]:
    """Let everybody come, wait out the time, and return what was seen."""
    address = server.address
    first = Visitor(address)
    await first.open()
    await first.leave()
    async with chromium() as browser:
        assets = await people.files_of_a_page(browser, address)
        start = time.perf_counter()
        ends = start + ARRIVALS + 60 * options.minutes
        crowd = Crowd(address, first.site, assets, ends, options.seed)
        chance = random.Random(options.seed)
        asking = max(1, options.sampling // 4) if options.sampling else 0
        chromiums = min(CHROMIUMS, options.looking)
        who = [
            *[(f"looks {i}", partial(people.look, crowd)) for i in range(options.looking)],
            *[
                (f"samples {i}", partial(people.sample, crowd, f"samples {i}"))
                for i in range(options.sampling - asking)
            ],
            *[(f"trains {i}", partial(people.train, crowd)) for i in range(options.training)],
        ]
        who[:chromiums] = [
            (f"watches {i}", partial(people.watch, crowd, browser)) for i in range(chromiums)
        ]
        threads = [
            threading.Thread(target=people.ask, args=(crowd, f"asks {i}")) for i in range(asking)
        ]

        async def come(name: str, live: partial) -> None:
            await asyncio.sleep(chance.uniform(0, ARRIVALS * 0.8))
            await crowd.keep(name, live)

        living = [asyncio.create_task(come(*each)) for each in who]
        standing_back = asyncio.create_task(keep_back(psutil.Process(server.pid)))
        for thread in threads:
            thread.start()
        await asyncio.sleep(ARRIVALS)
        crowd.counts_from = time.perf_counter()
        usage = Usage(psutil.Process(server.pid))
        watching = asyncio.create_task(usage.watch())
        await asyncio.wait(living, timeout=60 * options.minutes + 150)
        usage.note()
        watching.cancel()
        standing_back.cancel()
        for task in living:
            if not task.done():
                crowd.errors.append("somebody could not leave in time")
                task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        for thread in threads:
            await asyncio.to_thread(thread.join)
    return crowd, usage


# -- report ------------------------------------------------------------------------------------


def row(title: str, seconds: Sequence[float], errors: int | None = None) -> list[str]:
    wrong = "" if errors is None else str(errors)
    if not seconds:
        return [title, "0", wrong, "", "", "", ""]
    figures = [percentile(seconds, share) for share in (0.5, 0.95, 0.99, 1)]
    return [title, str(len(seconds)), wrong, *(f"{figure:.2f}" for figure in figures)]


def event_row(title: str, events: Sequence[Event]) -> list[str]:
    fine = [event.seconds for event in events if not event.error]
    return row(title, fine, sum(bool(event.error) for event in events))


def report(crowd: Crowd, usage: Usage, log: str, detail: bool) -> str:
    events = [event for event in crowd.events if event.joined >= crowd.counts_from]
    light, export, heavy = (
        [event for event in events if event.kind == kind] for kind in (LIGHT, EXPORT, HEAVY)
    )
    started = [event for event in heavy if event.started]
    drawn = [s["drawn"] / 1000 for drag in crowd.drags for s in drag.samples]
    rows = [
        row("the page itself", crowd.pages),
        row("the page with its files", crowd.whole),
        event_row("light events", light),
        event_row("files drawn to save", export),
        row("heavy: until it begins", [event.started - event.joined for event in started]),
        event_row("heavy: until the result", heavy),
        row("Chromium: a drag, drawn", drawn),
        row("Chromium: a tab shows", crowd.sights),
    ]
    if detail:
        names = sorted({(event.kind, event.name) for event in events})
        for kind, name in names:
            found = [event for event in events if (event.kind, event.name) == (kind, name)]
            rows.append(event_row(f"  {kind}: {name}", found))
    untold = [e for e in started if e.started - e.joined > 1 and e.told is None]
    late = [e.told - e.joined for e in heavy if e.told]
    lines = [
        table(HEAD, rows),
        "",
        f"{crowd.visits} visits. Heavy events that waited over a second without hearing their "
        f"place: {len(untold)}; heard after {percentile(late, 0.95):.2f} s (p95)."
        if late
        else f"{crowd.visits} visits.",
        fairness(crowd),
        f"Answers that had not come after 30 s when their page was left: {len(crowd.unanswered)}.",
    ]
    if crowd.speeds:
        lines.append(f"Training: {statistics.median(crowd.speeds):.0f} pictures/s (median).")
    lines.append(f"This side's own loop was late by {percentile(usage.lag, 0.95):.3f} s (p95).")
    lines += ["", table(*usage_table(usage, light)), "", *complaints(crowd, events, log)]
    lines.append("Aims: no errors, light events' p95 at most 1 s, everybody told, memory flat.")
    return "\n".join(lines)


def fairness(crowd: Crowd) -> str:
    """How much longer than the others the unluckiest of those who sample waited."""
    means = [statistics.mean(waits) for waits in crowd.waits.values() if len(waits) >= 3]
    if not means:
        return "Too few waits to compare."
    longest = max(max(waits) for waits in crowd.waits.values() if waits)
    ratio = max(means) / statistics.median(means)
    return (
        f"Of {len(means)} who sample, the one who waited longest on average waited {ratio:.2f} "
        f"times the median of all; the longest single wait was {longest:.1f} s."
    )


def usage_table(usage: Usage, light: Sequence[Event]) -> tuple[list[str], list[list[str]]]:
    """By minute, with how long light events took that ended in it."""
    head = [
        "minute",
        "light p95",
        "server's memory",
        "server's cores",
        "this side's",
        "all",
        "speed",
    ]
    first, rows, before = usage.rows[0], [], 0.0
    for row in usage.rows:
        took = [e.seconds for e in light if not e.error and before < e.ended <= row.ends]
        large = [f"{each:.0f}" for each in row.memories if each >= SMALL]
        rows.append(
            [
                f"{(row.ends - first.ends) / 60:.1f}",
                f"{percentile(took, 0.95):.2f} s" if took and before else "",
                f"{sum(row.memories):.0f} MB ({' + '.join(large)})",
                *([f"{share:.0%}" for share in row.shares] or [""] * 3),
                f"{first.yard / row.yard:.0%}",
            ]
        )
        before = row.ends
    return head, rows


def complaints(crowd: Crowd, events: Sequence[Event], log: str) -> list[str]:
    """Every kind of error, how often, and the first words of it."""
    found = Counter(f"{e.kind} {e.name}: {e.error[:200]}" for e in events if e.error)
    found += Counter(text[:200] for text in crowd.errors)
    if tracebacks := log.count("Traceback (most recent call last)"):
        found[f"tracebacks in the server's log; the last lines: {log[-1500:]}"] = tracebacks
    return [f"{number} × {text}" for text, number in found.most_common()] or ["No errors."]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__.partition("\n")[0]
    )
    for name, default in (("looking", 100), ("sampling", 20), ("training", 2), ("jobs", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=count, default=1)
    parser.add_argument("--detail", action="store_true", help="a line for each event by name")
    parser.add_argument("--log", help="write what the server printed to this file")
    options = parser.parse_args()
    with Server(APP, {"UNNOISE_JOBS": str(options.jobs)}) as server:
        server.wait()
        time.sleep(3)  # it computes what the Reverse tab shows first
        if hasattr(os, "nice"):
            os.nice(CROWD)
        crowd, usage = asyncio.run(drive(options, server))
        log = server.log()
    if options.log:
        with open(options.log, "w", encoding="utf-8") as file:
            file.write(log)
    print(report(crowd, usage, log, options.detail), flush=True)
    os._exit(0)  # a thread of Gradio's client may still be there


if __name__ == "__main__":
    main()
