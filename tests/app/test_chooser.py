"""How the session's picture is chosen: from the gallery, or a file of one's own."""

import gradio as gr
import pytest
import torch
from PIL import Image

from app import chooser
from app.pictures import LARGEST, Picture, built_in
from model.data import load_data


class Sent:
    def __init__(self, **data):
        self._data = data


@pytest.fixture
def red(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (50, 40), (255, 0, 0)).save(path)
    return str(path)


def test_an_upload_can_be_had_at_any_size(red):
    picture = chooser.choose_upload(red)
    for size in (16, 32, 64, 128):
        assert picture.at(size).shape == (3, size, size)
        torch.testing.assert_close(picture.at(size)[:, 0, 0], torch.tensor([1.0, -1, -1]))
        assert picture.at(size, grey=True).shape == (1, size, size)
    picker, title = chooser.show(picture)
    assert title == chooser.OWN_PICTURE
    assert picker["chosen"] is None


def test_a_file_that_is_no_picture_gets_one_sentence(tmp_path):
    path = tmp_path / "photo.png"
    path.write_text("hello")
    with pytest.raises(gr.Error, match="not a picture"):
        chooser.choose_upload(str(path))


def test_no_file_leaves_the_picture_on_show():
    assert chooser.choose_upload(None) == gr.skip()


def test_a_picture_of_the_gallery_is_shared_and_marked():
    picture = chooser.choose_built_in(Sent(key="china"))
    assert picture is built_in("china")
    picker, title = chooser.show(picture)
    assert picker["chosen"] == "china"
    assert "danielbuechele" in title
    assert chooser.show(None)[0]["chosen"] == "hopper"


@pytest.mark.parametrize("key", [None, "nobody", ["china"], {}])
def test_what_is_not_in_the_gallery_is_refused(key):
    with pytest.raises(gr.Error, match="must be one of"):
        chooser.choose_built_in(Sent(key=key))


def test_a_session_keeps_no_more_of_a_large_upload_than_it_needs():
    picture = Picture(Image.new("RGB", (3000, 2000)), "large")
    assert picture.square.size == (LARGEST, LARGEST)


def test_a_network_gets_a_digit_exactly_as_it_was_trained():
    digit = built_in("digit-0").as_input((1, 16, 16))
    data = torch.cat([load_data("digits", split=split).pixels for split in ("train", "test")])
    distance = (data.float() / 127.5 - 1 - digit).abs().amax((1, 2, 3))
    assert distance.min() == 0
