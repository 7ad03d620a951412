import subprocess
import sys
from dataclasses import FrozenInstanceError
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
        run_cache=256,
        queue_size=64,
    )


def test_an_empty_variable_counts_as_missing():
    names = ["PORT", "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME", "UNNOISE_OPEN", "UNNOISE_QUEUE"]
    assert Settings.from_env(dict.fromkeys(names, "")) == Settings()


def test_every_variable_is_read():
    settings = Settings.from_env(
        {
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "PORT": "8001",
            "UNNOISE_OPEN": "1",
            "UNNOISE_MAX_UPLOAD": "3 MB",
            "UNNOISE_MAX_T": "1000",
            "UNNOISE_CACHE": "10",
            "UNNOISE_QUEUE": "5",
        }
    )
    assert settings == Settings("0.0.0.0", 8001, True, "3 mb", 1000, 10, 5)


def test_port_overrules_gradios_variable():
    assert Settings.from_env({"GRADIO_SERVER_PORT": "9000"}).port == 9000
    assert Settings.from_env({"GRADIO_SERVER_PORT": "9000", "PORT": "8001"}).port == 8001


def test_a_space_listens_to_everybody_unless_told_otherwise():
    assert Settings.from_env({"SPACE_ID": "someone/unnoise"}).host == "0.0.0.0"
    told = {"SPACE_ID": "someone/unnoise", "GRADIO_SERVER_NAME": "127.0.0.1"}
    assert Settings.from_env(told).host == "127.0.0.1"


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
