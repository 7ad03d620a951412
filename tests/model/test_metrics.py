"""The measures against closed forms, brute force and scipy; the classifier on real digits."""

import numpy as np
import pytest
import scipy.linalg
import torch

from model.data import load_data
from model.metrics import (
    FEATURES,
    ReferenceClassifier,
    accuracy,
    features,
    frechet_distance,
    nearest_distances,
    train_classifier,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def images(n, seed=0, shape=(1, 8, 8)):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def digits(split):
    data = load_data("digits", split=split)
    return data.pixels.float() / 127.5 - 1, data.labels


@pytest.fixture(scope="module")
def trained():
    x, labels = digits("train")
    return train_classifier(x, labels, 10, seed=0, epochs=6)


# -- Fréchet distance --------------------------------------------------------------------------


def test_the_distance_of_a_set_to_itself_is_zero():
    a = normal(500, 16) @ normal(16, 16, seed=1) + 5
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-10)  # a set has no order


def test_a_shift_costs_its_squared_length():
    a = normal(300, 4)
    shift = torch.tensor([1.0, -2.0, 0.0, 3.0])
    assert frechet_distance(a, a + shift) == pytest.approx(14, rel=1e-10)


def test_a_scaling_costs_the_squared_difference_of_deviations():
    # (σ − cσ)² in every direction, so (1 − c)² tr Σ, whatever Σ is.
    a = normal(300, 6) @ normal(6, 6, seed=1)
    a = a - a.mean(0)
    trace = a.T.cov().trace().item()
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * trace, rel=1e-10)


def test_large_samples_of_two_gaussians_approach_the_closed_form():
    # Diagonal covariances: |μ_a − μ_b|² + Σ (σ_a − σ_b)².
    sigma_a, sigma_b = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.5, 1.0, 0.5])
    mean = torch.tensor([0.5, 0.0, -1.0])
    a, b = normal(100_000, 3) * sigma_a, normal(100_000, 3, seed=1) * sigma_b + mean
    assert frechet_distance(a, b) == pytest.approx(1.25 + 0.25 + 1.0, rel=0.02)


def test_it_grows_as_samples_get_fewer():
    few, many = (frechet_distance(normal(n, 16), normal(n, 16, seed=1)) for n in (50, 5000))
    assert few > 10 * many > 0


@pytest.mark.parametrize("dimension", [1, 2, 16, 64])
def test_correlated_covariances_equal_the_formula_with_scipys_root(dimension):
    a = normal(400, dimension) @ normal(dimension, dimension, seed=1)
    b = normal(300, dimension, seed=2) @ normal(dimension, dimension, seed=3) + 0.1
    cov_a, cov_b = (np.atleast_2d(np.cov(x.numpy(), rowvar=False)) for x in (a, b))
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = (a.mean(0) - b.mean(0)).square().sum() + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-12)


def test_directions_without_any_spread_do_no_harm():
    a = normal(300, 8)
    a[:, 5:] = a[:, :3]  # ReLU features often have such a covariance, where a root is unstable
    b = 2 * (a - a.mean(0))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    expected = a.mean(0).square().sum() + a.T.cov().trace()
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-10)
    assert frechet_distance(torch.zeros(9, 8), torch.zeros(9, 8)) == 0


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(5), torch.zeros(9, 2), "matrix"),
        (torch.zeros(9, 2, 1), torch.zeros(9, 2), "matrix"),
        (torch.zeros(9, 0), torch.zeros(9, 0), "matrix"),
        (torch.zeros(9, 2), torch.zeros(9, 3), "got 2 and 3"),
        (torch.zeros(9, 2), torch.zeros(2, 2), "more than 2 samples, got 2"),
        (torch.zeros(9, 2), torch.full((9, 2), float("nan")), "finite"),
        (torch.full((9, 2), float("inf")), torch.zeros(9, 2), "finite"),
    ],
)
def test_frechet_distance_refuses_what_has_no_moments(a, b, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)


# -- nearest neighbours ------------------------------------------------------------------------


def test_nearest_distances_equal_brute_force():
    a, b = images(70, 0, (3, 8, 9)), images(90, 1, (3, 8, 9))
    expected = torch.cdist(a.flatten(1).double(), b.flatten(1).double()).amin(1) / 216**0.5
    torch.testing.assert_close(nearest_distances(a, b).double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("chunk", [1, 7, 64, 90, 1000])
def test_nearest_distances_do_not_depend_on_the_chunk(chunk):
    a, b = images(70, 0), images(90, 1)
    torch.testing.assert_close(nearest_distances(a, b, chunk=chunk), nearest_distances(a, b))


def test_a_copy_is_at_zero_and_a_near_copy_at_its_own_distance():
    b = images(50)
    assert nearest_distances(b[[3, 40]], b, chunk=8).tolist() == [0, 0]
    assert nearest_distances(b[:1] + 1e-4, b).item() == pytest.approx(1e-4, rel=1e-2)


def test_black_is_two_from_white():
    white = torch.ones(1, 3, 8, 8)
    assert nearest_distances(-white, white).item() == 2


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (images(2), images(2, shape=(1, 8, 9)), {}, "one shape"),
        (images(2), images(0), {}, "references .* not empty"),
        (images(2).byte(), images(2), {}, "images .* floating point"),
        (images(2)[0], images(2), {}, "images"),
        (images(2), images(2), {"chunk": 0}, "chunk must be at least 1"),
    ],
)
def test_nearest_distances_refuse_what_cannot_be_compared(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        nearest_distances(a, b, **options)


# -- the classifier ----------------------------------------------------------------------------


def test_it_recognises_digits_it_never_saw(trained):
    assert accuracy(trained, *digits("test")) >= 0.97


def test_accuracy_counts_what_it_calls_right(trained):
    x, _ = digits("test")
    called = trained(x[:20]).argmax(1)
    assert accuracy(trained, x[:20], called) == 1
    called[:5] = (called[:5] + 1) % 10
    assert accuracy(trained, x[:20], called) == 0.75


def test_features_are_of_each_image_alone(trained):
    x = digits("test")[0][:7]
    together = features(trained, x)
    assert together.shape == (7, FEATURES)
    assert not together.requires_grad
    trained.train()  # as somebody may have left it
    for i in range(7):
        torch.testing.assert_close(features(trained, x[i : i + 1])[0], together[i])


def test_features_tell_digits_from_noise(trained):
    x, _ = digits("train")
    real = features(trained, x[::2])
    other, noise = features(trained, x[1::2]), features(trained, images(700, shape=(1, 16, 16)))
    assert frechet_distance(real, noise) > 20 * frechet_distance(real, other)


def test_the_seed_decides_everything_and_the_global_one_nothing():
    x, labels = images(300), torch.arange(300) % 3
    torch.manual_seed(0)
    first = train_classifier(x, labels, 3, seed=5, epochs=1, flip=True).state_dict()
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert torch.rand(1) == expected  # training has drawn nothing
    again = train_classifier(x, labels, 3, seed=5, epochs=1, flip=True).state_dict()
    other = train_classifier(x, labels, 3, seed=6, epochs=1, flip=True).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_flip_makes_it_learn_mirror_images_too():
    # Two classes that differ in the lit side, so that mirrored they are each other.
    x = images(256) * 0.1 - 0.9
    labels = torch.arange(256) % 2
    x[labels == 0, :, :, :4] += 1
    x[labels == 1, :, :, 4:] += 1
    kept, mirrored = (train_classifier(x, labels, 2, epochs=8, flip=f) for f in (False, True))
    assert accuracy(kept, x, labels) == 1
    assert accuracy(kept, x.flip(3), 1 - labels) == 1
    assert accuracy(mirrored, x, labels) < 0.8


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (1, 28, 28)])
def test_any_size_and_number_of_channels_will_do(shape):
    net = ReferenceClassifier(shape[0], 4).eval()
    assert net(images(2, shape=shape)).shape == (2, 4)


@pytest.mark.parametrize(
    ("x", "labels", "n_classes", "message"),
    [
        (images(4)[:, 0], torch.zeros(4).long(), 2, "images must be"),
        (images(0), torch.zeros(0).long(), 2, "not empty"),
        (images(4).byte(), torch.zeros(4).long(), 2, "floating point"),
        (images(1), torch.zeros(1).long(), 2, "at least two"),
        (images(4), torch.zeros(3).long(), 2, "each of 4 images"),
        (images(4), torch.zeros(4), 2, "one integer"),
        (images(4), torch.tensor([0, 1, 2, 0]), 2, "must lie in 0 … 1, got 0 … 2"),
        (images(4), torch.tensor([0, 1, -1, 0]), 2, "must lie in 0 … 1, got -1 … 1"),
    ],
)
def test_training_refuses_what_does_not_fit(x, labels, n_classes, message):
    with pytest.raises(ValueError, match=message):
        train_classifier(x, labels, n_classes)


def test_training_refuses_no_epochs():
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        train_classifier(images(4), torch.zeros(4).long(), 2, epochs=0)
