"""The app with its networks on another device: the same results, on the CPU, and no step waits.

The device is that of `tests.model.elsewhere`, which tells of mistakes that a GPU would punish.
"""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from app import anatomy, fans, models, runs, subtract
from app.cache import LRU
from app.once import outcome
from app.pictures import built_in, to_pixels
from app.run_scene import progress_payload
from app.settings import current
from model.checkpoint import load_checkpoint
from tests.model.elsewhere import DEVICE, Elsewhere, FarTensor

NAME = "digits"


def asked(**changes):
    settings = {"model": NAME, "label": "3", "guidance": 2.0, "steps": 5, "sampler": "ddim"}
    return runs.run_settings(**settings | changes)


@pytest.fixture
def on(monkeypatch, passes_here):
    """Lets a function be called with all networks on a device; returns what it gave, and waits."""

    def on(device, work):
        far = device.type != "cpu"
        with monkeypatch.context() as patch, Elsewhere() if far else nullcontext() as elsewhere:
            checkpoint = load_checkpoint(NAME).to(device)
            patch.setattr(models, "device", lambda: device)
            patch.setattr(models, "load", lambda name: checkpoint)
            for cache in (runs.RUNS, runs.ENDINGS):
                patch.setattr(cache, "cache", LRU(1 << 20))
            patch.setattr(subtract, "LOOKS", LRU(1 << 20))
            if far:
                elsewhere.waits.clear()
            return work(), elsewhere.waits if far else []

    return on


def tensors(value):
    """All tensors in what a function gave, in a fixed order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, runs.Checkpoint):
        yield from tensors([getattr(value, name) for name in value.__dataclass_fields__])


def same(one, other):
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    assert pairs
    for here, there in pairs:
        assert not isinstance(there, FarTensor)
        scale = max(1.0, float(here.abs().max()))
        torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3 * scale, equal_nan=True)


PHOTO = built_in("digit-3")
WORK = {
    "a run": lambda: runs.compute(asked()),
    "a run with noise": lambda: runs.compute(asked(sampler="ddpm")),
    "a run by Heun": lambda: runs.compute(asked(sampler="heun")),
    "a run by DPM-Solver++": lambda: runs.compute(asked(sampler="dpm_solver")),
    "on another schedule": lambda: runs.compute(asked(family="cosine", T=50, clip=False)),
    "from a picture": lambda: runs.compute(asked(picture=PHOTO, from_step=400)),
    "many samples": lambda: outcome(runs.endings(asked(), [1, 2, 3])),
    "each label": lambda: outcome(runs.endings(asked(), [0] * 10, range(10))),
    "branches": lambda: outcome(fans.start(asked(), 2)[0]),
    "subtract all": lambda: subtract.along(runs.compute(asked(sampler="ddpm"))),
    "few and many steps": lambda: outcome(subtract.compare(asked(steps=1))),
    "the microscope": lambda: subtract.microscope(asked(), PHOTO.as_input((1, 16, 16))),
    "embeddings": lambda: anatomy.embedding_tables(inside()),
}


def inside():
    return anatomy.of_picture(NAME, "3", PHOTO.as_input((1, 16, 16)), 0)


@pytest.mark.parametrize("name", WORK)
def test_what_the_app_computes_is_the_same_and_comes_back(on, name):
    here, _ = on(torch.device("cpu"), WORK[name])
    there, _ = on(DEVICE, WORK[name])
    same(here, there)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpm_solver"])
def test_a_run_waits_once_however_many_steps_it_has(on, sampler):
    waits = [
        on(DEVICE, lambda n=n: runs.compute(asked(sampler=sampler, steps=n)))[1] for n in (3, 9)
    ]
    assert 0 < len(waits[0]) == len(waits[1]) < 16


def test_looking_on_waits_for_the_two_pictures_that_are_shown(on):
    def look():
        step = next(runs.record(asked()))
        return step, progress_payload("title", step, 5, 1.0)

    (step, told), waits = on(DEVICE, look)
    assert isinstance(step.x, FarTensor)
    assert len(waits) == len(told["pictures"]) == 2


PARTS = {
    "alive": lambda: anatomy.alive(inside(), ("down1", 2)),
    "all channels": lambda: anatomy.all_channels(inside(), "down1", 300),
    "told": lambda: anatomy.told(inside(), 300, 900),
    "receptive fields": lambda: anatomy.receptive_fields(inside(), 300),
    "along a run": lambda: anatomy.alive(anatomy.of_run(runs.compute(asked()))),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_inside_of_a_network_is_shown_from_there(on, name):
    def shape(value):
        if isinstance(value, dict):
            return {key: shape(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [shape(part) for part in value]
        return len(value) if isinstance(value, str) and len(value) > 100 else type(value)

    here, _ = on(torch.device("cpu"), PARTS[name])
    there, _ = on(DEVICE, PARTS[name])
    assert here.keys() == there.keys()
    assert not list(tensors(there))
    assert shape(here).keys() == shape(there).keys()


def test_pixels_come_from_any_device():
    with Elsewhere():
        x = torch.rand(2, 3, 4, 4) * 2 - 1
        assert (to_pixels(x.to(DEVICE)) == to_pixels(x)).all()


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(models, "current", lambda: replace(current(), device="cuda:7"))
    models.device.cache_clear()
    with pytest.raises(ValueError, match=r"^UNNOISE_DEVICE must be .*cpu here, got 'cuda:7'\.$"):
        models.device()
    models.device.cache_clear()
