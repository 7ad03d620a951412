"""ZeroGPU: what asks a network does so in a forked process, and the page sees no difference.

What lends the GPU there is stood in for by a process that is forked at the first event and serves
all later ones, with everything pickled on the way in and out.
"""

import multiprocessing
import os
import pickle
from collections import OrderedDict
from dataclasses import replace

import gradio as gr
import pytest
import torch

from app import models, subtract, zero
from app.apart import NETWORKS, PLACES, handled
from app.events import NETWORK
from app.pictures import Picture, built_in
from app.settings import current
from app.tabs import reverse, unet
from app.tabs import subtract as subtract_tab
from app.ui import build
from app.wish import Wish
from model.checkpoint import load_checkpoint
from tests.app.handlers import handlers_at
from tests.app.reverse_inputs import inputs
from tests.app.test_devices import tensors


@pytest.fixture(autouse=True)
def one_thread(passes_here):
    """Both processes add in the same order, and so come to the very same numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Lender:
    """Like `spaces.GPU`: runs a task's generators in another process."""

    def __init__(self):
        self.seconds = []
        self.process = None

    def __call__(self, task, *, duration):
        def lent(*args):
            self.seconds.append(duration(*args))
            if self.process is None:
                self._fork(task)
            self.pipe.send_bytes(pickle.dumps(args))
            while True:
                kind, value = pickle.loads(self.pipe.recv_bytes())
                if kind == "end":
                    return
                if kind == "error":
                    raise value
                yield value

        return lent

    def _fork(self, task):
        context = multiprocessing.get_context("fork")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=self._work, args=(task, other), daemon=True)
        self.process.start()
        other.close()

    def _work(self, task, pipe):
        self.pipe.close()
        while True:
            try:
                args = pickle.loads(pipe.recv_bytes())
            except EOFError:
                os._exit(0)
            try:
                for value in task(*args):
                    pipe.send_bytes(pickle.dumps(("value", value)))
                pipe.send_bytes(pickle.dumps(("end", None)))
            except Exception as error:
                pipe.send_bytes(pickle.dumps(("error", error)))


@pytest.fixture(scope="module")
def lender():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # those of a parent are not there in a child
    yield (lender := Lender())
    torch.set_num_threads(threads)
    if lender.process is not None:
        lender.pipe.close()
        lender.process.join(10)


@pytest.fixture(scope="module")
def plain():
    """The page's handlers that ask a network, by name."""
    return handlers_at(build(), NETWORKS)


@pytest.fixture(scope="module")
def sent(lender):
    """The same of a page that has them ask in the other process."""
    return handlers_at(build({NETWORKS: lender(handled, duration=zero.seconds)}), NETWORKS)


def event(**data):
    """What Gradio makes of an event: it holds the component, and so the page."""
    with gr.Blocks():
        return gr.EventData(gr.HTML(), data)


PHOTO = Picture(built_in("hopper").square.rotate(90), "a photograph of one's own")
SETTINGS = ["digits", "3", 2.0, 0, "linear", 10]
INSIDE = ["digits", "3", 0, unet.PICTURE, PHOTO, ()]
SHOWN = (reverse.read(*inputs())[0],)
GIVEN = {  # of each handler that asks a network: what the page sends
    "reverse.show": lambda: (Wish(), (), *inputs({"steps": 3, "sampler": "ddpm"})),
    "reverse.branch": lambda: (500, SHOWN),
    "reverse.branch_along": lambda: (SHOWN,),
    "reverse.export": lambda: (SHOWN,),  # the buttons that save a run
    "reverse.many": lambda: (8, reverse.ONE_LABEL, 2.0, SHOWN),
    "subtract.show": lambda: (1, next(iter(subtract.WAYS)), None, *SETTINGS),
    "subtract.examine": lambda: (
        subtract_tab.OF_GALLERY, PHOTO, subtract_tab.read(*SETTINGS),
    ),
    "subtract.compare": lambda: tuple(SETTINGS),
    "unet.show": lambda: (1, None, *INSIDE),
    "unet.open_block": lambda: (event(block="down1"), 200, *INSIDE),
    "unet.show_channel": lambda: (event(key={"block": "down1", "channel": 3}), *INSIDE),
    "unet.tell": lambda: (200, 900, *INSIDE),
    "unet.measure_fields": lambda: (200, *INSIDE),
    "api.sample": lambda: ("digits", 3, 7, "ddim", 4),
}  # fmt: skip


def test_every_handler_that_asks_a_network_is_here(plain, sent):
    assert plain.keys() == sent.keys() == GIVEN.keys()
    assert PLACES[NETWORK["concurrency_id"]] == NETWORKS


@pytest.mark.parametrize("name", GIVEN)
def test_what_comes_from_the_other_process_is_what_one_would_see(plain, sent, lender, name):
    here, there = (last(handlers[name](*GIVEN[name]())) for handlers in (plain, sent))
    assert lender.process.is_alive()
    assert lender.process.pid != os.getpid()
    assert_same(here, there)
    assert not list(tensors(there))  # they could lie on a GPU that is no longer lent


def last(result):
    """What stands at the end, of a handler that yields."""
    if not hasattr(result, "send"):
        return result
    *_, value = result
    return value


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


def test_what_is_on_show_is_known_again_after_the_journey(sent):
    given = inputs({"steps": 3}, start="a picture", from_step=300, picture=PHOTO)
    *_, result = sent["reverse.show"](Wish(), (), *given)
    shown = result[-1]
    assert shown[0].picture is not PHOTO
    assert shown == reverse.read(*given)
    [again] = sent["reverse.show"](Wish(), shown, *given)
    assert again[1:] == (gr.skip(),) * 5


def test_a_mistake_is_the_same_sentence_from_there(sent, lender):
    with pytest.raises(gr.Error, match="The label must be a whole number from 0 to 9, got 77"):
        sent["api.sample"]("digits", 77)
    with pytest.raises(gr.Error, match="press Run first"):
        list(sent["reverse.branch"](500, ()))
    assert lender.process.is_alive()


def test_a_walk_gets_more_time_than_a_look(sent, lender):
    lender.seconds.clear()
    list(sent["reverse.branch_along"](SHOWN))
    sent["unet.tell"](200, 900, *INSIDE)
    assert lender.seconds == [zero.WALK_SECONDS, zero.LOOK_SECONDS]


def test_elsewhere_nothing_changes():
    assert zero.lenders() == {}
    assert not hasattr(zero, "spaces")


@pytest.fixture
def on_zero_gpu(monkeypatch):
    """Settings of such a Space, for the models; a GPU is the device "meta"."""
    monkeypatch.setattr(models, "current", lambda: replace(current(), zero_gpu=True))
    monkeypatch.setattr(models, "device", lambda: torch.device("meta"))
    monkeypatch.setattr(models, "_own", OrderedDict())
    monkeypatch.setattr(models, "_forked", False)


def test_a_model_of_ones_own_is_on_the_gpu_only_where_one_is_lent(on_zero_gpu):
    models.keep("a key", "mine", load_checkpoint("digits"))
    assert place_of(models.load("a key")) == "cpu"
    models._begin_anew()  # what a forked process begins with
    assert place_of(models.load("a key")) == "meta"
    assert models.own_choices(["a key"]) == (("yours: mine", "a key"),)


def place_of(checkpoint):
    return next(checkpoint.net.parameters()).device.type


def test_it_is_refused_where_the_other_process_could_not_find_it(on_zero_gpu, monkeypatch):
    settings = replace(current(), zero_gpu=True, keep_hours=0)
    monkeypatch.setattr(models, "current", lambda: settings)
    with pytest.raises(ValueError, match="run Unnoise on your own computer"):
        models.keep("a key", "mine", load_checkpoint("digits"))
