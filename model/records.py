"""The records of a table → pictures, the classes they belong to, and captions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.image_data import ImageData
from model.image_files import stacked

if TYPE_CHECKING:  # costs a second to import, so only where it is needed
    from datasets import Dataset

MAX_CLASSES = 1000
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "category")  # looked for in this order
SHORT = 64  # characters of a string that can be a class name


def decoded(records: Dataset, name: str, options: dict) -> ImageData:
    """All pictures of a table, with the labels and captions that were asked for."""
    import datasets

    columns = list(records.features)
    check_columns(name, columns, options["label"], options["caption"])
    if not len(records):
        raise ValueError(f"{name} holds no records in the split {options['split']!r}")
    images = [c for c in columns if isinstance(records.features[c], datasets.Image)]
    if not images:
        raise ValueError(f"{name} has no image column, only {', '.join(columns)}")
    image = "image" if "image" in images else images[0]

    # What is cheap to refuse comes first.
    label, captions = options["label"], None
    if label is None:
        label = next((c for c in LABEL_COLUMNS if c in columns and _is_class(records, c)), "")
    labels, classes = _classes(records, label, name) if label else (None, ())
    if options["caption"]:
        captions = records[options["caption"]][:]
        if not all(isinstance(text, str | None) for text in captions):
            raise ValueError(f"the column {options['caption']} of {name} holds no captions")
        captions = tuple(text or "" for text in captions)

    # As bytes: `datasets` would decode with any format that Pillow knows.
    files = records.select_columns([image]).cast_column(image, datasets.Image(decode=False))
    sources = ((f"record {i} of {name}", _source(r[image])) for i, r in enumerate(files))
    pixels = stacked(sources, len(files), options["size"], options["channels"])
    return ImageData(name, pixels, labels, classes, captions)


def _source(file: dict | None) -> bytes | str | None:
    """The content of a stored picture, or where it lies."""
    return None if file is None else file["bytes"] or file["path"]


def check_columns(name: str, columns: Iterable[str], *wanted: str | None) -> None:
    """Refuse columns that are asked for and not there; None and "" ask for none."""
    for column in wanted:
        if column and column not in columns:
            raise ValueError(f"{name} has no column {column!r}: choose one of {', '.join(columns)}")


def _is_class(records: Dataset, column: str) -> bool:
    """Whether a column's type, and for strings their length, lets it be taken for a class."""
    import datasets

    feature = records.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return True
    kind = getattr(feature, "dtype", "")
    if kind in ("string", "large_string"):
        return all(len(text or "") <= SHORT for text in records[column])
    return kind == "bool" or re.fullmatch(r"u?int\d+", kind) is not None


def _classes(records: Dataset, column: str, name: str) -> tuple[Tensor, tuple[str, ...]]:
    """Labels (N,) int64 and the names they point to."""
    import datasets

    feature, values = records.features[column], records[column][:]
    named = isinstance(feature, datasets.ClassLabel)
    if not _is_class(records, column):
        raise ValueError(
            f"the column {column!r} of {name} holds no classes: choose one of integers or strings "
            f'of up to {SHORT} characters, or label="" to go without'
        )
    known = range(len(feature.names)) if named else sorted(set(values) - {None})
    if len(known) > MAX_CLASSES:
        raise ValueError(
            f"the column {column!r} of {name} has {len(known):,} classes, more than "
            f'{MAX_CLASSES:,}: choose another, or label="" to go without'
        )
    position = {value: i for i, value in enumerate(known)}
    labels = [position.get(value, -1) for value in values]  # −1 is also how `datasets` marks none
    if -1 in labels:
        raise ValueError(
            f"record {labels.index(-1)} of {name} has no class in the column {column!r}: choose "
            'another, or label="" to go without'
        )
    names = feature.names if named else map(str, known)
    return torch.tensor(labels, dtype=torch.int64), tuple(names)
