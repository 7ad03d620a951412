import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).parents[2]


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_env({}) == Settings(
        host="127.0.0.1",
        port=7860,
        open_browser=False,
        max_upload="20mb",
        max_T=4000,
        run_cache=64,
        train_seconds=600,
        train_steps=20_000,
        train_size=64,
        train_parameters=8_000_000,
        train_pictures=5_000,
        jobs=1,
        waiting=8,
        grace=120,
        hub=True,
        queue_size=1000,
        runs=4,
        rate=60,
        max_uploads="2gb",
        keep_hours=24,
        keep_models=64,
        log=False,
        device="",
        models=(),
        language="en",
        processes=True,
        zero_gpu=False,
    )


def test_an_empty_variable_counts_as_missing():
    names = ["PORT", "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME", "UNNOISE_OPEN", "UNNOISE_QUEUE"]
    assert Settings.from_env(dict.fromkeys(names, "")) == Settings()


def test_every_variable_is_read(tmp_path, monkeypatch):
    (tmp_path / "fr").mkdir()
    monkeypatch.setattr("app.settings.TEXTS", str(tmp_path))
    settings = Settings.from_env(
        {
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "PORT": "8001",
            "UNNOISE_OPEN": "1",
            "UNNOISE_MAX_UPLOAD": "3 MB",
            "UNNOISE_MAX_T": "1000",
            "UNNOISE_RUN_CACHE": "10",
            "UNNOISE_TRAIN_SECONDS": "30",
            "UNNOISE_TRAIN_STEPS": "400",
            "UNNOISE_TRAIN_SIZE": "32",
            "UNNOISE_TRAIN_PARAMETERS": "600000",
            "UNNOISE_TRAIN_PICTURES": "100",
            "UNNOISE_JOBS": "0",
            "UNNOISE_WAITING": "0",
            "UNNOISE_GRACE": "7",
            "UNNOISE_HUB": "0",
            "UNNOISE_QUEUE": "5",
            "UNNOISE_RUNS": "2",
            "UNNOISE_RATE": "0",
            "UNNOISE_MAX_UPLOADS": "100mb",
            "UNNOISE_KEEP_HOURS": "0",
            "UNNOISE_KEEP_MODELS": "5",
            "UNNOISE_LOG": "1",
            "UNNOISE_DEVICE": "CUDA:1",
            "UNNOISE_MODELS": "someone/fish, someone/birds.v2,someone/fish,",
            "UNNOISE_LANGUAGE": "fr",
            "SPACES_ZERO_GPU": "true",
        }
    )
    assert settings == Settings(
        host="0.0.0.0",
        port=8001,
        open_browser=True,
        max_upload="3 mb",
        max_T=1000,
        run_cache=10,
        train_seconds=30,
        train_steps=400,
        train_size=32,
        train_parameters=600_000,
        train_pictures=100,
        jobs=0,
        waiting=0,
        grace=7,
        hub=False,
        queue_size=5,
        runs=2,
        rate=0,
        max_uploads="100mb",
        keep_hours=0,
        keep_models=5,
        log=True,
        device="cuda:1",
        models=("someone/fish", "someone/birds.v2"),
        language="fr",
        processes=False,
        zero_gpu=True,
    )
    unread = [f for f in fields(Settings) if getattr(settings, f.name) == f.default]
    assert unread == []  # a new setting belongs into this test


def test_port_overrules_gradios_variable():
    assert Settings.from_env({"GRADIO_SERVER_PORT": "9000"}).port == 9000
    assert Settings.from_env({"GRADIO_SERVER_PORT": "9000", "PORT": "8001"}).port == 8001


def test_a_space_listens_to_everybody_unless_told_otherwise():
    assert Settings.from_env({"SPACE_ID": "someone/unnoise"}).host == "0.0.0.0"
    told = {"SPACE_ID": "someone/unnoise", "GRADIO_SERVER_NAME": "127.0.0.1"}
    assert Settings.from_env(told).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("env", "why"),
    [({"UNNOISE_KEEP_HOURS": "0"}, "where UNNOISE_KEEP_HOURS is 0"),
     ({"SPACES_ZERO_GPU": "true"}, "on ZeroGPU, which has its own")],
)  # fmt: skip
def test_where_models_cannot_travel_there_is_one_process(env, why):
    assert Settings.from_env(env).processes is False
    assert Settings.from_env(env | {"UNNOISE_PROCESSES": "0"}).processes is False
    with pytest.raises(ValueError, match=f"^UNNOISE_PROCESSES must be 0 {why}, got '1'.$"):
        Settings.from_env(env | {"UNNOISE_PROCESSES": "1"})


def test_zero_gpu_lends_no_gpu_to_trainings():
    assert Settings.from_env({"SPACES_ZERO_GPU": "true"}).jobs == 0
    assert Settings.from_env({"SPACES_ZERO_GPU": "false"}).jobs == 1
    with pytest.raises(ValueError, match=r"UNNOISE_JOBS must be 0 on ZeroGPU.*got '2'"):
        Settings.from_env({"SPACES_ZERO_GPU": "1", "UNNOISE_JOBS": "2"})


def test_the_models_of_the_hub_have_a_number():
    names = ",".join(f"someone/model{i}" for i in range(17))
    with pytest.raises(ValueError, match="at most 16 checkpoints, got 17"):
        Settings.from_env({"UNNOISE_MODELS": names})


def test_a_space_downloads_no_datasets_unless_told_to():
    assert not Settings.from_env({"SPACE_ID": "someone/unnoise"}).hub
    assert Settings.from_env({"SPACE_ID": "someone/unnoise", "UNNOISE_HUB": "1"}).hub


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("PORT", "abc", "1 to 65535"),
        ("PORT", "0", "1 to 65535"),
        ("PORT", "70000", "1 to 65535"),
        ("PORT", "-1", "1 to 65535"),
        ("PORT", "78.60", "1 to 65535"),
        ("PORT", "7_860", "1 to 65535"),
        ("PORT", "٧٨٦٠", "1 to 65535"),
        ("PORT", "9" * 5000, "1 to 65535"),
        ("GRADIO_SERVER_PORT", "abc", "1 to 65535"),
        ("UNNOISE_OPEN", "yes", "0 to 1"),
        ("UNNOISE_MAX_T", "999", "1000 to 1000000"),
        ("UNNOISE_MAX_T", "1000001", "1000 to 1000000"),
        ("UNNOISE_QUEUE", "0", "1 to 10000"),
        ("UNNOISE_TRAIN_SECONDS", "0", "1 to 1000000"),
        ("UNNOISE_TRAIN_STEPS", "1e5", "1 to 100000000"),
        ("UNNOISE_TRAIN_SIZE", "8", "16 to 256"),
        ("UNNOISE_TRAIN_PARAMETERS", "1000", "500000 to 200000000"),
        ("UNNOISE_TRAIN_PICTURES", "0", "1 to 100000"),
        ("UNNOISE_JOBS", "65", "0 to 64"),
        ("UNNOISE_WAITING", "-1", "0 to 1000"),
        ("UNNOISE_GRACE", "0", "5 to 86400"),
        ("UNNOISE_HUB", "no", "0 to 1"),
        ("UNNOISE_DEVICE", "gpu", "cuda, cuda:0, mps or cpu"),
        ("UNNOISE_DEVICE", "cuda:", "cuda, cuda:0, mps or cpu"),
        ("UNNOISE_MODELS", "fashion", "like owner/name"),
        ("UNNOISE_MODELS", "../secret", "like owner/name"),
        ("UNNOISE_MODELS", "owner/name/more", "like owner/name"),
        ("UNNOISE_MAX_UPLOAD", "big", "like 20mb"),
        ("UNNOISE_MAX_UPLOAD", "20", "like 20mb"),
        ("UNNOISE_MAX_UPLOAD", "0mb", "like 20mb"),
        ("UNNOISE_MAX_UPLOAD", "-5mb", "like 20mb"),
    ],
)
def test_a_bad_value_is_one_sentence_with_variable_value_and_range(name, value, valid):
    with pytest.raises(ValueError, match=name) as caught:
        Settings.from_env({name: value})
    sentence = str(caught.value)
    assert repr(value) in sentence
    assert valid in sentence
    assert "\n" not in sentence


def test_gradios_port_must_be_valid_even_where_port_overrules_it():
    with pytest.raises(ValueError, match="GRADIO_SERVER_PORT"):
        Settings.from_env({"GRADIO_SERVER_PORT": "abc", "PORT": "8001"})


@pytest.mark.parametrize("size", ["20mb", "3 MB", "1gb", "500kb"])
def test_gradio_understands_every_upload_size_that_is_let_through(size):
    from gradio.utils import _parse_file_size

    assert _parse_file_size(Settings.from_env({"UNNOISE_MAX_UPLOAD": size}).max_upload) > 0


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1


def test_settings_load_without_gradio_and_torch():
    code = "import sys, app.settings; print(*(m.split('.')[0] for m in sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(loaded.stdout.split()) & {"gradio", "torch", "numpy"}


def test_the_readme_lists_every_setting_with_its_default():
    source = (ROOT / "app" / "settings.py").read_text(encoding="utf-8")
    declared = re.findall(r"^    (\w+): .+ = (.+?)  # ([A-Z][A-Z_]+)\b", source, re.MULTILINE)
    assert [name for name, _, _ in declared] == [field.name for field in fields(Settings)]
    defaults = {
        variable: {"True": "1", "False": "0", "()": ""}.get(text, text.strip('"').replace("_", ""))
        for _, text, variable in declared
        if variable != "SPACES_ZERO_GPU"  # the Hub's own
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)` )?\| \S", readme, re.MULTILINE)
    assert dict(rows) == defaults
