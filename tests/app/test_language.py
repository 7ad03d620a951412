"""Words of another language, and the sentences that values are put into."""

import pytest

from app import language

GERMAN = {
    "Play": "Abspielen",
    "{0} must be one of {1}, got {2}.": "{0} muss {1} sein, nicht {2}.",
    "The sampler": "Das Verfahren",
    "{0} of {1}": "{1}, davon {0}",
    "all {0} by {0} pixels": "alle {0} mal {0} Pixel",
    "{0} step{1}": "{0} Schritte",
    "Picture {0} is damaged.": "Bild {0} ist beschädigt.",
    "The archive fails: {0}.": "Das Archiv: {0}.",
}


@pytest.fixture(autouse=True)
def in_german(monkeypatch):
    monkeypatch.setattr(language, "words", lambda: GERMAN)
    language.said.cache_clear()
    language._patterns.cache_clear()
    yield
    language.said.cache_clear()
    language._patterns.cache_clear()


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Play", "Abspielen"),
        ("The sampler must be one of a, b, got 2.", "Das Verfahren muss a, b sein, nicht 2."),
        ("3 of 50", "50, davon 3"),
        ("all 8 by 8 pixels", "alle 8 mal 8 Pixel"),
        ("DDIM · 50 steps", "DDIM · 50 Schritte"),
        ("DDIM · 1 step", "DDIM · 1 Schritte"),  # the second place is empty
        ("picture 3 is damaged", "Bild 3 ist beschädigt"),  # before it is made a sentence
        ("The archive fails: picture 3 is damaged.", "Das Archiv: Bild 3 ist beschädigt."),
        ("Nobody knows this.", "Nobody knows this."),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_said(english, german):
    assert language.said(english) == german


def test_only_what_has_words_is_translated():
    drawn = {
        "title": "Play",
        "key": "Play",
        "rows": [{"note": "3 of 50", "t": 3}],
        "names": ["Play"],
    }
    assert language.shown(drawn) == {
        "title": "Abspielen",
        "key": "Play",
        "rows": [{"note": "50, davon 3", "t": 3}],
        "names": ["Abspielen"],
    }
