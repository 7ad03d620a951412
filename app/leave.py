"""How the process ends: what is under way is finished, within a bounded time."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Thread

import gradio as gr

from app import apart, jobs
from app.server import health, journal
from app.workers import Worker

PATIENCE = 6.0  # seconds for what is under way; with all else that stays below 10
TELL = 0.3  # for the last words to reach the pages


def finish(page: gr.Blocks, trainings: Worker | None = None) -> None:
    """Take in nothing new, wait for the events under way, end the trainings, close the server.

    `trainings` is where they are, if not here.
    """
    health.leaving.set()
    journal.note("leaving")
    ending = Thread(target=_end_trainings, args=(trainings,), daemon=True)
    ending.start()
    until = time.monotonic() + PATIENCE
    queue = page._queue
    while time.monotonic() < until and (len(queue) or queue.get_active_worker_count()):
        time.sleep(0.05)
    ending.join(max(0.0, until - time.monotonic()))
    time.sleep(TELL)
    page.close(verbose=False)
    journal.note("left")


def _end_trainings(worker: Worker | None) -> None:
    if worker is None:
        jobs.end_all(PATIENCE)
    elif worker.pid is not None:  # else nobody has trained
        with suppress(ValueError):  # it is gone already
            apart.done(worker, jobs.end_all, PATIENCE)
