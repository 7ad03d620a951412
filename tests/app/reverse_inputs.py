"""What the page sends to the handlers of the Reverse tab, small and quick unless told otherwise."""

from app.catalogue import DEFAULT_POINTS
from app.pairs import ALONE, DEFAULTS
from app.run_controls import NOISE

SIDE = DEFAULTS | {"sampler": "ddim", "steps": 4}
SHARED = {
    "compare": ALONE,
    "model": "digits",
    "label": "3",
    "guidance": 2.0,
    "seed": 0,
    "start": NOISE,
    "from_step": 500,
    "picture": None,
    "points": DEFAULT_POINTS,
}


def inputs(a=None, b=None, **changes):
    """The values in the order of `Controls.inputs`; `a` and `b` change one side each."""
    assert changes.keys() <= SHARED.keys()
    shared = (SHARED | changes).values()
    return [*shared, *(SIDE | (a or {})).values(), *(SIDE | (b or {})).values()]
