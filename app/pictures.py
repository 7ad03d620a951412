"""Tensor → pixels, and the pictures that a session works on: the only place that does it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from app import gallery, uploads

SIZES = (32, 64, 128)


@dataclass(frozen=True, eq=False)  # by identity: Gradio hashes what a session holds
class Picture:
    """One picture in every working size, in colour and in grey.

    `versions` maps (size, grey) to a float32 tensor (C, size, size) in [−1, 1].
    """

    title: str
    versions: Mapping[tuple[int, bool], Tensor]


def prepare(image: Image.Image, title: str) -> Picture:
    """A picture in all its versions, each resampled straight from the original."""
    return Picture(
        title,
        {
            (size, grey): uploads.to_tensor(image, size, grey)
            for size in SIZES
            for grey in (False, True)
        },
    )


@cache
def built_in(key: str) -> Picture:
    """A picture of the gallery; computed once and shared by all sessions, so do not write to it."""
    return prepare(gallery.load(key), gallery.GALLERY[key].title)


def to_pixels(x: Tensor) -> np.ndarray:
    """(C, H, W), clipped to [−1, 1] → uint8 (H, W, C)."""
    values = ((x.double().clamp(-1, 1) + 1) * 127.5).round()
    return values.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def to_image(x: Tensor) -> Image.Image:
    """(C, H, W) in [−1, 1] → a Pillow image, mode L or RGB."""
    return Image.fromarray(to_pixels(x).squeeze())


def png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def data_url(image: Image.Image) -> str:
    """A PNG that stands in the page itself."""
    return "data:image/png;base64," + packed(png_bytes(image))


def packed(content: np.ndarray | bytes) -> str:
    """Bytes, or an array's bytes in C order, as base64: large arrays in JSON are slow."""
    raw = content if isinstance(content, bytes) else np.ascontiguousarray(content).tobytes()
    return base64.b64encode(raw).decode("ascii")
