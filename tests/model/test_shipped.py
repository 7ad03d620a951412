"""The checkpoints that the project ships: they load, and what they draw looks like its data."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from model.average import average_pictures
from model.checkpoint import FOLDER, load_checkpoint, shipped
from model.data import load_data
from model.metrics import ReferenceClassifier, accuracy
from model.sampler import ddim, standard_noise

JUDGES = Path(__file__).parent / "judges"  # classifiers of real images, by `benchmarks.quality`
NAMES = {
    "digits": (1, 16, 10),
    "fashion": (1, 28, 10),
    "fashion-v": (1, 28, 10),
    "cats": (3, 32, 15),
}


def judge(name):
    channels, _, classes = NAMES[name]
    net = ReferenceClassifier(channels, classes)
    weights = load_file(JUDGES / f"{name.removesuffix('-v')}.safetensors")
    net.load_state_dict(
        {key: w.float() if w.is_floating_point() else w for key, w in weights.items()}
    )
    return net.eval()


def test_these_are_shipped():
    assert set(NAMES) <= set(shipped())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_says_what_it_is(name):
    folder = FOLDER / name
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10_000_000
    checkpoint = load_checkpoint(name)
    channels, side, classes = NAMES[name]
    assert checkpoint.shape == (channels, side, side)
    assert len(checkpoint.config.classes) == classes
    assert checkpoint.config.training["command"].startswith("python -m model.train ")
    card = (folder / "README.md").read_text(encoding="utf-8")
    about = yaml.safe_load(card.split("---\n")[1])
    assert about["license"]
    assert checkpoint.config.training["command"] in card


@pytest.mark.parametrize("name", NAMES)
def test_it_knows_the_average_of_its_data(name):
    checkpoint = load_checkpoint(name)
    assert checkpoint.mean.shape == checkpoint.shape
    for pixels in (checkpoint.mean, checkpoint.class_means):
        assert -1 <= pixels.min() < pixels.max() <= 1
    assert not torch.equal(checkpoint.expected(0), checkpoint.expected(1))


def test_the_average_of_the_digits_is_that_of_the_digits():
    checkpoint, average = load_checkpoint("digits"), average_pictures(load_data("digits"))
    torch.testing.assert_close(checkpoint.mean, average.mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(checkpoint.class_means, average.class_means, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_draws_is_what_it_was_asked_for(name):
    checkpoint = load_checkpoint(name)
    classes = len(checkpoint.config.classes)
    label = torch.arange(30) % classes
    x = standard_noise(checkpoint.shape, range(30))
    grid = checkpoint.schedule.timesteps(20)
    for step in ddim(checkpoint.denoiser(label, guidance=1.5), checkpoint.schedule, x, grid):
        x = step.x_next
    assert x.abs().max() <= 1
    # By chance it would be 1 in 10; noise and grey are all of one class.
    assert accuracy(judge(name), x, label) >= 0.8
