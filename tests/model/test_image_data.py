"""Batches of pictures whose content is known: values, mirroring and jitter."""

from dataclasses import replace

import pytest
import torch

from model.image_data import ImageData, tiled
from tests.model.pictures import generator


def test_a_batch_is_float_in_minus_one_to_one_with_its_labels():
    pixels = torch.arange(192, dtype=torch.uint8).view(3, 1, 8, 8)
    pixels[0, 0, 0, :2] = torch.tensor([0, 255])
    data, index = ImageData("ramps", pixels, torch.tensor([4, 5, 6])), torch.tensor([2, 0, 2])
    x, y = data.batch(index, generator())
    assert x.dtype == torch.float32
    assert torch.equal(x, pixels[index].float() / 127.5 - 1)
    assert y.tolist() == [6, 4, 6]
    assert x.min() == -1
    assert x.max() == 1
    assert (len(data), data.channels, data.size) == (3, 1, (8, 8))


def striped(**options):
    """64 pictures, left half white and right half black."""
    pixels = torch.zeros(64, 3, 16, 24, dtype=torch.uint8)
    pixels[..., :12] = 255
    return ImageData("stripes", pixels, **options)


def test_flip_mirrors_half_of_the_pictures():
    x, labels = striped(flip=True).batch(torch.arange(64), generator())
    assert labels is None
    white_left = x[:, 0, 0, 0] == 1
    assert 16 < white_left.sum() < 48
    plain, _ = striped().batch(torch.arange(64), generator())
    assert torch.equal(x[white_left], plain[white_left])
    assert torch.equal(x[~white_left], plain[~white_left].flip(3))


def test_jitter_changes_every_picture_a_little_and_stays_in_range():
    plain, _ = striped().batch(torch.arange(64), generator())
    x, _ = striped(jitter=1.0).batch(torch.arange(64), generator())
    assert x.shape == plain.shape
    assert x.min() >= -1
    assert x.max() <= 1
    assert ((x - plain).abs().amax((1, 2, 3)) > 0.01).all()
    assert len({picture.numpy().tobytes() for picture in x}) == 64
    # Left stays left: the quarters at both ends hardly change.
    assert (x[..., :5] > 0.5).float().mean() > 0.98
    assert (x[..., -5:] < -0.5).float().mean() > 0.98
    weak, _ = striped(jitter=0.1).batch(torch.arange(64), generator())
    assert (weak - plain).abs().mean() < 0.3 * (x - plain).abs().mean()


def test_jitter_turns_without_shearing():
    """A disc stays a disc in pictures that are no squares, wherever it is."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(64.0), indexing="ij")
    disc = (((y - 15.5) ** 2 + (x - 31.5) ** 2) < 100) * 255
    data = ImageData("disc", disc.to(torch.uint8).expand(32, 1, 32, 64), jitter=1.0)
    ink = (data.batch(torch.arange(32), generator(1))[0][:, 0] + 1).clamp(min=0)
    ink = ink / ink.sum((1, 2), keepdim=True)
    centre_y, centre_x = (ink * y).sum((1, 2)), (ink * x).sum((1, 2))
    tall = (ink * (y - centre_y.view(-1, 1, 1)) ** 2).sum((1, 2)).sqrt()
    wide = (ink * (x - centre_x.view(-1, 1, 1)) ** 2).sum((1, 2)).sqrt()
    assert (tall / wide - 1).abs().max() < 0.03
    assert (centre_x - 31.5).abs().max() > 2  # it moved, and not beyond 8 %
    assert (centre_x - 31.5).abs().max() < 0.08 * 64 + 0.5
    assert (tall / 5 - 1).abs().max() < 0.1


@pytest.mark.parametrize("options", [{"flip": True}, {"jitter": 1.0}, {"flip": True, "jitter": 1}])
def test_a_batch_depends_on_the_generator_alone(options):
    data, index = striped(**options), torch.arange(16)
    one, other = generator(7), generator(7)
    assert torch.equal(data.batch(index, one)[0], data.batch(index, other)[0])
    # As many numbers were drawn for other pictures.
    blank = replace(data, pixels=torch.zeros_like(data.pixels))
    a, b = generator(3), generator(3)
    data.batch(index, a)
    blank.batch(index, b)
    assert torch.equal(a.get_state(), b.get_state())
    assert not torch.equal(data.batch(index, one)[0], data.batch(index, generator(8))[0])


def test_tiles_stand_in_rows():
    pictures = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 3, 4)
    sheet = tiled(pictures, columns=3)
    assert sheet.shape == (2, 6, 12)
    torch.testing.assert_close(sheet[0, ::3, ::4], torch.tensor([[0.0, 1, 2], [3, 4, -1]]))
    assert tiled(pictures).shape == (2, 6, 12)  # as square as it gets
