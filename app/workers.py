"""Processes of our own for what computes long: one asks the networks, one trains them.

Each stands back behind the page's process, begins when it is first asked for something, begins
anew should it end, and ends with the page's process, however that ends. Who asks connects to it
and hears values until the end; who leaves early ends the work where it next yields.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, TypeAlias

from app import priority
from app.environment import prepare

Handler: TypeAlias = Callable[..., Any]  # of `app.apart`, which takes long to load
BACKLOG = 128  # connections that may wait to be taken in
VALUE, ERROR, END = "value", "error", "end"
GONE = (
    "The process that computes this has ended, and another one begins: try again in a few seconds."
)


class Worker:
    """A process that does what it is asked, each request in a thread of its own; a `Lender`."""

    def __init__(self, niceness: int, first: Callable[[], Handler]) -> None:
        """`first` makes, when the process begins, what it does before all else."""
        self._niceness, self._first = niceness, first
        self._process: multiprocessing.Process | None = None
        self._address: Any = None
        self._starting = threading.Lock()

    def __call__(
        self, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Iterator[Any]:
        """What `handler` yields there, or the one thing that it returns; its errors are raised.

        Raises ValueError with one sentence if the process ends meanwhile.
        """
        with closing(self._answers((handler, args, kwargs))) as answers:
            for kind, value in answers:
                if kind == ERROR:
                    raise value
                yield value

    @property
    def pid(self) -> int | None:
        """Of the process, where there is one."""
        return self._process.pid if self._process is not None and self._process.is_alive() else None

    def end(self) -> None:
        """End the process, whatever it does."""
        with self._starting:
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _answers(self, request: Any) -> Generator[tuple[str, Any], None, None]:
        try:
            with self._connected() as connection:
                connection.send_bytes(pickle.dumps(request))
                while (answer := pickle.loads(connection.recv_bytes()))[0] != END:
                    yield answer
        except (EOFError, OSError, multiprocessing.ProcessError):
            if self._process is not None:
                self._process.join(1)  # so that the next request finds it ended
            raise ValueError(GONE) from None

    def _connected(self) -> Connection:
        with self._starting:
            if self.pid is None:
                self._start()
        return Client(self._address, authkey=multiprocessing.current_process().authkey)

    def _start(self) -> None:
        # Not forked: this process has threads by now, whose locks a copy would hold for ever.
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(its, self._niceness, pickle.dumps(self._first())), daemon=True
        )
        with mine:
            self._process.start()
            its.close()
            self._address = mine.recv()


# -- in the other process --------------------------------------------------------------------------


def _serve(pipe: Connection, niceness: int, first: bytes) -> None:
    """Answer whoever connects, until the page's process is gone; `first` is a pickled function."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for all: the page's process will see to
        signal.signal(number, signal.SIG_IGN)  # it that what is under way here comes to an end
    prepare()
    folder = None if sys.platform == "win32" else Path(tempfile.mkdtemp(prefix="unnoise-"))
    threading.Thread(target=_end_with_the_page, args=(folder,), daemon=True).start()
    # Loading takes seconds, for which somebody may wait: not until it is over does this stand back.
    import app.apart
    import app.server.journal  # noqa: F401

    begin = pickle.loads(first)
    priority.stand_back(niceness)  # the threads that this one starts inherit it
    begin()
    address = None if folder is None else str(folder / "socket")
    authkey = multiprocessing.current_process().authkey
    with Listener(address, backlog=BACKLOG, authkey=authkey) as listener:
        pipe.send(listener.address)
        pipe.close()
        while True:
            # Who is not the page's process, or is gone again, is not let in.
            with suppress(OSError, EOFError, multiprocessing.AuthenticationError):
                connection = listener.accept()
                threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _end_with_the_page(folder: Path | None) -> None:
    multiprocessing.parent_process().join()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # Python's own exit waits for threads that compute


class _LeftError(Exception):
    """Whoever asked is gone."""


def _answer(connection: Connection) -> None:
    """Do what one request says."""
    from app.apart import handled  # not before they are needed: they load Gradio
    from app.server import journal

    def send(kind: str, value: Any = None) -> None:
        answer = pickle.dumps((kind, value))
        try:
            connection.send_bytes(answer)
        except OSError:
            raise _LeftError from None

    with connection, suppress(EOFError, OSError, _LeftError):
        request = connection.recv_bytes()
        try:
            handler, args, kwargs = pickle.loads(request)
            with closing(handled(handler, args, kwargs)) as values:
                for value in values:
                    send(VALUE, value)
        except _LeftError:
            return
        except Exception as error:
            error.add_note(journal.place_of(error))  # else nobody knows where it was raised
            send(ERROR, error)
        else:
            send(END)
