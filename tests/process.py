"""A web app in a process of its own, as a person starts it: for tests and benchmarks."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
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
        self.start()
        return self

    def start(self) -> None:
        """Start it, or start it again where it has ended, on the same port."""
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=ROOT,
            env=_environment(self.port) | self.environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()

    def stop(self) -> float:
        """Ask it to end (SIGTERM), and see to it; returns the seconds that this took."""
        asked = time.perf_counter()
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.perf_counter() - asked

    def kill(self) -> None:
        """End it as a machine that fails does: without a word."""
        self._process.kill()
        self._process.wait()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

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

    def memory(self) -> float:
        """As `memory_of`."""
        return memory_of(psutil.Process(self._process.pid))


def memory_of(process: psutil.Process) -> float:
    """MB of a process and those that it has started; libraries that they share count in each."""
    return sum(memories_of(process))


def memories_of(process: psutil.Process) -> list[float]:
    """The same one by one, that of the process itself first."""
    found = []
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # it has just ended
            found.append(each.memory_info().rss / 1e6)
    return found


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
