"""What a GPU makes of sampling and training, and which ways of using one pay.

    python -m benchmarks.gpu [--name cats] [--rounds 5] [--images 1 64] [--compile]

Sampling: whole runs of 50-step DDIM with guidance, in float32 as the app draws them, and beside it
TF32, bfloat16, CUDA graphs and, with `--compile`, torch.compile. Training: `model.train` on as many
steps in float32, in bfloat16, with a record every step and every tenth, and compiled. The ways take
turns, so that a slow moment slows all; columns are medians, and their ratio to the first.

What the device draws is compared with what the CPU draws from the same seeds: in float32 it must be
the same picture, to less than one of 256 levels, and so must the losses of a few steps of training.
Without a GPU it says so and ends; `--device cpu` measures those ways that a processor has.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.command import count, table
from model.checkpoint import Checkpoint, load_checkpoint
from model.denoiser import Denoiser, GuidedDenoiser, Network
from model.device import choose_device, to_device
from model.image_data import ImageData
from model.sampler import ddim, standard_noise
from model.train import train
from model.training import TrainConfig, Training, new_network

STEPS, GUIDANCE = 50, 2.0
WARM_UP = 5  # steps of training that are not measured
LEVEL = 2 / 255  # the distance of two of a picture's 256 levels
LOSSES = 1e-3  # by which a loss may differ from the CPU's, as a share


# -- ways of asking a network ----------------------------------------------------------------------


class Graphed:
    """A network whose forward pass is recorded once, and then launched as a whole."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.graph: torch.cuda.CUDAGraph | None = None
        self.given: tuple[Tensor, ...] = ()

    def __call__(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        given = (x, t) if label is None else (x, t, label)
        if [v.shape for v in given] != [v.shape for v in self.given]:
            self._record(given)
        for place, value in zip(self.given, given, strict=True):
            place.copy_(value)
        self.graph.replay()
        return self.output.clone()

    def _record(self, given: tuple[Tensor, ...]) -> None:
        self.given = tuple(value.clone() for value in given)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # what is chosen at the first pass must not be recorded
            for _ in range(3):
                self.net(*self.given)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = self.net(*self.given)


def in_bf16(net: Network) -> Network:
    """The same under autocast; what it says is float32 again."""

    def asked(x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            return net(x, t, label).float()

    return asked


def in_tf32(net: Network) -> Network:
    """The same with float32 products of 10 bits."""

    def asked(x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        with tf32():
            return net(x, t, label)

    return asked


@contextmanager
def tf32(allowed: bool = True) -> Iterator[None]:
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [flag.allow_tf32 for flag in flags]
    try:
        for flag in flags:
            flag.allow_tf32 = allowed
        yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value


def ways_to_sample(device: torch.device, compiled: bool) -> dict[str, Callable[[Network], Network]]:
    ways: dict[str, Callable[[Network], Network]] = {"float32": lambda net: net}
    if device.type == "cuda":
        ways |= {
            "TF32": in_tf32,
            "float32, CUDA graph": Graphed,
            "bfloat16, CUDA graph": lambda net: Graphed(in_bf16(net)),
        }
    ways["bfloat16"] = in_bf16
    if compiled:
        ways["float32, torch.compile"] = torch.compile
        ways["bfloat16, torch.compile"] = lambda net: in_bf16(torch.compile(net))
    return ways


# -- sampling --------------------------------------------------------------------------------------


def asking(denoiser: Denoiser | GuidedDenoiser, net: Network) -> Denoiser | GuidedDenoiser:
    """The same questions to another network."""
    if isinstance(denoiser, Denoiser):
        return replace(denoiser, net=net)
    both = asking(denoiser.conditional, net), asking(denoiser.base, net)
    return replace(denoiser, conditional=both[0], base=both[1])


def drawn(checkpoint: Checkpoint, net: Network, images: int, steps: int) -> Tensor:
    """Pictures of the first seeds, on the CPU: only then is the device done."""
    device = next(checkpoint.net.parameters()).device
    label = torch.arange(images) % max(1, len(checkpoint.config.classes))
    guided = checkpoint.denoiser(label if checkpoint.config.classes else None, guidance=GUIDANCE)
    x = to_device(standard_noise(checkpoint.shape, range(images)), device)
    grid = checkpoint.schedule.timesteps(min(steps, checkpoint.schedule.T))
    *_, last = ddim(asking(guided, net), checkpoint.schedule, x, grid)
    return last.x_next.cpu()


def sampling(options: argparse.Namespace, device: torch.device) -> tuple[list[list[str]], float]:
    """The lines of the table, and how far float32 is from the CPU's pictures at most."""
    here = load_checkpoint(options.name)
    there = load_checkpoint(options.name).to(device)
    rows, off = [], 0.0
    for images in options.images:
        truth = drawn(here, here.net, images, options.steps)
        nets = {
            name: way(there.net) for name, way in ways_to_sample(device, options.compile).items()
        }
        far, seconds = {}, {name: [] for name in nets}
        for name, net in nets.items():  # which warms up, too
            far[name] = float((drawn(there, net, images, options.steps) - truth).abs().max())
        for _ in range(options.rounds):
            for name, net in nets.items():
                began = time.perf_counter()
                drawn(there, net, images, options.steps)
                seconds[name].append(time.perf_counter() - began)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        off = max(off, far["float32"])
        rows += [
            [
                name, str(images), f"{1000 * median:.1f} ms",
                f"{medians['float32'] / median:.2f} ×", f"{far[name] / LEVEL:.3f}",
            ]
            for name, median in medians.items()
        ]  # fmt: skip
    return rows, off


# -- training --------------------------------------------------------------------------------------


def begun(
    checkpoint: Checkpoint, device: torch.device, *, compiled: bool = False, **settings: object
) -> Training:
    net = new_network(checkpoint.config.network, seed=0)
    training = Training.start(
        net.to(device, memory_format=torch.channels_last), checkpoint.schedule,
        TrainConfig(target=checkpoint.config.target, **settings),
    )  # fmt: skip
    if compiled:
        training.net.compile()
    return training


def some_data(checkpoint: Checkpoint) -> ImageData:
    """As many pictures as a few batches need; of noise, which takes no longer or shorter."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (512, *checkpoint.shape), generator=generator, dtype=torch.uint8)
    classes = checkpoint.config.classes
    labels = torch.arange(len(pixels)) % len(classes) if classes else None
    return ImageData("noise", pixels, labels, classes)


def pace(training: Training, data: ImageData) -> float:
    """Pictures a second, after the first steps."""
    began = clock = 0.0
    for record in train(training, data):
        if record.step <= WARM_UP or not clock:
            began, clock = record.step, time.perf_counter()
    measured = training.step - began
    return training.config.batch * measured / (time.perf_counter() - clock)


def training_paces(
    options: argparse.Namespace, device: torch.device
) -> tuple[list[list[str]], float]:
    """The lines of the table, and how far losses in float32 are from the CPU's, as a share."""
    checkpoint = load_checkpoint(options.name)
    data = some_data(checkpoint)
    ways = {
        "float32": {"bf16": False, "report_every": 1},
        "float32, a record of ten steps": {"bf16": False, "report_every": 10},
        "bfloat16": {"bf16": True, "report_every": 1},
        "bfloat16, a record of ten steps": {"bf16": True, "report_every": 10},
    }
    if options.compile:
        ways["bfloat16, a record of ten steps, torch.compile"] = {
            "bf16": True, "report_every": 10, "compiled": True,
        }  # fmt: skip
    budget = {"steps": options.train_steps, "batch": options.batch}
    paces: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, how in ways.items():
            training = begun(checkpoint, device, **budget, **how)
            paces[name].append(pace(training, data))
    medians = {name: statistics.median(values) for name, values in paces.items()}
    rows = [
        [name, f"{median:.0f}", f"{median / medians['float32']:.2f} ×"]
        for name, median in medians.items()
    ]

    def losses(where: torch.device) -> list[float]:
        return [
            p.loss
            for p in train(begun(checkpoint, where, bf16=False, steps=3, batch=options.batch), data)
        ]

    pairs = zip(losses(torch.device("cpu")), losses(device), strict=True)
    return rows, max(abs(there / here - 1) for here, there in pairs)


def main() -> str | None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="cats", help="a checkpoint (%(default)s)")
    parser.add_argument("--device", default="", help="cuda, cuda:1, mps, or cpu to try it out")
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--images", type=count, nargs="+", default=[1, 64], help="at once")
    parser.add_argument("--steps", type=count, default=STEPS, help="of a run")
    parser.add_argument("--batch", type=count, default=128, help="of a training")
    parser.add_argument("--train-steps", type=count, default=105, help="of a training")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too: it takes long")
    options = parser.parse_args()
    try:
        device = choose_device(options.device)
    except ValueError as error:
        return f"{error}."
    if device.type == "cpu" and options.device != "cpu":
        return "There is no GPU here that PyTorch can use: --device cpu tries this out without one."
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)  # where streams and graphs are made
    print(f"{name}, PyTorch {torch.__version__}, {options.name}")
    with tf32(allowed=False):  # as in the app
        rows, off = sampling(options, device)
        head = ["sampling", "images", "a run", "speed", "levels off"]
        print(table(head, rows), end="\n\n", flush=True)
        rows, loss_off = training_paces(options, device)
    print(table(["training", "pictures/s", "speed"], rows))
    print(f"losses differ from the CPU's by {loss_off:.1e} at most")
    if off >= LEVEL:
        return f"The pictures are not the CPU's: they differ by {off / LEVEL:.1f} levels of 256."
    if loss_off >= LOSSES:
        return f"The losses are not the CPU's: they differ by {loss_off:.1%}."
    return None


if __name__ == "__main__":
    sys.exit(main())
