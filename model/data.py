"""Training pictures: a data set, or a handful of your own, → (B, C, H, W) in [−1, 1] with labels.

    load_data("digits")                    1,797 handwritten digits, always there
    load_data("cats.parquet", size=32)     a file or folder in the form of the `datasets` library
    load_data("pictures/", size=64)        a folder of images; sub-folders become classes
    load_data("owner/name", size=64)       from the Hugging Face Hub
    load_pictures([image, "me.jpg"])       1 … 20 pictures of your own

Pictures are decoded once and held as bytes; what was decoded is also kept on disk, in the folder
that UNNOISE_CACHE names or ~/.cache/unnoise, which may be deleted at any time. Data is only ever
read, never executed: of pictures by Pillow's common decoders, of tables as parquet.
"""

from __future__ import annotations

import gzip
import importlib.util
import math
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from model.data_cache import cache_file, read_cache, write_cache
from model.hugging_face import open_files, open_hub
from model.image_data import ImageData
from model.image_files import IMAGE_SUFFIXES, check_shape, stacked
from model.records import check_columns, decoded

__all__ = ["ImageData", "load_data", "load_pictures"]

MAX_PICTURES = 20
METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SPLITS = ("train", "test", "validation", "valid", "val", "dev", "eval")


def load_data(
    name: str | os.PathLike[str],
    *,
    split: str = "train",
    size: int | None = None,
    channels: int | None = None,
    flip: bool = False,
    jitter: float = 0.0,
    label: str | None = None,
    caption: str | None = None,
) -> ImageData:
    """A data set by name: "digits", a .parquet file, a folder, or an id of the Hugging Face Hub.

    * `split`: "train", "test", …, or a part such as "train[:1000]". A single file is every split.
      In a folder, splits are files (train.parquet, test-00000-of-00001.parquet) or sub-folders
      (train/, test/); a folder without either is its own "train". Digits: one in five of each
      class is "test", the others "train".
    * `size`: the middle square of each picture, scaled to size × size, 4 … 512. None keeps
      pictures as they are stored, if all have one size; digits, stored as 8 × 8, become 16 × 16.
    * `channels`: 1 or 3; None is 1 if all pictures are grey, else 3. Transparency becomes white.
    * `flip` and `jitter`, 0 … 1, change the pictures of a batch a little (see `ImageData`).
    * `label`: the column of classes; None looks for one by its usual names, "" goes without. Its
      classes are those of a ClassLabel, else the values that occur in this split, sorted.
    * `caption`: a column of strings to go with the pictures; by default none.

    Raises ValueError if the options or the data cannot be used, FileNotFoundError if there is no
    such data set and ConnectionError if the Hub cannot be reached, with a sentence each.
    """
    name = os.fspath(name)
    size, channels = check_shape(size, channels)
    if not isinstance(split, str) or not split:
        raise ValueError(f'split must be a name such as "train" or "train[:1000]", got {split!r}')
    changes = {"flip": flip, "jitter": _checked_jitter(jitter)}
    if name == "digits":
        data = _digits(split, 16 if size is None else size, channels, label, caption)
        return replace(data, **changes)
    options = {"split": split, "size": size, "channels": channels}
    options |= {"label": label, "caption": caption}
    if not os.path.exists(os.path.expanduser(name)):  # False, too, for what can be no path
        return replace(_from_hub(name, options), **changes)

    path = Path(name).expanduser().resolve()
    files = _files_of(path, split)
    title = path.stem if path.is_file() else path.name
    if path.is_file() and title in SPLITS:  # cats/train.parquet is called "cats"
        title = path.parent.name
    # Looked up before `datasets` is even imported.
    stats = [(str(file), (s := file.stat()).st_mtime_ns, s.st_size) for file in files]
    key = cache_file([stats, options])
    data = read_cache(key)
    if data is None:
        with tempfile.TemporaryDirectory(prefix="unnoise-", ignore_cleanup_errors=True) as scratch:
            data = decoded(open_files(files, split, scratch, title), title, options)
        write_cache(key, data)
    return replace(data, name=title, **changes)


def load_pictures(
    pictures: Sequence[Image.Image | str | os.PathLike[str]],
    *,
    size: int | None = 64,
    channels: int | None = 3,
    flip: bool = False,
    jitter: float = 1.0,
) -> ImageData:
    """1 … 20 pictures of your own, PIL images or paths, without labels.

    `size` and `channels` as in `load_data`. They are jittered, because a network would learn so
    few by heart, but not mirrored by default, because writing would be wrong then.

    Raises ValueError if the number of pictures or an option is out of range or a picture cannot
    be read, and FileNotFoundError if a path leads nowhere; the sentence counts pictures from 1.
    """
    size, channels = check_shape(size, channels)
    jitter = _checked_jitter(jitter)
    if isinstance(pictures, str | os.PathLike | Image.Image):
        pictures = [pictures]
    if not 1 <= len(pictures) <= MAX_PICTURES:
        raise ValueError(f"choose 1 to {MAX_PICTURES} pictures, got {len(pictures)}")
    sources = ((f"picture {i}", picture) for i, picture in enumerate(pictures, 1))
    pixels = stacked(sources, len(pictures), size, channels)
    return ImageData("pictures", pixels, flip=flip, jitter=jitter)


def _checked_jitter(jitter: float) -> float:
    if not (math.isfinite(jitter) and 0 <= jitter <= 1):
        raise ValueError(f"jitter must lie in [0, 1], got {jitter}")
    return float(jitter)


def _digits(
    split: str, size: int, channels: int | None, label: str | None, caption: str | None
) -> ImageData:
    """scikit-learn's digits, from its file: importing sklearn.datasets takes 1.6 s."""
    if split not in ("train", "test"):
        raise ValueError(f'digits has no split {split!r}: choose "train" or "test"')
    check_columns("digits", ["label"], label)
    if caption:
        raise ValueError("digits has no captions, only the column label")
    [folder] = importlib.util.find_spec("sklearn").submodule_search_locations
    with gzip.open(Path(folder, "datasets", "data", "digits.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)  # 64 values 0 … 16 and the class
    labels = table[:, 64]
    # The file is ordered by writer: every fifth of a class takes some of each.
    rank = np.empty_like(labels)
    for digit in range(10):
        rank[labels == digit] = np.arange((labels == digit).sum())
    chosen = (rank % 5 == 4) == (split == "test")
    strokes = np.rint(table[chosen, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    sources = ((f"digit {i}", Image.fromarray(stroke)) for i, stroke in enumerate(strokes))
    pixels = stacked(sources, len(strokes), size, channels)
    if label == "":
        return ImageData("digits", pixels)
    return ImageData("digits", pixels, torch.from_numpy(labels[chosen]), tuple("0123456789"))


def _files_of(path: Path, split: str) -> list[Path]:
    """The files of that split: parquet files only, or pictures and their metadata files."""
    if not re.fullmatch(r"\w+(\[[^\]]*\])?", split):
        raise ValueError(f'split must look like "train" or "train[:1000]", got {split!r}')
    if path.is_file():
        if path.suffix.lower() != ".parquet":
            raise ValueError(f"{path} is no .parquet file: give one, or a folder of images")
        return [path]
    wanted = split.partition("[")[0]
    inside = {folder.name for folder in path.iterdir() if folder.is_dir()}
    root = path / wanted if wanted in inside else path
    files = sorted(
        file
        for file in root.rglob("*")
        if not any(part.startswith(".") for part in file.relative_to(root).parts) and file.is_file()
    )
    tables = [f for f in files if f.suffix.lower() == ".parquet" and f.name not in METADATA_FILES]
    pictures = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not tables and not pictures:
        raise ValueError(f"the folder {path} holds no pictures and no .parquet file")
    if root == path:  # no folder of that name: a part of the file names, or no splits at all
        of = {table: re.split(r"[-._]", table.name)[0] for table in tables}
        named = (set(of.values()) if tables else inside) & set(SPLITS)
        if not named and wanted != "train":
            named = {"train"}
        if wanted in named:
            tables = [table for table in tables if of[table] == wanted]
        elif named:
            names = ", ".join(sorted(named))
            raise ValueError(f"{path} has no split {wanted!r}: choose one of {names}")
    return tables or [file for file in files if file in pictures or file.name in METADATA_FILES]


def _from_hub(name: str, options: dict) -> ImageData:
    """A data set of the Hugging Face Hub, downloaded or as downloaded before."""
    records = open_hub(name, options["split"])
    key = cache_file([name, records._fingerprint, options])
    data = read_cache(key)
    if data is None:
        data = decoded(records, name, options)
        write_cache(key, data)
    return replace(data, name=name)
