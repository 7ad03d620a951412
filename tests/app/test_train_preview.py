"""The Train tab shows what would be learned from, before anything is."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from app import plans
from app.pictures import built_in
from app.settings import Settings
from app.tabs.train import preview
from model.data import load_data
from tests.app.picture_files import photo, saved
from tests.app.train_inputs import VALUES, plan_of


def shown(picture="hopper", **changes):
    """What the sheet shows: its one row."""
    values = VALUES | changes
    others = [values[name] for name in ("files", "size", "grey")]
    sheet = preview(values["source"], values["base"], built_in(picture), *others)
    if sheet is None:
        return None
    (row,) = sheet["rows"]
    return row


def pixels(picture):
    """The pixels of one of its pictures, uint8 (H, W, C)."""
    content = base64.b64decode(picture["image"].removeprefix("data:image/png;base64,"))
    values = np.asarray(Image.open(io.BytesIO(content)))
    return values.reshape(*values.shape[:2], -1)


def test_two_of_each_digit_are_shown_as_they_are_trained_on():
    row = shown()
    assert [picture["caption"] for picture in row["pictures"]] == list("0123456789") * 2
    data = load_data("digits", size=16, channels=1)
    assert row["note"] == f"20 of {len(data):,} pictures · 16 × 16 pixels"
    for picture in row["pictures"]:
        number = int(picture["hint"].removeprefix("training picture ")) - 1
        assert data.classes[data.labels[number]] == picture["caption"]
        assert (pixels(picture)[..., 0] == data.pixels[number, 0].numpy()).all()


@pytest.mark.parametrize(("size", "grey"), [(32, False), (64, True)])
def test_one_picture_in_the_size_and_the_colours_of_the_settings(size, grey):
    changes = {"source": plans.ONE, "size": size, "grey": grey}
    row = shown("china", **changes)
    assert row["note"] == f"one picture · {size} × {size} pixels"
    (picture,) = row["pictures"]
    (trained,) = plan_of("china", **changes).data().pixels
    assert (pixels(picture) == trained.movedim(0, -1).numpy()).all()


def test_a_handful_is_shown_whole_and_fine_tuning_in_the_form_of_its_model(tmp_path):
    files = [saved(tmp_path, photo(side, side), f"{side}.png") for side in (48, 64, 80)]
    row = shown(source=plans.FEW, files=[str(file) for file in files], base="digits", size=64)
    assert row["note"] == "3 pictures · 16 × 16 pixels"
    assert len(row["pictures"]) == 3
    assert pixels(row["pictures"][0]).shape == (16, 16, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": plans.FEW},  # not chosen yet
        {"source": plans.ZIP},
        {"source": plans.HUB, "dataset": "owner/name"},
        {"source": ["x"]},
        {"source": plans.FEW, "files": [3]},
        {"source": plans.ONE, "size": "large"},
        {"source": plans.ONE, "base": {}},
    ],
)
def test_nothing_is_shown_and_nothing_said_where_it_is_not_known(changes):
    assert shown(**changes) is None


def test_a_size_that_may_not_be_trained_on_here_is_not_shown(monkeypatch):
    monkeypatch.setattr(plans, "current", lambda: Settings(train_size=32))
    assert shown(source=plans.ONE, size=32) is not None
    assert shown(source=plans.ONE, size=64) is None
