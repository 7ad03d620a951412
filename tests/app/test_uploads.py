"""The gate for untrusted pictures: the right pixels for every kind of picture."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

from app.uploads import open_picture, read_picture, to_tensor
from tests.app.picture_files import (
    deep_png,
    encoded,
    gradient,
    needs_avif,
    orientation,
    photo,
    pixels,
    saved,
    striped_palette,
    tiff,
    written,
)

# -- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tiff", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_lossless_formats_arrive_bit_for_bit(tmp_path, name, options):
    image = photo()
    np.testing.assert_array_equal(pixels(saved(tmp_path, image, name, **options)), image)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", pytest.param("a.avif", marks=needs_avif)])
def test_lossy_formats_arrive_nearly(tmp_path, name):
    image = photo().resize((96, 64), Image.Resampling.BICUBIC)
    found = pixels(saved(tmp_path, image, name, quality=95))
    assert np.abs(found - np.asarray(image).astype(int)).mean() < 6


def test_the_picture_of_a_phone_s_mpo_is_its_first(tmp_path):
    first, second = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue")
    path = saved(tmp_path, first, "a.mpo", save_all=True, append_images=[second])
    assert Image.open(path).format == "MPO"
    np.testing.assert_allclose(pixels(path)[16, 16], (255, 0, 0), atol=3)


@pytest.mark.parametrize("name", ["mislabelled.png", "drawing.svg", "noextension", "a.txt"])
def test_content_decides_not_the_name(tmp_path, name):
    path = written(tmp_path, encoded(Image.new("RGB", (16, 16), (10, 200, 30)), "JPEG"), name)
    np.testing.assert_allclose(pixels(path)[8, 8], (10, 200, 30), atol=3)


# How a stored array must be turned so that it stands upright, by the definition of the EXIF tag
# ("the 0th row is the visual right-hand side, …"), in numpy's words.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("value", UPRIGHT)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tiff", {}),
        ("a.tif", {"compression": "tiff_deflate"}),
        ("a.jpg", {"quality": 100, "subsampling": 0}),
        pytest.param("a.avif", {"quality": 100, "subsampling": "4:4:4"}, marks=needs_avif),
    ],
)
def test_exif_orientation_is_honoured(tmp_path, name, options, value):
    stored = photo()
    path = saved(tmp_path, stored, name, exif=orientation(value), **options)
    expected = UPRIGHT[value](np.asarray(stored).astype(int))
    lossy = name in ("a.jpg", "a.avif")
    np.testing.assert_allclose(pixels(path), expected, atol=8 if lossy else 0)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_senseless_orientation_leaves_the_picture_as_it_is(tmp_path, value):
    path = saved(tmp_path, photo(), "a.png", exif=orientation(value))
    np.testing.assert_array_equal(pixels(path), photo())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("rubbish", [b"II*\0\xff\xff\xff\xff", b"rubbish", b""])
def test_broken_exif_does_not_cost_the_picture(tmp_path, rubbish):
    path = saved(tmp_path, photo(), "a.png", exif=b"Exif\0\0" + rubbish)
    np.testing.assert_array_equal(pixels(path), photo())


@pytest.mark.parametrize("value", UPRIGHT)
def test_a_large_jpeg_is_decoded_small_and_still_upright(tmp_path, value):
    stored = photo(60, 40).resize((1200, 800), Image.Resampling.BICUBIC)
    path = saved(tmp_path, stored, "a.jpg", quality=95, exif=orientation(value))
    assert sorted(open_picture(path, enough=100).size) == [100, 150]
    whole = to_tensor(open_picture(path), 32)
    torch.testing.assert_close(read_picture(path, 32), whole, atol=0.04, rtol=0)


def test_decoding_small_never_falls_below_what_is_needed(tmp_path):
    path = saved(tmp_path, photo(1000, 600), "a.jpg")
    assert open_picture(path, enough=301).size == (1000, 600)
    assert open_picture(path, enough=300).size == (500, 300)


def test_decoding_small_costs_no_sharpness(tmp_path):
    stripes = np.arange(400) // 7 % 2 * np.ones((400, 1)) * 255
    image = Image.fromarray(stripes.astype(np.uint8)).convert("RGB")
    path = saved(tmp_path, image, "a.jpg", quality=95)
    assert open_picture(path, enough=128).size == (200, 200)
    found = read_picture(path, 64)
    torch.testing.assert_close(found, to_tensor(open_picture(path), 64), atol=0.1, rtol=0)


def test_nothing_but_pixels_passes(tmp_path):
    exif = orientation(6)
    exif[0x010E] = "taken at home"
    image = open_picture(saved(tmp_path, photo(), "a.jpg", exif=exif, comment="hello", dpi=(9, 9)))
    assert image.info == {}
    assert len(image.getexif()) == 0
    assert type(image) is Image.Image


# -- colour modes --------------------------------------------------------------------------------


def test_alpha_is_composited_on_white(tmp_path):
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 8, 8))
    image.paste((0, 0, 255, 128), (8, 8, 16, 16))
    for name in ("a.png", "a.tiff"):
        found = pixels(saved(tmp_path, image, name))
        assert found[2, 2].tolist() == [255, 255, 255]
        assert found[2, 12].tolist() == [255, 0, 0]
        np.testing.assert_allclose(found[12, 12], (127, 127, 255), atol=1)


def test_grey_with_alpha(tmp_path):
    image = Image.new("LA", (16, 16), (100, 255))
    image.paste((0, 0), (0, 0, 8, 16))
    found = pixels(saved(tmp_path, image, "a.png"))
    assert found[8, 4].tolist() == [255] * 3
    assert found[8, 12].tolist() == [100] * 3


def test_palette(tmp_path):
    for name in ("a.png", "a.gif", "a.bmp", "a.tiff"):
        found = pixels(saved(tmp_path, striped_palette(), name))
        assert found[8, 4::8].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]], name


def test_palette_with_a_transparent_colour(tmp_path):
    for name in ("a.png", "a.gif"):
        found = pixels(saved(tmp_path, striped_palette(), name, transparency=1))
        assert found[8, 4::8].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]], name


def test_palette_with_an_alpha_per_colour(tmp_path):
    path = saved(tmp_path, striped_palette(), "a.png", transparency=bytes([255, 0, 51]))
    found = pixels(path)[8, 4::8]
    np.testing.assert_allclose(found, [[255, 0, 0], [255, 255, 255], [204, 204, 255]], atol=1)


def test_rgb_and_grey_with_a_transparent_colour(tmp_path):
    rgb = Image.new("RGB", (16, 16), (1, 2, 3))
    rgb.paste((9, 9, 9), (8, 0, 16, 16))
    found = pixels(saved(tmp_path, rgb, "rgb.png", transparency=(1, 2, 3)))
    assert found[8, 4::8].tolist() == [[255] * 3, [9] * 3]
    found = pixels(saved(tmp_path, rgb.convert("L"), "grey.png", transparency=9))
    assert found[8, 12].tolist() == [255] * 3


def test_one_bit(tmp_path):
    image = Image.new("1", (16, 16), 0)
    image.paste(1, (8, 0, 16, 16))
    for name in ("a.png", "a.bmp", "a.tiff"):
        found = pixels(saved(tmp_path, image, name))
        assert found[8, 4::8].tolist() == [[0] * 3, [255] * 3], name
    found = read_picture(saved(tmp_path, image, "a.png"), 16)
    assert found.unique().tolist() == [-1.0, 1.0]


def test_cmyk_jpeg(tmp_path):
    image = Image.new("CMYK", (32, 16), (0, 255, 255, 0))
    image.paste((0, 0, 0, 0), (8, 0, 16, 16))
    image.paste((0, 0, 0, 255), (16, 0, 24, 16))
    image.paste((255, 255, 0, 0), (24, 0, 32, 16))
    for name in ("a.jpg", "a.tiff"):
        found = pixels(saved(tmp_path, image, name, quality=100))[8, 4::8]
        expected = [[255, 0, 0], [255, 255, 255], [0, 0, 0], [0, 0, 255]]
        np.testing.assert_allclose(found, expected, atol=4)


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    image = Image.fromarray(gradient().astype(np.uint16))
    for name in ("a.png", "a.tiff"):
        found = pixels(saved(tmp_path, image, name))
        np.testing.assert_array_equal(found, np.tile(np.arange(256)[:, None], (8, 1, 3)))
    found = pixels(written(tmp_path, tiff(gradient(), 16), "big-endian.tiff"))
    np.testing.assert_array_equal(found[0, :, 0], np.arange(256))


def test_sixteen_bit_grey_is_scaled_by_its_type_not_by_its_content(tmp_path):
    image = Image.fromarray(np.full((8, 8), 257 * 60, np.uint16))
    assert (pixels(saved(tmp_path, image, "a.png")) == 60).all()


def test_sixteen_bit_grey_with_a_transparent_value(tmp_path):
    values = np.full((8, 16), 257, np.uint16)
    values[:, 8:] = 256  # the same in eight bits, but not transparent
    found = pixels(saved(tmp_path, Image.fromarray(values), "a.png", transparency=257))
    assert found[4, 4::8].tolist() == [[255] * 3, [1] * 3]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_of_every_kind(tmp_path, channels):
    samples = np.full((8, 16, channels), 65535)
    samples[..., 0] = 257 * 60
    if channels in (2, 4):
        samples[:, 8:, -1] = 0
    found = pixels(written(tmp_path, deep_png(samples)))
    colour = [60, 255, 255] if channels > 2 else [60] * 3
    assert found[4, 4].tolist() == colour
    assert found[4, 12].tolist() == ([255] * 3 if channels in (2, 4) else colour)


def test_twelve_bit_grey(tmp_path):
    found = pixels(written(tmp_path, tiff(gradient(4095), 12), "a.tiff"))
    np.testing.assert_allclose(found[0, :, 0], np.arange(256), atol=1)
    assert found.max() == 255


def test_sixteen_bit_grey_whose_white_is_zero(tmp_path):
    content = encoded(Image.fromarray(gradient().astype(np.uint16)), "TIFF")
    inverted = content.replace(
        struct.pack("<HHIHH", 262, 3, 1, 1, 0), struct.pack("<HHIHH", 262, 3, 1, 0, 0)
    )
    assert inverted != content
    found = pixels(written(tmp_path, inverted))
    np.testing.assert_array_equal(found[0, :, 0], np.arange(256)[::-1])


def test_integers_without_a_white_are_stretched(tmp_path):
    image = Image.fromarray((gradient(2550) - 1000).astype(np.int32))
    found = pixels(saved(tmp_path, image, "a.tiff"))
    np.testing.assert_array_equal(found[0, :, 0], np.arange(256))


def test_a_large_float_picture_is_stretched_as_one(tmp_path):
    values = np.zeros((2000, 1100), np.float32)
    values[-1, -1], values[1000, 500] = 20, 10
    found = pixels(saved(tmp_path, Image.fromarray(values), "a.tiff"))[..., 0]
    assert (found[0, 0], found[1000, 500], found[-1, -1]) == (0, 128, 255)
    assert np.count_nonzero(found) == 2


def test_floats_in_zero_to_one_are_taken_as_they_are(tmp_path):
    image = Image.fromarray(np.full((8, 8), 0.2, np.float32))
    assert (pixels(saved(tmp_path, image, "a.tiff")) == 51).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1000.0, 3e38])
def test_other_floats_are_stretched(tmp_path, scale):
    values = np.linspace(-1, 1, 256, dtype=np.float32) * np.float32(scale)
    found = pixels(saved(tmp_path, Image.fromarray(np.tile(values, (8, 1))), "a.tiff"))
    np.testing.assert_array_equal(found[0, :, 0], np.arange(256))


@pytest.mark.filterwarnings("error")
def test_floats_that_are_no_numbers(tmp_path):
    values = np.tile(np.array([np.nan, -np.inf, np.inf, -5, 5, 0, 0, 0], np.float32), (8, 1))
    found = pixels(saved(tmp_path, Image.fromarray(values), "a.tiff"))
    assert found[0, :5, 0].tolist() == [0, 0, 255, 0, 255]
    for nothing in (np.nan, np.inf, 7.0):
        flat = Image.fromarray(np.full((8, 8), nothing, np.float32))
        assert len(np.unique(pixels(saved(tmp_path, flat, "b.tiff")))) == 1


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tiff"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    options = {} if name == "a.tiff" else {"duration": 50}
    if name == "a.webp":
        options["lossless"] = True
    path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert Image.open(path).n_frames == 3
    assert (pixels(path) == (255, 0, 0)).all()


# -- to_tensor -----------------------------------------------------------------------------------


def test_the_tensor_is_float_and_spans_exactly_minus_one_to_one(tmp_path):
    image = Image.new("RGB", (20, 20), "black")
    image.paste("white", (10, 0, 20, 20))
    path = saved(tmp_path, image, "a.png")
    for size in (8, 20, 40, 64):
        for grey in (False, True):
            found = read_picture(path, size, grey=grey)
            assert found.dtype == torch.float32
            assert found.shape == (1 if grey else 3, size, size)
            assert found.is_contiguous()
            assert found[:, :, 0].unique().tolist() == [-1.0]
            assert found[:, :, -1].unique().tolist() == [1.0]
            assert found.min() == -1
            assert found.max() == 1


def test_every_value_maps_to_its_place():
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    expected = torch.arange(256).reshape(1, 16, 16) / 127.5 - 1
    torch.testing.assert_close(to_tensor(grey, 16, grey=True), expected)
    torch.testing.assert_close(to_tensor(grey, 16), expected.expand(3, 16, 16))


def test_grey_weighs_the_colours_as_the_eye_does():
    colours = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 255, 0))
    red, green = ((to_tensor(c, 8, grey=True).mean().item() + 1) / 2 for c in colours)
    assert red == pytest.approx(0.299, abs=0.002)
    assert green == pytest.approx(0.587, abs=0.002)


def test_the_middle_square_is_taken():
    wide = Image.new("RGB", (2000, 10), "black")
    wide.paste("red", (995, 0, 1005, 10))
    for image in (wide, wide.transpose(Image.Transpose.ROTATE_90)):
        found = to_tensor(image, 10)
        assert found[0].unique().tolist() == [1.0]
        assert found[1:].unique().tolist() == [-1.0]


def test_an_odd_rest_does_not_blur():
    image = photo(13, 8)
    found = to_tensor(image, 8)
    expected = np.asarray(image)[:, 2:10].transpose(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(found, torch.from_numpy(expected).float())


def test_shrinking_averages():
    checkers = Image.fromarray((np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8))
    for size in (64, 50, 32, 7):
        found = to_tensor(checkers.convert("RGB"), size)
        assert found.abs().max() < 0.15
        assert abs(found.mean()) < 0.02


def test_enlarging_by_a_whole_factor_repeats_pixels(tmp_path):
    digit = photo(8, 8)
    found = read_picture(saved(tmp_path, digit, "a.png"), 32)
    repeated = to_tensor(digit, 8).repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.equal(found, repeated)


def test_other_enlarging_is_smooth():
    edge = Image.new("RGB", (10, 10), "black")
    edge.paste("white", (5, 0, 10, 10))
    row = to_tensor(edge, 64)[0, 32]
    assert len(row.unique()) > 4
    assert (row.diff() >= -0.2).all()  # rises, but for bicubic's slight overshoot


@pytest.mark.parametrize("size", [(8, 8), (8, 500), (2000, 10), (9, 8)])
def test_small_and_thin_pictures_pass(tmp_path, size):
    found = read_picture(saved(tmp_path, photo(*size), "a.png"), 64)
    assert found.shape == (3, 64, 64)
