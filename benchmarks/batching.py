"""What it is worth that several runs share the network's passes.

    python -m benchmarks.batching [--rounds 3] [--steps 20]

Runs of guided DDIM with seeds of their own, each in a thread, as the app computes them: one after
another, side by side each by itself, and side by side in shared batches (`app.batching`). In
turns, medians; the ratio is how much longer it takes one after another. The images agree.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the app does, before PyTorch is loaded

from torch import Tensor

from app.batching import shared
from benchmarks.command import count, table
from model.checkpoint import Checkpoint, load_checkpoint, shipped
from model.sampler import ddim, standard_noise

COUNTS = (1, 2, 4, 8)


def run(checkpoint: Checkpoint, seed: int, steps: int, share: bool) -> Tensor:
    """The image of that seed, (C, H, W)."""
    classes = len(checkpoint.config.classes)
    denoiser = checkpoint.denoiser(seed % classes if classes else None, guidance=2.0)
    denoiser = shared(denoiser) if share else denoiser
    x = standard_noise(checkpoint.shape, [seed])
    *_, last = ddim(denoiser, checkpoint.schedule, x, checkpoint.schedule.timesteps(steps))
    return last.x_next[0]


def seconds(
    checkpoint: Checkpoint, runs: int, steps: int, *, together: bool, share: bool
) -> tuple[float, dict[int, Tensor]]:
    """How long so many runs take, and their images by their seeds."""
    images: dict[int, Tensor] = {}

    def one(seed: int) -> None:
        images[seed] = run(checkpoint, seed, steps, share)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(runs)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
        if not together:
            thread.join()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start, images


def measured(name: str, runs: int, rounds: int, steps: int) -> list[str]:
    """A line of the table."""
    checkpoint = load_checkpoint(name)
    ways = [(False, False), (True, False), (True, True)]
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds + 1):
        found = []
        for way, (together, share) in zip(times, ways, strict=True):
            took, images = seconds(checkpoint, runs, steps, together=together, share=share)
            way.append(took)
            found.append(images)
    apart = max((found[0][seed] - found[2][seed]).abs().max().item() for seed in range(runs))
    alone, side, both = (statistics.median(way[1:]) for way in times)  # the first one warms up
    return [
        f"{name}, {runs}", f"{alone:.2f} s", f"{side:.2f} s", f"{both:.2f} s",
        f"{alone / both:.2f} ×", f"{apart:.0e}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--steps", type=count, default=20)
    given = parser.parse_args()
    head = ["runs at once", "one by one", "side by side", "shared", "ratio", "largest difference"]
    rows = [
        measured(name, runs, given.rounds, given.steps) for name in shipped() for runs in COUNTS
    ]
    print(table(head, rows))


if __name__ == "__main__":
    main()
