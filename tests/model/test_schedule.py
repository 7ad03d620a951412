"""NoiseSchedule against diffusers, against its definitions, and against bad input."""

import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.schedule import FAMILIES, SPACINGS, NoiseSchedule, broadcast_at

DIFFUSERS_NAMES = {
    "linear": "linear",
    "scaled linear": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
    "sigmoid": "sigmoid",
}

random_betas = hnp.arrays(
    np.float64, st.integers(1, 200), elements=st.floats(1e-6, 0.999, allow_nan=False)
).filter(lambda betas: np.log1p(-betas).sum() > -600)  # above float64's underflow


# -- against an independent implementation -----------------------------------------------------


@pytest.mark.parametrize("T", [10, 50, 1000])
@pytest.mark.parametrize("family", FAMILIES)
def test_betas_and_alpha_bars_equal_those_of_diffusers(family, T):
    ours = FAMILIES[family](T)
    if family == "cosine":
        theirs = DDPMScheduler(T, beta_schedule=DIFFUSERS_NAMES[family])
    else:
        # Both ends as each of our defaults states them.
        beta_start, beta_end = (0.00085, 0.012) if family == "scaled linear" else (1e-4, 0.02)
        theirs = DDPMScheduler(
            T, beta_start=beta_start, beta_end=beta_end, beta_schedule=DIFFUSERS_NAMES[family]
        )
    # Theirs are float32 and count from 0.
    torch.testing.assert_close(ours.betas[1:].float(), theirs.betas, rtol=2e-5, atol=1e-7)
    torch.testing.assert_close(
        ours.alpha_bars[1:].float(), theirs.alphas_cumprod, rtol=5e-4, atol=1e-7
    )


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("n", [2, 7, 10, 50, 999, 1000])
def test_timesteps_equal_those_of_diffusers(spacing, n):
    theirs = DDPMScheduler(1000, timestep_spacing=spacing)
    theirs.set_timesteps(n)
    assert NoiseSchedule.linear().timesteps(n, spacing).tolist() == [
        *(theirs.timesteps + 1).tolist(),
        0,
    ]


def test_posterior_variance_equals_that_of_diffusers():
    ours, theirs = NoiseSchedule.cosine(100), DDPMScheduler(100, beta_schedule="squaredcos_cap_v2")
    for t in range(2, 101):
        assert ours.posterior_variance[t].item() == pytest.approx(
            theirs._get_variance(t - 1).item(), rel=2e-3
        )


# -- against the definitions -------------------------------------------------------------------


def test_cosine_follows_its_formula_where_it_is_not_clipped():
    schedule, s = NoiseSchedule.cosine(1000), 0.008

    def f(t):
        return math.cos((t / 1000 + s) / (1 + s) * math.pi / 2) ** 2

    for t in (0, 1, 250, 500, 998):
        assert schedule.alpha_bars[t].item() == pytest.approx(f(t) / f(0), rel=1e-11)
    assert schedule.betas[1000] == 0.999


@given(random_betas)
def test_every_schedule_is_one(betas):
    s = NoiseSchedule.from_betas(betas)
    assert len(betas) == s.T
    for values in (s.betas, s.alphas, s.alpha_bars, s.signal, s.noise, s.snr, s.posterior_variance):
        assert values.dtype == torch.float64
        assert values.shape == (s.T + 1,)
    assert s.betas[0] == 0
    assert s.alpha_bars[0] == 1
    assert s.noise[0] == 0
    assert math.isinf(s.snr[0])
    assert (s.alpha_bars.diff() < 0).all()
    assert (s.snr.diff() < 0).all()
    torch.testing.assert_close(s.signal**2 + s.noise**2, torch.ones_like(s.signal))
    torch.testing.assert_close(s.alpha_bars[1:], torch.from_numpy(np.cumprod(1 - betas)))
    assert (s.posterior_variance[1:] <= s.betas[1:]).all()
    assert (s.posterior_variance[:2] == 0).all()


@given(random_betas)
def test_betas_and_alpha_bars_say_the_same(betas):
    s = NoiseSchedule.from_betas(betas)
    again = NoiseSchedule.from_alpha_bars(s.alpha_bars)
    torch.testing.assert_close(again.betas, s.betas, rtol=1e-8, atol=1e-14)


def test_python_floats_keep_their_precision():
    assert NoiseSchedule.from_betas([0.1, 0.2]).betas.tolist() == [0.0, 0.1, 0.2]


def test_a_schedule_does_not_change_with_the_tensor_it_was_made_from():
    betas = torch.tensor([0.1, 0.2], dtype=torch.float64)
    s = NoiseSchedule.from_betas(betas)
    betas[0] = 0.9
    assert s.betas[1] == 0.1


# -- short schedules ---------------------------------------------------------------------------


def test_a_short_linear_schedule_does_not_end_in_noise_unless_rescaled():
    assert NoiseSchedule.linear(50).alpha_bars[-1].item() == pytest.approx(0.60, abs=0.005)
    end = NoiseSchedule.linear(1000).alpha_bars[-1].log()
    for T in (2, 10, 20, 50, 300, 4000):
        short = NoiseSchedule.linear(T, rescale=True).alpha_bars[-1].log()
        assert short.item() == pytest.approx(end.item(), rel=0.005)


def test_rescaling_is_beta_times_1000_over_T_to_first_order():
    plain, scaled = NoiseSchedule.linear(500), NoiseSchedule.linear(500, rescale=True)
    torch.testing.assert_close(scaled.betas[1:], 2 * plain.betas[1:], rtol=0.011, atol=0)
    torch.testing.assert_close(scaled.alphas, plain.alphas**2)
    unscaled = NoiseSchedule.linear(1000)
    torch.testing.assert_close(NoiseSchedule.linear(1000, rescale=True).betas, unscaled.betas)


# -- a schedule drawn by hand ------------------------------------------------------------------

control_points = st.integers(0, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 99), min_size=n, max_size=n, unique=True),
        st.lists(st.integers(2, 999), min_size=n, max_size=n, unique=True),
    ).map(
        lambda uv: [
            (0.0, 1.0),
            *zip(
                [u / 100 for u in sorted(uv[0])],
                [v / 1000 for v in sorted(uv[1], reverse=True)],
                strict=True,
            ),
            (1.0, 0.001),
        ]
    )
)


@given(control_points, st.sampled_from([10, 100, 1000]))
@settings(deadline=None)
def test_points_give_a_schedule_that_passes_through_them(points, T):
    s = NoiseSchedule.from_points(points, T)
    for u, alpha_bar in points:
        if (u * T).is_integer():
            assert s.alpha_bars[int(u * T)].item() == pytest.approx(alpha_bar, rel=1e-9)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(0, 1)], "at least two pairs"),
        ([(0, 1), (1,)], "at least two pairs"),
        ("drawn", "at least two pairs"),
        (None, "at least two pairs"),
        ([(0, 1), (0.5, 0.6), (0.5, 0.4), (1, 0.1)], "rise strictly"),
        ([(0, 1), (0.5, 0.6), (0.9, 0.1)], "rise strictly from 0 to 1"),
        ([(0, 1), (0.5, 0.6), (1, 0.6)], "fall strictly"),
        ([(0, 1), (1, 0)], "stay above 0"),
        ([(0, 0.9), (1, 0.1)], "fall strictly from 1"),
        ([(0, 1), (0.5, math.nan), (1, 0.1)], "finite"),
    ],
)
def test_points_that_are_no_schedule_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        NoiseSchedule.from_points(points)


# -- grids -------------------------------------------------------------------------------------


@given(st.integers(1, 1000), st.data(), st.sampled_from(SPACINGS))
def test_grids_fall_strictly_to_zero_in_n_steps(T, data, spacing):
    n = data.draw(st.integers(1, T))
    grid = NoiseSchedule.linear(T).timesteps(n, spacing)
    assert grid.dtype == torch.int64
    assert len(grid) == n + 1
    assert (grid.diff() < 0).all()
    assert grid[-1] == 0
    assert grid[0] <= T
    if spacing != "leading":
        assert grid[0] == T


def test_quadratic_is_denser_near_the_image():
    grid = NoiseSchedule.linear(1000).timesteps(10, "quadratic")
    assert grid.tolist() == [1000, 810, 640, 490, 360, 250, 160, 90, 40, 10, 0]


@pytest.mark.parametrize("n", [0, -1, 1001, 2.5, "10", None])
def test_a_grid_of_impossible_length_is_refused(n):
    with pytest.raises(ValueError, match=r"1 … 1000|integer"):
        NoiseSchedule.linear().timesteps(n)


def test_an_unknown_spacing_is_refused():
    with pytest.raises(ValueError, match=r"trailing, leading, linspace, quadratic.*'karras'"):
        NoiseSchedule.linear().timesteps(10, "karras")


# -- one schedule's time on another ------------------------------------------------------------


@given(random_betas)
def test_at_alpha_bar_finds_every_timestep_again(betas):
    s = NoiseSchedule.from_betas(betas)
    t = s.at_alpha_bar(s.alpha_bars)
    torch.testing.assert_close(t, torch.arange(s.T + 1).double(), rtol=0, atol=1e-6)


def test_at_alpha_bar_between_two_timesteps_and_beyond_the_last():
    s = NoiseSchedule.from_betas([0.5, 0.5])  # ᾱ = 1, 1/2, 1/4
    assert s.at_alpha_bar(2**-1.5).item() == pytest.approx(1.5)
    assert s.at_alpha_bar(0.01) == 2
    assert s.at_alpha_bar(torch.full((2, 3), 0.5)).shape == (2, 3)
    for bad in (0, -0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
            s.at_alpha_bar(bad)


# -- bad values --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES.values())
@pytest.mark.parametrize(
    ("T", "shown"), [(0, "0"), (-5, "-5"), (10**9, "1,000,000,000"), (1.5, "1.5"), ("9", "'9'")]
)
def test_T_out_of_range_is_refused_with_value_and_range(family, T, shown):
    with pytest.raises(ValueError, match=shown) as error:
        family(T)
    assert "1 … 1,000,000" in str(error.value) or "integer" in str(error.value)


@pytest.mark.parametrize("family", ["linear", "scaled linear", "sigmoid"])
@pytest.mark.parametrize(
    ("beta_start", "beta_end", "message"),
    [
        (0, 0.02, r"beta_start must lie in \(0, 1\), got 0"),
        (-0.1, 0.02, r"beta_start must lie in \(0, 1\), got -0.1"),
        (1e-4, 1, r"beta_end must lie in \(0, 1\), got 1"),
        (1e-4, math.nan, r"beta_end must lie in \(0, 1\), got nan"),
        (0.3, 0.2, r"0\.3 > 0\.2"),
    ],
)
def test_beta_ends_out_of_range_are_refused(family, beta_start, beta_end, message):
    with pytest.raises(ValueError, match=message):
        FAMILIES[family](10, beta_start, beta_end)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NoiseSchedule.cosine(s=-1), "s must be .* at least 0, got -1"),
        (lambda: NoiseSchedule.cosine(s=math.nan), "s must be .* got nan"),
        (lambda: NoiseSchedule.cosine(beta_max=1), "beta_max must lie"),
        (lambda: NoiseSchedule.from_betas([0.1, 1.0]), r"got 1.0 at t = 2"),
        (lambda: NoiseSchedule.from_betas([0.1, math.nan]), r"\(0, 1\), got nan at t = 2"),
        (lambda: NoiseSchedule.from_betas([]), "non-empty"),
        (lambda: NoiseSchedule.from_betas([[0.1]]), "vector"),
        (lambda: NoiseSchedule.from_betas([0.999] * 200), "underflows"),
        (lambda: NoiseSchedule.from_alpha_bars([1.0, 0.5, 0.5]), "smaller .* got 0.5 at t = 2"),
        (lambda: NoiseSchedule.from_alpha_bars([1.0, 0.5, 0.6]), "smaller .* got 0.6 at t = 2"),
        (lambda: NoiseSchedule.from_alpha_bars([1.0, 0.5, 0.0]), r"\(0, 1\], got 0.0 at t = 2"),
        (lambda: NoiseSchedule.from_alpha_bars([1.0, math.nan]), "got nan at t = 1"),
        (lambda: NoiseSchedule.from_alpha_bars([0.9, 0.5]), "start at ᾱ_0 = 1, got 0.9"),
        (lambda: NoiseSchedule.from_alpha_bars([1.0]), "at least two"),
    ],
)
def test_bad_values_are_refused_with_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- broadcasting ------------------------------------------------------------------------------


def test_broadcast_at_shapes_dtype_and_values():
    s, x = NoiseSchedule.linear(10), torch.zeros(3, 1, 4, 4)
    assert broadcast_at(s.signal, 4, x).shape == ()
    each = broadcast_at(s.signal, torch.tensor([0, 5, 10]), x)
    assert each.shape == (3, 1, 1, 1)
    assert each.dtype == torch.float32
    torch.testing.assert_close(each.flatten(), s.signal[[0, 5, 10]].float())


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (11, r"0 … 10, got 11"),
        (-1, r"0 … 10, got -1"),
        (2.5, "integer timestep"),
        (torch.tensor([1, 2]), r"one for each of 3 images, got shape \(2,\)"),
    ],
)
def test_broadcast_at_refuses_a_t_that_does_not_fit(t, message):
    with pytest.raises(ValueError, match=message):
        broadcast_at(NoiseSchedule.linear(10).signal, t, torch.zeros(3, 1, 4, 4))
