"""How good a checkpoint's samples are: recognised, spread like real images, and no copies.

    python -m benchmarks.quality fashion --data fashion_mnist/ --steps 10 20 50 --guidance 1 2

A classifier that learnt the real training images alone judges DDIM samples at each number of
steps and each guidance scale, beside real images judged in the same way. The columns:

* recognised: the share that the classifier calls by the class asked for, with the Wilson interval
  of 95 %. Of real test images this is the classifier's own accuracy; of samples it may be higher,
  where they are more typical of their class than real images are.
* Fréchet: the Fréchet distance of the classifier's features to those of the test set. Beside it
  stands the one of as many real training images. Both come out too large by about the same, since
  the sets are finite; they compare with nothing that has another number of images.
* nearest: the distance to the most similar training image, as a root mean square over pixels of
  [−1, 1]; the median and the 1st percentile. Copies of training images would lie far below what
  test images show.

The same number of training images is drawn at random, and samples are asked for by their labels,
so both have the data's share of each class. Sample i starts from the noise of seed + i, whatever
the steps and the guidance.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmarks.command import count
from model import metrics
from model.checkpoint import Checkpoint, load_checkpoint
from model.data import ImageData, load_data
from model.data_cache import cache_folder
from model.files import write_whole
from model.sampler import Step, ddim, ddpm, noise_like

BATCH = 100  # samples at once
CLASSIFIER_SEED = 0  # not an option: figures of two runs share their classifier
HEAD = (
    *("", "steps", "guidance", "recognised", "95 % interval"),
    *("Fréchet", "nearest p50", "nearest p1"),
)


@dataclass(frozen=True)
class Row:
    """One line of the table, a set of images; None where there is nothing to say."""

    images: str
    steps: int | None = None
    guidance: float | None = None
    recognised: float | None = None
    interval: tuple[float, float] | None = None
    frechet: float | None = None
    nearest_p50: float | None = None
    nearest_p1: float | None = None

    def cells(self) -> list[str]:
        interval = self.interval and f"{self.interval[0]:.1%} … {self.interval[1]:.1%}"
        figures = (self.frechet, self.nearest_p50, self.nearest_p1)
        return [
            self.images,
            "" if self.steps is None else str(self.steps),
            "" if self.guidance is None else f"{self.guidance:g}",
            "" if self.recognised is None else f"{self.recognised:.1%}",
            interval or "",
            *("" if figure is None else f"{figure:.3f}" for figure in figures),
        ]


def wilson_interval(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of 95 % for a share seen in n independent trials (Wilson 1927).

    Unlike share ± z · deviation it stays within 0 … 1 and is not empty at either end.
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


class Judge:
    """What real images say: the classifier, the test set's features, the training images."""

    def __init__(self, train: ImageData, test: ImageData, flip: bool) -> None:
        self.x, self.test_x = images(train), images(test)
        self.labels, self.test_labels = train.labels, test.labels
        self.classifier, self.origin = classifier(train, flip)
        self.accuracy = metrics.accuracy(self.classifier, self.test_x, self.test_labels)
        self.test_features = metrics.features(self.classifier, self.test_x)
        # Where the network learnt mirrored images, a copy may be a mirrored one.
        self.references = torch.cat([self.x, self.x.flip(3)]) if flip else self.x

    def some(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """n training images at random and their labels; all of them if there are fewer."""
        chosen = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(seed))[:n]
        return self.x[chosen], self.labels[chosen]

    def frechet(self, x: Tensor) -> float:
        return metrics.frechet_distance(metrics.features(self.classifier, x), self.test_features)

    def nearest(self, x: Tensor) -> dict[str, float]:
        distances = metrics.nearest_distances(x, self.references)
        p1, p50 = distances.quantile(torch.tensor([0.01, 0.5])).tolist()
        return {"nearest_p50": p50, "nearest_p1": p1}

    def recognised(self, x: Tensor, labels: Tensor) -> dict:
        share = metrics.accuracy(self.classifier, x, labels)
        return {"recognised": share, "interval": wilson_interval(share, len(x))}


def images(data: ImageData) -> Tensor:
    """All of them, (N, C, H, W) in [−1, 1], as they are stored: not mirrored, not jittered."""
    plain = replace(data, flip=False, jitter=0.0)
    return plain.batch(torch.arange(len(data)), torch.Generator())[0]


def classifier(train: ImageData, flip: bool) -> tuple[metrics.ReferenceClassifier, str]:
    """The classifier of these images, and whence: trained now, or as it was trained before.

    Kept in the folder that UNNOISE_CACHE names or ~/.cache/unnoise, under a key of the images, the
    labels and the code it comes from.
    """
    key = hashlib.sha256(Path(metrics.__file__).read_bytes())
    key.update(json.dumps([train.pixels.shape, train.classes, flip, CLASSIFIER_SEED]).encode())
    for tensor in (train.pixels, train.labels):
        key.update(tensor.contiguous().numpy())
    file = cache_folder() / f"classifier-{key.hexdigest()[:32]}.safetensors"
    net = metrics.ReferenceClassifier(train.channels, len(train.classes))
    try:
        with safe_open(file, framework="pt") as stored:
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        net.load_state_dict(weights)
        return net.to(memory_format=torch.channels_last).eval(), "as trained before"
    except (OSError, SafetensorError, RuntimeError):  # none there, cut off, or of something else
        pass
    say(f"training the classifier on {len(train):,} images …")
    start = time.perf_counter()
    net = metrics.train_classifier(
        images(train), train.labels, len(train.classes), seed=CLASSIFIER_SEED, flip=flip
    )
    took = time.perf_counter() - start
    write_whole(file, save({name: w.contiguous() for name, w in net.state_dict().items()}))
    return net, f"trained in {took:.0f} s"


@torch.inference_mode()
def sample(
    checkpoint: Checkpoint,
    labels: Tensor,
    steps: int,
    guidance: float,
    seed: int,
    sampler: Callable[..., Iterator[Step]] = ddim,
    **how: Any,
) -> Tensor:
    """Samples (N, C, H, W) of labels (N,), in [−1, 1] in the 256 levels of a stored image.

    `how` is what else `sampler` is told. The noise that `ddpm` adds is of a generator an image.
    """
    device = next(checkpoint.net.parameters()).device
    timesteps = checkpoint.schedule.timesteps(steps)
    done = []
    for start in range(0, len(labels), BATCH):
        label = labels[start : start + BATCH]
        seeds = range(seed + start, seed + start + len(label))
        generators = [torch.Generator().manual_seed(one) for one in seeds]
        # As `standard_noise`, and what is drawn on the way follows: begun twice, they would equal.
        x = noise_like(torch.empty(len(label), *checkpoint.shape, device=device), generators)
        denoiser = checkpoint.denoiser(label=label.to(device), guidance=guidance)
        if sampler is ddpm:
            how["generators"] = generators
        for step in sampler(denoiser, checkpoint.schedule, x, timesteps, **how):
            x = step.x_next
        done.append(((x.clamp(-1, 1) + 1) * 127.5).round().cpu() / 127.5 - 1)
        say(f"{steps} steps, guidance {guidance:g}: {start + len(label):,} of {len(labels):,}")
    return torch.cat(done)


def measure(options: argparse.Namespace, checkpoint: Checkpoint, judge: Judge) -> Iterator[Row]:
    """The rows of the table, real images first."""
    real, labels = judge.some(options.samples, options.seed)
    n = len(real)
    # It has seen the training images and they are their own nearest: only their spread counts.
    yield Row(f"{n:,} training images", frechet=judge.frechet(real))
    yield Row(
        f"{len(judge.test_x):,} test images",
        **judge.recognised(judge.test_x, judge.test_labels),
        **judge.nearest(judge.test_x),
    )
    for guidance in options.guidance:
        for steps in options.steps:
            x = sample(checkpoint, labels, steps, guidance, options.seed)
            yield Row(
                f"{n:,} samples",
                steps,
                guidance,
                frechet=judge.frechet(x),
                **judge.recognised(x, labels),
                **judge.nearest(x),
            )


def load_both(checkpoint: Checkpoint, place: str | None) -> tuple[ImageData, ImageData]:
    """The training and the test data at `place`, or where they were, decoded as in training."""
    training = checkpoint.config.training
    place = place or training.get("data")
    if not place:
        raise ValueError("the checkpoint does not say what it was trained on: give --data")
    channels, size, _ = checkpoint.shape
    how = {"size": size, "channels": channels, "label": training.get("label")}
    train = load_data(place, split=training.get("split", "train"), **how)
    test = load_data(place, split="test", **how)
    for data in (train, test):
        if data.labels is None or data.classes != checkpoint.config.classes:
            raise ValueError(
                "the data must have the classes that the network can be asked for: "
                f"{', '.join(checkpoint.config.classes) or 'it was trained without labels'}"
            )
    return train, test


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__.partition("\n")[0]
    )
    add = parser.add_argument
    add("name", help="a checkpoint: its name, or a folder")
    add("--data", help="the data set, if it is not where it was in training")
    add("--steps", type=count, nargs="+", default=[10, 20, 50], help="of DDIM (10 20 50)")
    add("--samples", type=count, default=5000, help="at most the training images (%(default)s)")
    add("--guidance", type=float, nargs="+", default=[1.0], help="scales (1.0)")
    add("--seed", type=int, default=0, help="of the first sample (%(default)s)")
    add("--json", metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    rows = []
    try:
        checkpoint = load_checkpoint(options.name)
        for steps in options.steps:
            checkpoint.schedule.timesteps(steps)  # refuse what it cannot do before all else
        train, test = load_both(checkpoint, options.data)
        judge = Judge(train, test, flip=bool(checkpoint.config.training.get("flip")))
        print(
            f"The classifier, {judge.origin}, recognises {judge.accuracy:.2%} of "
            f"{len(judge.test_x):,} real test images.\n"
        )
        print(line(HEAD), line(["---", *["---:"] * (len(HEAD) - 1)]), sep="\n", flush=True)
        for row in measure(options, checkpoint, judge):
            print(line(row.cells()), flush=True)  # at once: the next may take half an hour
            rows.append(asdict(row))
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    if options.json:
        figures = {
            "name": options.name,
            "seed": options.seed,
            "accuracy": judge.accuracy,
            "rows": rows,
        }
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
