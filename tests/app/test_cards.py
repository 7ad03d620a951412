"""What the About tab says of the models is what their configurations and cards say."""

import re

from app import cards, models
from app.prose import text


def test_every_model_is_listed_with_its_data_and_its_licence():
    entries = cards.models_list().splitlines()
    assert len(entries) == len(models.names())
    for name, entry in zip(models.names(), entries, strict=True):
        config = models.load(name).config
        assert entry.startswith(f"- **{name}**: {config.network.image_size}×")
        assert cards.TARGETS[config.target] in entry
        assert re.search(r"Licence: (mit|cc-by-4\.0)\.$", entry)
        assert "`" not in entry


def test_the_artist_of_the_cats_is_named():
    (cats,) = (entry for entry in cards.models_list().splitlines() if "**cats**" in entry)
    assert "David Revoy" in cats
    assert "cc-by-4.0" in cats
    assert "David Revoy" in text("about_credits")


def test_papers_are_linked_by_their_ids():
    for name in ("about_papers", "about_credits"):
        links = re.findall(r"\[arXiv:([0-9.]+)\]\(https://arxiv\.org/abs/([0-9.]+)\)", text(name))
        assert links
        assert all(shown == target for shown, target in links)
        assert text(name).count("arxiv.org") == len(links)


def test_the_libraries_that_compute_are_named():
    assert re.search(r"torch \d+\.\d+", cards.versions())
    assert re.search(r"gradio 6\.31", cards.versions())
