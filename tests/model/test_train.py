"""Training of tiny real networks: what it learns, reports, repeats, and does when it fails."""

import copy
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from model.denoiser import target_of
from model.device import has_bf16
from model.forward import q_sample
from model.image_data import ImageData
from model.resume import load_training, save_training
from model.schedule import NoiseSchedule
from model.train import draw_samples, train
from model.training import (
    DIVERGED,
    FLOOR,
    Diverged,
    TrainConfig,
    Training,
    new_network,
)
from tests.model.tiny import CONFIG, network, parts, pictures, same

SCHEDULE = NoiseSchedule.linear(100, rescale=True)


def started(net=None, schedule=SCHEDULE, **settings):
    settings = {"batch": 8, "warmup": 5, "bf16": False, **settings}
    if "minutes" not in settings:
        settings.setdefault("steps", 12)
    return Training.start(net or network(), schedule, TrainConfig(**settings))


def run(training, data=None):
    return list(train(training, data or pictures()))


# -- learning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_one_picture_is_learned_by_heart(target):
    data = pictures(1, classes=0)
    settings = {"target": target, "steps": 100, "report_every": 20, "learning_rate": 1e-2}
    training = started(network(classes=0), ema=0.9, **settings)
    noise = draw_samples(training)
    records = run(training, data)
    assert [record.step for record in records] == [20, 40, 60, 80, 100]
    assert records[-1].loss < 0.5 * records[0].loss
    x0, _ = data.batch(torch.tensor([0]), torch.Generator())
    before, after = ((x - x0).square().mean().item() for x in (noise, draw_samples(training)))
    assert after < 0.5 * before


def test_the_seed_decides_all():
    first, again, other = (started(network(seed), seed=seed) for seed in (0, 0, 1))
    losses = [[record.loss for record in run(training)] for training in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]
    assert same(parts(first.net), parts(again.net))
    assert same(parts(first.ema), parts(again.ema))
    shuffled = started(network(0), seed=1)
    run(shuffled)
    assert not same(parts(first.net), parts(shuffled.net))


def test_reporting_and_sampling_change_nothing():
    often, seldom = started(sample_every=2, sample_steps=3), started(report_every=5)
    records = run(often), run(seldom)
    assert [record.step for record in records[1]] == [5, 10, 12]
    assert same(parts(often.net), parts(seldom.net))
    assert records[1][0].loss == pytest.approx(
        sum(record.loss for record in records[0][:5]) / 5, rel=1e-5
    )


def test_a_new_network_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = new_network(CONFIG, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert same(parts(first), parts(new_network(CONFIG, 0)))
    assert not same(parts(first), parts(new_network(CONFIG, 1)))


# -- going on ------------------------------------------------------------------------------------


def everything(training):
    """All that a training has changed."""
    state = training.optimizer.state_dict()["state"]
    moments = {f"{i} {key}": state[i][key].clone() for i in state for key in state[i]}
    weights = {f"ema {key}": weight for key, weight in parts(training.ema).items()}
    generator = {"generator": training.generator.get_state()}
    return parts(training.net) | weights | moments | generator


@pytest.mark.parametrize("target", ["eps", "v"])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(tmp_path, target):
    settings = {"steps": 12, "target": target, "label_dropout": 0.3}
    data = replace(pictures(), flip=True)
    whole, half, resumed = started(**settings), started(**settings), started(network(9), **settings)
    records = run(whole, data)
    for record in train(half, data):
        if record.step == 7:
            break
    save_training(tmp_path, half, {"any": "thing"})
    load_training(tmp_path, resumed)
    assert resumed.step == 7
    assert same(everything(resumed), everything(half))
    rest = run(resumed, data)
    assert [(r.step, r.loss, r.learning_rate) for r in rest] == [
        (r.step, r.loss, r.learning_rate) for r in records[7:]
    ]
    assert same(everything(resumed), everything(whole))


def test_the_consumer_may_stop_it_between_any_two_records():
    training = started(steps=1000)
    for record in train(training, pictures()):
        training.stopping = record.step == 4
    assert training.step == 4


def test_stopping_within_a_step_ends_it_with_a_record():
    training = started(steps=1000, report_every=100)

    def stop(*_):
        training.stopping = training.step == 6

    training.net.register_forward_hook(stop)
    (record,) = run(training)
    assert record.step == training.step == 7


def test_a_budget_that_is_used_up_makes_no_step():
    training = started(steps=3)
    run(training)
    before = everything(training)
    assert run(training) == []
    assert same(everything(training), before)
    assert (training.fraction, training.seconds_left) == (1.0, 0.0)


def test_a_budget_of_minutes_ends_in_time():
    training = started(minutes=0.005)
    *before, last = run(training)
    assert all(record.seconds < 0.3 for record in before)
    assert last.seconds >= 0.3  # the step under way ended
    assert (last.fraction, last.seconds_left) == (1.0, 0.0)
    for record in before:
        assert record.fraction == pytest.approx(record.seconds / 0.3)
        assert record.seconds_left == pytest.approx(0.3 - record.seconds)


# -- the average ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ema", [0.0, 0.3, 0.999])
def test_the_average_is_right_at_every_record(ema):
    training = started(ema=ema, steps=20)
    average = parts(training.net)
    for record in train(training, pictures()):
        decay = min(ema, (1 + record.step) / (10 + record.step))
        for name, weight in parts(training.net).items():
            average[name] = decay * average[name] + (1 - decay) * weight
        for name, found in parts(training.ema).items():
            torch.testing.assert_close(found, average[name], rtol=1e-5, atol=1e-7)
    assert not any(parameter.requires_grad for parameter in training.ema.parameters())
    assert same(parts(training.ema), parts(training.net)) == (ema == 0)


# -- what it reports -----------------------------------------------------------------------------


def drawn_next(training, data):
    """The t of the next step, drawn as the training will."""
    generator = torch.Generator()
    generator.set_state(training.generator.get_state())
    batch = training.config.batch
    torch.randint(len(data), (batch,), generator=generator)
    torch.rand(batch, generator=generator)  # which labels are withheld
    return 1 + torch.randint(training.schedule.T, (batch,), generator=generator)


def test_the_loss_is_the_mean_over_bands_and_empty_bands_are_nan():
    training, data = started(batch=6), pictures()
    times, empty = drawn_next(training, data), 0
    for record in train(training, data):
        counts = torch.bincount((times - 1) // 10, minlength=10).tolist()
        assert len(record.band_loss) == 10
        assert [math.isnan(loss) for loss in record.band_loss] == [n == 0 for n in counts]
        sums = [n * loss for n, loss in zip(counts, record.band_loss, strict=True) if n]
        assert record.loss == pytest.approx(sum(sums) / 6, rel=1e-5)
        empty += counts.count(0)
        times = drawn_next(training, data)
    assert empty


def test_the_first_loss_is_that_of_algorithm_1():
    schedule = NoiseSchedule.linear(1)  # one t only
    training, data = started(network(classes=0), schedule=schedule, steps=1), pictures(1, classes=0)
    generator = torch.Generator().manual_seed(0)
    torch.randint(1, (8,), generator=generator)  # which picture
    torch.randint(1, (8,), generator=generator)  # t − 1
    eps = torch.randn(8, 1, 8, 8, generator=generator)
    x0, _ = data.batch(torch.zeros(8, dtype=torch.long), generator)
    t = torch.ones(8, dtype=torch.long)
    expected = (training.ema(q_sample(schedule, x0, t, eps), t) - eps).square().mean().item()
    (record,) = run(training, data)
    assert record.loss == pytest.approx(expected, rel=1e-5)
    assert record.band_loss[0] == pytest.approx(expected, rel=1e-5)


def test_the_numbers_of_a_record():
    training = started(steps=12, report_every=4, batch=8)
    records = run(training)
    assert [r.images for r in records] == [32, 64, 96]
    assert [r.fraction for r in records] == [4 / 12, 8 / 12, 1.0]
    assert records[-1].seconds_left == 0
    for record in records[:-1]:
        assert record.seconds_left == pytest.approx(
            record.seconds / record.step * (12 - record.step)
        )
    spent = [r.seconds for r in records]
    assert 0 < spent[0] < spent[1] < spent[2]
    assert records[1].images_per_second == pytest.approx(32 / (spent[1] - spent[0]))
    assert all(record.gradient_norm > 0 for record in records)
    assert all(record.samples is None and record.example is None for record in records)
    assert Training.start(network(), SCHEDULE, TrainConfig(steps=1)).seconds_left == math.inf


def test_the_gradient_is_shortened_but_reported_as_it_was():
    loose, tight = started(steps=1, clip=1e9), started(steps=1, clip=1e-3)
    (first,), (second,) = run(loose), run(tight)
    assert first.gradient_norm == second.gradient_norm > 1e-3
    norm = torch.stack([p.grad.norm() for p in tight.net.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_the_learning_rate_rises_then_falls_by_a_cosine():
    records = run(started(steps=40, warmup=9, learning_rate=2e-3))
    rates = [record.learning_rate for record in records]
    for step, rate in enumerate(rates):  # as many were done before
        rise = min(1, (step + 1) / 10)
        fall = FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * step / 40)) / 2
        assert rate == pytest.approx(2e-3 * rise * fall)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.03 * 2e-3


def test_samples_come_when_due_always_from_the_same_noise():
    data = pictures()
    training = started(steps=7, sample_every=3, samples=5, sample_steps=4, learning_rate=1e-9)
    records = run(training, data)
    assert [r.step for r in records if r.samples is not None] == [3, 6]
    first, second = (r.samples for r in records if r.samples is not None)
    assert first.shape == (5, 1, 8, 8)
    assert first.abs().max() <= 1
    # It hardly learns, so only other noise could make a difference.
    torch.testing.assert_close(first, second, rtol=0, atol=1e-3)
    assert not torch.allclose(first[0], first[3], atol=0.01)  # both of class 0


def test_sampling_takes_no_more_steps_than_the_schedule_has():
    training = started(network(), schedule=NoiseSchedule.cosine(3), steps=1, sample_every=1)
    (record,) = run(training)
    assert record.samples.shape == (16, 1, 8, 8)


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_an_example_is_one_image_of_algorithm_1(target):
    data = pictures()
    training = started(steps=2, sample_every=2, samples=1, sample_steps=1, target=target)
    before = {}
    for record in train(training, data):
        if record.example is None:
            before = copy.deepcopy(training.net)
    example = record.example
    x_t = q_sample(SCHEDULE, example.x0[None], example.t, example.eps[None])
    torch.testing.assert_close(example.x_t[None], x_t)
    wanted = target_of(target, SCHEDULE, example.x0[None], example.t, example.eps[None])
    torch.testing.assert_close(example.target[None], wanted)
    said = before(x_t, torch.tensor([example.t]), torch.tensor([example.label]))
    torch.testing.assert_close(example.output[None], said, rtol=1e-4, atol=1e-5)
    everything, _ = data.batch(torch.arange(len(data)), torch.Generator())
    assert any(torch.equal(example.x0, x0) for x0 in everything)
    assert not example.output.requires_grad


# -- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_labels_is_withheld(share):
    bright = torch.tensor([30, 120, 210], dtype=torch.uint8).view(3, 1, 1, 1)
    data = ImageData("flat", bright.expand(3, 1, 8, 8), torch.arange(3), ("a", "b", "c"))
    training = started(steps=6, batch=200, label_dropout=share, sample_every=6, samples=1)
    told = []
    training.net.register_forward_pre_hook(lambda _, arguments: told.append(arguments[2]))
    records = run(training, data)
    labels = torch.cat(told)
    assert (labels == 3).float().mean().item() == pytest.approx(share, abs=0.05 * (0 < share < 1))
    example = records[-1].example
    assert example.label in (3, round((example.x0.mean().item() + 1) * 127.5) // 90)


def test_a_network_without_labels_ignores_those_of_the_data():
    training = started(network(classes=0), steps=2, sample_every=2, samples=2)
    assert run(training)[-1].example.label is None


# -- going wrong ---------------------------------------------------------------------------------


def test_a_learning_rate_that_is_far_too_high_is_one_sentence():
    training = started(steps=300, learning_rate=1e5, warmup=0)
    before = everything(training)
    with pytest.raises(Diverged, match=r"training diverged: the loss was .* at step \d+") as caught:
        run(training)
    message = str(caught.value)
    assert "\n" not in message
    assert f"the weights of step {training.step};" in message
    assert "well below 100000 should hold" in message
    assert training.step == 0
    after = everything(training)
    assert all(torch.equal(after[k], before[k]) for k in before if k != "generator")


def test_it_ends_with_the_last_weights_known_to_be_good(tmp_path):
    training, kept = started(steps=400, report_every=10), None
    records = train(training, pictures())
    while next(records).step < 120:
        if training.step == 50:
            kept = everything(training)
    with torch.no_grad():
        next(training.net.parameters()).fill_(math.nan)
    with pytest.raises(Diverged, match=r"loss was nan at step 130.* the weights of step 50;"):
        next(records)
    assert training.step == 50
    after = everything(training)
    assert all(torch.equal(after[key], kept[key]) for key in kept if key != "generator")
    # From there it can go on.
    save_training(tmp_path, training, {})
    resumed = started(steps=60)
    load_training(tmp_path, resumed)
    assert run(resumed)[-1].loss < DIVERGED


# -- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "data", "says"),
    [
        ({"image_channels": 3}, pictures(), "takes 3 channels, the pictures of blobs have 1"),
        ({}, pictures(classes=0), "takes labels, and blobs has none: build it with classes=0"),
        ({}, pictures(classes=2), "knows 3 classes, blobs has 2"),
    ],
)
def test_data_that_does_not_fit_is_one_sentence(changes, data, says):
    training = started(network(**changes))
    with pytest.raises(ValueError, match=says):
        run(training, data)
    assert training.step == 0


def test_a_batch_that_cannot_be_shared_out_is_one_sentence():
    pair = SimpleNamespace(num_processes=2, process_index=0)
    with pytest.raises(ValueError, match=r"batch must be a multiple of 2, .* of processes, got 9"):
        next(train(started(batch=9), pictures(), pair))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "either steps or minutes: give one of them"),
        ({"steps": 1, "minutes": 1}, "either steps or minutes: give one of them"),
        ({"steps": 0}, "steps must be in 1 … 1,000,000,000, got 0"),
        ({"steps": 2.5}, "steps must be an integer, got 2.5"),
        ({"minutes": 0}, "minutes must be in 0.001 … 1,000,000, got 0"),
        ({"minutes": math.nan}, "minutes must be in"),
        ({"minutes": math.inf}, "minutes must be in"),
        ({"steps": 1, "target": "noise"}, "target must be one of eps, x0, v"),
        ({"steps": 1, "batch": 0}, "batch must be in 1 … 65,536"),
        ({"steps": 1, "learning_rate": 0}, "learning_rate must be in"),
        ({"steps": 1, "learning_rate": math.nan}, "learning_rate must be in"),
        ({"steps": 1, "warmup": -1}, "warmup must be in 0"),
        ({"steps": 1, "weight_decay": 1.5}, "weight_decay must be in 0 … 1"),
        ({"steps": 1, "clip": 0}, "clip must be in"),
        ({"steps": 1, "ema": 1.1}, "ema must be in 0 … 1"),
        ({"steps": 1, "label_dropout": -0.1}, "label_dropout must be in 0 … 1"),
        ({"steps": 1, "seed": -1}, "seed must be in 0"),
        ({"steps": 1, "report_every": 0}, "report_every must be in 1"),
        ({"steps": 1, "sample_every": 0}, "sample_every must be in 1"),
        ({"steps": 1, "samples": 0}, "samples must be in 1 … 1,024"),
        ({"steps": 1, "sample_steps": 1001}, "sample_steps must be in 1 … 1,000"),
    ],
)
def test_a_setting_out_of_range_is_one_sentence(settings, says):
    with pytest.raises(ValueError, match=says):
        TrainConfig(**settings)


def test_whether_bfloat16_is_fast_is_yes_or_no():
    assert has_bf16(torch.device("cpu")) in (True, False)
    assert has_bf16(torch.device("meta")) is False


def test_a_pytorch_that_cannot_tell_trains_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert has_bf16(torch.device("cpu")) is False
    assert len(run(started(steps=1, bf16=None))) == 1


def test_bfloat16_trains_too():
    records = run(started(network(classes=0), steps=60, bf16=True, report_every=20), pictures())
    assert records[-1].loss < records[0].loss
