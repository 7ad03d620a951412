"""Training speed beside the two libraries that one would otherwise take, in one run.

    python -m benchmarks.training [--batch 64] [--rounds 3] [--ours]

Our U-Net, diffusers' `UNet2DModel` and denoising-diffusion-pytorch's `Unet`, all at 32×32×3 with
32, 64 and 128 channels, attention at the lowest resolution and, within 5 %, as many parameters.
Each measurement is a process of its own, and they take turns, so that a slow moment slows all.
Columns: training images/s (forward, backward, AdamW), what the process took at most beyond its
imports, and the time of a forward pass of 1 and of 64 images. `--ours` compares ours with itself:
what the memory format, the allocator, and torch.compile are worth.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.command import table
from model.device import has_bf16
from model.unet import UNet, UNetConfig

CHANNELS, SIZE = (32, 64, 128), 32
RIVALS = ("ours", "diffusers", "ddpm-pytorch")
WARM_UP, PASSES, PATIENCE = 1, 12, 15.0
# Large blocks are otherwise given back to the system, and faulted in again, at every step.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**28),
}
VARIANTS = {  # of ours: what to pass to the process, and its environment
    "channels_last": ([], {}),
    "contiguous": (["--contiguous"], {}),
    "channels_last, memory kept": ([], KEEP_MEMORY),
    "channels_last, torch.compile": (["--compile"], {}),
}


def ours() -> nn.Module:
    """Our network; its bottleneck is what brings it to the others' number of parameters."""
    return UNet(UNetConfig(image_channels=3, image_size=SIZE, channels=CHANNELS, bottleneck=216))


def diffusers() -> nn.Module:
    """The smallest of diffusers' with these channels: one block a layer."""
    from diffusers import UNet2DModel

    class Plain(UNet2DModel):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return super().forward(x, t, return_dict=False)[0]

    return Plain(
        sample_size=SIZE,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )


def ddpm_pytorch() -> nn.Module:
    """The one of denoising-diffusion-pytorch, as its README builds it."""
    try:
        import torchvision  # noqa: F401
    except Exception:  # not there for every build of PyTorch; the network needs nothing of it
        for name in ("torchvision", "torchvision.transforms", "torchvision.utils"):
            sys.modules[name] = types.ModuleType(name)
        for name in ("transforms", "utils"):
            setattr(sys.modules["torchvision"], name, sys.modules[f"torchvision.{name}"])
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import Unet

    return Unet(dim=CHANNELS[0], dim_mults=(1, 2, 4), channels=3)


def measure(which: str, options: argparse.Namespace) -> dict[str, float]:
    """The figures of one network in this process."""
    torch.manual_seed(0)
    net = {"ours": ours, "diffusers": diffusers, "ddpm-pytorch": ddpm_pytorch}[which]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    layout = torch.contiguous_format if options.contiguous else torch.channels_last
    net = net.to(memory_format=layout)
    call = torch.compile(net) if options.compile else net
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    x = torch.randn(options.batch, 3, SIZE, SIZE).to(memory_format=layout)
    t = torch.randint(1, 1000, (options.batch,))
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=options.bf16)

    def step() -> None:
        with autocast:
            output = call(x, t)
        optimizer.zero_grad()
        F.mse_loss(output.float(), x).backward()
        optimizer.step()

    def forward(images: int) -> Callable[[], None]:
        def run() -> None:
            with torch.inference_mode(), autocast:
                call(x[:1].expand(images, -1, -1, -1), t[:1].expand(images))

        return run

    net.train()
    seconds = timed(step)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    net.eval()
    return {
        "parameters": sum(p.numel() for p in net.parameters()) / 1e6,
        "images/s": options.batch / seconds,
        "MB": memory / 1024,
        "1 image": 1000 * timed(forward(1)),
        "64 images": 1000 * timed(forward(64)),
    }


def timed(work: Callable[[], None]) -> float:
    """Median seconds of one call; of fewer calls where they take long."""
    for _ in range(WARM_UP):
        work()
    times = []
    while len(times) < PASSES and sum(times) < PATIENCE:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_process(which: str, options: list[str], environment: dict[str, str]) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", "--one", which, *options]
    result = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError(f"{which} failed: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours", action="store_true", help="ours in variants, without the others")
    for flag in ("--bf16", "--contiguous", "--compile"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", choices=RIVALS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return

    batch = ["--batch", str(options.batch)]
    if options.ours:
        runs = {name: ("ours", [*batch, *more], env) for name, (more, env) in VARIANTS.items()}
    else:
        runs = {f"{name}, float32": (name, batch, {}) for name in RIVALS}
        runs |= {f"{name}, bfloat16": (name, [*batch, "--bf16"], {}) for name in RIVALS}
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, (which, more, environment) in runs.items():
            figures[name].append(in_process(which, more, environment))
    rows = []
    for name, rounds in figures.items():
        medians = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        rows.append(
            [
                name,
                f"{medians['parameters']:.2f} M",
                f"{medians['images/s']:.1f}",
                f"{medians['MB']:.0f} MB",
                f"{medians['1 image']:.1f} ms",
                f"{medians['64 images']:.0f} ms",
            ]
        )
    hardware = "in hardware" if has_bf16(torch.device("cpu")) else "emulated"
    print(f"{torch.get_num_threads()} threads; bfloat16 is {hardware}")
    print(table(["", "parameters", "training images/s", "memory", "1 image", "64 images"], rows))


if __name__ == "__main__":
    main()
