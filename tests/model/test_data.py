"""Data sets from real small files, written here, read back and compared with Pillow."""

import csv
import gzip
import importlib.util
import io
import os
import sys

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

import model
from model import hugging_face, image_files, records
from model.data import load_data
from tests.model.pictures import chw, picture, refusal


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Nothing is kept outside of the test's own folder, and nothing asks the network."""
    monkeypatch.setenv("UNNOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch):
    """What was decoded, in order."""
    calls, original = [], image_files._opened

    def counted(source, what, size):
        calls.append(what)
        return original(source, what, size)

    monkeypatch.setattr(image_files, "_opened", counted)
    return calls


def parquet(path, images, columns=None, types=None):
    """A file as `datasets` writes it; images are PIL images, or bytes as they are."""
    stored = {"image": [encoded(i) if isinstance(i, Image.Image) else i for i in images]}
    types = {"image": datasets.Image(), **(types or {})}
    table = datasets.Dataset.from_dict(stored | (columns or {}))
    for column, feature in types.items():
        table = table.cast_column(column, feature)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path)
    return path


def encoded(image, kind="PNG"):
    stream = io.BytesIO()
    image.save(stream, kind)
    return {"bytes": stream.getvalue(), "path": None}


def table(path, **columns):
    """A parquet file without pictures."""
    datasets.Dataset.from_dict(columns).to_parquet(path)
    return path


# -- digits ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    """Pictures (1797, 8, 8) and classes; sklearn.datasets would take seconds to import."""
    [folder] = importlib.util.find_spec("sklearn").submodule_search_locations
    with gzip.open(f"{folder}/datasets/data/digits.csv.gz", "rt") as file:
        rows = np.array([[float(value) for value in row] for row in csv.reader(file)])
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)


def test_digits_are_sklearns_split_into_disjoint_stratified_parts(reference):
    train, test = load_data("digits", size=8), load_data("digits", size=8, split="test")
    images, classes = reference
    assert images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]  # as scikit-learn documents it
    assert len(train) + len(test) == 1797
    # As multisets of (pixels, class), both parts together are exactly the original.
    scaled = np.rint(images * (255 / 16)).astype(np.uint8)
    expected = sorted((i.tobytes(), int(k)) for i, k in zip(scaled, classes, strict=True))
    found = [
        (image.tobytes(), label)
        for part in (train, test)
        for image, label in zip(part.pixels.numpy(), part.labels.tolist(), strict=True)
    ]
    assert sorted(found) == expected
    shares = test.labels.bincount() / torch.from_numpy(np.bincount(classes))
    assert ((shares > 0.19) & (shares <= 0.2)).all()
    assert train.classes == tuple("0123456789")


def test_digits_are_enlarged_smoothly(reference):
    images, classes = reference
    data = load_data("digits", split="test")
    first = next(i for i in range(1797) if (classes[: i + 1] == classes[i]).sum() == 5)
    stored = Image.fromarray(np.rint(images[first] * (255 / 16)).astype(np.uint8))
    assert data.size == (16, 16)
    assert data.channels == 1
    assert data.labels[0] == classes[first]
    assert np.array_equal(data.pixels[0, 0], stored.resize((16, 16), Image.Resampling.BICUBIC))


def test_digits_in_colour_and_without_labels():
    data = load_data("digits", split="test", channels=3, label="")
    assert data.channels == 3
    assert (data.pixels[:, 0] == data.pixels[:, 2]).all()
    assert data.labels is None
    assert data.classes == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "dev"}, 'no split \'dev\': choose "train" or "test"'),
        ({"label": "writer"}, "no column 'writer': choose one of label"),
        ({"caption": "label"}, "no captions"),
    ],
)
def test_what_digits_have_not(options, words):
    assert words in refusal(load_data, "digits", **options)


def test_slow_libraries_are_imported_only_where_needed(monkeypatch, tmp_path):
    file = parquet(tmp_path / "a.parquet", [picture()])
    load_data(file)
    for name in ("datasets", "sklearn.datasets", "huggingface_hub.utils"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it is an error from here on
    for name in ("data", "data_cache", "hugging_face", "image_data", "image_files", "records"):
        monkeypatch.setattr(model, name, None)  # importing it anew puts another here
        monkeypatch.delitem(sys.modules, f"model.{name}")
    fresh = importlib.import_module("model.data")
    assert fresh.load_data is not load_data
    assert len(fresh.load_data("digits", split="test")) > 300
    assert len(fresh.load_pictures([picture()])) == 1
    assert len(fresh.load_data(file)) == 1  # decoded before
    with pytest.raises(ImportError):
        fresh.load_data(file, size=8)


# -- parquet -----------------------------------------------------------------------------------


def test_a_parquet_file_pixel_by_pixel(tmp_path):
    images = [picture(seed=i) for i in range(5)]
    words = [f"picture {i}" for i in range(5)]
    file = parquet(
        tmp_path / "set.parquet",
        images,
        {"label": [0, 2, 1, 0, 2], "text": words},
        {"label": datasets.ClassLabel(names=["cat", "dog", "owl"])},
    )
    data = load_data(file, caption="text")
    assert data.name == "set"
    assert data.pixels.dtype == torch.uint8
    assert np.array_equal(data.pixels, np.stack([chw(image) for image in images]))
    assert data.labels.tolist() == [0, 2, 1, 0, 2]
    assert data.labels.dtype == torch.int64
    assert data.classes == ("cat", "dog", "owl")
    assert data.captions == tuple(words)
    assert len(data) == 5
    part = load_data(file, split="train[1:3]", caption="text", flip=True, jitter=0.5)
    assert torch.equal(part.pixels, data.pixels[1:3])
    assert part.captions == tuple(words[1:3])
    assert (part.flip, part.jitter) == (True, 0.5)


@pytest.mark.parametrize(
    ("values", "classes", "labels"),
    [
        (["red", "blue", "red"], ("blue", "red"), [1, 0, 1]),
        ([7, 3, 10], ("3", "7", "10"), [1, 0, 2]),
        ([False, True, False], ("False", "True"), [0, 1, 0]),
    ],
)
def test_a_column_of_values_becomes_classes(tmp_path, values, classes, labels):
    file = parquet(tmp_path / "set.parquet", [picture(seed=i) for i in range(3)], {"kind": values})
    data = load_data(file, label="kind")
    assert data.classes == classes
    assert data.labels.tolist() == labels
    assert load_data(file).labels is None  # not one of the usual names


def test_labels_are_found_or_left_out(tmp_path):
    images = [picture(seed=i) for i in range(2)]
    found = parquet(tmp_path / "a.parquet", images, {"fine_label": [1, 0]})
    assert load_data(found).labels.tolist() == [1, 0]
    assert load_data(found, label="").labels is None
    prose = parquet(tmp_path / "b.parquet", images, {"label": ["a long sentence " * 9, "b"]})
    assert load_data(prose).labels is None
    assert 'label=""' in refusal(load_data, prose, label="label")


def test_a_folder_of_parquet_files_has_splits(tmp_path):
    folder = tmp_path / "cats [1]"  # no pattern, a name
    parquet(folder / "train-00000-of-00002.parquet", [picture(seed=0)])
    parquet(folder / "train-00001-of-00002.parquet", [picture(seed=1)])
    parquet(folder / "test.parquet", [picture(seed=2)])
    assert load_data(folder).name == "cats [1]"
    assert len(load_data(folder)) == 2
    assert np.array_equal(load_data(folder, split="test").pixels[0], chw(picture(seed=2)))
    assert load_data(folder / "test.parquet").name == "cats [1]"
    message = refusal(load_data, folder, split="dev")
    assert "no split 'dev': choose one of test, train" in message


# -- folders of images -------------------------------------------------------------------------


def test_sub_folders_are_classes(tmp_path):
    for i, kind in enumerate(["owl", "cat", "owl"]):
        (tmp_path / "zoo" / kind).mkdir(parents=True, exist_ok=True)
        picture(seed=i).save(tmp_path / "zoo" / kind / f"{i}.PNG")
    (tmp_path / "zoo" / "notes.txt").write_text("no picture")
    (tmp_path / "zoo" / ".hidden.png").write_text("no picture")
    data = load_data(tmp_path / "zoo")
    assert data.classes == ("cat", "owl")
    by_class = {
        (int(y), x.numpy().tobytes()) for x, y in zip(data.pixels, data.labels, strict=True)
    }
    expected = {(k, chw(picture(seed=i)).tobytes()) for i, k in ((0, 1), (1, 0), (2, 1))}
    assert by_class == expected
    assert "choose one of train" in refusal(load_data, tmp_path / "zoo", split="test")


def test_a_flat_folder_has_no_classes_but_may_have_captions(tmp_path):
    for i in range(2):
        picture(seed=i).save(tmp_path / f"{i}.png")
    assert load_data(tmp_path).labels is None
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,zero\n1.png,one\n")
    data = load_data(tmp_path, caption="text")
    assert data.captions == ("zero", "one")
    assert np.array_equal(data.pixels[1], chw(picture(seed=1)))


def test_sub_folders_named_like_splits_are_splits(tmp_path):
    for seed, split in enumerate(["train", "test"]):
        (tmp_path / split).mkdir()
        picture(seed=seed).save(tmp_path / split / "a.png")
    for seed, split in enumerate(["train", "test"]):
        assert np.array_equal(load_data(tmp_path, split=split).pixels[0], chw(picture(seed=seed)))
    assert "choose one of test, train" in refusal(load_data, tmp_path, split="val")


# -- what a data set cannot be -----------------------------------------------------------------


def test_a_damaged_record_is_named(tmp_path):
    whole = encoded(picture())
    cut = {"bytes": whole["bytes"][:200], "path": None}
    assert "record 2 of a is damaged" in refusal(
        load_data, parquet(tmp_path / "a.parquet", [whole, whole, cut])
    )
    assert "record 1 of b holds no picture" in refusal(
        load_data, parquet(tmp_path / "b.parquet", [whole, None])
    )
    (tmp_path / "zoo").mkdir()
    picture().save(tmp_path / "zoo" / "a.png")
    (tmp_path / "zoo" / "b.png").write_bytes(cut["bytes"])
    assert "record 1 of zoo (b.png) is damaged" in refusal(load_data, tmp_path / "zoo")


def test_a_table_without_pictures_or_records(tmp_path):
    file = table(tmp_path / "a.parquet", label=[1, 2], text=["a", "b"])
    assert "a has no image column, only label, text" in refusal(load_data, file)
    assert "b holds no records in the split 'train'" in refusal(
        load_data, parquet(tmp_path / "b.parquet", [])
    )
    (tmp_path / "c.parquet").write_bytes(b"PAR1 no table")
    assert "c cannot be read: " in refusal(load_data, tmp_path / "c.parquet")


def test_columns_that_do_not_fit(tmp_path):
    columns = {"text": ["a", "b"], "score": [0.5, 1.5], "label": [0, None]}
    file = parquet(tmp_path / "a.parquet", [picture(), picture()], columns)
    known = "choose one of image, text, score, label"
    assert f"a has no column 'colour': {known}" in refusal(load_data, file, label="colour")
    assert f"a has no column 'words': {known}" in refusal(load_data, file, caption="words")
    assert "'score' of a holds no classes" in refusal(load_data, file, label="score")
    assert "score of a holds no captions" in refusal(load_data, file, label="", caption="score")
    message = refusal(load_data, file)
    assert "record 1 of a has no class in the column 'label'" in message
    assert 'label=""' in message


def test_too_many_classes(tmp_path, monkeypatch):
    file = parquet(tmp_path / "a.parquet", [picture(4, 4)] * 3, {"id": [1, 2, 3]})
    assert records.MAX_CLASSES == 1000
    monkeypatch.setattr(records, "MAX_CLASSES", 2)
    assert "has 3 classes, more than 2" in refusal(load_data, file, label="id")
    assert len(load_data(file, label="id", split="train[:2]").classes) == 2


def test_folders_files_and_splits_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no pictures and no .parquet file" in refusal(load_data, tmp_path / "empty")
    (tmp_path / "a.csv").write_text("a,b\n")
    assert "a.csv is no .parquet file" in refusal(load_data, tmp_path / "a.csv")
    file = parquet(tmp_path / "a.parquet", [picture()])
    assert "split must look like" in refusal(load_data, file, split="train+test")
    assert "split must be a name" in refusal(load_data, file, split=None)
    assert "a cannot be read" in refusal(load_data, file, split="train[a:b]")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "mnist",
        "csv",
        "./no/folder",
        "a/b/c",
        "no.parquet",
        "me/no.parquet",
        "a\0b",
        "long" * 99,
    ],
)
def test_a_name_that_is_nothing(name):
    message = refusal(load_data, name, kind=FileNotFoundError)
    assert "give digits, a .parquet file, a folder of images, or a Hugging Face id" in message


# -- the Hub -----------------------------------------------------------------------------------


def test_a_data_set_of_the_hub_is_decoded_once(tmp_path, monkeypatch, decoded):
    file = str(parquet(tmp_path / "a.parquet", [picture(), picture(seed=1)]))
    stored = datasets.Dataset.from_parquet(file, cache_dir=str(tmp_path / "hub"))
    asked = []

    def load_dataset(name, split):
        asked.append((name, split, datasets.are_progress_bars_disabled()))
        return stored

    monkeypatch.setattr(hugging_face, "_hub_answers", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    before = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    for _ in range(2):
        data = load_data("owner/flowers", split="test")
        assert data.name == "owner/flowers"
        assert np.array_equal(data.pixels[1], chw(picture(seed=1)))
    assert asked == [("owner/flowers", "test", True)] * 2
    assert len(decoded) == 2
    assert (datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()) == before


def test_the_hub_may_hold_nothing(monkeypatch):
    empty = datasets.Dataset.from_dict({"image": []})
    monkeypatch.setattr(hugging_face, "_hub_answers", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: empty)
    assert "holds no records in the split 'val'" in refusal(load_data, "me/flowers", split="val")


def test_loading_prints_nothing_and_leaves_nothing_behind(tmp_path, capfd, monkeypatch):
    hub, scratch = tmp_path / "hub", tmp_path / "scratch"
    scratch.mkdir()
    file = parquet(tmp_path / "a.parquet", [picture()])
    capfd.readouterr()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", hub)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    load_data(file)
    assert capfd.readouterr() == ("", "")
    assert not hub.exists()
    assert list(scratch.iterdir()) == []


# -- what was decoded before -------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """Three pictures with labels and captions."""
    columns = {"label": ["b", "a", "b"], "text": ["ä", "", "c"]}
    return parquet(tmp_path / "set.parquet", [picture(seed=i) for i in range(3)], columns)


def test_the_second_time_nothing_is_decoded(stored, decoded, cache):
    first = load_data(stored, caption="text")
    assert len(decoded) == 3
    assert len(list(cache.iterdir())) == 1
    second = load_data(stored, caption="text", flip=True)
    assert len(decoded) == 3
    assert torch.equal(second.pixels, first.pixels)
    assert torch.equal(second.labels, first.labels)
    assert second.captions == first.captions == ("ä", "", "c")
    assert second.classes == first.classes == ("a", "b")
    assert (first.flip, second.flip) == (False, True)


def test_a_damaged_cache_file_is_written_again(stored, decoded, cache):
    first = load_data(stored)
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    for _ in range(2):
        assert torch.equal(load_data(stored).pixels, first.pixels)
        assert len(decoded) == 6
    assert [other.read_bytes() for other in cache.iterdir()] == [content]


def test_other_options_and_other_content_are_decoded_anew(stored, decoded):
    load_data(stored)
    assert load_data(stored, size=8).size == (8, 8)
    grey = load_data(stored, channels=1).pixels[0]
    assert np.array_equal(grey, chw(picture().convert("L")))
    assert load_data(stored, label="").labels is None
    assert len(load_data(stored, split="train[:1]")) == 1
    assert len(decoded) == 4 * 3 + 1
    parquet(stored, [picture(seed=9)])
    assert np.array_equal(load_data(stored).pixels[0], chw(picture(seed=9)))
    # The same bytes at another time count as other content.
    os.utime(stored, ns=(1, 1))
    load_data(stored)
    assert len(decoded) == 4 * 3 + 3
