"""People's own models on disk, so that they outlive the process.

A model lies in a folder whose name is a digest of its key: who reads the disk learns no key. The
folder that holds them is UNNOISE_CACHE's (see `model.data_cache`), and may be deleted any time.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from app.server import journal
from app.settings import current
from model.average import Average
from model.checkpoint import BadCheckpoint, Checkpoint, load_checkpoint, save_checkpoint
from model.data_cache import cache_folder
from model.files import write_whole

TITLE = "title.txt"


def folder() -> Path:
    """Where they all lie; it may not exist yet."""
    return cache_folder() / "own"


def put(key: str, title: str, checkpoint: Checkpoint) -> bool:
    """Keep a model, and drop the old ones; whether it is there, since a disk may be full."""
    if not current().keep_hours:
        return False
    place = _place(key)
    average = None
    if checkpoint.mean is not None:
        average = Average(checkpoint.mean, checkpoint.class_means)
    try:
        save_checkpoint(place, checkpoint.net, checkpoint.config, average=average)
        write_whole(place / TITLE, title.encode())  # the last: without it there is no model
        _drop_old()
        return True
    except OSError as error:
        journal.note("shelf.put", outcome="failed", error=type(error).__name__, code=error.errno)
        return False


def get(key: str) -> tuple[str, Checkpoint] | None:
    """The title and the model of that key; None if there is none, or it is damaged."""
    place = _place(key)
    try:
        title = (place / TITLE).read_text(encoding="utf-8")
        return title, load_checkpoint(place)
    except (OSError, UnicodeDecodeError, BadCheckpoint):
        return None


def _place(key: str) -> Path:
    return folder() / hashlib.sha256(key.encode(errors="replace")).hexdigest()[:32]


def _drop_old() -> None:
    """Those that were written too long ago, and the oldest of too many."""
    known = sorted(folder().iterdir(), key=lambda place: place.stat().st_mtime, reverse=True)
    oldest = time.time() - 3600 * current().keep_hours
    for i, place in enumerate(known):
        if i >= current().keep_models or place.stat().st_mtime < oldest:
            shutil.rmtree(place, ignore_errors=True)
