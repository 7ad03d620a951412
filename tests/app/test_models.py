"""The trained networks that the page offers: which can be used, and what is wrong with others."""

import shutil

import gradio as gr
import pytest

import model.checkpoint
from app import api, models
from app.session import Session
from app.tabs import reverse
from app.ui import build
from app.wish import Wish
from tests.app.reverse_inputs import inputs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkpoints/ of one's own."""
    monkeypatch.setattr(model.checkpoint, "FOLDER", tmp_path)
    models._load.cache_clear()
    yield tmp_path
    models._load.cache_clear()


@pytest.fixture
def ship(folder, shipped):
    def ship(name, source="digits"):
        shutil.copytree(shipped / source, folder / name)
        return folder / name

    return ship


@pytest.fixture(scope="module")
def shipped():
    return model.checkpoint.FOLDER


def test_every_shipped_model_is_offered_the_preferred_first():
    assert models.names() == ["fashion", "fashion-v", "cats", "digits"]
    for name in models.names():
        assert models.problem(name) is None
        values = [value for _, value in models.labels(name)]
        assert values == ["any", *map(str, range(len(models.load(name).config.classes)))]
        assert models.first_label(name) in values
    assert models.load("digits") is models.load("digits")


def test_a_damaged_model_is_left_out_and_says_what_is_wrong(ship):
    ship("good")
    weights = ship("broken") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert models.names() == ["good"]
    with pytest.raises(ValueError, match=r"^The model broken cannot be used: .*model.safetensors"):
        models.load("broken")
    with pytest.raises(gr.Error, match="The model broken cannot be used") as error:
        api.sample("broken")
    assert "\n" not in str(error.value)
    with pytest.raises(gr.Error, match="The model must be one of good, got 'digits'"):
        api.sample("digits")


def test_a_model_without_its_weights_is_left_out_too(ship):
    ship("good")
    (ship("empty") / "model.safetensors").unlink()
    assert models.names() == ["good"]
    assert "The model empty cannot be used: " in models.problem("empty")


def test_a_model_that_was_repaired_can_be_used(ship):
    weights = ship("own") / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    assert "cannot be used" in models.problem("own")
    weights.write_bytes(whole)
    assert models.names() == ["own"]


def test_where_all_are_damaged_the_reasons_are_given(ship):
    (ship("own") / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="The model own cannot be used: config"):
        models.names()


@pytest.mark.parametrize("missing", [True, False], ids=["no folder", "an empty folder"])
def test_without_any_model_one_sentence_says_what_to_do(folder, missing):
    if missing:
        folder.rmdir()
    with pytest.raises(ValueError, match="There is no trained model in checkpoints/"):
        models.names()
    for call in (
        lambda: api.sample(),
        lambda: next(reverse.show(Wish(), (), *inputs())),
    ):
        with pytest.raises(gr.Error, match="There is no trained model in checkpoints/"):
            call()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "config.json").write_text("{"),
        shutil.rmtree,
    ],
    ids=["no weights", "a broken description", "no folder"],
)
def test_the_page_starts_without_a_model_that_is_damaged_and_says_so(ship, damage):
    ship("good")
    damage(ship("cats", "cats"))
    page = build()
    config = page.get_config_file()
    said = [c["props"].get("value", "") for c in config["components"] if c["type"] == "markdown"]
    told = [text for text in said if "The model cats cannot be used" in text]
    assert len(told) == ("cats" in model.checkpoint.shipped())  # what is not there is not missed
    radio = next(c for c in config["components"] if c["props"].get("elem_id") == "reverse-model")
    assert [value for _, value in radio["props"]["choices"]] == ["good"]


def test_the_page_starts_without_any_model(folder):
    said = [c["props"].get("value") for c in build().get_config_file()["components"]]
    sentence = "There is no trained model in checkpoints/"
    assert sum(str(text).startswith(sentence) for text in said) >= 4  # in each tab that needs one


def test_without_any_model_the_tab_lays_nothing_out(folder):
    with gr.Blocks() as page, gr.Tabs() as tabs, gr.Tab() as tab:
        session, before = Session.create(), len(page.blocks)
        with pytest.raises(ValueError, match="There is no trained model"):
            reverse.build(session, tab, tabs)
        assert len(page.blocks) == before


@pytest.mark.parametrize("name", [None, 3, "", "nobody", "../model", ["digits"], {"a": 1}, True])
def test_what_is_no_model_gets_one_sentence(name):
    with pytest.raises(
        ValueError, match=r"^The model must be one of fashion, fashion-v, cats, digits, got "
    ):
        models.load(name)


@pytest.mark.parametrize(
    ("label", "expected"), [(None, None), ("any", None), ("3", 3), (3, 3), (3.0, 3), ("0", 0)]
)
def test_labels_of_the_page_and_of_the_api(label, expected):
    assert models.check_label(models.load("digits"), label) == expected


@pytest.mark.parametrize(
    "label", [10, -1, 1.5, "10", "-1", "", "three", "３", "9" * 5000, [3], {}, True, float("nan")]
)
def test_what_is_no_label_gets_one_sentence(label):
    with pytest.raises(ValueError, match=r"^The label must be a whole number from 0 to 9, got"):
        models.check_label(models.load("digits"), label)
