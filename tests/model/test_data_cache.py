"""Decoded data written and read back, whole, damaged, and with the disk in the way."""

import json

import pytest
import torch
from safetensors.torch import save_file

from model.data_cache import cache_file, read_cache, write_cache
from model.image_data import ImageData


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNNOISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


DATA = ImageData(
    "set",
    torch.arange(3 * 48, dtype=torch.uint8).view(3, 3, 4, 4),
    torch.tensor([1, 0, 1]),
    ("a", "b"),
    ("ä", "", "c"),
)


def same(one, other):
    return (
        torch.equal(one.pixels, other.pixels)
        and torch.equal(one.labels, other.labels)
        and (one.name, one.classes, one.captions) == (other.name, other.classes, other.captions)
    )


def test_what_was_written_is_read_back(folder):
    file = cache_file(["source", {"size": 4}])
    assert file.parent == folder
    assert read_cache(file) is None
    write_cache(file, DATA)
    assert same(read_cache(file), DATA)
    assert list(folder.iterdir()) == [file]
    write_cache(file, ImageData("bare", DATA.pixels))
    bare = read_cache(file)
    assert (bare.name, bare.labels, bare.classes, bare.captions) == ("bare", None, (), None)


def test_another_source_or_option_is_another_file(folder):
    keys = [["a", {"size": 4}], ["a", {"size": 8}], ["a", {"size": None}], ["b", {"size": 4}]]
    assert len({cache_file(key) for key in keys}) == 4
    assert cache_file(keys[0]) == cache_file(json.loads(json.dumps(keys[0])))


def test_a_damaged_file_counts_as_none(folder):
    file = cache_file(["source"])
    write_cache(file, DATA)
    content = file.read_bytes()
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    for broken in (b"", content[:-9], b"x" * 99, flipped):
        file.write_bytes(broken)
        assert read_cache(file) is None
    save_file({"weights": torch.zeros(3)}, file)
    assert read_cache(file) is None
    write_cache(file, DATA)
    assert same(read_cache(file), DATA)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("UNNOISE_CACHE", str(tmp_path / "file" / "cache"))
    write_cache(cache_file(["source"]), DATA)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_leaves_no_half_file(folder, monkeypatch):
    file = cache_file(["source"])
    write_cache(file, DATA)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    write_cache(file, ImageData("later", DATA.pixels))
    write_cache(cache_file(["other"]), DATA)
    assert list(folder.iterdir()) == [file]
    assert same(read_cache(file), DATA)
