"""The one gate for untrusted pictures: a file of unknown content becomes pixels, or one sentence.

    path ── open_picture ──► PIL image, RGB, upright ── to_tensor ──► (C, size, size) in [-1, 1]

Whatever is wrong with a file, the only exception that leaves is `UploadError`, whose message is
made for the page: it says what is wrong and what would be right, and never repeats a file's name
or content. A file's content alone decides what it is; name and extension are not looked at.

Pixels are all that passes: place, time and comments in a picture's metadata are dropped, and so
are colour profiles (colours are taken as sRGB).
"""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

# Decoded, a picture takes 4 bytes a pixel several times over, however small its file is. Photos
# of current phones have 12 to 50 million pixels; the networks here want less than a million.
MAX_PIXELS = 50_000_000
# WebP and AVIF are read whole before their header is known; no photo within MAX_PIXELS needs more.
MAX_BYTES = 64 * 2**20
# The smallest pictures with anything to see: the handwritten digits are 8×8.
MIN_SIDE = 8

# Pillow knows some forty formats, many of them old and hardly tested; these are the ones people
# have. The MPO of phones is absent because Pillow opens it as "JPEG".
FORMATS = tuple(
    name
    for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
    if name not in ("WEBP", "AVIF") or features.check(name.lower())
)
ACCEPTED = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"

MISSING = "No picture arrived: choose a file and upload it again."
EMPTY = "The file is empty: choose one that holds a picture."
TOO_HEAVY = f"The file is larger than {MAX_BYTES >> 20} MB: shrink the picture and upload it again."
DRAWING = "An SVG file is a drawing, not pixels: export it as PNG and upload that."
NO_PICTURE = f"The file is not a picture that can be read here: choose a {ACCEPTED} file."
DAMAGED = "The picture is damaged or incomplete: save or download it anew and upload that."
TOO_MANY_PIXELS = (
    f"The picture has more than {MAX_PIXELS // 10**6} million pixels: shrink it and upload that."
)
TOO_SMALL = f"The picture is smaller than {MIN_SIDE} × {MIN_SIDE} pixels: choose a larger one."

# Pillow's own guard only warns from 89 million pixels on, and decodes all the same up to twice as
# many. So it gets our limit and raises: for everyone in the process, because others may open an
# upload before it comes here. It is set once, for good, and stricter than it was; switching it
# around each call with `warnings.catch_warnings` would not be safe between threads.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)

# What turns an EXIF orientation upright; 1 already is.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # EXIF and TIFF tags, by number
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262

# How files begin that people may well try, beside HEIC and SVG.
_OTHERS = {b"8BPS": "Photoshop", b"%PDF": "PDF", b"\0\0\1\0": "ICO", b"\xff\x0a": "JPEG XL"}

_HEAD = 4096  # bytes enough to tell formats apart: an SVG may begin with a long comment


class UploadError(ValueError):
    """A file was refused; the message is one sentence for the page."""


def read_picture(path: str | PathLike[str] | None, size: int, grey: bool = False) -> Tensor:
    """Any file → float32 (C, size, size) in [-1, 1], C = 1 if `grey` else 3.

    The picture's middle square, see `to_tensor`. Raises UploadError if the file is refused.
    """
    # A JPEG decoded at twice the size still leaves the resampling filter something to average.
    return to_tensor(open_picture(path, enough=2 * size), size, grey)


def open_picture(path: str | PathLike[str] | None, enough: int | None = None) -> Image.Image:
    """The file's picture as an RGB image: decoded, upright, its first frame, on white.

    16-bit grey is scaled to 8 bits; so is 32-bit grey, from its own minimum … maximum, because
    it has no white of its own (except values that all lie in [0, 1]).

    `enough` allows a large JPEG to be decoded at 1/2, 1/4 or 1/8, many times faster, as long as
    its shorter side keeps that many pixels. Raises UploadError if the file is refused.
    """
    file = _checked_file(path)
    head = b""
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
            # From the stream, not the path: a name would make Pillow trust its extension.
            with Image.open(stream, formats=FORMATS) as image:
                _check_size(*image.size)
                if enough is not None:
                    # A square request means the same before and after turning upright.
                    image.draft(None, (enough, enough))
                image.load()
                turn = _UPRIGHT.get(_orientation(image))
                picture = _to_rgb(image)
        if turn is not None:
            picture = picture.transpose(turn)
        picture.info = {}
        return picture
    except UploadError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UploadError(TOO_MANY_PIXELS) from error
    except Exception as error:  # decoders raise whatever broken bytes lead them to
        raise UploadError(_what_is_wrong(head)) from error


def to_tensor(image: Image.Image, size: int, grey: bool = False) -> Tensor:
    """The middle square of an RGB image → float32 (C, size, size) in [-1, 1].

    `size` is a positive number of pixels; C = 1 (ITU-R 601 luma) if `grey` else 3. Shrinking
    averages (Lanczos). Enlarging by a whole factor repeats pixels, so that an 8×8 digit stays
    what it is; any other enlarging is bicubic.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if side > size:
        method = Image.Resampling.LANCZOS
    elif size % side == 0:
        method = Image.Resampling.NEAREST
    else:
        method = Image.Resampling.BICUBIC
    square = image.resize((size, size), method, box=(left, top, left + side, top + side))
    pixels = np.array(square.convert("L" if grey else "RGB"), dtype=np.float32)
    pixels = pixels.reshape(size, size, 1 if grey else 3)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous() / 127.5 - 1


def _checked_file(path: str | PathLike[str] | None) -> Path:
    """`path` if it is a regular file (a pipe would never end) of 1 … MAX_BYTES bytes."""
    try:
        file = Path(path)
        if not file.is_file():
            raise UploadError(MISSING)
        size = file.stat().st_size
    except (TypeError, OSError) as error:
        raise UploadError(MISSING) from error
    if size == 0:
        raise UploadError(EMPTY)
    if size > MAX_BYTES:
        raise UploadError(TOO_HEAVY)
    return file


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UploadError(TOO_MANY_PIXELS)
    if min(width, height) < MIN_SIDE:
        raise UploadError(TOO_SMALL)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image, 1 (upright) if there is none that can be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata is no reason to refuse good pixels
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode that the accepted formats decode to → RGB, transparency over white."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bit(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=image)
    return canvas


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, integer or float → L, or LA where a grey value means transparent.

    Pillow's own conversion would clip at 255 instead.
    """
    tags = getattr(image, "tag_v2", {})  # a TIFF has them
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        white = 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1  # scientific TIFFs have 12 bits
        grey = np.rint(np.arange(2**16) * (255 / white)).clip(0, 255).astype(np.uint8)[values]
    else:
        grey = _stretched(values)
    if tags.get(_PHOTOMETRIC) == 0:  # "white is zero", which Pillow heeds for up to 8 bits
        grey = 255 - grey
    picture = Image.fromarray(grey)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        picture.putalpha(Image.fromarray((values != transparent).astype(np.uint8) * 255))
    return picture


def _stretched(values: np.ndarray) -> np.ndarray:
    """32-bit integers or floats → uint8: minimum black, maximum white, NaN black, ∞ white.

    Values that all lie in [0, 1] keep that range.
    """
    # In blocks, because whole copies in float64 would take gigabytes.
    blocks = np.array_split(values.ravel(), values.size // 2**20 + 1)
    finite = (block[np.isfinite(block)] for block in blocks)
    extremes = [(part.min(), part.max()) for part in finite if part.size] or [(0, 1)]
    low = float(min(bottom for bottom, _ in extremes))
    high = float(max(top for _, top in extremes))
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    grey = np.empty(values.size, np.uint8)
    for block, target in zip(blocks, np.array_split(grey, len(blocks)), strict=True):
        scaled = (block.astype(np.float64) - low) / (high - low or 1.0)
        target[:] = np.rint(np.nan_to_num(scaled, nan=0, posinf=1, neginf=0).clip(0, 1) * 255)
    return grey.reshape(values.shape)


def _other_format(name: str) -> str:
    return f"{name} files cannot be read here: save the picture as {ACCEPTED} and upload that."


def _what_is_wrong(head: bytes) -> str:
    """Why a file that begins with `head` could not be decoded."""
    known = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"II+\0", b"MM\0*", b"MM\0+")
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    is_bmp = head[:2] == b"BM" and head[6:10] == bytes(4)
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_avif = "AVIF" in FORMATS and brand in (b"avif", b"avis")
    if head.startswith(known) or is_bmp or is_webp or is_avif:
        return DAMAGED
    text = head.replace(b"\0", b"").lower()  # UTF-16 reads as ASCII without its zeros
    if b"<svg" in text and b"<html" not in text:
        return DRAWING
    if brand in (b"heic", b"heix", b"hevc") or (brand in (b"mif1", b"msf1") and b"heic" in head):
        return _other_format("HEIC")
    for start, name in _OTHERS.items():
        if head.startswith(start):
            return _other_format(name)
    return NO_PICTURE
