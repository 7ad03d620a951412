"""What sampling costs beyond the network, beside diffusers' loop; and what each sampler gives.

    python -m benchmarks.sampling [--rounds 15]
    python -m benchmarks.sampling --quality [--samples 1000] [--long]

Speed: 50-step DDIM and 1000-step DDPM, 1 and 64 images at once. The bare forward passes, our
sampler and diffusers' scheduler take a step each by turns, with the same network, so that a slow
moment slows all three. Each step of a run costs the same, so of each run a stretch is measured: the
whole is the median of a step times their number, the overhead the median of how much longer a step
took than the forward pass beside it.

Quality: digits by each sampler, after the same number of evaluations of the network, as the
classifier of `benchmarks.quality` reads them; a table, and the figure sampling.png. Of `heun`,
which looks twice a step and once in the last, there are as many steps as fit. `--long` draws with
all 1000 steps of DDPM, too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from diffusers import DDIMScheduler, DDPMScheduler

from benchmarks.command import count, table
from benchmarks.quality import Judge, load_both, sample
from model.checkpoint import Checkpoint, load_checkpoint
from model.sampler import ddim, ddpm, dpm_solver, heun, standard_noise

FIGURE = Path(__file__).with_name("sampling.png")
RUNS = (("ddim", 50, 1), ("ddim", 50, 64), ("ddpm", 1000, 1), ("ddpm", 1000, 64))
STRETCH = {1: 50, 64: 10}  # steps of a run that a round measures, of so many images
SPEED_HEAD = ["", "images", "forward passes", "ours", "diffusers", "overhead", "diffusers'"]
EVALUATIONS = (2, 3, 5, 10, 20, 50)
SAMPLERS = {  # what it is called, what it is, and how it is asked
    "DDPM, σ² = β": (ddpm, {"variance": "beta"}),
    "DDPM, σ² = β̃": (ddpm, {"variance": "posterior"}),
    "DDIM": (ddim, {}),
    "Heun": (heun, {}),
    "DPM-Solver++": (dpm_solver, {}),
}


# -- speed -----------------------------------------------------------------------------------------


def contestants(
    checkpoint: Checkpoint, which: str, steps: int, images: int
) -> dict[str, Callable[[], Iterator[object]]]:
    """What begins the same run of so many steps in each of three ways, to be taken step by step."""
    schedule, net = checkpoint.schedule, checkpoint.net
    label = torch.arange(images) % len(checkpoint.config.classes)
    denoiser, x = checkpoint.denoiser(label), standard_noise(checkpoint.shape, range(images))
    grid = schedule.timesteps(steps)
    target = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}[checkpoint.config.target]
    theirs = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}[which](
        schedule.T,
        trained_betas=schedule.betas[1:].numpy(),
        timestep_spacing="trailing",
        prediction_type=target,
    )
    theirs.set_timesteps(steps)
    generators = [torch.Generator().manual_seed(seed) for seed in range(images)]

    @torch.no_grad()
    def bare() -> Iterator[object]:
        for t in grid[:-1]:
            yield net(x, t.expand(images), label)

    def ours() -> Iterator[object]:
        if which == "ddim":
            return ddim(denoiser, schedule, x, grid)
        return ddpm(denoiser, schedule, x, grid, generators=generators)

    @torch.no_grad()
    def diffusers() -> Iterator[object]:
        x_t, noise = x, {} if which == "ddim" else {"generator": generators[0]}
        for t in theirs.timesteps:
            output = net(x_t, (t + 1).expand(images), label)  # they count from 0
            x_t = theirs.step(output, t, x_t, **noise).prev_sample
            yield x_t

    return {"bare": bare, "ours": ours, "diffusers": diffusers}


def race(begin: dict[str, Callable[[], Iterator[object]]], steps: int) -> dict[str, list[float]]:
    """Seconds of each step of each, one step of each by turns; another begins every time."""
    runs = [(name, start()) for name, start in begin.items()]
    seconds: dict[str, list[float]] = {name: [] for name in begin}
    for _ in range(steps):
        runs.append(runs.pop(0))
        for name, run in runs:
            start = time.perf_counter()
            next(run)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def speed(checkpoint: Checkpoint, rounds: int) -> list[list[str]]:
    """The lines of the table: the time of whole runs, and what is not the network's."""
    rows = []
    for which, steps, images in RUNS:
        begin = contestants(checkpoint, which, steps, images)
        race(begin, 3)  # to warm up
        seconds: dict[str, list[float]] = {name: [] for name in begin}
        for _ in range(rounds):
            for name, times in race(begin, STRETCH[images]).items():
                seconds[name] += times
        cells = [f"{steps * statistics.median(times):.3g} s" for times in seconds.values()]
        for name in ("ours", "diffusers"):
            pairs = zip(seconds[name], seconds["bare"], strict=True)
            cells.append(f"{statistics.median(mine / bare for mine, bare in pairs) - 1:.1%}")
        rows.append([f"{which.upper()}, {steps} steps", str(images), *cells])
        print(*rows[-1], sep=" | ", flush=True)
    return rows


# -- quality ---------------------------------------------------------------------------------------


def quality(checkpoint: Checkpoint, samples: int, long: bool) -> dict[str, dict[int, tuple]]:
    """For each sampler and number of evaluations the share recognised and the Fréchet distance."""
    judge = Judge(*load_both(checkpoint, None), flip=False)
    real, labels = judge.some(samples, seed=0)
    print(f"{judge.accuracy:.2%} of real test images are recognised", flush=True)
    print(f"{judge.frechet(real):.3f}: Fréchet distance of {len(real):,} training images")
    found: dict[str, dict[int, tuple]] = {name: {} for name in SAMPLERS}
    for name, (sampler, how) in SAMPLERS.items():
        more = (100, *([1000] if long else [])) if sampler is ddpm else ()
        for evaluations in (*EVALUATIONS, *more):
            steps = (evaluations + 1) // 2 if sampler is heun else evaluations
            if sampler is heun and steps == 1:
                continue  # that is DDIM
            x = sample(checkpoint, labels, steps, 1.0, seed=0, sampler=sampler, **how)
            share = judge.recognised(x, labels)["recognised"]
            found[name][evaluations] = share, judge.frechet(x)
            print(f"{name}, {evaluations}: {share:.1%}, {found[name][evaluations][1]:.3f}")
    return found


def draw(found: dict[str, dict[int, tuple]], samples: int) -> None:
    """Both measures against the number of evaluations, as sampling.png."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    titles = (f"recognised, of {samples:,} digits", "Fréchet distance")
    for axis, title, which in zip(axes, titles, (0, 1), strict=True):
        for (name, values), marker in zip(found.items(), "vo^sD", strict=True):
            points = [value[which] * (100 if which == 0 else 1) for value in values.values()]
            axis.plot(list(values), points, marker=marker, markersize=4, label=name)
        ticks = sorted({n for values in found.values() for n in values})
        axis.set(title=title, xlabel="evaluations of the network", xscale="log")
        axis.set_xticks(ticks, [str(n) for n in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].yaxis.set_major_formatter("{x:.0f} %")
    axes[1].set_yscale("log")
    axes[1].legend(frameon=False)
    figure.savefig(FIGURE, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="digits", help="a checkpoint (%(default)s)")
    parser.add_argument("--rounds", type=count, default=15)
    parser.add_argument("--quality", action="store_true", help="what the samplers give, instead")
    parser.add_argument("--samples", type=count, default=1000)
    parser.add_argument("--long", action="store_true", help="DDPM with 1000 steps, too")
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.name)
    if not options.quality:
        rows = speed(checkpoint, options.rounds)
        print(f"{torch.get_num_threads()} threads", table(SPEED_HEAD, rows), sep="\n")
        return
    found = quality(checkpoint, options.samples, options.long)
    columns = sorted({n for values in found.values() for n in values})
    for which, text in ((0, "{:.1%}"), (1, "{:.3f}")):
        rows = [
            [name, *(text.format(values[n][which]) if n in values else "" for n in columns)]
            for name, values in found.items()
        ]
        head = ["recognised" if which == 0 else "Fréchet distance", *map(str, columns)]
        print(table(head, rows), end="\n\n")
    draw(found, options.samples)


if __name__ == "__main__":
    main()
