"""The public API as programs use it: over HTTP, with Gradio's own client, and as documented."""

import inspect
import json
import math
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from app import api
from model.checkpoint import load_checkpoint
from model.sampler import ddim, standard_noise
from model.schedule import NoiseSchedule

README = Path(__file__).parents[2] / "README.md"
ENDPOINTS = {"/noise": api.noise, "/schedule": api.schedule, "/sample": api.sample}


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def test_these_endpoints_and_no_others_are_public(client):
    listed = client.view_api(return_format="dict", print_info=False)
    assert listed["unnamed_endpoints"] == {}
    assert listed["named_endpoints"].keys() == ENDPOINTS.keys()
    for name, function in ENDPOINTS.items():
        shown = {
            parameter["parameter_name"]: parameter["parameter_default"]
            for parameter in listed["named_endpoints"][name]["parameters"]
        }
        told = inspect.signature(function).parameters.values()
        assert shown == {parameter.name: parameter.default for parameter in told}


def test_the_example_in_the_readme_runs(address, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (block for block in blocks if "gradio_client" in block)
    Image.new("RGB", (20, 20), "white").save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    assert "http://127.0.0.1:7860" in example
    exec(example.replace("http://127.0.0.1:7860", address), {})
    assert capsys.readouterr().out


def test_the_readmes_table_names_every_parameter_with_its_default():
    rows = re.findall(r"^\| `(/\w+)` \| (.*?) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows).keys() == ENDPOINTS.keys()
    for name, cell in rows:
        told = inspect.signature(ENDPOINTS[name]).parameters.values()
        listed = ", ".join(f"`{p.name}={p.default!r}`".replace("'", '"') for p in told)
        assert cell == listed


def test_a_schedule_has_the_librarys_numbers(client):
    answer = client.predict("cosine", 10, api_name="/schedule")
    assert answer["alpha_bars"] == NoiseSchedule.cosine(10).alpha_bars.tolist()


def test_a_picture_of_ones_own_is_noised(client, tmp_path):
    Image.new("RGB", (50, 40), (0, 0, 255)).save(tmp_path / "blue.png")
    image = handle_file(tmp_path / "blue.png")
    clean = client.predict(image=image, t=0, size=32, api_name="/noise")
    assert [np.mean(channel) for channel in clean["pixels"]] == [-1, -1, 1]
    noised = client.predict(image=image, t=500, size=32, seed=3, api_name="/noise")
    eps = standard_noise((3, 32, 32), [3])[0].numpy()
    expected = noised["signal"] * np.array(clean["pixels"]) + noised["noise"] * eps
    np.testing.assert_allclose(noised["pixels"], expected, atol=1e-6)


def test_a_sample_is_the_librarys(client):
    answer = client.predict("digits", 3, 0, "ddim", 8, api_name="/sample")
    checkpoint = load_checkpoint("digits")
    schedule, denoiser = checkpoint.schedule, checkpoint.denoiser(label=3, guidance=2.0)
    *_, last = ddim(
        denoiser, schedule, standard_noise(checkpoint.shape, [0]), schedule.timesteps(8)
    )
    np.testing.assert_allclose(answer["pixels"], last.x_next[0].numpy(), atol=1e-4)
    assert answer["png"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("/schedule", {"T": 0}, "T must be a whole number from 1 to 4,000, got 0"),
        ("/schedule", {"T": 10**9}, "T must be a whole number .* got 1,000,000,000"),
        ("/schedule", {"T": "ten"}, "T must be a whole number .* got 'ten'"),
        ("/schedule", {"beta_start": 0.5}, "beta_start must not exceed beta_end, got 0.5 > 0.02"),
        ("/schedule", {"beta_start": "small"}, "β_start must be a number .* got 'small'"),
        ("/schedule", {"family": ["linear"]}, "The family must be one of"),
        ("/noise", {"t": -1}, "t must be a whole number from 0 to 1,000, got -1"),
        ("/noise", {"picture": "me"}, "The picture must be one of hopper"),
        ("/noise", {"image": "/etc/passwd"}, "The image must be an uploaded file"),
        ("/noise", {"image": {"path": "/etc/passwd"}}, "The image must be an uploaded file"),
        ("/sample", {"seed": -1}, "The seed must be a whole number"),
        ("/sample", {"steps": 10**6}, "The number of steps .* got 1,000,000"),
        ("/sample", {"steps": None}, "The number of steps .* got None"),
        ("/sample", {"label": 10}, "The label must be a whole number from 0 to 9, got 10"),
        ("/sample", {"model": "nobody"}, "The model must be one of"),
        ("/sample", {"schedule": "custom"}, "at least two pairs"),
    ],
    ids=str,
)
def test_a_wrong_value_gets_one_sentence(client, name, arguments, sentence):
    with pytest.raises(AppError, match=sentence) as error:
        client.predict(**arguments, api_name=name)
    assert "Traceback" not in str(error.value)


def test_a_nan_sent_past_the_client_gets_one_sentence(address):
    # JSON knows no NaN, so Gradio's own client would not send it; a stranger's would.
    body = json.dumps({"data": ["linear", 100, math.nan, 0.02, 0.008, False]})
    call = f"{address}gradio_api/call/schedule"
    answer = httpx.post(call, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("The body's numbers must be finite")
