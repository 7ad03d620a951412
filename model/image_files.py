"""One picture and a stack of them: files and PIL images → bytes (N, C, H, W), grey or RGB.

Pictures come from anywhere, so they are read by Pillow's common decoders only, and refused with
a sentence where they are damaged, too large for the memory, or not all of one size.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, features
from torch import Tensor

from model.checks import as_integer

MIN_SIZE, MAX_SIZE = 4, 512
MAX_PIXELS = 50_000_000  # of one picture: a small file can decode to gigabytes
MAX_BYTES = 4 * 2**30  # of all pictures, decoded

# Pillow knows some forty formats, one of which runs another program; these are in use.
FORMATS = tuple(
    kind
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM")
    if kind not in ("WEBP", "AVIF") or features.check(kind.lower())
)
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}


def check_shape(size: int | None, channels: int | None) -> tuple[int | None, int | None]:
    """What pictures are made into: 4 … 512 pixels a side, 1 or 3 channels; None as they are."""
    if size is not None:
        size = as_integer(size, "size")
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise ValueError(f"size must be in {MIN_SIZE} … {MAX_SIZE} pixels, got {size}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels!r}")
    return size, channels


def stacked(
    sources: Iterable[tuple[str, Image.Image | bytes | str | os.PathLike[str] | None]],
    count: int,
    size: int | None,
    channels: int | None,
) -> Tensor:
    """`count` pictures, each with what to call it in an error, as (N, C, H, W) uint8."""
    stack = None
    for i, (what, source) in enumerate(sources):
        image = _opened(source, what, size)
        if channels is not None:
            image = image.convert("L" if channels == 1 else "RGB")
        if size is not None:
            image = _square(image, size)
        pixels = np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)
        if stack is None:
            if not all(MIN_SIZE <= side <= MAX_SIZE for side in image.size):
                raise ValueError(
                    f"{what} has {image.width}×{image.height} pixels, outside "
                    f"{MIN_SIZE} … {MAX_SIZE}: give a size to scale all to"
                )
            stack = np.empty((_fitting(count, pixels.shape), *pixels.shape), dtype=np.uint8)
        if pixels.shape[1:] != stack.shape[2:]:
            height, width = stack.shape[2:]
            raise ValueError(
                f"{what} has {image.width}×{image.height} pixels, those before it {width}×{height}:"
                " give a size to scale all to"
            )
        if len(pixels) > stack.shape[1]:  # the first in colour, after grey ones
            _fitting(count, pixels.shape)
            stack = stack.repeat(3, axis=1)
        stack[i] = pixels  # grey among colour: the same in all three
    return torch.from_numpy(stack)


def _fitting(count: int, shape: tuple[int, ...]) -> int:
    """`count` if so many pictures of that shape may be held in memory."""
    most = MAX_BYTES // math.prod(shape)
    if count > most:
        raise ValueError(
            f"{count:,} pictures of {shape[2]}×{shape[1]} pixels need more than "
            f'{MAX_BYTES >> 30} GiB: choose a smaller size, or a part, split="train[:{most}]"'
        )
    return count


def _opened(
    source: Image.Image | bytes | str | os.PathLike[str] | None, what: str, size: int | None
) -> Image.Image:
    """A picture, or the file that holds one: decoded, upright, over white, of mode L or RGB."""
    if source is None:
        raise ValueError(f"{what} holds no picture")
    if isinstance(source, str | os.PathLike):
        what = f"{what} ({Path(source).name})"
        if not os.path.isfile(source):
            raise FileNotFoundError(f"{what} is missing: there is no such file")
    try:
        image = source
        if not isinstance(source, Image.Image):
            stream = BytesIO(source) if isinstance(source, bytes) else source
            image = Image.open(stream, formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if size is not None and image is not source:
            # A large JPEG at 1/2, 1/4 or 1/8, many times faster and still twice as fine.
            image.draft(None, (2 * size, 2 * size))
        image.load()
        if image.getexif().get(0x0112, 1) != 1:
            image = ImageOps.exif_transpose(image)
        return _over_white(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(
            f"{what} has more than {MAX_PIXELS // 10**6} million pixels: shrink it"
        ) from error
    except Exception as error:  # decoders raise whatever broken bytes lead them to
        raise ValueError(
            f"{what} is damaged or no picture that can be read here: it must be one of "
            f"{', '.join(FORMATS)}"
        ) from error


def _over_white(image: Image.Image) -> Image.Image:
    """Grey as mode L and all else as RGB, 8 bits a channel."""
    if image.mode.startswith("I;16"):  # `convert` would cut off all above 255
        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):  # without a white of its own: from the least to the greatest value
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("values must be finite")
        span = np.ptp(values) or 1
        return Image.fromarray(np.rint((values - values.min()) * (255 / span)).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert("L" if grey else "RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    """The middle square, scaled to size × size."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    if side == size:
        return image.crop(box)
    if side < size:
        method = Image.Resampling.BICUBIC
    else:  # by a whole factor, the mean over a block is exact
        method = Image.Resampling.BOX if side % size == 0 else Image.Resampling.LANCZOS
    return image.resize((size, size), method, box=box)
