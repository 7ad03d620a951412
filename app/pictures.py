"""Tensor → pixels, and the pictures that a session works on: the only place that does it."""

from __future__ import annotations

import base64
import hashlib
import io
from functools import cache, cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from app import gallery, uploads
from model.data import load_pictures

SIZES = (32, 64, 128)  # what the forward process can be watched at
LARGEST = 512  # a session keeps no more of an upload: no network here has a larger input


class Picture:
    """One square picture, from the gallery or uploaded, at any size that is asked for.

    `key` is its place in the gallery, None for a person's own. Two sessions share a built-in one.
    Two of the same pixels and title are equal, also after a journey to another process.
    """

    def __init__(self, image: Image.Image, title: str, key: str | None = None) -> None:
        self.title, self.key = title, key
        side = min(min(image.size), LARGEST)
        self.square = image
        if image.size != (side, side):
            left, top = ((whole - min(image.size)) // 2 for whole in image.size)
            box = (left, top, left + min(image.size), top + min(image.size))
            self.square = image.resize((side, side), Image.Resampling.LANCZOS, box=box)
        self._versions: dict[tuple[int, bool], Tensor] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @cached_property
    def _identity(self) -> tuple:
        pixels = hashlib.sha256(self.square.tobytes()).digest()
        return self.key, self.title, self.square.mode, self.square.size, pixels

    def at(self, size: int, grey: bool = False) -> Tensor:
        """float32 (C, size, size) in [−1, 1], C = 1 if `grey` else 3; shared: never write to it."""
        if (size, grey) not in self._versions:
            self._versions[size, grey] = uploads.to_tensor(self.square, size, grey)
        return self._versions[size, grey]

    def as_input(self, shape: tuple[int, int, int]) -> Tensor:
        """float32 (C, H, W) of that shape, scaled as the training pictures of a network are."""
        channels, size, _ = shape
        pixels = load_pictures([self.square], size=size, channels=channels).pixels[0]
        return pixels.float() / 127.5 - 1


@cache
def built_in(key: str) -> Picture:
    """A picture of the gallery; computed once and shared by all sessions.

    Raises ValueError if there is no such key.
    """
    return Picture(gallery.load(key), gallery.GALLERY[key].title, key)


def to_pixels(x: Tensor) -> np.ndarray:
    """(…, C, H, W), clipped to [−1, 1] → uint8 (…, H, W, C)."""
    values = x.cpu().movedim(-3, -1).double().clamp(-1, 1).add_(1).mul_(127.5).round_()
    return values.to(torch.uint8).contiguous().numpy()


def to_image(x: Tensor) -> Image.Image:
    """(C, H, W) in [−1, 1] → a Pillow image, mode L or RGB."""
    return from_pixels(to_pixels(x))


def from_pixels(pixels: np.ndarray) -> Image.Image:
    """uint8 (H, W, C) → an image, grey where C is 1."""
    return Image.fromarray(pixels.squeeze())


def png_bytes(image: Image.Image, compress_level: int = 6) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def small_data_url(image: Image.Image) -> str:
    """A picture to choose by, not to look at: WebP with loss, a tenth of the bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + packed(buffer.getvalue())


def data_url(image: Image.Image, compress_level: int = 1) -> str:
    """A PNG that stands in the page itself, for a while: more effort hardly makes it smaller."""
    return "data:image/png;base64," + packed(png_bytes(image, compress_level))


def noise_urls(x: Tensor) -> list[str]:
    """The same of each of (N, C, H, W) in [−1, 1], which are mostly noise: that has no order."""
    return [data_url(from_pixels(pixels), compress_level=0) for pixels in to_pixels(x)]


def packed(content: np.ndarray | bytes) -> str:
    """Bytes, or an array's bytes in C order, as base64: large arrays in JSON are slow."""
    raw = content if isinstance(content, bytes) else np.ascontiguousarray(content).tobytes()
    return base64.b64encode(raw).decode("ascii")


def packed_float32(values: Tensor) -> str:
    """Numbers as base64 of little-endian float32."""
    return packed(values.numpy().astype("<f4"))
