"""The average training picture: what it is, that it comes back, and what is refused."""

import math
import os
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from model.average import MEAN, average_pictures
from model.checkpoint import (
    BadCheckpoint,
    CheckpointConfig,
    load_checkpoint,
    save_checkpoint,
)
from tests.model.tiny import CONFIG as NETWORK
from tests.model.tiny import network, pictures

LINEAR = {"family": "linear", "T": 100}


def saved(folder, data):
    net = network(classes=len(data.classes))
    config = CheckpointConfig(net.config, LINEAR, classes=data.classes)
    save_checkpoint(folder, net, config, average=average_pictures(data))
    return folder


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "blobs", pictures())


def every(data):
    return data.batch(torch.arange(len(data)), torch.Generator())


# -- what it is ----------------------------------------------------------------------------------


def test_it_is_that_of_all_and_of_each_class():
    data = pictures(25)  # not a multiple of three: the classes weigh differently
    x, label = every(data)
    mean, class_means = average_pictures(data)
    torch.testing.assert_close(mean, x.mean(0), rtol=0, atol=1e-6)
    for k in range(3):
        torch.testing.assert_close(class_means[k], x[label == k].mean(0), rtol=0, atol=1e-6)
    assert (mean.dtype, class_means.shape) == (torch.float32, (3, 1, 8, 8))


def test_without_classes_there_is_one():
    data = pictures(classes=0)
    mean, class_means = average_pictures(data)
    torch.testing.assert_close(mean, every(data)[0].mean(0), rtol=0, atol=1e-6)
    assert class_means is None


def test_mirrored_pictures_count():
    data = pictures()
    both = replace(
        data,
        pixels=torch.cat([data.pixels, data.pixels.flip(3)]),
        labels=data.labels.repeat(2),
    )
    for found, expected in zip(
        average_pictures(replace(data, flip=True)), average_pictures(both), strict=True
    ):
        assert torch.equal(found, expected)


def test_a_class_without_pictures_gets_the_average_of_all():
    data = replace(pictures(), classes=("dark", "grey", "light", "none"))
    mean, class_means = average_pictures(data)
    assert torch.equal(class_means[3], mean)


def test_of_more_pictures_than_are_added_at_once():
    data = pictures()
    many = replace(data, pixels=data.pixels.repeat(500, 1, 1, 1), labels=data.labels.repeat(500))
    for found, expected in zip(average_pictures(many), average_pictures(data), strict=True):
        torch.testing.assert_close(found, expected)


def test_no_pictures_have_none():
    with pytest.raises(ValueError, match="blobs holds no pictures to average"):
        average_pictures(replace(pictures(), pixels=torch.zeros(0, 1, 8, 8, dtype=torch.uint8)))


def test_no_picture_predicts_the_data_better():
    """It is E[x_0]: any other constant has a larger squared error."""
    data = pictures()
    x, _ = every(data)
    mean, _ = average_pictures(data)
    generator = torch.Generator().manual_seed(0)
    best = (x - mean).square().mean()
    for _ in range(10):
        other = mean + 0.05 * torch.randn(mean.shape, generator=generator)
        assert (x - other).square().mean() > best


# -- there and back ------------------------------------------------------------------------------


def test_it_comes_back_with_its_checkpoint(folder):
    loaded, (mean, class_means) = load_checkpoint(folder), average_pictures(pictures())
    assert torch.equal(loaded.mean, mean.half().float())
    assert torch.equal(loaded.class_means, class_means.half().float())
    assert torch.equal(loaded.expected(None), loaded.mean)
    assert torch.equal(loaded.expected(2), loaded.class_means[2])
    for label in (3, -1):
        with pytest.raises(ValueError, match=r"label must be in 0 … 2, got"):
            loaded.expected(label)
    stored = safetensors.torch.load_file(folder / MEAN)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


def test_a_network_without_classes_has_one(tmp_path):
    loaded = load_checkpoint(saved(tmp_path, pictures(classes=0)))
    assert loaded.class_means is None
    assert loaded.expected(None).shape == (1, 8, 8)
    with pytest.raises(ValueError, match="trained without labels"):
        loaded.expected(0)


def test_it_may_be_absent(folder):
    (folder / MEAN).unlink()
    loaded = load_checkpoint(folder)
    assert (loaded.mean, loaded.class_means) == (None, None)
    assert (loaded.expected(None), loaded.expected(1)) == (None, None)
    with pytest.raises(ValueError, match="label must be in"):
        loaded.expected(3)


def test_that_of_other_pictures_does_not_stay(folder):
    save_checkpoint(folder, network(), CheckpointConfig(NETWORK, LINEAR, classes=("a", "b", "c")))
    assert not (folder / MEAN).exists()


# -- what is refused -----------------------------------------------------------------------------


def refused(folder):
    with pytest.raises(BadCheckpoint) as caught:
        load_checkpoint(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(f"{MEAN} of blobs")
    return sentence


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("mean"), "it lacks mean (1 missing in all)"),
        (lambda t: t.pop("class_means"), "it lacks class_means (1 missing in all)"),
        (lambda t: t.update(extra=torch.zeros(1)), "'extra' is unknown (1 in all)"),
        (
            lambda t: t.update(mean=torch.zeros(1, 8, 9)),
            "mean has shape (1, 8, 9) instead of (1, 8, 8)",
        ),
        (
            lambda t: t.update(class_means=torch.zeros(4, 1, 8, 8)),
            "class_means has shape (4, 1, 8, 8) instead of (3, 1, 8, 8)",
        ),
        (lambda t: t["mean"].fill_(math.nan), "mean holds no finite numbers"),
        (lambda t: t["class_means"][1].fill_(math.inf), "class_means holds no finite numbers"),
        (lambda t: t.update(mean=t["mean"].to(torch.uint8)), "mean holds no finite numbers"),
    ],
)
def test_one_that_does_not_fit(folder, change, says):
    tensors = safetensors.torch.load_file(folder / MEAN)
    change(tensors)
    safetensors.torch.save_file(tensors, folder / MEAN)
    assert says in refused(folder)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_one_that_is_cut_off(folder, size):
    (folder / MEAN).write_bytes((folder / MEAN).read_bytes()[:size])
    assert "is damaged or no safetensors file" in refused(folder)


def test_one_that_would_never_end(folder):
    (folder / MEAN).unlink()
    os.mkfifo(folder / MEAN)
    with pytest.raises(BadCheckpoint, match=f"lacks the file {MEAN}"):
        load_checkpoint(folder)


def test_class_means_without_classes(tmp_path):
    folder = saved(tmp_path / "blobs", pictures(classes=0))
    tensors = {"mean": torch.zeros(1, 8, 8), "class_means": torch.zeros(3, 1, 8, 8)}
    safetensors.torch.save_file(tensors, folder / MEAN)
    assert "'class_means' is unknown" in refused(folder)
