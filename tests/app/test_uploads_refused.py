"""The gate for untrusted pictures: one sentence for whatever is none, and no surprise."""

import os
import random
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from app import uploads
from app.uploads import UploadError, read_picture
from tests.app.picture_files import (
    ROOT,
    encoded,
    gradient,
    needs_avif,
    orientation,
    photo,
    pixels,
    png_chunk,
    refusal,
    saved,
    striped_palette,
    tiff,
    written,
    zero_png,
)

# -- refusals ------------------------------------------------------------------------------------


def test_no_file(tmp_path):
    gone = tmp_path / "gone.png"
    for nothing in (None, "", gone, str(gone), tmp_path, 0, ["a.png"], {"path": "a.png"}, "a\0b"):
        assert refusal(nothing) == uploads.MISSING


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png") == uploads.MISSING


def test_an_empty_file(tmp_path):
    assert refusal(written(tmp_path, b"")) == uploads.EMPTY


def test_a_heavy_file(tmp_path):
    path = written(tmp_path, encoded(photo(), "PNG"))
    os.truncate(path, uploads.MAX_BYTES)
    assert pixels(path).shape == (32, 48, 3)
    os.truncate(path, uploads.MAX_BYTES + 1)
    assert refusal(path) == uploads.TOO_HEAVY


@pytest.mark.parametrize(
    "content",
    [
        b"just a few words",
        b"BMW and GIFs are words, too",
        "Schöne Grüße\n".encode() * 50,
        b"{}",
        b"\0" * 500,
        b"<!DOCTYPE html><html><body><svg></svg></body></html>",
        b"PK\x03\x04" + bytes(30),
        b"x",
    ],
)
def test_what_is_no_picture(tmp_path, content):
    message = refusal(written(tmp_path, content, "secret-name.png"))
    assert message == uploads.NO_PICTURE
    assert "JPEG" in message
    assert "PNG" in message


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0"/></svg>'


@pytest.mark.parametrize(
    "content",
    [
        SVG.encode(),
        f'<?xml version="1.0"?>\n<!-- {"long " * 300} -->\n{SVG}'.encode(),
        b"\xef\xbb\xbf" + SVG.encode(),
        SVG.encode("utf-16"),
    ],
)
def test_an_svg_is_told_apart(tmp_path, content):
    for name in ("a.svg", "a.png"):
        assert refusal(written(tmp_path, content, name)) == uploads.DRAWING


@pytest.mark.parametrize("kind", ["PPM", "TGA", "EPS", "PCX", "ICNS", "DDS", "JPEG2000"])
def test_other_picture_formats_are_refused_with_a_list_of_the_accepted(tmp_path, kind):
    path = written(tmp_path, encoded(Image.new("RGB", (32, 32), "red"), kind))
    assert uploads.ACCEPTED in refusal(path)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\x01", "Photoshop"),
        (encoded(Image.new("RGB", (32, 32)), "ICO"), "ICO"),
        (b"\xff\x0a", "JPEG XL"),
    ],
)
def test_known_other_formats_are_named(tmp_path, head, name):
    message = refusal(written(tmp_path, head + bytes(200)))
    assert message.startswith(name)
    assert uploads.ACCEPTED in message


KINDS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]
KINDS_AND_AVIF = [*KINDS, pytest.param("AVIF", marks=needs_avif)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS_AND_AVIF)
def test_a_truncated_picture(tmp_path, kind, share):
    content = encoded(photo(160, 120), kind)
    path = written(tmp_path, content[: int(len(content) * share)])
    assert refusal(path) == uploads.DAMAGED


def test_a_damaged_picture_that_speaks_of_svg_is_still_damaged(tmp_path):
    content = encoded(photo(), "JPEG", comment=SVG)
    assert refusal(written(tmp_path, content[:-400])) == uploads.DAMAGED


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_header_followed_by_rubbish(tmp_path):
    for head in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"MM\0*"):
        assert refusal(written(tmp_path, head + b"\x7f" * 100)) == uploads.DAMAGED


def test_metadata_that_poses_as_transparency(tmp_path):
    # Pillow keeps a PNG's texts and its transparency in one dictionary.
    content = encoded(Image.new("RGB", (16, 16), "red"), "PNG")
    text = png_chunk(b"tEXt", b"transparency\0rubbish")
    assert refusal(written(tmp_path, content[:33] + text + content[33:])) == uploads.DAMAGED


def test_a_bomb_in_the_metadata(tmp_path):
    content = encoded(photo(), "PNG")
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8), 9))
    assert refusal(written(tmp_path, content[:33] + text + content[33:])) == uploads.DAMAGED


@pytest.mark.parametrize("size", [(1, 1), (7, 8), (8, 7), (500, 1)])
def test_too_few_pixels(tmp_path, size):
    assert refusal(saved(tmp_path, photo(*size), "a.png")) == uploads.TOO_SMALL


def huge_headers():
    """One file of each kind whose header promises far more pixels than it holds."""
    small = Image.new("RGB", (16, 16), "red")
    yield "PNG", zero_png(13000, 13000, rows=1)
    jpeg = encoded(small, "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    yield "JPEG", jpeg[:at] + struct.pack(">HH", 65000, 65000) + jpeg[at + 4 :]
    gif = encoded(small, "GIF")
    yield "GIF", gif[:6] + struct.pack("<HH", 60000, 60000) + gif[10:]
    at = gif.index(b",\0\0\0\0", 13) + 5
    yield "GIF frame", gif[:at] + struct.pack("<HH", 9000, 9000) + gif[at + 4 :]
    bmp = encoded(small, "BMP")
    yield "BMP", bmp[:18] + struct.pack("<ii", 10**6, 10**6) + bmp[26:]
    webp = encoded(small, "WEBP", lossless=True)
    at = webp.index(b"VP8L") + 9
    yield "WEBP", webp[:at] + struct.pack("<I", 16383 << 14 | 16383) + webp[at + 4 :]
    yield (
        "TIFF",
        tiff(np.zeros((16, 16), int), 16).replace(
            struct.pack(">HHII", 256, 4, 1, 16), struct.pack(">HHII", 256, 4, 1, 10**7)
        ),
    )


@pytest.mark.parametrize("how", ["error", "ignore"])  # whatever became of the process's filters
@pytest.mark.parametrize(("kind", "content"), list(huge_headers()))
def test_too_many_pixels_by_the_header(tmp_path, kind, content, how):
    with warnings.catch_warnings():
        warnings.simplefilter(how)
        assert refusal(written(tmp_path, content)) == uploads.TOO_MANY_PIXELS


def test_the_limit_of_pixels_is_exact(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_PIXELS", 40 * 30)
    assert pixels(saved(tmp_path, photo(40, 30), "a.png")).shape == (30, 40, 3)
    assert refusal(saved(tmp_path, photo(41, 30), "a.png")) == uploads.TOO_MANY_PIXELS


CHECK_BOMBS = """
import resource, sys
from PIL import Image
from app.uploads import TOO_MANY_PIXELS, UploadError, read_picture
assert "gradio" not in sys.modules
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read_picture(path, 64)
    except UploadError as error:
        assert str(error) == TOO_MANY_PIXELS, error
    else:
        raise AssertionError("not refused")
    try:
        Image.open(path)  # as some other part of the process might
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pass
    else:
        raise AssertionError("Pillow's own guard is off")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory as Linux does")
def test_bombs_cost_no_memory_and_no_warning(tmp_path):
    bombs = [written(tmp_path, zero_png(side, side), f"{side}.png") for side in (7500, 9900, 13000)]
    assert bombs[-1].stat().st_size < 500_000
    # The peak of memory is one number per process, and pytest replaces the warning filters.
    done = subprocess.run(
        [sys.executable, "-c", CHECK_BOMBS, *bombs],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default::RuntimeWarning"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert int(done.stdout) < 20 * 1024  # KiB; one byte a pixel would already be 55 MB


def test_sentences_fit_the_page_and_differ():
    sentences = [
        uploads.MISSING,
        uploads.EMPTY,
        uploads.TOO_HEAVY,
        uploads.DRAWING,
        uploads.NO_PICTURE,
        uploads._other_format("HEIC"),
        uploads.DAMAGED,
        uploads.TOO_MANY_PIXELS,
        uploads.TOO_SMALL,
    ]
    assert len(set(sentences)) == len(sentences)
    assert all(len(sentence) < 140 and sentence.count(".") == 1 for sentence in sentences)
    assert "50 million" in uploads.TOO_MANY_PIXELS


# -- anything at all -----------------------------------------------------------------------------


def picture_or_sentence(content):
    """The gate's whole promise; hypothesis has no tmp_path per example."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow on broken metadata
        path = written(Path(folder), content)
        try:
            found = read_picture(path, 16)
        except UploadError:
            return
    assert found.shape == (3, 16, 16)
    assert found.dtype == torch.float32
    assert found.min() >= -1
    assert found.max() <= 1


MAGIC = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*"]
MAGIC += [b"RIFF\x40\0\0\0WEBPVP8 ", b"RIFF\x40\0\0\0WEBPVP8L", b"\0\0\0\x18ftypavif"]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=300))
def test_random_bytes_never_surprise(head, tail):
    picture_or_sentence(head + tail)


def originals():
    small = photo(24, 20)
    exif = orientation(6)
    for kind in KINDS:
        yield encoded(small, kind, **({} if kind in ("GIF", "BMP") else {"exif": exif}))
    yield encoded(small, "JPEG", progressive=True)
    yield encoded(small.convert("RGBA"), "PNG", compress_level=0)
    yield encoded(small.convert("RGBA"), "WEBP", lossless=True)
    yield encoded(Image.fromarray(gradient(4000).astype(np.uint16)), "TIFF")
    yield encoded(small, "TIFF", compression="tiff_lzw")
    yield encoded(striped_palette(), "GIF", save_all=True, append_images=[striped_palette()])
    if features.check("avif"):
        yield encoded(small, "AVIF")


ORIGINALS = list(originals())


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(range(len(ORIGINALS))),
    st.randoms(use_true_random=False),
    st.integers(0, 8),
    st.booleans(),
)
def test_damaged_pictures_never_surprise(which, dice: random.Random, changes, cut):
    content = bytearray(ORIGINALS[which])
    for _ in range(changes):
        # Half of the changes hit the header, where they do most.
        reach = len(content) if dice.random() < 0.5 else min(64, len(content))
        content[dice.randrange(reach)] = dice.randrange(256)
    if cut:
        del content[dice.randrange(len(content)) :]
    picture_or_sentence(bytes(content))
