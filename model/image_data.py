"""Pictures held in memory, and the batches that training draws from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class ImageData:
    """Pictures of one size, as bytes, and what is known about them.

    `flip` mirrors each picture of a batch with probability 1/2. `jitter` moves, turns, scales and
    brightens each a little, at random: 0 not at all, 1 by as much as a handful of pictures needs.
    """

    name: str
    pixels: Tensor  # (N, C, H, W) uint8
    labels: Tensor | None = None  # (N,) int64, index into classes
    classes: tuple[str, ...] = ()
    captions: tuple[str, ...] | None = None
    flip: bool = False
    jitter: float = 0.0

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.pixels.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[2], self.pixels.shape[3]

    def batch(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """The pictures `index`, (B,) int64: float32 (B, C, H, W) in [−1, 1], and labels (B,).

        The labels are None where there are none. `generator`, on the CPU, decides what `flip` and
        `jitter` do; how many numbers it is asked for depends on B alone.
        """
        index = index.to(self.pixels.device)
        x = self.pixels[index].float() / 127.5 - 1
        if self.flip:
            mirrored = torch.rand(len(x), generator=generator).to(x.device) < 0.5
            x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)
        if self.jitter:
            x = _jittered(x, float(self.jitter), generator)
        return x, None if self.labels is None else self.labels[index]


def _jittered(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Each picture turned by up to 8°, scaled and moved by up to 8 %, brightness up to 10 %."""
    draws = torch.rand(5, len(x), generator=generator).to(x.device) * 2 - 1
    turn, scale, right, down, light = draws * strength
    scale = 1 + 0.08 * scale
    cos, sin = scale * torch.cos(turn * math.radians(8)), scale * torch.sin(turn * math.radians(8))
    height, width = x.shape[2:]
    # Coordinates run from −1 to 1 along each side, so a turn must know their ratio.
    rows = (cos, -sin * height / width, 0.16 * right, sin * width / height, cos, 0.16 * down)
    grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    light = 1 + 0.1 * light.view(-1, 1, 1, 1)
    return ((x + 1) * light - 1).clamp(-1, 1)


def tiled(pictures: Tensor, columns: int | None = None) -> Tensor:
    """(N, C, H, W) side by side in rows, (C, rows · H, columns · W); without `columns`, a square.

    What is left over of the last row is −1.
    """
    n, channels, height, width = pictures.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    cells = pictures.new_full((rows * columns, channels, height, width), -1.0)
    cells[:n] = pictures
    grid = cells.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4)  # C, rows, H, columns, W
    return grid.reshape(channels, rows * height, columns * width)
