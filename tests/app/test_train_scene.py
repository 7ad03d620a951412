"""What the Train tab draws and saves of a job: the very numbers and pixels, and not too many."""

import base64
import csv
import io
import json
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from app import plans, train_scene
from app.jobs import Job, Moment
from app.pictures import to_pixels
from app.train_scene import COLUMNS, SMOOTHING, film_payload, smoothed
from model.image_data import tiled
from model.train import BANDS, draw_samples, train
from model.training import Progress
from tests.app.train_inputs import plan_of


@pytest.fixture(scope="module")
def job():
    """A job as one that has run, with two moments, and a third after its last step."""
    plan = plan_of(amount=3, T=30)
    job, data = Job(plan, "a"), plan.data()
    training = plan.training(data)
    training.sampling = True
    for progress in train(training, data):
        job.records.append(progress)
        if progress.samples is not None:
            example = progress.example
            job.film.append(
                Moment(progress.step, progress.samples, -progress.samples, example, example.eps / 2)
            )
        training.sampling = progress.step == 1
    job.film.append(Moment(3, draw_samples(training), draw_samples(training, averaged=False)))
    assert [moment.step for moment in job.film] == [1, 2, 3]
    return job


def made_up(count):
    """A job of so many records."""
    job = Job(plan_of(T=30), "a")
    rng = np.random.default_rng(0)
    for step in range(1, count + 1):
        bands = tuple(math.nan if step % 3 else value for value in rng.random(BANDS).tolist())
        loss = float(rng.random()) + 0.1
        job.records.append(
            Progress(step, 4 * step, loss, bands, 0.5, 1e-3, 100.0, step / 10, 1.0, 0.5)
        )
    return job


def numbers(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


# -- curves --------------------------------------------------------------------------------------


def test_smoothing_is_an_exponential_mean_without_bias():
    values = [3.0, 1.0, 4.0, 1.0, 5.0]
    for n, found in enumerate(smoothed(values), 1):
        weights = [SMOOTHING ** (n - 1 - i) for i in range(n)]
        expected = sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)
        assert found == pytest.approx(expected, rel=1e-12)
    assert smoothed([2.0] * 50) == pytest.approx([2.0] * 50)
    assert smoothed([]) == []


@pytest.mark.parametrize("count", [0, 1, 2, 399, 400, 401, 5000])
def test_a_long_curve_is_thinned_and_keeps_its_ends(count):
    job = made_up(count)
    raw, smooth = train_scene.loss_figure(job)["data"]
    assert len(raw["x"]) == len(raw["y"]) == min(count, train_scene.POINTS)
    losses = [record.loss for record in job.records]
    assert raw["y"] == [losses[step - 1] for step in raw["x"]]
    curve = smoothed(losses)
    assert smooth["y"] == [curve[step - 1] for step in smooth["x"]]
    if count:
        assert (raw["x"][0], raw["x"][-1]) == (1, count)


def test_each_band_of_t_has_its_own_curve_of_what_fell_into_it():
    job = made_up(10)
    figure = train_scene.bands_figure(job)
    json.dumps(figure, allow_nan=False)
    assert [trace["name"] for trace in figure["data"]] == [
        f"t {3 * band + 1}–{3 * band + 3}" for band in range(BANDS)
    ]
    for band, trace in enumerate(figure["data"]):
        assert trace["x"] == [3, 6, 9]
        assert trace["y"] == smoothed([job.records[step - 1].band_loss[band] for step in (3, 6, 9)])
    assert figure["layout"]["yaxis"]["type"] == "log"
    colours = [trace["line"]["color"] for trace in figure["data"]]
    assert len(set(colours)) == BANDS
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)  # plotly knows no mix


def test_a_band_that_nothing_fell_into_is_empty_and_no_error():
    job = made_up(2)  # of 1 and 2, all bands are without a loss
    figure = train_scene.bands_figure(job)
    assert all(trace["x"] == [] for trace in figure["data"])


# -- the film ------------------------------------------------------------------------------------


def test_the_film_holds_the_very_pixels(job):
    scene = film_payload(job.film)
    json.dumps(scene, allow_nan=False)
    assert scene["rising"]
    samples, example = scene["runs"]
    assert samples["t"] == [1, 2, 3]
    assert (samples["width"], samples["height"]) == (5 * 16, 2 * 16)
    for lane in ("averaged", "raw"):
        expected = [to_pixels(tiled(getattr(moment, lane), COLUMNS)) for moment in job.film]
        found = np.frombuffer(base64.b64decode(samples["lanes"][lane]), np.uint8)
        assert (found == np.stack(expected).ravel()).all()
    seen = [moment.example for moment in job.film[:2]]
    assert example["t"] == [1, 2]  # of the last moment there is none
    for lane, name in (("x0", "x0"), ("eps", "eps"), ("x", "x_t")):
        found = np.frombuffer(base64.b64decode(example["lanes"][lane]), np.uint8)
        expected = np.stack([to_pixels(getattr(one, name)) for one in seen])
        assert (found == expected.ravel()).all()
    errors = [(one.output - one.target).square() for one in seen]
    found = np.frombuffer(base64.b64decode(example["lanes"]["error"]), np.uint8)
    darkness = np.stack([to_pixels(2 * error - 1) for error in errors]).ravel()
    assert (found == darkness).all()
    measured = example["measures"]
    assert numbers(measured["x"]["values"]).tolist() == [one.t for one in seen]
    means = [error.mean().item() for error in errors]
    np.testing.assert_allclose(numbers(measured["error"]["values"]), means, rtol=1e-5)
    np.testing.assert_allclose(job.records[0].samples, job.film[0].averaged)


def test_an_example_is_what_algorithm_1_says(job):
    schedule = plans.build_schedule(job.plan.schedule)
    for moment in job.film[:2]:
        one = moment.example
        mixed = schedule.signal[one.t].item() * one.x0 + schedule.noise[one.t].item() * one.eps
        torch.testing.assert_close(one.x_t, mixed, atol=1e-5, rtol=1e-5)


# -- algorithm 1 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "said"), [("eps", "‖ε − ε_θ"), ("x0", "‖x_0 − x̂_0"),
                                              ("v", "‖v − v_θ")])  # fmt: skip
def test_algorithm_1_takes_its_step_on_the_target(target, said):
    rows = train_scene.algorithm_rows(Job(plan_of(target=target), "a"))["rows"]
    assert len(rows) == 6
    assert said in rows[4]["title"]
    assert rows[0]["terms"] == rows[4]["terms"] == []  # nothing has run yet


def test_algorithm_1_has_the_numbers_of_the_last_step(job):
    rows = train_scene.algorithm_rows(job)["rows"]
    said = [" ".join(term["text"] for term in row["terms"]) for row in rows]
    assert said[0] == "step 3, 12 pictures seen"
    assert said[1] == "4 of them at once"
    assert said[2] == f"in the last example t = {job.film[1].example.t}"
    assert f"loss {job.records[-1].loss:.4f}" in said[4]
    assert said[5].startswith("100% done")


# -- files ---------------------------------------------------------------------------------------


def test_the_csv_has_every_number(job):
    rows = list(csv.DictReader(io.StringIO(train_scene.export(job, "CSV").decode())))
    assert len(rows) == len(job.records)
    for row, record in zip(rows, job.records, strict=True):
        assert (int(row["step"]), int(row["images"])) == (record.step, record.images)
        for name in ("loss", "gradient_norm", "learning_rate", "images_per_second"):
            assert float(row[name]) == getattr(record, name)
        for band in range(BANDS):
            value = float(row[f"loss_band_{band + 1}"])
            expected = record.band_loss[band]
            assert value == expected or (math.isnan(value) and math.isnan(expected))


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
@pytest.mark.parametrize("length", [1, 3])
def test_the_film_decodes(job, form, length):
    short = Job(job.plan, "a")
    short.film = job.film[:length]
    film = Image.open(io.BytesIO(train_scene.export(short, form)))
    assert (film.format, getattr(film, "n_frames", 1)) == (form, length)
    film.seek(0)
    first = np.asarray(film.convert("RGB")).astype(int)
    sheet = to_pixels(tiled(job.film[0].averaged, COLUMNS))[..., 0]
    cell = Image.fromarray(sheet).resize((192, 77), Image.Resampling.NEAREST)
    shown = first[8 : 8 + 77, 8 : 8 + 192, 0]
    assert np.abs(shown - np.asarray(cell).astype(int)).mean() < 12  # a palette, or lossy


def test_the_figure_of_the_loss_decodes(job):
    figure = Image.open(io.BytesIO(train_scene.export(job, "PNG")))
    assert (figure.format, figure.size) == ("PNG", (1280, 800))
    assert len(np.unique(np.asarray(figure.convert("L")))) > 20  # not a blank sheet
