"""Training: algorithm 1 of Ho et al. 2020 as a generator of frozen records.

    training = Training.start(net, schedule, TrainConfig(steps=2000))
    for progress in train(training, load_data("digits")):
        print(progress.step, progress.loss)
    training.ema                                   # the averaged network, which samples best

The `Training` holds all that changes, so that whoever consumes the records can sample, save and
stop between any two. ``python -m model.train --help`` is the command line of the same generator.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from model.data import ImageData
from model.denoiser import target_of
from model.device import has_bf16, to_device
from model.forward import q_sample
from model.sampler import ddim, standard_noise
from model.training import Example, LastGood, Progress, Training

if TYPE_CHECKING:
    from accelerate import Accelerator

BANDS = 10  # of t, each a tenth of the schedule


def train(
    training: Training, data: ImageData, accelerator: Accelerator | None = None
) -> Iterator[Progress]:
    """Train to the end of the budget; yields after each `report_every` steps and the last.

    With an `accelerator` each process takes its share of every batch and the gradients are
    averaged, so that the weights are those of one process. Raises `Diverged` when the loss does,
    and ValueError for data that does not fit the network or a batch that cannot be shared out.
    """
    _check_fit(training, data)
    config, schedule, generator = training.config, training.schedule, training.generator
    device = training.device
    net, mine = training.net.train(), slice(None)
    if accelerator is not None and accelerator.num_processes > 1:
        if config.batch % accelerator.num_processes:
            raise ValueError(
                f"batch must be a multiple of {accelerator.num_processes}, the number of "
                f"processes, got {config.batch}"
            )
        net = accelerator.prepare(net)
        mine = slice(accelerator.process_index, None, accelerator.num_processes)
    else:
        accelerator = None
    bf16 = has_bf16(device) if config.bf16 is None else config.bf16
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    parameters = list(training.net.parameters())
    window, last_good = _Window(device), LastGood(training)

    over = _over(training, accelerator)
    while not over:
        clock = time.perf_counter()
        # Algorithm 1. What is drawn is drawn for the whole batch, by every process alike.
        x0, label = data.batch(_integers(len(data), config.batch, generator), generator)
        label = _withhold(training, label)
        t = 1 + _integers(schedule.T, len(x0), generator)
        eps = torch.randn(x0.shape, generator=generator)
        t = t[mine]
        x0, times, eps = (to_device(values, device) for values in (x0[mine], t, eps[mine]))

        # The schedule is looked up on the CPU, and nothing here waits for the device.
        x_t = q_sample(schedule, x0, t, eps)
        target = target_of(config.target, schedule, x0, t, eps)
        with autocast:
            output = net(x_t, times, None if label is None else to_device(label[mine], device))
        errors = (output.float() - target).square().mean(dim=(1, 2, 3))  # (B,)

        training.optimizer.zero_grad()
        errors.mean().backward()
        norm = nn.utils.clip_grad_norm_(parameters, config.clip)
        rate = training.learning_rate
        for group in training.optimizer.param_groups:
            group["lr"] = rate
        training.optimizer.step()

        training.step += 1
        training.average()
        spent = time.perf_counter() - clock
        training.seconds += spent
        window.add(errors.detach(), times, schedule.T, config.batch, spent)

        over = _over(training, accelerator)
        due = training.step % config.report_every == 0
        sample = training.sampling
        if config.sample_every and training.step % config.sample_every == 0:
            sample = True
        if not (due or sample or over):
            continue
        clock = time.perf_counter()
        loss, band_loss = window.means(accelerator)  # which waits for what the device has to do
        waited = time.perf_counter() - clock
        training.seconds += waited
        last_good.check(loss)
        example = None
        if sample:
            training.sampling = False
            example = _example(x0, t, eps, x_t, target, output, label)
        yield Progress(
            step=training.step,
            images=training.step * config.batch,
            loss=loss,
            band_loss=band_loss,
            gradient_norm=float(norm),
            learning_rate=rate,
            images_per_second=window.images / (window.seconds + waited),
            seconds=training.seconds,
            seconds_left=training.seconds_left,
            fraction=training.fraction,
            samples=draw_samples(training) if sample else None,
            example=example,
        )
        window = _Window(device)
        over = _over(training, accelerator)  # whoever consumes the records may have stopped it


def draw_samples(training: Training, *, averaged: bool = True) -> Tensor:
    """Images from the averaged weights, or the last: (N, C, H, W) in [−1, 1], the classes in turn.

    Image i starts from the noise of seed i, each time, so that only training makes a difference.
    """
    config, network = training.config, training.net.config
    shape = (network.image_channels, network.image_size, network.image_size)
    noise = standard_noise(shape, range(config.samples)).to(training.device)
    label = torch.arange(config.samples) % network.classes if network.classes else None
    grid = training.schedule.timesteps(min(config.sample_steps, training.schedule.T))
    denoiser = training.denoiser(label, averaged=averaged)
    for step in ddim(denoiser, training.schedule, noise, grid):  # noqa: B007
        pass
    return step.x_next.cpu()


class _Window:
    """The losses since the last record, on the device until someone asks."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(BANDS, device=device)
        self.counts = torch.zeros(BANDS, device=device)
        self.images = 0
        self.seconds = 0.0

    def add(self, errors: Tensor, t: Tensor, T: int, images: int, seconds: float) -> None:
        """errors, t: (B,), this process's share of a step on `images`."""
        band = (t - 1) * BANDS // T
        self.sums.index_add_(0, band, errors)
        self.counts.index_add_(0, band, torch.ones_like(errors))
        self.images += images
        self.seconds += seconds

    def means(self, accelerator: Accelerator | None) -> tuple[float, tuple[float, ...]]:
        """The loss, and the loss of each band."""
        both = torch.stack([self.sums, self.counts])
        if accelerator is not None:
            both = accelerator.reduce(both, "sum")
        sums, counts = both.cpu().double()
        return float(sums.sum() / counts.sum()), tuple((sums / counts).tolist())


def _integers(high: int, count: int, generator: torch.Generator) -> Tensor:
    """(count,) integers, each of 0 … high − 1 equally likely."""
    return torch.randint(high, (count,), generator=generator)


def _withhold(training: Training, label: Tensor | None) -> Tensor | None:
    """Replace a share of the labels by "no label"; None where the network takes none."""
    no_label = training.net.config.classes
    if not no_label or label is None:
        return None
    withheld = torch.rand(len(label), generator=training.generator) < training.config.label_dropout
    return label.masked_fill(withheld, no_label)


def _example(
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    x_t: Tensor,
    target: Tensor,
    output: Tensor,
    label: Tensor | None,
) -> Example:
    images = (values[0].detach().float().cpu() for values in (x0, eps, x_t, target, output))
    x0, eps, x_t, target, output = images
    return Example(
        x0=x0,
        t=int(t[0]),
        eps=eps,
        x_t=x_t,
        target=target,
        output=output,
        label=None if label is None else int(label[0]),
    )


def _over(training: Training, accelerator: Accelerator | None) -> bool:
    """Whether the budget is used or someone, in any of several processes, asked to stop."""
    if accelerator is None:
        return training.fraction >= 1 or training.stopping
    # They must agree, or one would wait for the others for ever; on the time too, which the
    # learning rate follows.
    mine = [float(training.stopping), training.seconds]
    both = torch.tensor(mine, dtype=torch.float64, device=training.device)
    stopping, training.seconds = accelerator.reduce(both, "mean").tolist()
    return training.fraction >= 1 or stopping > 0


def _check_fit(training: Training, data: ImageData) -> None:
    network = training.net.config
    if data.pixels.shape[1] != network.image_channels:
        raise ValueError(
            f"the network takes {network.image_channels} channels, "
            f"the pictures of {data.name} have {data.pixels.shape[1]}"
        )
    if network.classes and data.labels is None:
        raise ValueError(
            f"the network takes labels, and {data.name} has none: build it with classes=0"
        )
    if network.classes and len(data.classes) != network.classes:
        raise ValueError(
            f"the network knows {network.classes} classes, {data.name} has {len(data.classes)}"
        )


if __name__ == "__main__":
    from model.command import main

    raise SystemExit(main())
