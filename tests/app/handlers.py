"""The page's handlers, as its events call them."""

from app.apart import PLACES
from app.server.journal import name_of


def handlers_at(page, place):
    """Those of the events that compute at that place of `app.apart`, by name."""
    found = [f for f in page.fns.values() if PLACES.get(f.concurrency_id) == place]
    return {name_of(function.fn): function.fn for function in found}


def function_of(page, name):
    """The event that calls the handler of that name."""
    return next(f for f in page.fns.values() if f.fn is not None and name_of(f.fn) == name)
