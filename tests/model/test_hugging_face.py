"""What the Hub answers, or would, and how little of it is heard."""

import time

import datasets
import pytest

from model import hugging_face
from model.hugging_face import open_hub
from tests.model.pictures import refusal


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing asks the network."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_offline_says_what_works_offline():
    message = refusal(open_hub, "owner/flowers", "train", kind=ConnectionError)
    assert "owner/flowers could not be reached" in message
    assert "these work offline: digits, a .parquet file" in message


def test_no_network_is_noticed_in_seconds(monkeypatch):
    """`datasets` itself would try for half a minute. Port 9 of this computer refuses."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    message = refusal(open_hub, "owner/flowers", "train", kind=ConnectionError)
    assert time.monotonic() - started < 6
    assert "could not be reached" in message
    assert datasets.config.HF_HUB_OFFLINE is False


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (datasets.exceptions.DatasetNotFoundError("no\nway"), FileNotFoundError, "no data set"),
        (ConnectionError("lost"), ConnectionError, "could not be reached"),
        (RuntimeError("Dataset scripts are no longer supported"), ValueError, "no longer support"),
        (ValueError('Unknown split "x". Should be one of [a].\nx'), ValueError, "Unknown split"),
    ],
)
def test_what_the_hub_answers_is_one_sentence(monkeypatch, raised, kind, words):
    def load_dataset(*args, **options):
        raise raised

    monkeypatch.setattr(hugging_face, "_hub_answers", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert words in refusal(open_hub, "owner/flowers", "train", kind=kind)


def test_nothing_is_said_and_all_settings_are_put_back(monkeypatch):
    def settings():
        switched_off = datasets.are_progress_bars_disabled()
        return switched_off, datasets.logging.get_verbosity(), datasets.config.HF_HUB_OFFLINE

    during = []

    def load_dataset(name, split):
        during.append((name, split, *settings()))
        if split == "no":
            raise RuntimeError("no")
        return "records"

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hugging_face, "_hub_answers", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    before = settings()
    assert open_hub("owner/flowers", "test") == "records"
    assert settings() == before
    refusal(open_hub, "owner/flowers", "no")
    assert settings() == before
    quiet = (True, datasets.logging.CRITICAL, False)
    assert during == [("owner/flowers", "test", *quiet), ("owner/flowers", "no", *quiet)]
