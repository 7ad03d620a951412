"""The average training picture, of all data and of each class: a file beside a network's weights.

    checkpoints/digits/mean.safetensors    mean (C, H, W), class_means (K, C, H, W), half precision

It is E[x_0], and for a class E[x_0 given the class]: under squared error the best that one step
from pure noise can predict, which says nothing of x_0.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from model.files import write_whole
from model.image_data import ImageData
from model.tensor_file import read_tensors

MEAN = "mean.safetensors"
AT_ONCE = 4096  # pictures added up at a time: as int64 they take eight times their room


class Average(NamedTuple):
    """Average pictures in [−1, 1], float32."""

    mean: Tensor  # (C, H, W), of all pictures
    class_means: Tensor | None  # (K, C, H, W), of those of each class; None without classes


def average_pictures(data: ImageData) -> Average:
    """The average of the pictures, and where training mirrors them of their mirror images, too.

    `jitter`, which would blur it a little, is left out. A class without pictures gets the average
    of all. Raises ValueError where there are no pictures at all.
    """
    if not len(data):
        raise ValueError(f"{data.name} holds no pictures to average")
    classes = len(data.classes)
    label = data.labels if classes else data.pixels.new_zeros(len(data), dtype=torch.long)
    sums = data.pixels.new_zeros(classes or 1, *data.pixels.shape[1:], dtype=torch.long)
    for pixels, to in zip(data.pixels.split(AT_ONCE), label.split(AT_ONCE), strict=True):
        sums.index_add_(0, to, pixels.long())
    if data.flip:
        sums = sums + sums.flip(-1)
    counts = label.bincount(minlength=len(sums)) * (2 if data.flip else 1)
    counts = counts.view(-1, 1, 1, 1)
    mean = sums.sum(0) / counts.sum().double()
    each = torch.where(counts > 0, sums / counts.double(), mean)
    mean, each = ((pixels / 127.5 - 1).float().cpu() for pixels in (mean, each))
    return Average(mean, each if classes else None)


def write_average(folder: Path, average: Average) -> None:
    """Write it beside a network's weights, whole or not at all. Raises OSError."""
    tensors = {k: v.half().contiguous() for k, v in average._asdict().items() if v is not None}
    write_whole(folder / MEAN, safetensors.torch.save(tensors, {"format": "pt"}))


def read_average(folder: Path, shape: tuple[int, int, int], classes: int) -> Average | None:
    """What is stored beside the weights, for pictures (C, H, W) and K classes; None if nothing is.

    Raises `BadCheckpoint` for a file that is damaged or holds anything else.
    """
    if not (folder / MEAN).exists():
        return None
    expected = {"mean": shape} | ({"class_means": (classes, *shape)} if classes else {})
    tensors = read_tensors(folder, MEAN, expected)
    return Average(tensors["mean"], tensors.get("class_means"))
