"""What was decoded before, kept on disk: one file for a source and the options it is read with.

They lie in the folder that UNNOISE_CACHE names or ~/.cache/unnoise, which may be deleted at any
time. A damaged file counts as none; one that cannot be written is no error.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from model.files import write_whole
from model.image_data import ImageData

_VERSION = 1  # raise it whenever the same options give other pixels


def cache_folder() -> Path:
    """Where they lie; it may not exist yet."""
    return Path(os.environ.get("UNNOISE_CACHE") or os.path.expanduser("~/.cache/unnoise"))


def cache_file(of: list) -> Path:
    """The cache file for a source and the options with which it is read."""
    text = json.dumps([_VERSION, of], default=str)
    return cache_folder() / (hashlib.sha256(text.encode()).hexdigest()[:32] + ".safetensors")


def read_cache(file: Path) -> ImageData | None:
    """What is in a cache file; None if there is none, or it is damaged."""
    try:
        with safe_open(file, framework="pt") as stored:
            about = json.loads(stored.metadata()["data"])
            found = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    except Exception:  # nothing there, cut off, or of something else
        return None
    if any(about["crc32"].get(key) != _crc32(tensor) for key, tensor in found.items()):
        return None
    captions = found.get("captions")
    return ImageData(
        about["name"],
        found["pixels"],
        found.get("labels"),
        tuple(about["classes"]),
        None if captions is None else tuple(json.loads(captions.numpy().tobytes())),
    )


def write_cache(file: Path, data: ImageData) -> None:
    """Keep `data` for the next time, whole or not at all; if the disk is full, not at all."""
    tensors = {"pixels": data.pixels}
    if data.labels is not None:
        tensors["labels"] = data.labels
    if data.captions is not None:
        text = json.dumps(data.captions).encode()
        tensors["captions"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    sums = {key: _crc32(tensor) for key, tensor in tensors.items()}
    about = {"name": data.name, "classes": data.classes, "crc32": sums}
    with suppress(Exception):  # the next time will take as long as this one, that is all
        write_whole(file, save(tensors, {"data": json.dumps(about)}))


def _crc32(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy())
