"""The trained networks that the page offers: those shipped, shared by all, and a session's own.

A session's own model, trained or uploaded there, has a key that nobody can guess for its name.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from app import shelf
from app.forms import check_choice, check_integer
from app.settings import current
from model import sharing
from model.checkpoint import BadCheckpoint, Checkpoint, load_checkpoint, shipped
from model.device import choose_device, to_device

PREFERRED = ("fashion", "fashion-v", "cats", "digits")  # what the page offers first
ANY = "any"
MOST_OWN = 64  # models of all sessions in memory together; the oldest goes first
_loading = threading.Lock()
_page_only = False  # whether networks are asked in other processes than this one
_forked = False  # whether this process began as a copy of another
_of_hub: dict[str, Path] = {}  # the folders of those of UNNOISE_MODELS, by id
_missing: dict[str, str] = {}  # why others of them are not there, in a sentence each
_own: OrderedDict[str, tuple[str, Checkpoint]] = OrderedDict()
# Keys of models that are being trained here: what the disk holds of them is not yet the model, and
# runs of it would be remembered as the model's.
learning: set[str] = set()


@cache
def device() -> torch.device:
    """Where all networks are: as UNNOISE_DEVICE says, or the best that is there.

    Raises ValueError with one sentence for a device that is not there.
    """
    if _page_only:
        return torch.device("cpu")
    try:
        chosen = choose_device(current().device)
    except ValueError as error:
        raise ValueError(f"{error}.".replace("the device", "UNNOISE_DEVICE", 1)) from None
    if chosen.type == "cuda":
        # Convolutions would else keep 10 of float32's 23 bits, and these networks are too small to
        # be any faster for it; what the page shows is to be what a processor would show.
        torch.backends.cudnn.allow_tf32 = False
    return chosen


def only_described_here() -> None:
    """Networks are asked in other processes than this one, which then needs no device."""
    global _page_only
    _page_only = True
    device.cache_clear()


def there(x: Tensor) -> Tensor:
    """A tensor brought to the networks; what they answer comes back by its `cpu()`."""
    return to_device(x, device())


def fetch() -> None:
    """Bring what UNNOISE_MODELS names from the Hub; `problems` tells of what could not come."""
    for repo in current().models:
        if repo in _of_hub:
            continue
        try:
            _of_hub[repo] = sharing.fetch(repo)
            _missing.pop(repo, None)
        except (ValueError, OSError) as error:
            _missing[repo] = f"The model {repo} cannot be used: {str(error).removesuffix('.')}."


def handed_on() -> partial[None]:
    """What another process of this app begins with, so that it does not ask the Hub again."""
    return partial(_of_hub_at, dict(_of_hub))


def _of_hub_at(folders: dict[str, Path]) -> None:
    _of_hub.update(folders)


def offered() -> list[str]:
    """The checkpoints that are there for everyone, whether or not they can be used."""
    return [*shipped(), *_of_hub]


def names() -> list[str]:
    """The checkpoints that can be used; ValueError if there is none."""
    usable = [name for name in offered() if problem(name) is None]
    if not usable:
        raise ValueError(
            " ".join(problems())
            or "There is no trained model in checkpoints/: bring its folders back, or train one "
            "with `python -m model.train`."
        )
    return sorted(usable, key=lambda name: (*PREFERRED, name).index(name))


def keep(key: str, title: str, checkpoint: Checkpoint) -> None:
    """Take in a session's own model; whoever knows the key, which nobody can guess, may use it.

    Raises ValueError where it could not be used.
    """
    if current().zero_gpu and not current().keep_hours:
        raise ValueError(
            "This Space asks networks in processes of their own, and keeps nothing on the disk "
            "where they could find yours: run Unnoise on your own computer."
        )
    kept = shelf.put(key, title, checkpoint)
    if not kept and multiprocessing.parent_process() is not None:
        raise ValueError(
            "The other tabs cannot have this model, since the server's disk does not take it: "
            "download it and run Unnoise on your own computer."
        )
    _take_in(key, title, checkpoint)


def _take_in(key: str, title: str, checkpoint: Checkpoint) -> None:
    # On ZeroGPU the page's process has no GPU to bring it to: those that have one are forked from
    # it, and read the model from the disk.
    if _forked or not current().zero_gpu:
        checkpoint = checkpoint.to(device())
    with _loading:
        _own[key] = title, checkpoint
        while len(_own) > MOST_OWN:
            _own.popitem(last=False)


def find(key: Any) -> tuple[str, Checkpoint] | None:
    """The title and the model of that key; None if there is none any more.

    One that was kept before the process began, or by another one, comes back from the disk.
    """
    if not isinstance(key, str) or key in learning:
        return None
    if key not in _own and (kept := shelf.get(key)):
        _take_in(key, *kept)
    return _own.get(key)


def own_choices(keys: Any) -> tuple[tuple[str, str], ...]:
    """A session's own models for its lists, as (title, key)."""
    return tuple((f"yours: {found[0]}", key) for key in keys if (found := find(key)))


def choices(own: Any = ()) -> list[tuple[str, str]]:
    """What a list of models offers, as (title, value), to one with these of its own."""
    return [*((name, name) for name in names()), *own]


def problem(name: str) -> str | None:
    """Why a checkpoint cannot be used, in one sentence; None if it can."""
    try:
        _load_once(name)
    except ValueError as error:
        return str(error)
    return None


def problems() -> list[str]:
    """Why those that are there but cannot be used cannot, in a sentence each."""
    broken = [sentence for name in offered() if (sentence := problem(name))]
    return [*broken, *_missing.values()]


def load(name: Any) -> Checkpoint:
    """The checkpoint of that name; ValueError with one sentence if it is missing or broken."""
    if isinstance(name, str) and name in offered():
        return _load_once(name)
    if found := find(name):
        return found[1]
    return _load_once(check_choice(name, "The model", names()))


def _begin_anew() -> None:
    global _loading, _forked
    _loading, _forked = threading.Lock(), True
    if current().zero_gpu:
        _own.clear()  # they are not where this process has its GPU


# A process that forks while a model is loaded must not wait for a lock that nobody gives back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _load_once(name: str) -> Checkpoint:
    with _loading:  # two visitors at once: one loads, the other waits
        return _load(name)


@lru_cache(maxsize=64)
def _load(name: str) -> Checkpoint:
    try:
        return load_checkpoint(_of_hub.get(name, name)).to(device())
    except (BadCheckpoint, OSError) as error:
        raise ValueError(f"The model {name} cannot be used: {error}") from None


def labels(name: Any) -> list[tuple[str, str]]:
    """What can be asked of a model, as (title, value) of a list: any, or a class by its number."""
    return [("any", ANY), *((title, str(i)) for i, title in enumerate(load(name).config.classes))]


def check_label(checkpoint: Checkpoint, label: Any) -> int | None:
    """A label as it comes from the page ("any", "3") or the API (None, 3)."""
    if label is None or label == ANY:
        return None
    classes = checkpoint.config.classes
    if not classes:
        raise ValueError("This model was trained without labels: choose “any”.")
    if isinstance(label, str) and label.isascii() and label.isdigit():
        label = int(label[:9])
    return check_integer(label, "The label", 0, len(classes) - 1)


def first_label(name: Any) -> str:
    """What a list of labels shows first: a class that is easy to recognise."""
    if not load(name).config.classes:
        return ANY
    return {"fashion": "9", "fashion-v": "9", "digits": "3"}.get(name, "0")


def predicts_v(among: Sequence[str]) -> str | None:
    """The first of these models whose network predicts v; None if there is none."""
    return next((name for name in among if load(name).config.target == "v"), None)
