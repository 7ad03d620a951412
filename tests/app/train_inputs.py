"""What the page sends to the handlers of the Train tab, small and quick unless told otherwise."""

from app import plans
from app.pictures import built_in

VALUES = {
    "source": plans.DIGITS,
    "base": plans.SCRATCH,
    "files": None,
    "archive": None,
    "dataset": "",
    "size": 16,
    "grey": True,
    "network": "small",
    "family": "linear",
    "T": 10,
    "beta_start": 0.01,
    "beta_end": 0.5,
    "target": "v",
    "batch": 4,
    "learning_rate": 0.003,
    "budget": plans.STEPS,
    "amount": 4,
    "ema": 0.9,
    "label_dropout": 0.1,
    "seed": 0,
}


def inputs(**changes):
    """The values of `app.train_controls.FIELDS`, in their order."""
    assert changes.keys() <= VALUES.keys()
    return [*(VALUES | changes).values()]


def plan_of(picture="hopper", **changes):
    assert changes.keys() <= VALUES.keys()
    return plans.make_plan(picture=built_in(picture), **VALUES | changes)


ENDLESS = {"amount": 20_000}  # steps: until somebody stops it
