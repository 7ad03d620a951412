"""Zip files from outside: what is in them is read into memory, within bounds, never extracted.

Nothing in an archive decides where anything is written, and nothing of it is executed.
"""

from __future__ import annotations

import io
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path, PurePosixPath, PureWindowsPath

import torch
from PIL import Image

from app import uploads
from model.average import MEAN, Average
from model.checkpoint import (
    CARD,
    CONFIG,
    WEIGHTS,
    BadCheckpoint,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from model.image_data import ImageData
from model.image_files import IMAGE_SUFFIXES, stacked

MAX_FILES = 5_000
MAX_UNPACKED = 512 * 2**20  # bytes, all files together
MAX_RATIO = 200  # unpacked to packed: pictures and weights hardly shrink

# What zipfile raises for bytes that are no archive, or no longer.
BROKEN = (
    TypeError, OSError, EOFError, OverflowError, UnicodeDecodeError, struct.error,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
NO_ZIP = (
    "The file is no zip archive that can be read here: pack the folder as .zip and upload that."
)


def members(path: str | PathLike[str] | None) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of an archive; hidden ones are passed over.

    Raises ValueError with one sentence for an archive that is damaged, encrypted, too large, or
    that names a place outside itself.
    """
    try:
        with zipfile.ZipFile(Path(path)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            _check(files)
            for info in files:
                name = PureWindowsPath(info.filename).as_posix()  # some pack with backslashes
                if not any(part.startswith((".", "__")) for part in name.split("/")):
                    yield name, _read(archive, info)
    except (*BROKEN, NotImplementedError) as error:
        raise ValueError(NO_ZIP) from error
    except RuntimeError as error:  # it wants a password
        raise ValueError("The archive is encrypted: pack it without a password.") from error


def _check(files: list[zipfile.ZipInfo]) -> None:
    if len(files) > MAX_FILES:
        raise ValueError(f"The archive holds more than {MAX_FILES:,} files: pack fewer.")
    for info in files:
        path = PureWindowsPath(info.filename)  # which knows both kinds of slashes, and drives
        if path.anchor or ".." in path.parts:
            raise ValueError(
                "The archive names a place outside itself: pack the folder anew, without paths."
            )
    unpacked = sum(info.file_size for info in files)
    packed = sum(info.compress_size for info in files)
    if unpacked > MAX_UNPACKED or unpacked > max(2**20, MAX_RATIO * packed):
        raise ValueError(
            f"The archive unpacks to more than is allowed here, {MAX_UNPACKED >> 20} MB and "
            f"{MAX_RATIO} times its size: pack less."
        )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        content = file.read(info.file_size + 1)
    if len(content) != info.file_size:  # what the archive says of itself need not be true
        raise ValueError("The archive is damaged: pack it anew and upload that.")
    return content


def read_pictures(
    path: str | PathLike[str] | None, size: int, channels: int, most: int
) -> ImageData:
    """A folder of pictures as a zip; sub-folders, if there are several, become classes.

    Raises ValueError as `members`, and for an archive without pictures or with more than `most`.
    """
    found = [
        (name, content)
        for name, content in members(path)
        if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
    ]
    if not found:
        raise ValueError("The archive holds no pictures: pack a folder of PNG or JPEG files.")
    if len(found) > most:
        raise ValueError(f"The archive holds {len(found):,} pictures, at most {most:,} fit here.")
    sources = ((PurePosixPath(name).name, content) for name, content in found)
    pixels = stacked(sources, len(found), size, channels)
    folders = [PurePosixPath(name).parent.name for name, _ in found]
    classes = tuple(sorted(set(folders)))
    if len(classes) < 2:
        return ImageData("your folder", pixels)
    labels = torch.tensor([classes.index(folder) for folder in folders])
    return ImageData("your folder", pixels, labels, classes)


def read_few(paths: object, most: int) -> list[Image.Image]:
    """1 to `most` uploaded pictures, each through the gate of `app.uploads`."""
    if not isinstance(paths, list) or not 1 <= len(paths) <= most:
        count = len(paths) if isinstance(paths, list) else 0
        raise ValueError(f"Choose 1 to {most} pictures to train on, got {count}.")
    return [uploads.open_picture(path) for path in paths]


def pack_checkpoint(checkpoint: Checkpoint, name: str) -> bytes:
    """The checkpoint's folder `name` as a zip; `load_checkpoint` takes what comes out of it."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="unnoise-") as scratch:
        folder = Path(scratch, name)
        known = checkpoint.mean is not None
        average = Average(checkpoint.mean, checkpoint.class_means) if known else None
        save_checkpoint(folder, checkpoint.net, checkpoint.config, average=average)
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"{name}/{file.name}")
    return buffer.getvalue()


def unpack_checkpoint(
    path: str | PathLike[str] | None, most_parameters: int, largest: int = 64
) -> Checkpoint:
    """A checkpoint's folder, or its files, from a zip; images of up to `largest` pixels a side.

    Raises ValueError as `members`, and for whatever `load_checkpoint` refuses.
    """
    wanted = {WEIGHTS, CONFIG, CARD, MEAN}
    with tempfile.TemporaryDirectory(prefix="unnoise-") as scratch:
        folder = Path(scratch, "the archive")
        folder.mkdir()
        for name, content in members(path):
            own = PurePosixPath(name).name
            if own not in wanted or (folder / own).exists():
                raise ValueError(
                    f"The archive is no checkpoint: it may hold {', '.join(sorted(wanted))}, "
                    "once each, and nothing else."
                )
            (folder / own).write_bytes(content)
        try:
            checkpoint = load_checkpoint(folder)
        except (BadCheckpoint, OSError) as error:
            raise ValueError(f"The checkpoint cannot be used: {error}") from None
    parameters = sum(weight.numel() for weight in checkpoint.net.parameters())
    if parameters > most_parameters:
        raise ValueError(
            f"The network has {parameters:,} parameters, at most {most_parameters:,} are allowed."
        )
    size = checkpoint.config.network.image_size
    if size > largest:
        raise ValueError(f"The network draws {size}×{size} pixels, at most {largest} fit here.")
    return checkpoint
