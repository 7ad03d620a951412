"""Tensors follow the network to another device, which is waited for only where numbers are read.

The other device is that of `tests.model.elsewhere`: it computes on the CPU and tells of mistakes
that a GPU would punish.
"""

from contextlib import nullcontext

import pytest
import torch
from torch.optim import adam, optimizer

from model import device as devices
from model.checkpoint import Checkpoint, CheckpointConfig
from model.denoiser import predict
from model.device import choose_device, to_device
from model.forward import merge_noise, q_posterior, q_sample, q_step
from model.metrics import accuracy, features, frechet_distance, nearest_distances, train_classifier
from model.resume import load_training, save_training
from model.sampler import ddim, ddpm, dpm_solver, heun, noise_like, standard_noise
from model.schedule import NoiseSchedule
from model.train import draw_samples, train
from model.training import TrainConfig, Training
from tests.model.elsewhere import DEVICE, Elsewhere, FarTensor
from tests.model.tiny import CONFIG, network, parts, pictures, same

SCHEDULE = NoiseSchedule.linear(100, rescale=True)
COSINE = NoiseSchedule.cosine(50)
STEPS = 6


def checkpoint(net):
    config = CheckpointConfig(CONFIG, {"family": "linear", "T": 100}, classes=("a", "b", "c"))
    return Checkpoint(net.requires_grad_(False).eval(), SCHEDULE, config)


def near(x):
    return x.near if isinstance(x, FarTensor) else x


def same_numbers(one, other, **bounds):
    """Equal within rounding: there, some operations are made of others, in another order."""
    one, other = near(one).detach(), near(other)
    bounds = {"rtol": 1e-3, "atol": 1e-4 * max(1.0, float(one.abs().max()))} | bounds
    torch.testing.assert_close(other, one, **bounds)


# -- the device itself ------------------------------------------------------------------------


def test_the_other_device_tells_of_mistakes():
    with Elsewhere() as elsewhere:
        x = torch.randn(3, device=DEVICE)
        assert x.device.type == "lazy"
        with pytest.raises(RuntimeError, match="mixes tensors of two devices"):
            x + torch.randn(3)
        with pytest.raises(TypeError, match="float64"):
            x.double()
        assert (
            2 * x * torch.tensor(0.5)
        ).device == x.device  # a number of the CPU's may be mixed in
        assert elsewhere.waits == []
        for read in (lambda: x[0].item(), x.cpu, lambda: bool((x > 0).any())):
            read()
            assert elsewhere.waits.pop()
            elsewhere.waits.clear()
        torch.randn(3).to(DEVICE)
        assert elsewhere.waits == ["aten::_to_copy"]
        assert torch.equal(x.near, x.cpu())


def test_what_is_moved_is_not_waited_for():
    with Elsewhere() as elsewhere:
        x = torch.arange(6.0).view(2, 3)
        there = to_device(x, DEVICE)
        assert (there.device.type, elsewhere.waits) == ("lazy", [])
        assert to_device(there, there.device) is there
        assert to_device(x, torch.device("cpu")) is x
        assert torch.equal(there.cpu(), x)


@pytest.mark.parametrize(("to", "pins"), [("cuda", True), ("cuda:1", True), ("mps", False)])
def test_a_copy_to_a_gpu_is_from_memory_that_cannot_move(monkeypatch, to, pins):
    pinned, moves = [], []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(x) or x)
    monkeypatch.setattr(torch.Tensor, "to", lambda x, *to, **how: moves.append((to, how)) or x)
    x = torch.ones(2)
    assert to_device(x, torch.device(to)) is x
    assert len(pinned) == pins
    assert moves == [((torch.device(to),), {"non_blocking": True} if pins else {})]


def test_what_is_there_already_is_not_copied():
    with Elsewhere():
        x = to_device(torch.ones(2), DEVICE)
        assert to_device(x, torch.device("lazy")) is x
        assert torch.equal(to_device(x, torch.device("cpu")), torch.ones(2))


# -- choosing one -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(1, True, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_the_best_device_is_chosen(monkeypatch, cuda, mps, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device() == torch.device(best)
    assert choose_device("cpu") == torch.device("cpu")
    if cuda:
        assert choose_device("cuda:0") == torch.device("cuda:0")


@pytest.mark.parametrize(
    "wanted", ["cuda", "cuda:0", "cuda:1", "mps", "mps:0", "cpu:0", "tpu", ":"]
)
def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, wanted):
    monkeypatch.setattr(devices, "_available", lambda: ["cpu"])
    with pytest.raises(ValueError, match="the device must be cpu here, got") as caught:
        choose_device(wanted)
    assert wanted in str(caught.value)


def test_a_second_gpu_must_be_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="'cuda:2'"):
        choose_device("cuda:2")


# -- sampling ---------------------------------------------------------------------------------

SAMPLERS = {
    "ddpm": (ddpm, {"noise": True}),
    "ddpm, σ² = β": (ddpm, {"noise": True, "variance": "beta"}),
    "ddim": (ddim, {}),
    "ddim, η = 1": (ddim, {"noise": True, "eta": 1.0}),
    "heun": (heun, {}),
    "dpm_solver": (dpm_solver, {}),
}
ASKED = {
    "without a label": lambda found, target: found.denoiser(),
    "with a label": lambda found, target: found.denoiser(1),
    "with labels": lambda found, target: found.denoiser(torch.tensor([0, 2, 1])),
    "guided": lambda found, target: found.denoiser(1, guidance=2.5),
    "guided by labels": lambda found, target: found.denoiser(torch.tensor([0, 2, 1]), guidance=2.0),
    "not clipped": lambda found, target: found.denoiser(1, guidance=2.0, clip=False),
    "matched": lambda found, target: found.denoiser(1).on(target),
    "guided and matched": lambda found, target: found.denoiser(1, guidance=2.0).on(target),
    "naive": lambda found, target: found.denoiser(1).on(target, matched=False),
}


def walked(sampler, how, ask, device, noises=False):
    """All steps of a run of three images there, and how often it was waited for."""
    net = network(pre_norm=True, zero_init=False)
    how = dict(how)
    with Elsewhere() as elsewhere:
        found = checkpoint(net.to(device))
        other = COSINE if "matched" in ask or ask == "naive" else SCHEDULE
        denoiser = ASKED[ask](found, other)
        x = to_device(standard_noise((1, 8, 8), range(3)), device)
        if how.pop("noise", False):
            if noises:
                how["noises"] = [standard_noise((1, 8, 8), [9, 8, i]) for i in range(STEPS)]
            else:
                how["generators"] = [torch.Generator().manual_seed(i) for i in range(3)]
        elsewhere.waits.clear()
        steps = list(sampler(denoiser, other, x, other.timesteps(STEPS), **how))
        return steps, elsewhere.waits, elsewhere.operations


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("name", SAMPLERS)
def test_sampling_follows_the_network_and_never_waits(name, ask):
    here, _, none = walked(*SAMPLERS[name], ask, torch.device("cpu"))
    there, waits, operations = walked(*SAMPLERS[name], ask, DEVICE)
    assert waits == []
    assert none == 0
    assert operations > 100 * STEPS
    for one, other in zip(here, there, strict=True):
        assert (one.t, one.t_next, one.sigma) == (other.t, other.t_next, other.sigma)
        for which in ("x", "mean", "x_next", "z"):
            a, b = getattr(one, which), getattr(other, which)
            assert (a is None) == (b is None)
            if a is not None:
                assert isinstance(b, FarTensor)
                same_numbers(a, b)
        for which in ("eps", "x0", "v"):
            found = getattr(other.prediction, which)
            assert isinstance(found, FarTensor)
            same_numbers(getattr(one.prediction, which), found)


def test_given_noise_follows_too():
    here, *_ = walked(*SAMPLERS["ddpm"], "guided", torch.device("cpu"), noises=True)
    there, waits, _ = walked(*SAMPLERS["ddpm"], "guided", DEVICE, noises=True)
    assert waits == []
    same_numbers(here[-1].x_next, there[-1].x_next)


def test_noise_is_drawn_from_the_seed_and_then_moved():
    def drawn(device):
        x = torch.empty(2, 1, 8, 8, device=device)
        return near(noise_like(x, [torch.Generator().manual_seed(i) for i in range(2)]))

    with Elsewhere():
        assert torch.equal(drawn("cpu"), drawn(DEVICE))


# -- forward, prediction, trace ---------------------------------------------------------------


@pytest.mark.parametrize("t", [7, torch.tensor([3, 50, 99]), torch.tensor(7)])
def test_the_forward_process_follows_its_tensors(t):
    def made(device):
        x, other = (to_device(standard_noise((1, 8, 8), range(3)), device) for _ in range(2))
        mean, variance = q_posterior(SCHEDULE, x, other, t)
        values = [
            q_step(SCHEDULE, x, t, other), q_sample(SCHEDULE, x, t, other), mean, mean + variance,
            merge_noise(SCHEDULE, x, t, other),
        ]  # fmt: skip
        for target in ("eps", "x0", "v"):
            for clip in (False, True):
                found = predict(target, other, SCHEDULE, x, t, clip=clip)
                values += [found.eps, found.x0, found.v]
        return values

    with Elsewhere() as elsewhere:
        here, there = made(torch.device("cpu")), made(DEVICE)
        assert elsewhere.waits == []
    assert all(isinstance(x, FarTensor) for x in there)
    assert all(torch.equal(a, b.near) for a, b in zip(here, there, strict=True))


def test_a_look_inside_follows_and_so_does_its_gradient():
    def seen(device):
        net = network(pre_norm=True).to(device)
        x = to_device(standard_noise((1, 8, 8), range(2)), device).requires_grad_(True)
        t, label = (to_device(torch.tensor(v), device) for v in ([5, 60], [0, 2]))
        trace = net.trace(x, t, label, cut={1})
        trace.output.square().sum().backward()
        return [*trace.activations.values(), *trace.attention.values(), trace.output, x.grad]

    with Elsewhere() as elsewhere:
        here, there = seen(torch.device("cpu")), seen(DEVICE)
        assert set(elsewhere.waits) <= {"aten::_to_copy"}  # moving the network there
    for one, other in zip(here, there, strict=True):
        same_numbers(one, other, rtol=1e-3)


# -- training ---------------------------------------------------------------------------------


@pytest.fixture
def trainable(monkeypatch):
    """Lets the optimiser and autocast take a device that PyTorch has no code for."""
    known = optimizer._get_fused_kernels_supported_devices()
    for module in (adam, optimizer):
        monkeypatch.setattr(
            module, "_get_fused_kernels_supported_devices", lambda: [*known, "lazy"], raising=False
        )
    real = torch.autocast

    def autocast(kind, *given, **how):
        return nullcontext() if kind == "lazy" else real(kind, *given, **how)

    monkeypatch.setattr(torch, "autocast", autocast)


def trained(device, steps=8, folder=None, **settings):
    """A training there, its records, and how often it was waited for between first and last."""
    with Elsewhere() as elsewhere:
        config = TrainConfig(steps=steps, batch=8, warmup=2, bf16=False, samples=3, **settings)
        training = Training.start(network().to(device), SCHEDULE, config)
        if folder is not None:
            load_training(folder, training)
        elsewhere.waits.clear()
        records = list(train(training, pictures()))
        return training, records, elsewhere.waits, elsewhere.operations


def on_cpu(net):
    with Elsewhere():
        return {name: weight.cpu() for name, weight in net.state_dict().items()}


def same_weights(one, other):
    found = on_cpu(other)
    for name, weight in parts(one).items():
        same_numbers(weight, found[name], atol=1e-4)


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_training_follows_the_network(trainable, target):
    settings = {"target": target, "report_every": 3, "sample_every": 5, "sample_steps": 4}
    here, records, *_ = trained(torch.device("cpu"), **settings)
    there, others, _, operations = trained(DEVICE, **settings)
    assert operations > 1000
    assert next(there.net.parameters()).device.type == "lazy"
    same_weights(here.net, there.net)
    same_weights(here.ema, there.ema)
    assert [r.step for r in records] == [r.step for r in others] == [3, 5, 6, 8]
    for one, other in zip(records, others, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)
        assert one.band_loss == pytest.approx(other.band_loss, rel=1e-3, nan_ok=True)
        assert (one.samples is None) == (other.samples is None)
        if one.samples is not None:
            same_numbers(one.samples, other.samples, atol=1e-3)
            same_numbers(one.example.output, other.example.output, atol=1e-3)
            assert torch.equal(one.example.eps, other.example.eps)


def test_training_waits_for_no_step_that_is_not_reported(trainable):
    _, often, waits, _ = trained(DEVICE, steps=12, report_every=1)
    _, seldom, fewer, _ = trained(DEVICE, steps=12, report_every=12)
    assert (len(often), len(seldom)) == (12, 1)
    assert len(fewer) <= 2  # the losses, and the gradient's length
    assert len(waits) == 12 * len(fewer)


def test_a_training_goes_on_elsewhere(trainable, tmp_path):
    begun, *_ = trained(torch.device("cpu"), steps=4)
    save_training(tmp_path, begun, {})
    here, *_ = trained(torch.device("cpu"), steps=9, folder=tmp_path)
    there, *_ = trained(DEVICE, steps=9, folder=tmp_path)
    assert there.step == 9
    same_weights(here.ema, there.ema)


def test_samples_and_states_come_back(trainable, tmp_path):
    there, *_ = trained(DEVICE, steps=4)
    here, *_ = trained(torch.device("cpu"), steps=4)
    with Elsewhere():
        samples = draw_samples(there)
        save_training(tmp_path, there, {})
    same_numbers(samples, draw_samples(here), atol=1e-3)
    back = Training.start(network(), SCHEDULE, here.config)
    load_training(tmp_path, back)
    assert same(parts(back.net), on_cpu(there.net))


# -- metrics ----------------------------------------------------------------------------------


def test_metrics_follow_the_images():
    data = pictures(48)
    images = data.pixels.float() / 127.5 - 1

    def measured(device):
        x, label = images.to(device), data.labels.to(device)
        judge = train_classifier(x, label, 3, epochs=2, flip=True)
        assert next(judge.parameters()).device == x.device
        found = features(judge, x)
        few = found[:, :4].contiguous()
        return (
            near(found), accuracy(judge, x, label), frechet_distance(few[:24], few[24:]),
            near(nearest_distances(x[:5], x[5:], chunk=7)),
        )  # fmt: skip

    with Elsewhere():
        here, there = measured(torch.device("cpu")), measured(DEVICE)
    same_numbers(here[0], there[0], atol=1e-2)
    assert here[1:3] == pytest.approx(there[1:3], rel=0.02)
    same_numbers(here[3], there[3])
