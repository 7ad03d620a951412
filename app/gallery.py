"""The pictures that come with the app: real ones, there at once and without any network.

They ship inside packages that the app needs anyway. Each is cut to a square on its subject, so
that nothing of it is lost when a network's square input is taken from its middle.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

# Which of scikit-learn's 1,797 digits stands for its class: well written, chosen by looking.
DIGITS = (642, 93, 927, 709, 64, 1568, 136, 222, 8, 1792)


@dataclass(frozen=True)
class BuiltIn:
    """One picture: its key, what to call it on the page, and whom to credit."""

    key: str
    title: str
    credit: str
    # Left, top, right, bottom in pixels of the original; None takes all of it.
    crop: tuple[int, int, int, int] | None = None


_DIGITS_CREDIT = "E. Alpaydin and C. Kaynak, UCI handwritten digits, CC BY 4.0"

# In the order in which the page shows them.
GALLERY: dict[str, BuiltIn] = {
    picture.key: picture
    for picture in (
        # The middle of the portrait would cut the top off her cap.
        BuiltIn("hopper", "Grace Hopper", "US Navy, public domain", (42, 4, 482, 444)),
        # The tower stands far left of the middle.
        BuiltIn("china", "Summer Palace", "danielbuechele, CC BY 2.0", (11, 12, 403, 404)),
        # Closer, and without a second flower at the lower edge.
        BuiltIn("flower", "Dahlia", "vultilion, CC BY 2.0", (149, 60, 465, 376)),
        *(BuiltIn(f"digit-{d}", f"Handwritten {d}", _DIGITS_CREDIT) for d in range(10)),
    )
}


def load(key: str) -> Image.Image:
    """The square picture of that key: mode RGB, the caller's own copy.

    Digits are 8×8, white on black; the photographs 316 to 440 pixels wide.
    Raises ValueError if there is no such key.
    """
    # The type first: what a browser sends may be a list, which no dictionary can look up.
    if not isinstance(key, str) or key not in GALLERY:
        raise ValueError(f"there is no such built-in picture: choose one of {', '.join(GALLERY)}")
    return _load(key).copy()


def thumbnail(key: str, side: int = 96) -> Image.Image:
    """The picture as (side, side) pixels, mode RGB; a digit stays crisp if 8 divides `side`.

    Raises ValueError if there is no such key.
    """
    picture = load(key)
    whole = side % picture.width == 0  # enlarged by a whole factor, pixels stay pixels
    method = Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS
    return picture.resize((side, side), method)


@lru_cache
def _load(key: str) -> Image.Image:
    if key == "hopper":
        picture = _portrait()
    elif key.startswith("digit-"):
        picture = _digit(int(key.removeprefix("digit-")))
    else:
        picture = _photograph(key)
    return picture.crop(GALLERY[key].crop) if GALLERY[key].crop else picture


# The files are read where the packages keep them, without importing the packages: that takes 1.6 s
# for sklearn.datasets and 0.25 s for matplotlib, and every visitor's first page needs these.


def file_of(package: str, *path: str) -> Path:
    """A file that ships inside a package."""
    [folder] = importlib.util.find_spec(package).submodule_search_locations
    return Path(folder).joinpath(*path)


def _photo(path: Path) -> Image.Image:
    with Image.open(path, formats=("JPEG",)) as image:
        return image.convert("RGB")


def _portrait() -> Image.Image:
    return _photo(file_of("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"))


def _photograph(key: str) -> Image.Image:
    return _photo(file_of("sklearn", "datasets", "images", f"{key}.jpg"))


@lru_cache
def _digits() -> np.ndarray:
    """All 1,797 digits, (1797, 8, 8) in 0 … 16; a line of the file is 64 pixels and the class."""
    with gzip.open(file_of("sklearn", "datasets", "data", "digits.csv.gz"), "rt") as file:
        return np.loadtxt(file, delimiter=",")[:, :64].reshape(-1, 8, 8)


def _digit(digit: int) -> Image.Image:
    strokes = _digits()[DIGITS[digit]]
    return Image.fromarray(np.rint(strokes * (255 / 16)).astype(np.uint8)).convert("RGB")
