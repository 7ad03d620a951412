"""Real picture files, written by Pillow or byte by byte, for the tests of the gate."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from app.uploads import UploadError, open_picture, read_picture

ROOT = Path(__file__).parents[2]
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


def pixels(path, **options):
    """What the gate makes of the file: (H, W, 3) integers in 0 … 255."""
    image = open_picture(path, **options)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def refusal(path):
    """The sentence with which the gate refuses the file."""
    with pytest.raises(UploadError) as refused:
        read_picture(path, 16)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def written(folder, content, name="picture.png"):
    path = folder / name
    path.write_bytes(content)
    return path


def saved(folder, image, name, **options):
    path = folder / name
    image.save(path, **options)
    return path


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photo(width=48, height=32):
    """An RGB image with every pixel different and no symmetry."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(
        np.stack([x * 255 // width, y * 255 // height, (x + 2 * y) % 256], -1).astype(np.uint8)
    )


def tiff(values, bits, photometric=1):
    """A TIFF of unsigned integer samples of `bits` bits, most significant byte first."""
    height, width = values.shape
    joined = "".join(f"{value:0{bits}b}" for value in values.flat)
    data = int(joined, 2).to_bytes(len(joined) // 8, "big")
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {278: height, 279: len(data)}
    order = ">" if bits == 16 else "<"  # Pillow reads 12 bits in little-endian files only
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    mark = b"MM\0*" if order == ">" else b"II*\0"
    head = mark + struct.pack(order + "I", 8 + len(data))
    return head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(samples):
    """A PNG of 16-bit samples, (H, W, C) with C = 1 … 4: grey, with alpha, RGB, with alpha."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body + png_chunk(b"IEND", b"")


def zero_png(width, height, rows=None):
    """A black 8-bit grey PNG, made row by row: any size costs next to no memory.

    With `rows`, only so many of the promised rows follow.
    """
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(width + 1)) for _ in range(rows or height))
    body += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def striped_palette():
    """8 columns each of palette entries 0 (red), 1 (green), 2 (blue)."""
    image = Image.new("P", (24, 16))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    for i in range(3):
        image.paste(i, (8 * i, 0, 8 * i + 8, 16))
    return image


def gradient(high=65535):
    """256 columns from 0 to `high`, 8 rows."""
    return np.tile(np.linspace(0, high, 256).round().astype(np.int64), (8, 1))
