"""Checkpoints from the Hub: the real client, and a server of this computer's in the Hub's place."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.average import MEAN
from model.checkpoint import CARD, CONFIG, FOLDER, WEIGHTS
from tests.model_hub import ModelHub

ROOT = Path(__file__).parents[2]
DIGITS = {file.name: file.read_bytes() for file in (FOLDER / "digits").iterdir()}
PULL = """
import json, sys, time
from model.sharing import pull
from model.tensor_file import BadCheckpoint
for repo in sys.argv[1:]:
    began = time.monotonic()
    try:
        found = pull(repo, most=5_000_000)
        said = [list(found.shape), len(found.config.classes), found.mean is not None]
    except (ValueError, OSError) as error:
        said = [type(error).__name__, str(error)]
    print(json.dumps([repo, time.monotonic() - began, *said]))
"""


def without(*names, **changed):
    files = {name: content for name, content in DIGITS.items() if name not in names}
    return files | changed


MODELS = {
    "some/digits": DIGITS | {
        "pytorch_model.bin": b"a pickle", "evil.py": b"raise SystemExit", "more/" + WEIGHTS: b"x",
    },
    "some/plain": without(MEAN, CARD),
    "some/pickle": without(WEIGHTS) | {"pytorch_model.bin": DIGITS[WEIGHTS]},
    "some/corrupt": DIGITS | {WEIGHTS: DIGITS[WEIGHTS][:-100]},
    "some/foreign": DIGITS | {CONFIG: b'{"architectures": ["Bert"]}'},
    "some/large": DIGITS,
}  # fmt: skip


def pulled(home, endpoint, *repos):
    """What came of each pull, in a process of its own: by id, the seconds and the outcome."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    result = subprocess.run(
        [sys.executable, "-c", PULL, *repos],
        cwd=ROOT,
        env=clean | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stderr == ""  # no bar, no warning
    lines = map(json.loads, result.stdout.splitlines())
    return {repo: (seconds, *said) for repo, seconds, *said in lines}


@pytest.fixture(scope="module")
def hub():
    with ModelHub(MODELS) as server:
        server.pretended["some/large", WEIGHTS] = 4_999_999
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("hf")


@pytest.fixture(scope="module")
def outcome(hub, home):
    return pulled(home, hub.endpoint, *MODELS, "some/nothing")


def test_a_checkpoint_comes_down_whole(outcome):
    assert outcome["some/digits"][1:] == ([1, 16, 16], 10, True)
    assert outcome["some/plain"][1:] == ([1, 16, 16], 10, False)


def test_only_the_files_of_a_checkpoint_are_asked_for(hub, outcome):
    names = {path.split("/", 5)[-1] for path in hub.asked}
    assert names == {WEIGHTS, CONFIG, MEAN, CARD}
    assert not any(path.startswith("/some/large/") for path in hub.asked)


def test_too_large_is_noticed_before_anything_is_loaded(outcome):
    _, kind, sentence = outcome["some/large"]
    assert kind == "BadCheckpoint"
    assert "the files of some/large may have at most 5 MB together, got 5 MB" in sentence


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("some/pickle", "lacks the file model.safetensors"),
        ("some/corrupt", "model.safetensors of .* is damaged"),
        ("some/foreign", "config.json of .* is not one of ours"),
    ],
)
def test_what_is_no_checkpoint_of_ours_is_one_sentence(outcome, repo, words):
    _, kind, sentence = outcome[repo]
    assert kind == "BadCheckpoint"
    assert re.search(words, sentence)
    assert "\n" not in sentence


def test_a_model_that_is_not_there_is_one_sentence(outcome):
    _, kind, sentence = outcome["some/nothing"]
    assert kind == "ConnectionError"
    assert sentence.startswith("the checkpoint some/nothing could not be pulled from the Hugging")
    assert "\n" not in sentence


def test_without_a_server_what_was_downloaded_before_is_there_and_the_rest_is_told_soon(
    outcome, home
):
    began = time.monotonic()
    found = pulled(home, "http://127.0.0.1:9", "some/digits", "some/unknown")
    assert found["some/digits"][1:] == outcome["some/digits"][1:]
    seconds, kind, sentence = found["some/unknown"]
    assert (kind, seconds < 15) == ("ConnectionError", True)
    assert "some/unknown could not be pulled" in sentence
    assert time.monotonic() - began < 60
