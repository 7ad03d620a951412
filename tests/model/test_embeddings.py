"""The embeddings against their formula and against diffusers'."""

import math

import pytest
import torch
from diffusers.models.embeddings import get_timestep_embedding

from model.embeddings import LabelEmbedding, timestep_embedding


def test_every_entry_follows_the_formula():
    t, dim = 37.25, 6
    (row,) = timestep_embedding(torch.tensor([t]), dim).tolist()
    frequencies = [10_000 ** (-2 * i / dim) for i in range(3)]
    expected = [math.sin(w * t) for w in frequencies] + [math.cos(w * t) for w in frequencies]
    assert row == pytest.approx(expected, abs=1e-5)


def test_equals_diffusers():
    t = torch.tensor([0.0, 1.0, 2.5, 999.0, 1000.0])
    theirs = get_timestep_embedding(t, 64, downscale_freq_shift=0)
    assert torch.allclose(timestep_embedding(t, 64), theirs, atol=2e-4)


def test_fractional_timesteps_lie_between_their_neighbours():
    low, middle, high = timestep_embedding(torch.tensor([10.0, 10.5, 11.0]), 128)
    assert torch.dist(low, middle) < torch.dist(low, high)
    assert torch.dist(middle, high) < torch.dist(low, high)


@pytest.mark.parametrize("dim", [0, 7, -2])
def test_an_odd_length_is_refused(dim):
    with pytest.raises(ValueError, match=f"got {dim}"):
        timestep_embedding(torch.tensor([1.0]), dim)


def test_a_grid_of_timesteps_is_refused():
    with pytest.raises(ValueError, match=r"got \(2, 1\)"):
        timestep_embedding(torch.ones(2, 1), 8)


def test_labels_have_one_entry_more_than_classes():
    embedding = LabelEmbedding(10, 8)
    assert embedding.no_label == 10
    assert embedding.table.weight.shape == (11, 8)
    rows = embedding(torch.tensor([3, 10]))
    assert torch.equal(rows, embedding.table.weight[[3, 10]])
