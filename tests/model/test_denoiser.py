"""From any network's output to ε, x̂_0 and v: against the definitions and a closed form."""

from dataclasses import replace

import pytest
import torch

from model.denoiser import TARGETS, Denoiser, clip_x0, guide, predict, target_of
from model.forward import q_sample
from model.schedule import NoiseSchedule
from tests.model.tiny import Gaussian, network

LINEAR, COSINE = NoiseSchedule.linear(), NoiseSchedule.cosine()
TIMES = [1, 2, 500, 1000, torch.tensor([1, 300, 1000])]
NAMES = ("eps", "x0", "v")


def drawn(dtype=torch.float64, batch=3):
    """x_0 in [−1, 1] and ε."""
    generator = torch.Generator().manual_seed(0)
    x0 = torch.rand(batch, 1, 8, 8, generator=generator, dtype=dtype) * 2 - 1
    return x0, torch.randn(batch, 1, 8, 8, generator=generator, dtype=dtype)


def close(one, other, **tolerance):
    for name in NAMES:
        torch.testing.assert_close(getattr(one, name), getattr(other, name), **tolerance)


def holds(prediction, schedule, x_t, t, atol=1e-9):
    """Whether ε and x̂_0 are the two parts of x_t, and v what it is of them."""
    again = q_sample(schedule, prediction.x0, t, prediction.eps)
    v = target_of("v", schedule, prediction.x0, t, prediction.eps)
    return torch.allclose(again, x_t, atol=atol) and torch.allclose(v, prediction.v, atol=atol)


# -- from one to the others ----------------------------------------------------------------------


@pytest.mark.parametrize("t", TIMES, ids=str)
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize("target", TARGETS)
def test_each_target_gives_back_what_went_into_x_t(target, schedule, t):
    x0, eps = drawn()
    x_t = q_sample(schedule, x0, t, eps)
    output = target_of(target, schedule, x0, t, eps)
    prediction = predict(target, output, schedule, x_t, t)
    for found, true in ((prediction.x0, x0), (prediction.eps, eps)):
        torch.testing.assert_close(found, true, rtol=0, atol=1e-7)
    assert holds(prediction, schedule, x_t, t)


@pytest.mark.parametrize("t", TIMES, ids=str)
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_a_wrong_prediction_means_the_same_in_all_three_ways(schedule, t):
    x_t, output = drawn()
    first = predict("v", output, schedule, x_t, t)
    for target in TARGETS:
        again = predict(target, getattr(first, target), schedule, x_t, t)
        close(again, first, rtol=0, atol=1e-7)


def test_float32_is_precise_where_the_definition_is():
    x0, eps = drawn(torch.float32)
    for t in (1, 500, 1000):
        x_t = q_sample(LINEAR, x0, t, eps)
        for target in TARGETS:
            output = target_of(target, LINEAR, x0, t, eps)
            prediction = predict(target, output, LINEAR, x_t, t)
            assert prediction.x0.dtype == torch.float32
            v = target_of("v", LINEAR, x0, t, eps)
            torch.testing.assert_close(prediction.v, v, rtol=0, atol=2e-4)


def test_v_is_the_formula_of_salimans_and_ho():
    x0, eps = drawn()
    signal, noise = COSINE.alpha_bars[400].sqrt(), (1 - COSINE.alpha_bars[400]).sqrt()
    torch.testing.assert_close(target_of("v", COSINE, x0, 400, eps), signal * eps - noise * x0)
    assert target_of("eps", COSINE, x0, 400, eps) is eps
    assert target_of("x0", COSINE, x0, 400, eps) is x0


@pytest.mark.parametrize("t", TIMES, ids=str)
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_clipping_keeps_all_three_consistent(schedule, t):
    x_t, output = drawn()
    wild = predict("x0", 3 * output, schedule, x_t, t)
    clipped = clip_x0(wild, schedule, x_t, t)
    assert wild.x0.abs().max() > 1
    assert torch.equal(clipped.x0, wild.x0.clamp(-1, 1))
    assert holds(clipped, schedule, x_t, t)


# -- a network whose answer is known -------------------------------------------------------------


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("t", TIMES, ids=str)
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_the_best_network_for_each_target_predicts_the_same(schedule, t, clip):
    x_t, _ = drawn()
    best = Gaussian(schedule, mean=0.5, std=0.8)
    eps, x0, v = (
        Denoiser(best(target), schedule, target, clip=clip)(2 * x_t, t) for target in TARGETS
    )
    close(eps, x0, rtol=0, atol=1e-6)
    close(v, x0, rtol=0, atol=1e-6)
    if clip:
        assert x0.x0.abs().max() <= 1
    else:
        told = torch.as_tensor(t).expand(3)
        torch.testing.assert_close(x0.x0, best("x0")(2 * x_t, told, None), rtol=0, atol=0)


def test_a_network_is_told_one_t_and_one_label_for_each_image():
    told = []

    def net(x, t, label):
        told.append((t, label))
        return x

    x, _ = drawn()
    for label in (None, 2, torch.tensor(2), torch.tensor([2]), torch.tensor([0, 1, 2])):
        Denoiser(net, LINEAR, label=label)(x, 7)
    Denoiser(net, LINEAR)(x, torch.tensor([1, 2, 3]))
    assert all(t.tolist() == [7, 7, 7] for t, _ in told[:5])
    assert told[0][1] is None
    assert [label.tolist() for _, label in told[1:5]] == [[2, 2, 2]] * 3 + [[0, 1, 2]]
    assert told[5][0].tolist() == [1, 2, 3]


def test_a_real_network_with_labels():
    net = network().requires_grad_(False)
    x, _ = drawn(torch.float32)
    t = torch.tensor([9, 9, 9])
    for label, expected in (
        (1, [1, 1, 1]),
        (None, [3, 3, 3]),
        (torch.tensor([2, 0, 1]), [2, 0, 1]),
    ):
        output = net(x, t, torch.tensor(expected))
        assert torch.equal(Denoiser(net, LINEAR, "eps", label)(x, 9).eps, output)


# -- guidance ------------------------------------------------------------------------------------


def pair(clip=False):
    """Two denoisers that disagree: what is asked for, and the base."""
    wanted = Denoiser(Gaussian(LINEAR, mean=0.9)("eps"), LINEAR, "eps", clip=clip)
    return wanted, Denoiser(Gaussian(LINEAR, mean=-0.4)("v"), LINEAR, "v", clip=clip)


@pytest.mark.parametrize("t", [1, 600, torch.tensor([1, 600, 1000])], ids=str)
def test_guidance_is_the_formula_in_all_three_ways(t):
    wanted, base = pair()
    x, _ = drawn()
    one, other = wanted(x, t), base(x, t)
    close(guide(wanted, base, 0)(x, t), other, rtol=0, atol=1e-12)
    close(guide(wanted, base, 1)(x, t), one, rtol=0, atol=1e-12)
    for scale in (-1.5, 0.3, 2, 7.5):
        guided = guide(wanted, base, scale)(x, t)
        for name in NAMES:
            a, b = getattr(one, name), getattr(other, name)
            torch.testing.assert_close(getattr(guided, name), b + scale * (a - b))
        assert holds(guided, LINEAR, x, t)


def test_guiding_away_from_a_label_is_a_base_of_its_own():
    net = network().requires_grad_(False)
    x, _ = drawn(torch.float32)
    wanted, unwanted = (Denoiser(net, LINEAR, "eps", label) for label in (0, 2))
    guided = guide(wanted, unwanted, 3.0)(x, 500)
    expected = 3 * wanted(x, 500).eps - 2 * unwanted(x, 500).eps
    torch.testing.assert_close(guided.eps, expected, rtol=1e-4, atol=1e-5)


def test_guidance_clips_after_combining():
    (wanted, base), (clipped, clipped_base) = pair(), pair(clip=True)
    x, _ = drawn()
    for conditional in (clipped, replace(clipped, clip=True)):
        guided = guide(conditional, clipped_base, 4.0)(x, 900)
        late = clip_x0(guide(wanted, base, 4.0)(x, 900), LINEAR, x, 900)
        close(guided, late)
        assert guided.x0.abs().max() == 1
        assert holds(guided, LINEAR, x, 900)
    # The base alone does not decide.
    close(guide(wanted, clipped_base, 4.0)(x, 900), guide(wanted, base, 4.0)(x, 900))


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -float("inf")])
def test_a_scale_that_is_no_number_is_one_sentence(scale):
    with pytest.raises(ValueError, match="guidance scale must be a finite number, got"):
        guide(*pair(), scale)


@pytest.mark.parametrize("schedule", [NoiseSchedule.linear(500), COSINE], ids=["shorter", "other"])
def test_guidance_within_one_schedule_only(schedule):
    wanted, base = pair()
    with pytest.raises(ValueError, match="t of the same schedule"):
        guide(wanted, replace(base, schedule=schedule), 2)
    with pytest.raises(ValueError, match="t of the same schedule"):
        guide(wanted.on(schedule), base, 2)


# -- on another schedule -------------------------------------------------------------------------


def told_on(schedule, t, *, matched, start=None):
    told = []

    def net(x, t, label):
        told.append(t)
        return x

    denoiser = start(net) if start else Denoiser(net, LINEAR)
    denoiser.on(schedule, matched=matched)(drawn(torch.float32)[0], t)
    return told[0]


@pytest.mark.parametrize("t", [1, 37, 100, torch.tensor([1, 37, 100])], ids=str)
def test_matched_tells_the_t_that_has_as_much_noise(t):
    other = NoiseSchedule.cosine(100)
    told = told_on(other, t, matched=True)
    assert told.shape == (3,)
    expected = other.alpha_bars[t].expand(3).clamp(min=float(LINEAR.alpha_bars[-1]))
    # log ᾱ is a line between timesteps.
    below = told.double().floor().long()
    log = LINEAR.alpha_bars.log()
    between = torch.lerp(log[below], log[(below + 1).clamp(max=1000)], told.double() - below)
    torch.testing.assert_close(between.exp(), expected, rtol=1e-4, atol=1e-9)


def test_naive_tells_the_number_itself():
    other = NoiseSchedule.cosine(100)
    assert told_on(other, 37, matched=False).tolist() == [37, 37, 37]
    t = torch.tensor([1, 37, 100])
    assert told_on(other, t, matched=False).tolist() == t.tolist()


def test_matched_on_its_own_schedule_changes_nothing():
    assert told_on(LINEAR, 400, matched=True).tolist() == pytest.approx([400] * 3, abs=1e-4)


@pytest.mark.parametrize("before", [True, False])
def test_moving_twice_is_moving_once(before):
    other = NoiseSchedule.cosine(100)

    def moved(net):
        return Denoiser(net, LINEAR).on(NoiseSchedule.sigmoid(50), matched=before)

    for matched in (True, False):
        twice = told_on(other, 37, matched=matched, start=moved)
        assert torch.equal(twice, told_on(other, 37, matched=matched))


def test_its_answer_is_about_the_schedule_that_it_is_on():
    """Matched, the best network stays the best: ᾱ is all that matters to it."""
    short = NoiseSchedule.from_alpha_bars(LINEAR.alpha_bars[[0, 100, 500, 1000]])
    best, moved = Gaussian(LINEAR), Gaussian(short)
    x, _ = drawn()

    def rounded(x, t, label):  # it knows whole t only
        return best("eps")(x, t.round(), label)

    denoiser = Denoiser(rounded, LINEAR).on(short)
    for t in (1, 2, 3):
        expected = Denoiser(moved("eps"), short)(x, t)
        close(denoiser(x, t), expected, rtol=0, atol=1e-6)


def test_guided_denoisers_move_together():
    wanted, base = (replace(d, target="eps", net=lambda x, t, label: x * t[0]) for d in pair())
    other = NoiseSchedule.cosine(100)
    x, _ = drawn()
    guided = guide(wanted, base, 2.0).on(other, matched=False)
    assert guided.schedule is other
    close(
        guided(x, 50),
        guide(wanted.on(other, matched=False), base.on(other, matched=False), 2.0)(x, 50),
    )


# -- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize("on", [None, LINEAR], ids=["own schedule", "moved"])
@pytest.mark.parametrize(
    ("t", "says"),
    [
        (0, "noise to predict at t = 1 … 1000 only, got 0"),
        (torch.tensor([5, 0, 5]), "noise to predict at t = 1 … 1000 only"),
        (-1, "t must be in 0 … 1000, got -1"),
        (1001, "t must be in 0 … 1000, got 1001"),
        (torch.tensor([1, 2, 1001]), "t must be in 0 … 1000"),
        (torch.tensor([1, 2]), "one for each of 3 images"),
        (1.5, "t must be an integer timestep"),
        (torch.tensor([1.0, 2.0, 3.0]), "t must be an integer timestep"),
    ],
    ids=str,
)
def test_a_t_that_is_none_is_one_sentence(t, says, on):
    asked = []
    denoiser = Denoiser(lambda x, t, label: asked.append(t) or x, LINEAR)
    if on:
        denoiser = denoiser.on(on)
    with pytest.raises(ValueError, match=says):
        denoiser(drawn()[0], t)
    assert asked == []  # before the network is


@pytest.mark.parametrize("label", [torch.tensor([0, 1]), torch.zeros(3, 1, dtype=torch.long)])
def test_labels_that_do_not_fit_the_batch_are_one_sentence(label):
    with pytest.raises(ValueError, match="one for all or one for each of 3 images, got shape"):
        Denoiser(network(), LINEAR, label=label)(drawn(torch.float32)[0], 5)


@pytest.mark.parametrize("target", ["epsilon", "", None, 3])
def test_an_unknown_target_is_one_sentence(target):
    x, eps = drawn()
    for asked in (
        lambda: Denoiser(network(), LINEAR, target),
        lambda: predict(target, x, LINEAR, x, 5),
        lambda: target_of(target, LINEAR, x, 5, eps),
    ):
        with pytest.raises(ValueError, match="target must be one of eps, x0, v, got"):
            asked()


def test_guidance_asks_one_network_in_one_batch_and_two_networks_one_by_one():
    sizes = []

    def net(x, t, label):
        sizes.append(len(x))
        return x * t.view(-1, 1, 1, 1) / 1000 + label.view(-1, 1, 1, 1)

    schedule = NoiseSchedule.linear()
    x = torch.randn(3, 1, 4, 4)
    wanted, base = Denoiser(net, schedule, label=torch.tensor([1, 2, 3])), Denoiser(net, schedule)
    base = replace(base, label=4)
    for t in (500, torch.tensor([1, 500, 1000])):
        a, b = wanted(x, t), base(x, t)
        sizes.clear()
        both = guide(wanted, base, 3.0)(x, t)
        assert sizes == [6]
        torch.testing.assert_close(both.eps, b.eps + 3 * (a.eps - b.eps))
    sizes.clear()
    guide(wanted, replace(base, net=lambda *given: net(*given)), 3.0)(x, 500)
    assert sizes == [3, 3]
