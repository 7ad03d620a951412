"""Another language: a made-up one, every word in brackets, shows that nothing is forgotten."""

import json
import re

import gradio as gr
import pytest

from app import prose, settings, translation
from app.components.base import View
from app.settings import Settings
from app.ui import build

# Symbols, numbers and names are no words of a language.
NO_WORDS = re.compile(r"[^A-Za-z]*|[A-Za-z]|T|s|β_\w+|owner/name")


@pytest.fixture(scope="module")
def english():
    return translation.keys(build())


@pytest.fixture
def bracketed(tmp_path, monkeypatch, english):
    """The page in a language in which every word stands in brackets."""
    folder = tmp_path / "xx"
    folder.mkdir()
    catalogue = {text: f"[{text}]" for text in english}
    (folder / "words.json").write_text(json.dumps(catalogue), "utf-8")
    (folder / "forward_lead.md").write_text("[lead]", "utf-8")
    (tmp_path / "en").symlink_to(prose.TEXTS / "en")
    monkeypatch.setattr(prose, "TEXTS", tmp_path)
    monkeypatch.setattr(translation, "TEXTS", tmp_path)
    monkeypatch.setattr(settings, "TEXTS", str(tmp_path))
    own = Settings.from_env({"UNNOISE_LANGUAGE": "xx"})
    for module in (prose, translation):
        monkeypatch.setattr(module, "current", lambda: own)
    prose.text.cache_clear()
    translation.words.cache_clear()
    yield build()
    prose.text.cache_clear()
    translation.words.cache_clear()


def test_every_label_hint_button_and_choice_is_translated(bracketed):
    forgotten = []
    for block in bracketed.blocks.values():
        if isinstance(block, View):
            continue
        shown = [getattr(block, name, None) for name in translation.SHOWN]
        if isinstance(block, gr.Button):
            shown.append(block.value)
        shown += [title for title, _ in getattr(block, "choices", None) or []]
        visible = [text for text in shown if isinstance(text, str) and text]
        forgotten += [
            text for text in visible if not text.startswith("[") and not NO_WORDS.fullmatch(text)
        ]
    assert forgotten == []


def test_views_are_translated_in_their_markup(bracketed):
    (header,) = (b for b in bracketed.blocks.values() if type(b).__name__ == "Header")
    assert "[Copy link]" in header.html_template
    assert 'aria-label="[Switch between light and dark]"' in header.html_template
    assert "Unnoise" in header.html_template


def test_scripts_look_their_words_up(bracketed, english):
    assert '"Copied": "[Copied]"' in translation.script()
    assert "<" not in translation.script()
    assert "Pause" in english


def test_a_text_that_is_missing_is_english(bracketed):
    assert prose.text("forward_lead") == "[lead]"
    assert prose.text("forward_notice").startswith("**What to notice.**")


def test_what_a_choice_means_stays_as_it_was(bracketed):
    titles = {
        title: value
        for block in bracketed.blocks.values()
        if isinstance(block, gr.Radio)
        for title, value in block.choices
    }
    assert titles["[pure noise]"] == "pure noise"


def test_english_needs_no_catalogue():
    assert translation.words() == {}
    assert translation.script() == "window.unnoiseWords = {};"


def test_an_unknown_language_is_one_sentence():
    with pytest.raises(ValueError, match=r"UNNOISE_LANGUAGE must be one of en, got 'tlh'\."):
        Settings.from_env({"UNNOISE_LANGUAGE": "tlh"})


def test_the_template_can_be_filled_in(english):
    assert len(english) > 150
    assert len(set(english)) == len(english)
    for text in ("Schedules on show", "Copy link", "Copied", "Draw samples"):
        assert text in english
