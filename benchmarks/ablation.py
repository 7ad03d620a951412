"""What the options of the U-Net's config are worth.

    python -m benchmarks.ablation [--data digits] [--steps 250] [--batch 32]

The same network with each choice of `pre_norm` and `zero_init` learns from the same batches; then
the averaged weights predict the noise of the same 512 pictures that they never saw.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.command import table
from model.data import ImageData, load_data
from model.forward import q_sample
from model.schedule import NoiseSchedule
from model.train import train
from model.training import TrainConfig, Training, new_network
from model.unet import UNetConfig

SCHEDULE = NoiseSchedule.linear()
OPTIONS = ((False, False), (True, False), (False, True), (True, True))


@torch.inference_mode()
def held_out_loss(training: Training, data: ImageData, images: int = 512) -> Tensor:
    """(N,) mean squared error of ε_θ, each picture at a t of its own."""
    generator = torch.Generator().manual_seed(0)
    index = torch.randperm(len(data), generator=generator)[:images]
    x0, label = data.batch(index, generator)
    t = torch.randint(1, SCHEDULE.T + 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    x_t = q_sample(SCHEDULE, x0, t, eps)
    parts = zip(x_t.split(64), t.split(64), label.split(64), strict=True)
    predicted = torch.cat([training.ema(*part) for part in parts])
    return (predicted - eps).square().mean(dim=(1, 2, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    data, test = load_data(options.data), load_data(options.data, split="test")
    channels, (side, _) = data.channels, data.size
    plain = UNetConfig(image_channels=channels, image_size=side, classes=len(data.classes))
    config = TrainConfig(steps=options.steps, batch=options.batch, learning_rate=1.5e-3)
    rows = []
    for pre_norm, zero_init in OPTIONS:
        network = replace(plain, pre_norm=pre_norm, zero_init=zero_init)
        net = new_network(network, seed=0).to(memory_format=torch.channels_last)
        training = Training.start(net, SCHEDULE, config)
        for _ in train(training, data):
            pass
        loss = held_out_loss(training, test)
        error = loss.std() / len(loss) ** 0.5
        rows.append([str(pre_norm), str(zero_init), f"{loss.mean():.4f} ± {error:.4f}"])
        print(*rows[-1], flush=True)
    print(table(["pre_norm", "zero_init", "held-out loss"], rows))


if __name__ == "__main__":
    main()
