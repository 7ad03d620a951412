"""What it costs to keep every activation and attention map of a forward pass.

    python -m benchmarks.captures [--rounds 20]

`UNet.trace` beside a plain forward pass of the same eight pictures, in turns, for each of the
shipped models; medians. The U-Net tab asks for a trace; it should not take twice as long.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from benchmarks.command import count, table
from model.checkpoint import load_checkpoint, shipped

BATCH = 8


@torch.no_grad()
def measured(name: str, rounds: int) -> list[str]:
    """A line of the table: milliseconds of both, and their ratio."""
    checkpoint = load_checkpoint(name)
    x, t = torch.randn(BATCH, *checkpoint.shape), torch.linspace(1, 1000, BATCH)
    plain, traced = [], []
    for _ in range(rounds + 2):
        for call, times in ((checkpoint.net, plain), (checkpoint.net.trace, traced)):
            start = time.perf_counter()
            call(x, t)
            times.append(1000 * (time.perf_counter() - start))
    a, b = statistics.median(plain[2:]), statistics.median(traced[2:])  # the first ones warm up
    return [name, f"{a:.1f} ms", f"{b:.1f} ms", f"{b / a:.2f} ×"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=count, default=20)
    rounds = parser.parse_args().rounds
    head = ["eight pictures", "forward", "with captures", "ratio"]
    print(table(head, [measured(name, rounds) for name in shipped()]))


if __name__ == "__main__":
    main()
