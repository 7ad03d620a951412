"""People's own models on disk: found by their keys alone, and never in anybody's way."""

import errno
import os
import time
from dataclasses import replace

import pytest

from app import models, shelf
from app.settings import Settings
from model.checkpoint import load_checkpoint

KEY = "a-key-that-nobody-guesses"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("UNNOISE_CACHE", str(tmp_path))
    return tmp_path / "own"


@pytest.fixture
def settings(monkeypatch):
    """Changes the settings as the shelf sees them."""

    def change(**changes):
        monkeypatch.setattr(shelf, "current", lambda: replace(Settings(), **changes))

    return change


@pytest.fixture(scope="module")
def digits():
    return load_checkpoint("digits")


def same(one, other):
    pairs = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    return one.config == other.config and all((a.half() == b.half()).all() for a, b in pairs)


def test_a_model_comes_back_by_its_key(place, digits):
    shelf.put(KEY, "digits, step 7", digits)
    title, found = shelf.get(KEY)
    assert title == "digits, step 7"
    assert same(found, digits)
    assert (found.mean - digits.mean).abs().max() == 0
    assert shelf.get("another key") is None


def test_nothing_on_disk_tells_the_key(place, digits):
    shelf.put(KEY, "a", digits)
    for path in place.rglob("*"):
        assert KEY not in str(path)
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_a_model_outlives_the_process_that_learned_it(place, digits, monkeypatch):
    models.keep(KEY, "digits, step 7", digits)
    monkeypatch.setattr(models, "_own", type(models._own)())  # as in a process that just began
    assert models.own_choices([KEY, "another", None, 3]) == (("yours: digits, step 7", KEY),)
    assert same(models.load(KEY), digits)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_one_counts_as_none(place, digits, name):
    shelf.put(KEY, "a", digits)
    (file,) = place.rglob(name)
    file.write_bytes(file.read_bytes()[:50])
    assert shelf.get(KEY) is None


@pytest.fixture
def full_disk(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def test_a_full_disk_is_no_error(place, digits, full_disk):
    models.keep(KEY, "a", digits)
    assert shelf.get(KEY) is None
    assert models.load(KEY).net is digits.net  # in memory it is there all the same


def test_where_other_processes_need_the_model_it_is_one_sentence(
    place, digits, full_disk, monkeypatch
):
    monkeypatch.setattr(models, "_own", type(models._own)())
    monkeypatch.setattr(models.multiprocessing, "parent_process", lambda: "the page's")
    with pytest.raises(ValueError, match="server's disk does not take it: download it") as error:
        models.keep(KEY, "a", digits)
    assert "\n" not in str(error.value)
    assert models.find(KEY) is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, digits, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("UNNOISE_CACHE", str(tmp_path / "a file"))
    shelf.put(KEY, "a", digits)
    assert shelf.get(KEY) is None


def test_the_oldest_of_too_many_go(place, digits, settings):
    settings(keep_models=2)
    for i, key in enumerate(("first", "second", "third")):
        shelf.put(key, key, digits)
        os.utime(shelf._place(key), (time.time() - 100 + i,) * 2)
    shelf.put("fourth", "fourth", digits)
    assert [key for key in ("first", "second", "third", "fourth") if shelf.get(key)] == [
        "third",
        "fourth",
    ]


def test_old_ones_go_and_a_clock_that_jumps_takes_none_of_today(place, digits, settings):
    settings(keep_hours=1)
    shelf.put("old", "old", digits)
    shelf.put("new", "new", digits)
    os.utime(shelf._place("old"), (time.time() - 3700,) * 2)
    os.utime(shelf._place("new"), (time.time() + 10**6,) * 2)  # written before a jump back
    shelf.put(KEY, "a", digits)
    assert shelf.get("old") is None
    assert shelf.get("new")
    assert shelf.get(KEY)


def test_where_nothing_is_to_be_kept_nothing_is(place, digits, settings):
    settings(keep_hours=0)
    shelf.put(KEY, "a", digits)
    assert not place.exists()
