"""The command line of training: ``python -m model.train --data digits --minutes 1 --out DIR``."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from model.average import average_pictures
from model.checkpoint import CheckpointConfig, build_schedule, save_checkpoint
from model.data import ImageData, load_data
from model.device import has_bf16
from model.files import write_whole
from model.image_data import tiled
from model.options import DATA, NETWORK, TRAINING, command_line, schedule_recipe, settings_of
from model.resume import load_training, save_training
from model.train import train
from model.training import Diverged, TrainConfig, Training, new_network
from model.unet import UNetConfig


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; returns 0, 1 for an error, or 128 + the signal that stopped it."""
    accelerator = Accelerator()
    try:
        return _run(settings_of(arguments), accelerator)
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
        **{name: settings[name] for name in DATA},
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
        self._average = average_pictures(data) if active else None
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
            "command": command_line(self._settings),
            **{name: self._settings[name] for name in ("data", "split", "label", "flip")},
            "images": training.step * training.config.batch,
            "seconds": round(training.seconds),
            "device": training.device.type,
        }
        config = CheckpointConfig(
            network=training.net.config,
            schedule=schedule_recipe(self._settings),
            target=training.config.target,
            classes=self._data.classes,
            training=record,
        )
        save_training(self._folder, training, self._settings)
        save_checkpoint(self._folder, training.ema, config, average=self._average)


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
        **{name: settings[name] for name in NETWORK},
    )
    config = TrainConfig(**{name: settings[name] for name in TRAINING})
    net = new_network(network, config.seed).to(device)
    if device.type == "cuda" or not (config.bf16 or has_bf16(device)):
        net = net.to(memory_format=torch.channels_last)  # a fifth faster in float32
    return Training.start(net, build_schedule(schedule_recipe(settings)), config)


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
    pixels = ((tiled(samples.clamp(-1, 1)) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    content = BytesIO()
    Image.fromarray(pixels.squeeze()).save(content, format="PNG")
    return content.getvalue()
