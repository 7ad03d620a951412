"""The explanations: all of them are used, and their formulas can be set."""

import re
from pathlib import Path

import pytest

from app.pairs import PAIRS
from app.prose import ENGLISH, TEXTS, text
from app.theme import SYMBOLS

NAMES = sorted(path.stem for path in (TEXTS / ENGLISH).glob("*.md"))
APP = Path(__file__).parents[2] / "app"


@pytest.mark.parametrize("name", NAMES)
def test_formulas_are_closed(name):
    source = text(name)
    assert source.count(r"\(") == source.count(r"\)")
    assert source.count("$$") % 2 == 0
    assert source.replace("$$", "").count("$") == 0  # a lone pair of dollars would be mathematics
    for formula in re.findall(r"\\\((.*?)\\\)|\$\$(.*?)\$\$", source, re.S):
        body = "".join(formula)
        assert body.count("{") == body.count("}")


@pytest.mark.parametrize("name", NAMES)
def test_symbols_get_their_colours(name):
    assert not re.search(rf"\\({'|'.join(SYMBOLS)})\{{", text(name))


def test_the_lead_is_coloured():
    assert rf"\textcolor{{{SYMBOLS['signal'].light}}}" in text("forward_lead")


def test_every_text_is_shown_somewhere():
    code = "".join(path.read_text(encoding="utf-8") for path in APP.glob("**/*.py"))
    used = set(re.findall(r'prose\("(\w+)"', code)) | {pair.lesson for pair in PAIRS.values()}
    assert used == set(NAMES)
