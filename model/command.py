"""The command line of training: ``python -m model.train --data digits --minutes 1 --out DIR``."""

from __future__ import annotations

import argparse
import math
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from model.checkpoint import CONFIG, CheckpointConfig, build_schedule, save_checkpoint
from model.data import ImageData, load_data
from model.denoiser import TARGETS
from model.files import write_whole
from model.resume import STATE, load_training, read_settings, save_training
from model.schedule import FAMILIES
from model.train import train
from model.training import Diverged, TrainConfig, Training, has_bf16, new_network
from model.unet import UNetConfig

CHANGEABLE = {"out", "resume", "data", "steps", "minutes", "save_minutes", "sample_every"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; returns 0, 1 for an error, or 128 + the signal that stopped it."""
    accelerator = Accelerator()
    try:
        return _run(_settings(arguments), accelerator)
    except (ValueError, OSError, Diverged) as error:
        if accelerator.is_main_process:
            print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the first step, when there is nothing to save
        return 128 + signal.SIGINT
    finally:
        accelerator.end_training()


def _run(settings: dict[str, Any], accelerator: Accelerator) -> int:
    folder = Path(settings["out"])
    data = load_data(
        settings["data"],
        channels=settings["image_channels"],
        **{name: settings[name] for name in _DATA},
    )
    training = _training(settings, data, accelerator.device)
    if settings["resume"]:
        load_training(folder, training)
    keeper = _Keeper(folder, training, data, settings, active=accelerator.is_main_process)
    loss = None
    with _signals(training) as received, _bar(training, accelerator.is_main_process) as bar:
        try:
            for progress in train(training, data, accelerator):
                loss = progress.loss if loss is None else 0.98 * loss + 0.02 * progress.loss
                bar.set_postfix_str(
                    f"loss {loss:.4f}, {progress.images_per_second:.0f} images/s", refresh=False
                )
                bar.update(_done(training) - bar.n)
                if progress.samples is not None and accelerator.is_main_process:
                    keeper.save_samples(progress.samples)
                keeper.save_when_due()
        except Diverged:
            keeper.save()
            raise
    keeper.save()
    accelerator.wait_for_everyone()
    if received:
        if accelerator.is_main_process:
            print(
                f"Stopped by {signal.Signals(received[0]).name} after step {training.step}; "
                f"--out {folder} --resume goes on from there.",
                file=sys.stderr,
            )
        return 128 + received[0]
    return 0


class _Keeper:
    """Saves the checkpoint and the state now and then; a failure to do so does not end training."""

    def __init__(
        self,
        folder: Path,
        training: Training,
        data: ImageData,
        settings: dict[str, Any],
        *,
        active: bool,
    ) -> None:
        self._folder, self._training, self._data = folder, training, data
        self._settings, self._active = settings, active
        self._last = time.monotonic()

    def save_when_due(self) -> None:
        if time.monotonic() - self._last < 60 * self._settings["save_minutes"]:
            return
        with _going_on():
            self.save()
        self._last = time.monotonic()

    def save_samples(self, samples: Tensor) -> None:
        with _going_on():
            write_whole(self._folder / "samples.png", _as_png(samples))

    def save(self) -> None:
        training = self._training
        if not self._active or not training.step:
            return
        record = {
            "command": _command_line(self._settings),
            **{name: self._settings[name] for name in ("data", "split", "label", "flip")},
            "images": training.step * training.config.batch,
            "seconds": round(training.seconds),
            "device": training.device.type,
        }
        config = CheckpointConfig(
            network=training.net.config,
            schedule=_schedule(self._settings),
            target=training.config.target,
            classes=self._data.classes,
            training=record,
        )
        save_training(self._folder, training, self._settings)
        save_checkpoint(self._folder, training.ema, config)


@contextmanager
def _going_on() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # a full disk: there may be room again at the next time
        print(f"\nCould not save, the last saved state is kept: {error}", file=sys.stderr)


def _training(settings: dict[str, Any], data: ImageData, device: torch.device) -> Training:
    network = UNetConfig(
        image_channels=data.pixels.shape[1],
        image_size=data.pixels.shape[2],
        classes=len(data.classes),
        **{name: settings[name] for name in _NETWORK},
    )
    config = TrainConfig(**{name: settings[name] for name in _TRAINING})
    net = new_network(network, config.seed).to(device)
    if device.type == "cuda" or not (config.bf16 or has_bf16(device)):
        net = net.to(memory_format=torch.channels_last)  # a quarter faster in float32
    return Training.start(net, build_schedule(_schedule(settings)), config)


def _schedule(settings: dict[str, Any]) -> dict[str, Any]:
    recipe = {"family": settings["schedule"], "T": settings["T"]}
    return recipe | {name: settings[name] for name in _SCHEDULE if settings[name] is not None}


def _done(training: Training) -> int:
    return training.step if training.config.steps is not None else int(training.seconds)


@contextmanager
def _bar(training: Training, shown: bool) -> Iterator[tqdm]:
    by_steps = training.config.steps is not None
    total = training.config.steps if by_steps else math.ceil(60 * training.config.minutes)
    with tqdm(
        total=total,
        initial=_done(training),
        unit=" steps" if by_steps else " s",
        disable=not shown,
        dynamic_ncols=True,
    ) as bar:
        yield bar


@contextmanager
def _signals(training: Training) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end the training after the step under way; a second Ctrl-C at once."""
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        training.stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_png(samples: Tensor) -> bytes:
    """Samples (N, C, H, W) in [−1, 1] as one picture, as square as it gets."""
    columns = math.ceil(math.sqrt(len(samples)))
    rows = math.ceil(len(samples) / columns)
    n, channels, height, width = samples.shape
    cells = samples.new_full((rows * columns, channels, height, width), -1.0)
    cells[:n] = samples.clamp(-1, 1)
    grid = cells.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2)  # rows, H, columns, W, C
    pixels = ((grid + 1) * 127.5).round().byte().reshape(rows * height, columns * width, channels)
    content = BytesIO()
    image = Image.fromarray(pixels.numpy().squeeze(2) if channels == 1 else pixels.numpy())
    image.save(content, format="PNG")
    return content.getvalue()


def _settings(arguments: Sequence[str] | None) -> dict[str, Any]:
    """All settings by name: defaults, then those of the training that goes on, then those given.

    Raises ValueError where they contradict each other or what lies in the folder.
    """
    given = vars(_parser().parse_args(arguments))
    folder = Path(given["out"])
    if not given.get("resume"):
        if (folder / STATE).exists() or (folder / CONFIG).exists():
            raise ValueError(
                f"{folder} already holds a training: add --resume to go on with it, "
                "or name another folder"
            )
        settings = DEFAULTS | {"resume": False} | given
    else:
        saved = read_settings(folder)
        if fixed := sorted(k for k in given.keys() - CHANGEABLE if given[k] != saved.get(k)):
            option = fixed[0].replace("_", "-")
            raise ValueError(f"a training that goes on keeps its settings: leave out --{option}")
        settings = DEFAULTS | saved | given
    settings |= {k: tuple(v) for k, v in settings.items() if isinstance(v, list)}
    budgets = [name for name in ("steps", "minutes") if given.get(name) is not None]
    if "data" not in settings:
        raise ValueError("say what to train on: --data digits, for example")
    if len(budgets) == 1:  # the one given replaces the other
        settings |= {"steps": None, "minutes": None, budgets[0]: given[budgets[0]]}
    return settings


def _command_line(settings: dict[str, Any]) -> str:
    """The command that trains this anew."""
    words = ["python -m model.train"]
    for name, value in settings.items():
        if name in ("resume", "save_minutes") or value == DEFAULTS.get(name):
            continue
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else "--no-" + option[2:])
        else:
            several = value if isinstance(value, list | tuple) else [value]
            words.append(" ".join([option, *(shlex.quote(str(one)) for one in several)]))
    return " ".join(words)


_DATA = ("split", "size", "flip", "label")
_NETWORK = ("channels", "bottleneck", "attention", "heads", "groups", "pre_norm", "zero_init")
_SCHEDULE = ("beta_start", "beta_end", "rescale")
_TRAINING = tuple(field.name for field in fields(TrainConfig))

DEFAULTS: dict[str, Any] = {
    **dict.fromkeys((*_DATA, "image_channels", *_SCHEDULE)),
    "split": "train",
    "flip": False,
    "schedule": "linear",
    "T": 1000,
    "save_minutes": 2.0,
    **{field.name: field.default for field in fields(UNetConfig) if field.name in _NETWORK},
    **{field.name: field.default for field in fields(TrainConfig)},
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.train",
        description="Train a diffusion model and save it as a checkpoint.",
        argument_default=argparse.SUPPRESS,  # to tell what was given from what was not
    )

    def option(group: argparse._ArgumentGroup, name: str, help: str, **how: Any) -> None:
        default = DEFAULTS.get(name)
        if default is not None and default is not False:
            shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
            help += f" (default: {shown})"
        if how.get("action") is None:
            how.setdefault("type", float if isinstance(default, float) else int)
            how.setdefault("metavar", "N")
        else:
            how.pop("metavar", None)
        group.add_argument("--" + name.replace("_", "-"), help=help, **how)

    text = {"type": str, "metavar": "NAME"}
    flag = {"action": "store_true"}
    number = {"type": float}
    many = {"nargs": "+"}

    group = parser.add_argument_group("pictures")
    option(group, "data", "digits, a .parquet file, a folder, or a dataset's id", **text)
    option(group, "split", "part of the data", **text)
    option(group, "size", "side in pixels; without it, as stored")
    option(group, "image_channels", "1 grey, 3 colour; without it, as stored", choices=(1, 3))
    option(group, "flip", "mirror half of the pictures at random", **flag)
    option(group, "label", "column of the labels; an empty name: none", **text)

    group = parser.add_argument_group("network")
    option(group, "channels", "channels of each level, the image's own first", **many)
    option(group, "bottleneck", "channels at the bottom")
    option(group, "attention", "levels with self-attention", nargs="*")
    option(group, "heads", "heads of attention")
    option(group, "groups", "groups of GroupNorm")
    option(group, "pre_norm", "normalise before each convolution", **flag)
    option(group, "zero_init", "begin with every block as the identity", **flag)

    group = parser.add_argument_group("schedule")
    option(group, "schedule", "family", choices=tuple(FAMILIES), type=str, metavar="NAME")
    option(group, "T", "number of steps")
    option(group, "beta_start", "first β; without it, the family's", **number)
    option(group, "beta_end", "last β; without it, the family's", **number)
    option(group, "rescale", "keep the end of the schedule for a T other than 1000", **flag)

    group = parser.add_argument_group("training (a budget in steps or in minutes is needed)")
    option(group, "steps", "budget in steps")
    option(group, "minutes", "budget in minutes", **number)
    option(group, "target", "what the network predicts", choices=TARGETS, type=str, metavar="NAME")
    option(group, "batch", "images a step")
    option(group, "learning_rate", "highest learning rate")
    option(group, "warmup", "steps in which it rises to that")
    option(group, "weight_decay", "of AdamW")
    option(group, "clip", "longest gradient")
    option(group, "ema", "decay of the averaged weights")
    option(group, "label_dropout", "share of labels withheld")
    option(group, "seed", "of weights, batches and noise")
    option(
        group,
        "bf16",
        "bfloat16 autocast; default: where it is fast",
        action=argparse.BooleanOptionalAction,
    )
    option(group, "report_every", "steps between reports")
    option(group, "sample_every", "steps between samples, written to samples.png")
    option(group, "samples", "how many")
    option(group, "sample_steps", "steps to draw them with")

    group = parser.add_argument_group("where to")
    option(group, "out", "folder of the checkpoint", **text, required=True)
    option(group, "resume", "go on with the training in that folder", **flag)
    option(group, "save_minutes", "minutes between saves")
    return parser
