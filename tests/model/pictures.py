"""Small pictures to test with, and the sentence with which something is refused."""

import numpy as np
import pytest
import torch
from PIL import Image


def picture(width=12, height=12, seed=0, mode="RGB"):
    shape = (height, width, len(mode)) if len(mode) > 1 else (height, width)
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(values, mode if mode == "LA" else None)


def chw(image):
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def refusal(call, *arguments, kind=ValueError, **options):
    """The one sentence with which it is refused."""
    with pytest.raises(kind) as refused:
        call(*arguments, **options)
    message = str(refused.value)
    assert "\n" not in message
    return message


def generator(seed=0):
    return torch.Generator().manual_seed(seed)
