"""What the shipped models say of themselves: from their configurations and their model cards."""

from __future__ import annotations

import re
from importlib.metadata import version

from app import models
from model.checkpoint import FOLDER

TARGETS = {"eps": "the noise ε", "x0": "the picture x₀", "v": "the velocity v"}
LIBRARIES = ("torch", "gradio", "numpy", "pillow", "plotly", "scikit-learn", "scipy", "matplotlib")


def models_list() -> str:
    """One entry a model, as Markdown."""
    return "\n".join(_entry(name) for name in models.names())


def _entry(name: str) -> str:
    checkpoint, card = models.load(name), _card(name)
    size = checkpoint.config.network.image_size
    parameters = sum(weight.numel() for weight in checkpoint.net.parameters()) / 1e6
    entry = (
        f"- **{name}**: {size}×{size} pixels, {parameters:.2f} million parameters, predicts "
        f"{TARGETS[checkpoint.config.target]}."
    )
    if not card:
        return f"{entry} From the Hugging Face Hub."
    # Where the files lie, and what the card's own commands need, is nothing for this list.
    data, *_ = re.split(r"\. (?=`|They )", _section(card, "Data"))
    return f"{entry} {data}. Licence: {_licence(card)}."


def versions() -> str:
    """The libraries that compute and draw, with their versions."""
    return " · ".join(f"{name} {version(name)}" for name in LIBRARIES)


def _card(name: str) -> str:
    path = FOLDER / name / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _section(card: str, title: str) -> str:
    """The first paragraph below a heading; empty where the card has none."""
    found = re.search(rf"^## {title}\n\n(.+?)(?:\n\n|\Z)", card, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _licence(card: str) -> str:
    """From the card's front matter."""
    found = re.search(r"\A---\n.*?^license: (\S+)$", card, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""
