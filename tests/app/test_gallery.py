"""The built-in pictures: there, square, the right ones, and free at start-up."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from app import gallery
from app.gallery import DIGITS, GALLERY, load, thumbnail

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ("hopper", "china", "flower")


def test_the_keys():
    assert list(GALLERY) == [*PHOTOGRAPHS, *(f"digit-{d}" for d in range(10))]
    for key, picture in GALLERY.items():
        assert picture.key == key
        assert picture.title
        assert picture.credit
    assert len({picture.title for picture in GALLERY.values()}) == len(GALLERY)


@pytest.mark.parametrize("key", GALLERY)
def test_every_picture_is_square_rgb_and_shows_something(key):
    image = load(key)
    assert type(image) is Image.Image
    assert image.mode == "RGB"
    assert image.width == image.height == (8 if key.startswith("digit") else image.width) >= 8
    assert np.asarray(image).std() > 30


@pytest.mark.parametrize("key", PHOTOGRAPHS)
def test_photographs_are_large_enough_and_cut_from_inside_the_original(key):
    left, top, right, bottom = GALLERY[key].crop
    assert right - left == bottom - top >= 256
    image = load(key)
    assert image.size == (right - left, bottom - top)
    # Past the original's edge Pillow fills with black.
    colours = np.asarray(image).astype(int)
    for edge in (colours[0], colours[-1], colours[:, 0], colours[:, -1]):
        assert (edge.sum(-1) > 0).mean() > 0.5


def middle(key):
    """Mean red, green, blue of the middle ninth."""
    colours = np.asarray(load(key)).astype(float)
    third = len(colours) // 3
    return colours[third:-third, third:-third].mean((0, 1))


def test_the_subject_stands_in_the_middle():
    red, green, blue = middle("flower")
    assert red > 180  # orange petals; around them all is dark green
    assert red > green > blue
    red, _, blue = middle("hopper")
    assert red > 1.2 * blue  # a face, not the blue behind it
    corner = np.asarray(load("hopper"))[:100, -40:].mean((0, 1))
    assert corner[2] > 1.3 * corner[0]
    dark = np.asarray(load("china").convert("L")).astype(float)
    assert dark[150:300, 100:300].mean() < dark[:100, :80].mean() - 50  # a tower, not the sky


@pytest.mark.parametrize("digit", range(10))
def test_digits_are_white_on_black_and_of_their_class(digit):
    digits = load_digits()
    assert digits.target[DIGITS[digit]] == digit
    colours = np.asarray(load(f"digit-{digit}"))
    np.testing.assert_array_equal(colours[..., 0], np.rint(digits.images[DIGITS[digit]] * 15.9375))
    np.testing.assert_array_equal(colours[..., 0], colours[..., 1])
    np.testing.assert_array_equal(colours[..., 0], colours[..., 2])
    assert colours.max() > 230
    assert colours[:, 0].max() < 128  # the side columns are background


@pytest.mark.parametrize("digit", range(10))
def test_digits_are_well_written(digit):
    """The mean of the other digits of its class is nearer to it than that of any other class."""
    digits = load_digits()
    others = np.arange(len(digits.target)) != DIGITS[digit]
    means = [digits.data[others & (digits.target == d)].mean(0) for d in range(10)]
    distances = [np.linalg.norm(digits.data[DIGITS[digit]] - mean) for mean in means]
    assert np.argmin(distances) == digit
    assert sorted(distances)[1] > 1.2 * distances[digit]


def test_a_caller_may_draw_on_its_copy():
    load("digit-3").paste("red", (0, 0, 8, 8))
    colours = np.asarray(load("digit-3"))
    np.testing.assert_array_equal(colours[..., 0], colours[..., 1])


def test_pictures_are_read_once():
    load("flower")
    before = gallery._load.cache_info().misses
    load("flower")
    assert gallery._load.cache_info().misses == before


@pytest.mark.parametrize(
    "key", ["digit-10", "digit--1", "digit-", "nobody", "", None, 3, ["china"]]
)
def test_unknown_keys(key):
    for function in (load, thumbnail):
        with pytest.raises(ValueError, match=r"choose one of hopper, china, .*, digit-9"):
            function(key)


def test_thumbnails():
    for key in GALLERY:
        assert thumbnail(key).size == (96, 96)
        assert thumbnail(key, side=40).size == (40, 40)
    digit = np.asarray(load("digit-7"))
    np.testing.assert_array_equal(
        np.asarray(thumbnail("digit-7")), digit.repeat(12, 0).repeat(12, 1)
    )
    # A thumbnail keeps a photograph's mean colour: it is averaged, not picked.
    for key in PHOTOGRAPHS:
        small, large = (np.asarray(i).mean((0, 1)) for i in (thumbnail(key, 16), load(key)))
        np.testing.assert_allclose(small, large, atol=1)


def test_starting_is_free_of_heavy_imports():
    script = """
import sys
from app import gallery
heavy = {"sklearn", "matplotlib", "torch", "gradio"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
gallery.load("hopper")
assert "sklearn" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_files_hold_what_the_packages_themselves_load():
    from matplotlib import cbook
    from sklearn.datasets import load_sample_image

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        originals = {"hopper": Image.open(file).convert("RGB")}
    for key in ("china", "flower"):
        originals[key] = Image.fromarray(load_sample_image(f"{key}.jpg"))
    digits = load_digits().images
    for digit, index in enumerate(DIGITS):
        pixels = np.asarray(load(f"digit-{digit}"))[..., 0]
        np.testing.assert_array_equal(pixels, np.rint(digits[index] * (255 / 16)))
    for key, original in originals.items():
        cropped = original.crop(GALLERY[key].crop)
        np.testing.assert_array_equal(np.asarray(load(key)), np.asarray(cropped))
