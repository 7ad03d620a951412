"""How a person chooses the session's picture: the gallery as thumbnails, or a file of their own.

Several tabs have one; they show and change the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import gradio as gr

from app import gallery, uploads
from app.components import Picker
from app.components.fields import PictureUpload
from app.events import QUICK
from app.forms import check_choice, says_what_is_wrong, sent
from app.pictures import Picture, built_in, small_data_url
from app.prose import prose
from app.session import Session, picture_or_default

OWN_PICTURE = "your own picture"


def build(session: Session, loading: Sequence[Any], name: str) -> None:
    """Lay a chooser out inside the current context; `loading` are the events that first fill it."""
    picker = Picker(elem_id=f"{name}-picker")
    title = gr.Markdown(credit(picture_or_default(None)), elem_classes="credit")
    with gr.Accordion("Your own picture", open=False):
        upload = PictureUpload(
            label="Upload, paste or take a picture",
            sources=["upload", "clipboard", "webcam"],
            type="filepath",
            height=170,
            elem_id=f"{name}-upload",
        )
        prose("own_picture")
    gr.on(
        [*loading, session.picture.change],
        show,
        session.picture,
        [picker, title],
        trigger_mode="always_last",
        **QUICK,
    )
    picker.picked(choose_built_in, outputs=session.picture, **QUICK)
    # "multiple", so that a refusal is a failure (`app.server.page`), which empties the field.
    upload.change(choose_upload, upload, session.picture, trigger_mode="multiple", **QUICK).failure(
        lambda: None, outputs=upload, **QUICK
    )


def show(picture: Picture | None) -> tuple[dict, str]:
    """The thumbnails with the session's picture marked, and whose picture it is."""
    picture = picture_or_default(picture)
    return picker_value(picture.key), credit(picture)


@says_what_is_wrong
def choose_built_in(event: gr.EventData) -> Picture:
    return built_in(check_choice(sent(event, "key"), "The picture", gallery.GALLERY))


@says_what_is_wrong
def choose_upload(path: Any) -> Any:
    if path is None:  # taken away again, or not there yet: the picture on show stays
        return gr.skip()
    return Picture(uploads.open_picture(path), OWN_PICTURE)


def credit(picture: Picture) -> str:
    """What a picture is, and whose."""
    if picture.key is None:
        return picture.title
    return f"{picture.title} · {gallery.GALLERY[picture.key].credit}"


@cache
def thumbnail(key: str) -> str:
    return small_data_url(gallery.thumbnail(key))


def picker_value(chosen: str | None) -> dict:
    """The value of a `Picker` of the gallery."""
    return {
        "chosen": chosen,
        "choices": [
            {"key": key, "title": item.title, "image": thumbnail(key)}
            for key, item in gallery.GALLERY.items()
        ],
    }
