"""Heat maps of what the network is told: the encoding of t, its similarities, the labels'."""

from __future__ import annotations

from typing import Any

from app.plots import layout_of

EMPTY: dict[str, Any] = {"data": [], "layout": layout_of("no labels", "", "", 1), "cursor": None}
SCALE = [[0, "--signal"], [0.5, "--panel"], [1, "--noise"]]  # −1, 0, 1


def embedding_figures(found: dict[str, Any]) -> list[dict]:
    """Charts of the encoding, of the sum with the label's vector, and of what is like what.

    `found`: what `app.anatomy.embedding_tables` returns. A network without labels has no sum.
    """
    t, dimensions = found["t"], list(range(0, 2 * found["table"].shape[1], 2))
    encoding = _map("encoding of t", t, dimensions, found["table"].T.tolist(), "dimension")
    alike = _map("how alike are two timesteps? (cosine)", t, t, found["similarity"].tolist(), "t")
    if "labels" not in found:
        return [encoding, EMPTY, alike, EMPTY]
    title = "encoding of t + the label’s vector: what enters the blocks"
    total = _map(title, t, dimensions, found["sum"].T.tolist(), "dimension")
    names = found["names"]
    labels = _map("how alike are two labels? (cosine)", names, names, found["labels"].tolist(), "")
    labels["layout"]["xaxis"] |= {"type": "category", "tickangle": -45}
    labels["layout"]["yaxis"] |= {"type": "category", "automargin": True}
    labels["layout"]["margin"] |= {"l": 90, "b": 90}
    return [encoding, total, alike, labels | {"cursor": None}]


def _map(title: str, x: list, y: list, z: list, y_title: str) -> dict[str, Any]:
    layout = layout_of(title, "", y_title, x[-1] if isinstance(x[-1], int) else 1)
    del layout["xaxis"]["range"]  # the pictures fill the axes
    layout["margin"] = {"l": 52, "r": 8, "t": 34, "b": 40}
    heat = {
        "type": "heatmap", "x": x, "y": y, "z": z, "zmin": -1, "zmax": 1, "colorscale": SCALE,
        "showscale": False, "hovertemplate": "%{x}, %{y}: %{z:.2f}<extra></extra>",
    }  # fmt: skip
    return {"data": [heat], "layout": layout, "cursor": "time"}
