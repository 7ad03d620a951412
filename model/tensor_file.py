"""The tensors in a file of a checkpoint, believed only where they are what they must be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

MAX_NUMBERS = 200_000_000  # in one file
PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

Shape = tuple[int, ...]


class BadCheckpoint(ValueError):
    """A folder that is no checkpoint of ours; the message says in one sentence why."""


def find_file(folder: Path, name: str) -> Path:
    """The path of a file of a checkpoint. Raises `BadCheckpoint` if there is none."""
    path = folder / name
    if not path.is_file():  # nor a pipe, which would never end
        raise BadCheckpoint(f"{folder.name} is no checkpoint: it lacks the file {name}")
    return path


def read_tensors(folder: Path, name: str, expected: Mapping[str, Shape]) -> dict[str, Tensor]:
    """The tensors of a file by name, float32, on the CPU: those `expected` and no others.

    Names and shapes are compared before any number is read. Raises `BadCheckpoint` for a file that
    is missing, damaged or too large, or holds anything else than finite numbers of these shapes.
    """
    path, what = find_file(folder, name), f"{name} of {folder.name}"
    if sum(math.prod(shape) for shape in expected.values()) > MAX_NUMBERS:
        raise BadCheckpoint(f"{what} would hold over {MAX_NUMBERS:,} numbers")
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            _compare(f"{what} does not fit its config.json", found, expected)
            tensors = {key: file.get_tensor(key) for key in found}
    except SafetensorError as error:
        raise BadCheckpoint(
            one_line(f"{what} is damaged or no safetensors file: {error}")
        ) from None
    for key, tensor in tensors.items():
        if tensor.dtype not in PRECISIONS or not tensor.float().isfinite().all():
            raise BadCheckpoint(f"{what}: {key} holds no finite numbers")
    return {key: tensor.float() for key, tensor in tensors.items()}


def one_line(message: str) -> str:
    """A message in one line of bearable length, however long the value that it quotes."""
    line = " ".join(message.split())
    return line if len(line) <= 300 else line[:299] + "…"


def _compare(what: str, found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> None:
    if missing := sorted(expected.keys() - found.keys()):
        raise BadCheckpoint(f"{what}: it lacks {missing[0]} ({len(missing)} missing in all)")
    if foreign := sorted(found.keys() - expected.keys()):
        raise BadCheckpoint(f"{what}: {foreign[0]!r:.80} is unknown ({len(foreign)} in all)")
    for key, shape in expected.items():
        if found[key] != shape:
            raise BadCheckpoint(f"{what}: {key} has shape {found[key]} instead of {shape}")
