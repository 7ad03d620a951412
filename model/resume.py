"""A training under way as one file, from which it goes on bit for bit; numbers only, no pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.files import write_whole
from model.training import Training

STATE = "training.safetensors"


class BadState(ValueError):
    """A file from which no training can go on; the message says why."""


def save_training(folder: str | Path, training: Training, settings: Mapping[str, Any]) -> None:
    """Write weights, averages, the optimiser's moments, the generator and the counters.

    `settings` is what the caller needs to build the same training again. Raises OSError where it
    cannot be written; the state that was there before is then untouched.
    """
    counters = {"step": training.step, "seconds": training.seconds, "settings": dict(settings)}
    tensors = {key: w.detach().cpu().contiguous() for key, w in _tensors(training).items()}
    content = safetensors.torch.save(tensors, {"training": json.dumps(counters)})
    write_whole(Path(folder) / STATE, content)


def read_settings(folder: str | Path) -> dict[str, Any]:
    """The `settings` of a saved training. Raises `BadState`, FileNotFoundError if none is there."""
    return _read_counters(Path(folder) / STATE)["settings"]


def load_training(folder: str | Path, training: Training) -> None:
    """Put a saved state into a `training` of the same network and settings.

    Raises `BadState` for a file that is damaged or of another network; FileNotFoundError if there
    is none. `training` is then as it was.
    """
    path = Path(folder) / STATE
    counters = _read_counters(path)
    generator = torch.Generator()
    # The optimiser has no moments before its first step: they are made here, to be overwritten.
    for parameter in training.net.parameters():
        state = training.optimizer.state[parameter]
        if not state:
            state["step"] = parameter.new_zeros(())
            state["exp_avg"] = parameter.detach().clone().zero_()
            state["exp_avg_sq"] = parameter.detach().clone().zero_()
    into = _tensors(training)
    with safe_open(path, framework="pt") as file:
        found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        if found != {key: tuple(tensor.shape) for key, tensor in into.items()}:
            raise BadState(f"{path.name} is of another network than its settings describe")
        tensors = {key: file.get_tensor(key) for key in found}
    if any(tensors[key].dtype != tensor.dtype for key, tensor in into.items()):
        raise BadState(f"{path.name} is damaged: it holds numbers of another kind than was saved")
    try:
        generator.set_state(tensors["generator"])  # its own check, before anything is changed
    except RuntimeError:
        raise BadState(f"{path.name} is damaged: its random generator is none") from None
    for key, tensor in into.items():
        if key != "generator":
            tensor.detach().copy_(tensors[key])
    training.generator.set_state(tensors["generator"])
    training.step, training.seconds = counters["step"], counters["seconds"]


def _read_counters(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no training to go on with: {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            counters = json.loads((file.metadata() or {}).get("training", "null"))
        if not _sound(counters):
            raise ValueError("it lacks its counters")
    except (SafetensorError, ValueError, RecursionError) as error:
        raise BadState(f"{path.name} is damaged, so no training can go on: {error}") from None
    return counters


def _sound(counters: Any) -> bool:
    return (
        isinstance(counters, dict)
        and type(counters.get("step")) is int
        and counters["step"] >= 0
        and type(counters.get("seconds")) in (int, float)
        and 0 <= counters["seconds"] < math.inf  # NaN fails every comparison
        and isinstance(counters.get("settings"), dict)
    )


def _tensors(training: Training) -> dict[str, Tensor]:
    """All numbers of the state, by name; the optimiser's must exist."""
    tensors = {f"net.{key}": tensor for key, tensor in training.net.state_dict().items()}
    tensors |= {f"ema.{key}": tensor for key, tensor in training.ema.state_dict().items()}
    for name, parameter in training.net.named_parameters():
        for key, value in training.optimizer.state[parameter].items():
            tensors[f"{key}.{name}"] = value
    return tensors | {"generator": training.generator.get_state()}
