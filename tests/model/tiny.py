"""What the tests of networks share: one that is tiny but real, pictures for it, a known answer."""

from dataclasses import replace

import torch

from model.data import ImageData
from model.training import new_network
from model.unet import UNetConfig

CONFIG = UNetConfig(
    image_channels=1,
    image_size=8,
    channels=(8, 16),
    bottleneck=16,
    attention=(1,),
    heads=2,
    embedding=16,
    classes=3,
)


def network(seed=0, **changes):
    return new_network(replace(CONFIG, **changes), seed)


def pictures(count=24, classes=3):
    """Grey 8×8 pictures of smooth blobs; the class decides how bright they are."""
    generator = torch.Generator().manual_seed(7)
    rough = torch.rand(count, 1, 3, 3, generator=generator)
    labels = torch.arange(count) % classes if classes else None
    smooth = torch.nn.functional.interpolate(rough, size=8, mode="bicubic").clamp(0, 1)
    if classes:
        smooth = (smooth + labels.view(-1, 1, 1, 1)) / classes
    names = ("dark", "grey", "light", "white")[:classes]
    return ImageData("blobs", (smooth * 255).byte(), labels, names)


def parts(net):
    """A copy of all weights by name."""
    return {name: weight.detach().clone() for name, weight in net.state_dict().items()}


def same(one, other):
    """Whether two sets of weights are the same bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


class Gaussian:
    """The best that any network can do if each pixel of the data is N(mean, std²), in closed form.

    With x_t = √ᾱ x_0 + √(1−ᾱ) ε, the expectation of each of x_0, ε and v given x_t is a line,
    its mean + its covariance with x_t / the variance of x_t · (x_t − √ᾱ mean).
    """

    def __init__(self, schedule, mean=0.2, std=0.3):
        self.schedule, self.mean, self.std = schedule, mean, std

    def __call__(self, target):
        def network(x_t, t, label):
            bar = self.schedule.alpha_bars[t.long()].to(x_t.dtype).view(-1, 1, 1, 1)
            signal, noise = bar.sqrt(), (1 - bar).sqrt()
            mean, variance = self.mean, self.std**2
            start, covariance = {
                "eps": (0.0, noise),
                "x0": (mean, signal * variance),
                "v": (-noise * mean, signal * noise * (1 - variance)),
            }[target]
            total = bar * variance + (1 - bar)
            return start + covariance / total * (x_t - signal * mean)

        return network
