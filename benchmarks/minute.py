"""A working digits model from scratch, in how many seconds?

    python -m benchmarks.minute [--seconds 10 20 30 60] [--samples 1000]

For each budget a network begins with random weights and trains for so long by the clock, imports
and data apart; what it draws, ten classes in equal shares, is judged as in `benchmarks.quality` by
a classifier that learnt real digits alone. Nothing else should run on the machine.

The network predicts v: where x_t is almost all noise, x̂_0 from ε_θ divides its error by √ᾱ_t, which
is small, and takes many times longer to come out as a digit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch

from benchmarks.command import table
from benchmarks.quality import Judge, sample
from model.checkpoint import Checkpoint, CheckpointConfig, build_schedule
from model.data import ImageData, load_data
from model.train import train
from model.training import TrainConfig, Training, new_network
from model.unet import UNetConfig

NETWORK = UNetConfig(
    image_channels=1,
    image_size=16,
    channels=(32, 64),
    bottleneck=64,
    attention=(1,),
    classes=10,
    pre_norm=True,
    zero_init=True,
)
SCHEDULE = {"family": "linear", "T": 1000}
TARGET, BATCH, LEARNING_RATE = "v", 32, 3e-3
STEPS = 50  # of DDIM


def trained(data: ImageData, seconds: float) -> tuple[Checkpoint, Training]:
    """A network after so many seconds of training."""
    net = new_network(NETWORK, seed=0).to(memory_format=torch.channels_last)
    config = TrainConfig(
        minutes=seconds / 60,
        target=TARGET,
        batch=BATCH,
        learning_rate=LEARNING_RATE,
        report_every=50,
    )
    training = Training.start(net, build_schedule(SCHEDULE), config)
    start = time.perf_counter()
    for _ in train(training, data):
        pass
    print(f"trained for {time.perf_counter() - start:.1f} s", flush=True)
    config = CheckpointConfig(NETWORK, SCHEDULE, TARGET, data.classes)
    return Checkpoint(training.ema, training.schedule, config), training


def row(data: ImageData, judge: Judge, seconds: float, samples: int, guidance: Sequence[float]):
    """What training for so long gives: a line of the table."""
    checkpoint, training = trained(data, seconds)
    labels = torch.arange(samples) % len(data.classes)
    cells = [f"{seconds:g} s", f"{training.step * BATCH:,}"]
    for scale in guidance:
        found = judge.recognised(sample(checkpoint, labels, STEPS, scale, seed=0), labels)
        low, high = found["interval"]
        cells.append(f"{found['recognised']:.1%} ({low:.1%} … {high:.1%})")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 20, 30, 60])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0])
    options = parser.parse_args()
    data = load_data("digits")
    judge = Judge(data, load_data("digits", split="test"), flip=False)
    head = ["", "images seen", *(f"guidance {scale:g}" for scale in options.guidance)]
    rows = [
        row(data, judge, seconds, options.samples, options.guidance) for seconds in options.seconds
    ]
    print(f"{torch.get_num_threads()} threads; {judge.accuracy:.2%} of real test digits recognised")
    print(table(head, rows))


if __name__ == "__main__":
    main()
