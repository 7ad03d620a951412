"""What the benchmarks that drive a browser share: servers, Chromium, percentiles."""

from __future__ import annotations

import asyncio
import http.client
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.chromium import ARGS, find_chromium

ROOT = Path(__file__).parents[1]
VIEWPORT = {"width": 1280, "height": 900}
APP = ["app.py"]
START_LIMIT = 120  # seconds until a server must answer


class Server:
    """One web app in a process of its own, on a free port of 127.0.0.1.

    `arguments` are Python's: a script, or ``-m`` and a module; the app must obey PORT.
    `environment` is added to what it starts with. Use it in a ``with``: it starts with the block
    and ends with it, and nothing else is ever killed.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.arguments = arguments
        self.environment = environment or {}
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Server:
        self._log = tempfile.TemporaryFile("w+")
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=ROOT,
            env=_environment(self.port) | self.environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """What it has printed so far."""
        # Read in place: the process writes where the file stands, and that must stay its end.
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def wait(self) -> float:
        """Wait for the first page that it serves; returns the seconds since it was started.

        Raises RuntimeError with what the app printed if it ends or takes too long.
        """
        while time.perf_counter() - self.started < START_LIMIT:
            if self._process.poll() is not None:
                break
            if self._answers():
                return time.perf_counter() - self.started
            time.sleep(0.01)
        self._log.seek(0)
        raise RuntimeError(f"{' '.join(self.arguments)} does not answer:\n{self._log.read()}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def memory(self) -> float | None:
        """Resident memory in MB; None where neither /proc nor psutil can tell."""
        try:
            with open(f"/proc/{self._process.pid}/status", encoding="ascii") as status:
                line = next(line for line in status if line.startswith("VmRSS:"))
            return int(line.split()[1]) * 1024 / 1e6
        except (OSError, StopIteration):
            pass
        try:
            import psutil
        except ImportError:
            return None
        return psutil.Process(self._process.pid).memory_info().rss / 1e6


def _environment(port: int) -> dict[str, str]:
    """This environment without what would change how an app starts."""
    ours = ("PORT", "GRADIO_", "UNNOISE_", "SPACE_ID")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # People start an app with its bytecode cached: the warm-up writes it, the repeats read it.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    # Both apps without calls to Gradio's makers, and without a proxy on the way to themselves.
    return kept | {
        "PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "no_proxy": "localhost,127.0.0.1",
    }


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Headless Chromium as the tests start it. Raises RuntimeError if there is none."""
    path = await asyncio.to_thread(find_chromium)  # in a thread: it may start Playwright itself
    if path is None:
        raise RuntimeError("there is no Chromium: `python -m playwright install chromium`")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGS)
        try:
            yield browser
        finally:
            await browser.close()


async def new_page(browser: Browser) -> Page:
    """A page in a context of its own, so that nothing is cached; says what goes wrong in it."""
    page = await browser.new_page(viewport=VIEWPORT)
    page.on("pageerror", lambda error: print(f"error in the page: {error}", file=sys.stderr))
    return page


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
