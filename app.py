"""The launcher: ``python app.py`` (or ``make run``) starts Unnoise in the browser.

It answers the usual mistakes, a port that is taken or a setting that is wrong, at once and with
one sentence; everything that one sees is built in ``app/ui.py``.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import sys
import threading
from contextlib import suppress

from app.environment import prepare
from app.settings import current

PLACE_SECONDS = 2


def main() -> str | None:
    """Serve the app until a signal ends it; returns a sentence if it cannot start."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # quietly, even in the middle of an import
    try:
        settings = current()
    except ValueError as error:
        return str(error)
    host, port = settings.host, settings.port
    if problem := port_problem(host, port):
        return problem

    prepare()
    _bypass_proxies(host)
    print("Starting Unnoise ...", flush=True)
    # Here, not at the top: Gradio and PyTorch take seconds to load, and nobody should wait for
    # them to hear that the port is taken.
    from app import models, priority
    from app.apart import DRAWINGS, NETWORKS, TRAININGS
    from app.leave import finish
    from app.server import keep_connections
    from app.ui import build, launch_options, warm_up
    from app.workers import Worker

    try:
        models.device()
    except ValueError as error:
        return str(error)
    lenders = {}
    if settings.processes:
        models.only_described_here()
        lenders[NETWORKS] = lenders[DRAWINGS] = Worker(priority.PASSES, models.handed_on)
        lenders[TRAININGS] = Worker(priority.TRAINING, models.handed_on)
    demo = build(lenders)
    for sentence in models.problems():  # which the page says, too
        print(sentence, file=sys.stderr)
    # Who waits is told their place at once, and again so often, not whenever somebody's turn comes.
    demo.queue(api_open=False, max_size=settings.queue_size, status_update_rate=PLACE_SECONDS)
    try:
        demo.launch(
            server_name=host,
            server_port=port,
            inbrowser=settings.open_browser,
            prevent_thread_lock=True,
            quiet=True,
            **launch_options(),
        )
    except OSError:
        # Another program may have taken the port while ours was loading.
        if not demo.is_running and (problem := port_problem(host, port)):
            return problem
        raise
    keep_connections(demo)
    # What is there by now stays: the collector, which halts all threads, need not see it again.
    gc.collect()
    gc.freeze()
    threading.Thread(target=warm_up, args=(lenders.get(NETWORKS),), daemon=True).start()
    print(f"Unnoise is ready: open {demo.local_url} (Ctrl+C stops it).", flush=True)
    with suppress(SystemExit):  # the signal
        demo.block_thread()
    with suppress(SystemExit):  # a second one, from somebody without patience
        finish(demo, lenders.get(TRAININGS))
    # Python's own exit aborts with an error if a thread is training a network at that moment.
    os._exit(0)


def port_problem(host: str, port: int) -> str | None:
    """Why no server can listen there, with the way out, in one sentence; None if one can."""
    error = _refusal(host, port)
    if error is None:
        return None
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            reason = "is taken by another program"
        case errno.EACCES:  # usually a port below 1024
            reason = "is closed to ordinary programs"
        case _:
            return f"GRADIO_SERVER_NAME must be an address of this computer, got {host!r}."
    # Suggest a port that is open itself: several copies of the app may run side by side.
    others = (p for p in range(port + 1, min(port + 100, 65_536)) if _refusal(host, p) is None)
    other = next(others, 7860)
    if sys.platform == "win32":
        way_out = f"`set PORT={other}` and then `python app.py`"
    else:
        way_out = f"`PORT={other} make run` (or `PORT={other} python app.py`)"
    return f"Port {port} {reason}: choose another with {way_out}."


def _refusal(host: str, port: int) -> Exception | None:
    """What the system answers to a server that wants to listen there; None if it may."""
    try:
        family, *_, where = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family) as probe:
            if sys.platform != "win32":  # there it would mean: share a port even if it is taken
                # A port that this app left a minute ago is free, though the system remembers it.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except (OSError, UnicodeError) as error:  # the latter: not even the form of a host name
        return error
    return None


def _bypass_proxies(host: str) -> None:
    """Let Gradio's "is my server up?" reach this computer where the network has a proxy."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    here = ["localhost", "127.0.0.1", host.strip("[]")]
    os.environ["no_proxy"] = ",".join(([known] if known else []) + here)


if __name__ == "__main__":
    sys.exit(main())
