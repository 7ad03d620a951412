"""Browser-side views: each is one idea that many tabs use.

Python computes, the browser scrubs: a view gets its data once, in `value`, and its script does
no more than "take frame i" and "a · u + b · v" with coefficients that Python computed.
"""

from app.components.base import asset
from app.components.views import (
    AlignedStrip,
    Attention,
    Cards,
    Chart,
    Download,
    Equations,
    Header,
    Lanes,
    Opening,
    Picker,
    Points,
    Progress,
    Readout,
    RunData,
    SceneData,
    Sheet,
    Steps,
    Strip,
    Timestep,
    UNetData,
    UNetDiagram,
    Walk,
)

RUNTIME = asset("runtime.js")

__all__ = [
    "RUNTIME",
    "AlignedStrip",
    "Attention",
    "Cards",
    "Chart",
    "Download",
    "Equations",
    "Header",
    "Lanes",
    "Opening",
    "Picker",
    "Points",
    "Progress",
    "Readout",
    "RunData",
    "SceneData",
    "Sheet",
    "Steps",
    "Strip",
    "Timestep",
    "UNetData",
    "UNetDiagram",
    "Walk",
]
