"""A run as files: films that play, strips of the very pixels, tables of the very numbers."""

import csv
import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from app import film, run_exports, runs
from app.run_scene import PLAIN


def settings_of(**changes):
    return runs.run_settings(**({"model": "digits", "label": 3, "steps": 12} | changes))


@pytest.fixture(scope="module")
def pair():
    return [
        runs.compute(settings_of(sampler="ddpm")),
        runs.compute(settings_of(sampler="heun", steps=6)),
    ]


def played(content):
    image = Image.open(io.BytesIO(content))
    return image.format, [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(image)]


def cell(frame, column):
    """A picture of a film's frame, at the size of the run's own pictures."""
    left = 8 + column * 200
    return frame[8 : 8 + 192 : 12, left : left + 192 : 12].astype(int)


@pytest.mark.parametrize(("form", "off"), [("GIF", 12), ("WEBP", 40)])
def test_a_film_plays_from_noise_to_the_final_image(pair, form, off):
    kind, frames = played(run_exports.export(pair[:1], form))
    assert kind == form
    assert len(frames) == 13  # each step, and the end
    assert {frame.shape for frame in frames} == {(244, 408, 3)}
    run = pair[0]
    for frame, lanes in ((0, ("x", "x0")), (5, ("x", "x0")), (12, ("next", "next"))):
        for column, lane in enumerate(lanes):
            expected = run.lanes[lane][min(frame, 11)].astype(int)
            # 254 colours, or a lossy codec: near, not equal
            assert np.abs(cell(frames[frame], column) - expected).max() <= off, (frame, lane)


def test_a_film_of_two_runs_shows_both_and_ends_with_both(pair):
    _, frames = played(run_exports.export(pair, "GIF"))
    assert len(frames) == 13
    assert {frame.shape for frame in frames} == {(244, 808, 3)}
    for column, run in ((0, pair[0]), (1, pair[0]), (2, pair[1]), (3, pair[1])):
        end = run.lanes["next"][-1].astype(int)
        assert np.abs(cell(frames[-1], column) - end).max() <= 12


def test_two_runs_of_a_film_go_in_step_with_t(monkeypatch, pair):
    filmed = []
    monkeypatch.setattr(film, "animation", lambda moments, form: filmed.append(moments))
    quadratic = runs.compute(settings_of(spacing="quadratic", steps=4))
    run_exports.export([pair[0], quadratic], "GIF")
    shown = [[int(c.rsplit(" ", 1)[1]) for c in captions[::2]] for _, captions in filmed[0]]
    assert [ours for ours, _ in shown] == [*pair[0].t, 0]
    for t, other in shown[:-1]:  # the step that is under way at that t, as in the page
        assert other == min(begun for begun in quadratic.t if begun >= t)
    assert filmed[0][0][1][::2] == ["A: xₜ, seen\nt = 1000", "B: xₜ, seen\nt = 1000"]


@pytest.mark.parametrize("symbol", sorted(set("".join(PLAIN.values())) - {" "}))
def test_the_font_of_files_has_every_symbol(symbol):
    font = film._font()
    assert bytes(font.getmask(symbol)) != bytes(font.getmask("\uffff"))


def test_a_film_of_a_long_run_stays_short():
    _, frames = played(run_exports.export([runs.compute(settings_of(steps=100))], "GIF"))
    assert len(frames) == run_exports.FRAMES + 1


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "CSV"])
def test_one_step_makes_files_too(form):
    run = runs.compute(settings_of(steps=1, sampler="ddpm"))
    content = run_exports.export([run], form)
    if form in ("GIF", "WEBP"):
        assert len(played(content)[1]) == 2


def test_the_strip_holds_the_very_pixels(pair):
    sheet = np.asarray(Image.open(io.BytesIO(run_exports.export(pair, "PNG"))))
    height = film.CELL + film.GAP + film.LINE
    assert sheet.shape == (6 * height, film.LEFT + 11 * (film.CELL + film.GAP), 3)
    for number, run in enumerate(pair):
        last = len(run.kept) - 1
        for lane, frames in enumerate(run.lanes[name] for name in ("x", "eps", "x0")):
            top = (3 * number + lane) * height
            cells = min(11, last + 1)
            for column in range(cells):
                left = film.LEFT + column * (film.CELL + film.GAP)
                shown = sheet[top : top + 96 : 6, left : left + 96 : 6, 0]
                place = round(column / (cells - 1) * last)
                np.testing.assert_array_equal(shown, frames[place][..., 0])


def test_the_table_has_every_number_to_the_last_digit(pair):
    rows = list(csv.DictReader(io.StringIO(run_exports.export(pair, "CSV").decode())))
    assert len(rows) == 12 + 6
    for run, lines in ((pair[0], rows[:12]), (pair[1], rows[12:])):
        assert [line["run"] for line in lines] == [run.settings.title] * len(run.t)
        assert [int(line["step"]) for line in lines] == list(range(1, len(run.t) + 1))
        assert [int(line["t"]) for line in lines] == run.t
        assert [int(line["t_next"]) for line in lines] == run.t_next
        columns = {f"factor_{name}": values for name, values in run.formula.factors.items()}
        columns |= {"std_x": run.std_x, "std_eps": run.std_eps, "x0_to_end": run.distance}
        for name, values in columns.items():
            assert [float(line[name]) for line in lines] == values.tolist()
        for name in {name for name in rows[0] if name.startswith("factor_")} - columns.keys():
            assert {line[name] for line in lines} == {""}  # the other sampler's


def test_the_table_of_a_long_run_has_all_steps_also_those_without_pictures(monkeypatch):
    monkeypatch.setattr(runs, "MOST_BYTES", 8_000)
    run = runs.compute(settings_of(steps=30, seed=8))
    assert len(run.kept) < 30
    assert len(run_exports.table([run]).decode().splitlines()) == 31
