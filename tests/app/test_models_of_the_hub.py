"""UNNOISE_MODELS: checkpoints of the Hub beside those that are shipped, in the app as it starts."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.checkpoint import FOLDER, WEIGHTS
from tests.model_hub import ModelHub

ROOT = Path(__file__).parents[2]
DIGITS = {file.name: file.read_bytes() for file in (FOLDER / "digits").iterdir()}
MODELS = {
    "some/digits": DIGITS,
    "some/corrupt": DIGITS | {WEIGHTS: DIGITS[WEIGHTS][:-100]},
    "some/pickle": {"pytorch_model.bin": b"\x80\x04", "config.json": DIGITS["config.json"]},
    "some/large": DIGITS,
}
# The page as it starts, and what it then says, offers and computes.
START = """
import json
from app.ui import build
from app import api, models
components = build().get_config_file()["components"]
offered = {c["props"]["elem_id"]: [value for _, value in c["props"]["choices"]]
           for c in components if c["props"].get("elem_id") in ("reverse-model", "unet-model")}
said = [c["props"].get("value") or "" for c in components if c["type"] == "markdown"]
mine = [name for name in models.names() if "/" in name]
print(json.dumps({
    "offered": offered,
    "said": [text for text in said if "cannot be used" in text],
    "about": [line for text in said for line in text.splitlines() if "Face Hub." in line],
    "pictures": {name: api.sample(name, 3, 0, "ddim", 3)["pixels"] for name in [*mine, "digits"]},
}))
"""


def started(home, endpoint, *models):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", START],
        cwd=ROOT,
        env=clean
        | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "UNNOISE_MODELS": ",".join(models)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1]) | {"seconds": time.monotonic() - began}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("hf")


@pytest.fixture(scope="module")
def page(home):
    with ModelHub(MODELS) as hub:
        hub.pretended["some/large", WEIGHTS] = 10**12
        return started(home, hub.endpoint, *MODELS, "some/nothing")


def test_what_can_be_used_is_offered_by_its_id(page):
    assert page["offered"]["reverse-model"] == [
        "fashion", "fashion-v", "cats", "digits", "some/digits",
    ]  # fmt: skip
    assert "some/digits" in page["offered"]["unet-model"]
    assert page["pictures"]["some/digits"] == page["pictures"]["digits"]


def test_the_page_says_in_one_sentence_each_why_others_are_not_there(page):
    said = {text.split()[2]: text for text in page["said"]}
    assert said.keys() == MODELS.keys() - {"some/digits"} | {"some/nothing"}
    assert "is damaged" in said["some/corrupt"]
    assert "lacks the file model.safetensors" in said["some/pickle"]
    assert "may have at most" in said["some/large"]
    assert "could not be pulled from the Hugging Face Hub" in said["some/nothing"]
    assert not any("\n" in text for text in said.values())


def test_about_tells_where_it_comes_from(page):
    [line] = page["about"]
    assert line.startswith("- **some/digits**: 16×16 pixels")


def test_without_network_the_app_starts_soon_with_what_it_has(page, home):
    alone = started(home, "http://127.0.0.1:9", "some/digits", "some/other")
    assert alone["offered"] == page["offered"]  # as downloaded before
    [sentence] = alone["said"]
    assert sentence.startswith("The model some/other cannot be used: the checkpoint some/other")
    assert alone["seconds"] < 60
