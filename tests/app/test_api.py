"""The public API's endpoints: what they answer, and what they refuse."""

import base64
import io
import math

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from app import api, runs
from app.pictures import built_in, to_pixels
from app.run_controls import read
from model.forward import q_sample
from model.sampler import standard_noise
from model.schedule import NoiseSchedule
from tests.app.reverse_inputs import inputs
from tests.app.test_runs import BAD


def pixels_of_png(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def uploaded_file(path):
    """What reaches a handler of a file that a client uploaded."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """A red picture in the folder of uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    path = tmp_path / "uploads" / "some-hash" / "red.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (40, 30), (255, 0, 0)).save(path)
    return path


def test_the_noised_picture_is_the_librarys():
    answer = api.noise("flower", t=400, seed=7, size=32, grey=True, family="cosine", T=500)
    schedule = NoiseSchedule.cosine(500)
    x0 = built_in("flower").at(32, True)
    x_t = q_sample(schedule, x0, 400, standard_noise(x0.shape, [7])[0])
    assert torch.tensor(answer["pixels"]).equal(x_t)
    np.testing.assert_array_equal(pixels_of_png(answer["png"]), to_pixels(x_t).squeeze())
    assert answer["alpha_bar"] == schedule.alpha_bars[400].item()
    assert answer["signal"] == schedule.signal[400].item()
    assert answer["noise"] == schedule.noise[400].item()


def test_an_uploaded_picture_takes_the_place_of_the_built_in_one(own_file):
    answer = api.noise(image=uploaded_file(own_file), t=0, size=32)
    red, green, blue = answer["pixels"]
    assert np.array(red).min() == 1
    assert np.array([green, blue]).max() == -1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"picture": "nobody"}, "The picture must be one of hopper, .*, got 'nobody'"),
        ({"picture": ["hopper"]}, "The picture must be one of hopper"),
        ({"t": 1001}, "t must be a whole number from 0 to 1,000, got 1,001"),
        ({"t": 11, "T": 10}, "t must be a whole number from 0 to 10, got 11"),
        ({"t": math.nan}, "t must be a whole number .* got nan"),
        ({"t": None}, "t must be a whole number .* got None"),
        ({"seed": -1}, "The seed must be a whole number"),
        ({"size": 10**6}, "The size must be one of 32, 64, 128, got 1,000,000"),
        ({"T": 10**9}, "T must be a whole number from 1 to 4,000"),
        ({"family": "custom"}, "The family must be one of linear, scaled linear, cosine, sigmoid"),
        ({"beta_end": "much"}, "β_end must be a number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_nonsense_gets_one_sentence_from_noise(changes, sentence):
    with pytest.raises(gr.Error, match=sentence) as error:
        api.noise(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "form", ["as a string", "without its mark", "with its mark", "by a link", "around a corner"]
)
def test_no_file_but_an_uploaded_one_is_read(own_file, tmp_path, form):
    other = tmp_path / "other.png"  # a good picture, but the server's own
    Image.new("RGB", (40, 30)).save(other)
    if form == "by a link":
        link = own_file.parent / "link.png"
        link.symlink_to(other)
        other = link
    if form == "around a corner":
        other = own_file.parent / ".." / ".." / ".." / "other.png"
    image = {
        "as a string": str(other),
        "without its mark": {"path": str(other)},
    }.get(form, uploaded_file(other))
    with pytest.raises(gr.Error, match="The image must be an uploaded file"):
        api.noise(image=image)


@pytest.mark.parametrize("image", [5, [1], True, {}, {"path": 5}, {"path": "\0"}, {"path": None}])
def test_what_is_no_file_at_all_gets_the_same_sentence(image):
    with pytest.raises(gr.Error, match="The image must be an uploaded file"):
        api.noise(image=image)


def test_an_upload_that_is_no_picture_gets_one_sentence(own_file):
    own_file.write_text("not a picture")
    with pytest.raises(gr.Error, match="The file is not a picture that can be read here"):
        api.noise(image=uploaded_file(own_file))


def test_the_schedule_has_the_librarys_numbers():
    answer = api.schedule("cosine", 10)
    cosine = NoiseSchedule.cosine(10)
    assert answer["alpha_bars"] == cosine.alpha_bars.tolist()
    assert answer["betas"] == cosine.betas.tolist()
    assert answer["signal"] == cosine.signal.tolist()
    assert answer["noise"] == cosine.noise.tolist()


def test_a_sample_has_the_pixels_of_the_run():
    answer = api.sample("digits", label=3, seed=7, steps=4)
    (settings,) = read(*inputs(seed=7))
    image = runs.compute(settings).final
    assert torch.tensor(answer["pixels"]).equal(image)
    np.testing.assert_array_equal(pixels_of_png(answer["png"]), to_pixels(image).squeeze())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [bad for bad in BAD if not {"T", "picture", "points"} & bad[0].keys()],
    ids=lambda value: str(value)[:40],
)
def test_nonsense_gets_one_sentence_from_sample(changes, sentence):
    renamed = {"schedule" if key == "family" else key: value for key, value in changes.items()}
    with pytest.raises(gr.Error, match=sentence) as error:
        api.sample(**({"steps": 4} | renamed))
    assert "\n" not in str(error.value)
