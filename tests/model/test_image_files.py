"""Pictures in memory and in real small files, compared with what Pillow makes of them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from model import image_files
from model.data import load_data, load_pictures
from tests.model.pictures import chw, picture, refusal

# -- sizes and modes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "size", "method"),
    [(64, 32, "BOX"), (48, 32, "LANCZOS"), (28, 32, "BICUBIC")],
)
def test_scaling_matches_pillow(side, size, method):
    image = picture(side, side)
    expected = image.resize((size, size), Image.Resampling[method])
    assert np.array_equal(load_pictures(image, size=size).pixels[0], chw(expected))


def test_the_middle_square_is_kept():
    wide, tall = picture(30, 10), picture(8, 21)
    assert np.array_equal(load_pictures([wide], size=10).pixels[0], chw(wide.crop((10, 0, 20, 10))))
    assert np.array_equal(load_pictures([tall], size=8).pixels[0], chw(tall.crop((0, 6, 8, 14))))


def read(folder, image, name, channels=3, **options):
    image.save(folder / name, **options)
    return load_pictures([folder / name], size=12, channels=channels).pixels[0].numpy()


def test_transparency_is_over_white(tmp_path):
    rgba = picture(mode="RGBA")
    alpha = np.asarray(rgba)[..., 3:] / 255
    expected = np.asarray(rgba)[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(read(tmp_path, rgba, "a.png") - chw(expected)).max() <= 1
    clear = read(tmp_path, Image.new("LA", (12, 12), (9, 0)), "b.png", None)
    assert np.array_equal(clear, np.full((1, 12, 12), 255))
    palette = Image.new("P", (12, 12))
    palette.putpalette([250, 0, 10, 0, 255, 0])
    palette.paste(1, (6, 0, 12, 12))
    pixels = read(tmp_path, palette, "c.png", transparency=1)
    assert pixels[:, 0, 0].tolist() == [250, 0, 10]
    assert pixels[:, 0, 11].tolist() == [255, 255, 255]


def test_16_bit_grey_is_scaled_not_cut_off(tmp_path):
    values = np.linspace(0, 65535, 144).reshape(12, 12).astype(np.uint16)
    for name in ("a.png", "a.tiff"):
        pixels = read(tmp_path, Image.fromarray(values), name, None)
        assert pixels.shape == (1, 12, 12)
        assert np.array_equal(pixels[0], np.rint(values / 257))


def test_32_bit_grey_runs_from_its_least_to_its_greatest_value(tmp_path):
    values = np.linspace(-3, 5, 144, dtype=np.float32).reshape(12, 12)
    pixels = read(tmp_path, Image.fromarray(values), "a.tiff", None)
    assert np.array_equal(pixels[0], np.rint((values.astype(np.float64) + 3) * (255 / 8)))
    values[3, 4] = np.nan
    Image.fromarray(values).save(tmp_path / "b.tiff")
    assert "picture 1 (b.tiff) is damaged" in refusal(load_pictures, [tmp_path / "b.tiff"])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.linear_gradient("L").resize((24, 12)).convert("RGB")
    image.paste("red", (0, 0, 6, 6))
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "a.jpg") as stored:
        upright = ImageOps.exif_transpose(stored).convert("RGB")
    left, top = (upright.width - 12) // 2, (upright.height - 12) // 2
    expected = chw(upright.crop((left, top, left + 12, top + 12)))
    assert np.array_equal(load_pictures([tmp_path / "a.jpg"], size=12).pixels[0], expected)


def test_a_large_jpeg_is_read_at_a_fraction_and_looks_the_same(tmp_path):
    image = Image.radial_gradient("L").resize((800, 800)).convert("RGB")
    pixels = read(tmp_path, image, "a.jpg", quality=95).astype(int)
    expected = chw(image.resize((12, 12), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(pixels - expected).max() <= 4


def as_stored(images, channels=None):
    return load_pictures(images, size=None, channels=channels)


def test_channels_are_one_only_if_all_are_grey():
    grey, colour = picture(mode="L"), picture(seed=1)
    assert as_stored([grey, grey]).channels == 1
    mixed = as_stored([grey, colour, grey])
    assert mixed.channels == 3
    assert np.array_equal(mixed.pixels[0], chw(grey.convert("RGB")))
    assert np.array_equal(mixed.pixels[1], chw(colour))
    assert np.array_equal(mixed.pixels[2], chw(grey.convert("RGB")))
    assert np.array_equal(as_stored([grey, colour], 1).pixels[1], chw(colour.convert("L")))


def test_as_stored_pictures_need_one_size():
    assert as_stored([picture(20, 12), picture(20, 12, 1)]).size == (12, 20)
    images = [picture(12, 12), picture(16, 12)]
    message = refusal(as_stored, images)
    assert "picture 2 has 16×12 pixels, those before it 12×12: give a size" in message
    assert load_pictures(images, size=8).size == (8, 8)
    assert "3×12 pixels, outside 4 … 512: give a size" in refusal(as_stored, [picture(3, 12)])


def test_too_many_pictures_for_the_memory(monkeypatch):
    images = [picture(mode="L"), picture(), picture()]
    monkeypatch.setattr(image_files, "MAX_BYTES", 3 * 144 * 3 - 1)
    message = refusal(as_stored, images)  # one byte a pixel would fit, three do not
    assert 'split="train[:2]"' in message
    assert len(as_stored(images[:2])) == 2


# -- a handful of pictures ---------------------------------------------------------------------


def test_pictures_from_memory_and_files(tmp_path):
    image = picture(64, 64)
    image.save(tmp_path / "a.png")
    data = load_pictures([image, tmp_path / "a.png", str(tmp_path / "a.png")])
    assert data.pixels.shape == (3, 3, 64, 64)
    assert all(np.array_equal(pixels, chw(image)) for pixels in data.pixels)
    assert data.labels is None
    assert data.jitter == 1
    assert not data.flip
    assert load_pictures(image, jitter=0, flip=True).flip
    assert len(load_pictures([image] * 20)) == 20


def test_what_pictures_cannot_be(tmp_path):
    image = picture()
    assert "1 to 20 pictures, got 0" in refusal(load_pictures, [])
    assert "1 to 20 pictures, got 21" in refusal(load_pictures, [image] * 21)
    assert "jitter must lie in [0, 1], got 2" in refusal(load_pictures, [image], jitter=2)
    missing = refusal(load_pictures, [image, tmp_path / "no.png"], kind=FileNotFoundError)
    assert "picture 2 (no.png) is missing" in missing
    (tmp_path / "text.png").write_text("no picture")
    assert "picture 1 (text.png) is damaged" in refusal(load_pictures, [tmp_path / "text.png"])
    for name in ("a.eps", "a.pcx"):  # Pillow could read them, the first with another program
        image.save(tmp_path / name)
        assert "it must be one of PNG, JPEG" in refusal(load_pictures, [tmp_path / name])


def bomb(width=20_000, height=20_000):
    """A PNG that promises 400 million pixels in a hundred bytes."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (9_000, 8_000)])
def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(bomb(width, height))
    message = refusal(load_pictures, [tmp_path / "bomb.png"])
    assert "picture 1 (bomb.png) has more than 50 million pixels: shrink it" in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 3}, "size must be in 4 … 512 pixels, got 3"),
        ({"size": 513}, "got 513"),
        ({"size": 8.0}, "size must be an integer, got 8.0"),
        ({"channels": 2}, "channels must be 1 (grey) or 3 (RGB), got 2"),
    ],
)
def test_options_out_of_range(options, words):
    assert words in refusal(load_pictures, [picture()], **options)
    assert words in refusal(load_data, "digits", **options)
