"""Another language: a made-up one, every word in brackets, shows that nothing is forgotten."""

import json
import re

import gradio as gr
import pytest

from app import language, prose, settings, translation
from app.components.base import View
from app.settings import Settings
from app.ui import build
from tests.app.handlers import function_of

# Symbols, numbers and names are no words of a language.
NO_WORDS = re.compile(r"[^A-Za-z]*|[A-Za-z]|T|s|β_\w+|owner/name")


@pytest.fixture(scope="module")
def english():
    return translation.keys(build())


def forget():
    for known in (prose.text, language.words, language.said, language._patterns):
        known.cache_clear()


@pytest.fixture
def bracketed(tmp_path, monkeypatch, english):
    """The page in a language in which all that is said stands in brackets."""
    folder = tmp_path / "xx"
    folder.mkdir()
    catalogue = {text: f"[{text}]" for text in english}
    (folder / "words.json").write_text(json.dumps(catalogue), "utf-8")
    (folder / "forward_lead.md").write_text("[lead]", "utf-8")
    (tmp_path / "en").symlink_to(prose.TEXTS / "en")
    monkeypatch.setattr(settings, "TEXTS", str(tmp_path))
    own = Settings.from_env({"UNNOISE_LANGUAGE": "xx"})
    for module in (prose, language):
        monkeypatch.setattr(module, "TEXTS", tmp_path)
        monkeypatch.setattr(module, "current", lambda: own)
    forget()
    yield build()
    forget()


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
    assert language.words() == {}
    assert translation.script() == "window.unnoiseWords = {};"


def test_an_unknown_language_is_one_sentence():
    with pytest.raises(ValueError, match=r"UNNOISE_LANGUAGE must be one of en, got 'tlh'\."):
        Settings.from_env({"UNNOISE_LANGUAGE": "tlh"})


def test_the_template_can_be_filled_in(english):
    assert len(english) > 150
    assert len(set(english)) == len(english)
    for text in ("Schedules on show", "Copy link", "Copied", "Draw samples"):
        assert text in english


# -- what events say -----------------------------------------------------------------------------


def answer(page, name, **given):
    """What the handler of that name says last, when asked with what the page begins with.

    `given` are by the components' labels or ids.
    """
    function = function_of(page, name)
    names = [
        {block.elem_id, (getattr(block, "label", None) or "").strip("[]")}
        for block in function.inputs
    ]
    values = [
        next((given[key] for key in given if key in known), getattr(block, "value", None))
        for block, known in zip(function.inputs, names, strict=True)
    ]
    said = function.fn(*values)
    return list(said)[-1] if hasattr(said, "__next__") else said


def texts(value, key=""):
    """All texts in what a view draws."""
    if isinstance(value, dict):
        return [text for name, each in value.items() for text in texts(each, name)]
    if isinstance(value, (list, tuple)):
        return [text for each in value for text in texts(each, key)]
    return [value] if isinstance(value, str) and key in language.TEXT_KEYS else []


# Formulas, names of curves, and what the network calls its blocks.
NAMES = re.compile(r".*[=←].*|(DDPM )?linear(: .*)?|cosine(: .*)?|[a-z]+\d*(_attention)?")


@pytest.mark.parametrize("name", ["forward.show", "schedules.show", "reverse.show", "unet.show"])
def test_views_say_nothing_in_english(bracketed, name):
    found = texts(answer(bracketed, name))
    words = [text for text in found if re.search("[a-z]{3}", re.sub("<.*?>", "", text))]
    assert words
    english = [text for text in words if "[" not in text and not NAMES.fullmatch(text)]
    assert english == []


def test_a_sentence_with_values_is_translated_around_them(bracketed):
    said = answer(bracketed, "reverse.show", **{"steps-A": 5})
    assert any("[5 steps]" in text for text in texts(said)), texts(said)


def test_errors_are_translated_and_what_they_name(bracketed):
    with pytest.raises(gr.Error) as error:
        answer(bracketed, "forward.show", **{"Number of steps T": 11})
    assert error.value.message == "[[T] must be one of 10, 50, 100, 300, 1000, got 11.]"
    with pytest.raises(gr.Error) as error:
        answer(bracketed, "reverse.show", **{"reverse-guidance": -1})
    assert error.value.message == "[[The guidance] must be from 0 to 20, got -1.]"


def test_every_error_is_in_the_template(english):
    for sentence in (
        "{0} must be one of {1}, got {2}.",
        "There is no run yet: press Run first.",
        "Target must be one of {0}, got {1}.",  # of the library
    ):
        assert sentence in english
