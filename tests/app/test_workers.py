"""The processes that compute: what they are asked, what they answer, and how they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import gradio as gr
import psutil
import pytest

from app import apart, jobs, models
from app.apart import NETWORKS, TRAININGS
from app.server.journal import name_of, place_of
from app.ui import build
from app.wish import Wish
from app.workers import GONE, Worker
from model.checkpoint import FOLDER
from tests.app.handlers import handlers_at
from tests.browser.driver import eventually

NICENESS = 3
ROOT = Path(__file__).parents[2]


# -- what the other process does; it finds these functions by their names -------------------------


def whoever_asks():
    return os.getpid(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def add(one, other=0):
    return one + other


def count(to, seen):
    """The numbers up to `to`; leaves a file when it is over."""
    try:
        for number in range(to):
            yield number
            time.sleep(0.01)
    finally:
        Path(seen).touch()


def fail(error):
    yield 1
    raise error


def meet(mine, other):
    """Returns when somebody is at the other place."""
    Path(mine).touch()
    return eventually(Path(other).exists)


def signals():
    return signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)


class OurError(Exception):
    pass


# -- tests -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worker():
    worker = Worker(NICENESS, models.handed_on)
    yield worker
    worker.end()


def answer(worker, handler, *args, **kwargs):
    (value,) = worker(handler, args, kwargs)
    return value


def test_it_is_another_process_and_the_same_for_all(worker):
    pid, niceness = answer(worker, whoever_asks)
    assert pid == worker.pid != os.getpid()
    assert answer(worker, whoever_asks)[0] == pid
    assert sys.platform != "linux" or niceness >= NICENESS


def test_arguments_travel_and_so_does_a_partial(worker):
    assert answer(worker, add, 2, other=3) == 5
    assert answer(worker, partial(add, 2), 5) == 7
    assert apart.done(worker, add, 2, 3) == apart.done(None, add, 2, 3) == 5


def test_values_come_one_after_the_other(worker, tmp_path):
    assert list(worker(count, (30, tmp_path / "over"), {})) == list(range(30))
    assert eventually((tmp_path / "over").exists)


def test_who_leaves_ends_the_work(worker, tmp_path):
    numbers = worker(count, (10**9, tmp_path / "over"), {})
    assert [next(numbers), next(numbers)] == [0, 1]
    assert not (tmp_path / "over").exists()
    numbers.close()
    assert eventually((tmp_path / "over").exists)


@pytest.mark.parametrize(
    "error", [ValueError("what is wrong"), OSError(28, "full"), OurError("ours"), EOFError("end")]
)
def test_an_error_is_the_same_here_and_says_where_it_was_raised(worker, error):
    values = worker(fail, (error,), {})
    assert next(values) == 1
    with pytest.raises(type(error)) as raised:
        next(values)
    assert raised.value.args == error.args
    assert "test_workers.py:" in place_of(raised.value).rpartition(" > ")[2]


def test_a_sentence_for_the_page_stays_one(worker):
    with pytest.raises(gr.Error) as raised:
        list(worker(fail, (gr.Error("A sentence.", print_exception=False),), {}))
    assert raised.value.message == "A sentence."
    assert raised.value.print_exception is False


def test_two_requests_go_side_by_side(worker, tmp_path):
    met = []
    ask = [
        threading.Thread(target=lambda a=a, b=b: met.append(answer(worker, meet, a, b)))
        for a, b in [(tmp_path / "a", tmp_path / "b"), (tmp_path / "b", tmp_path / "a")]
    ]
    for thread in ask:
        thread.start()
    for thread in ask:
        thread.join()
    assert met == [True, True]


def test_what_is_meant_for_the_page_does_not_end_it(worker):
    assert answer(worker, signals) == (signal.SIG_IGN, signal.SIG_IGN)
    os.kill(worker.pid, signal.SIGTERM)
    assert answer(worker, add, 1) == 1


def test_after_its_end_it_begins_anew(worker, tmp_path):
    before, _ = answer(worker, whoever_asks)
    numbers = worker(count, (10**9, tmp_path / "over"), {})
    next(numbers)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(ValueError, match=GONE):
        list(numbers)
    after, _ = answer(worker, whoever_asks)
    assert after not in (before, os.getpid())


OWNER = f"""
import sys, time
from app import models
from app.workers import Worker
from tests.app.test_workers import whoever_asks

if __name__ == "__main__":
    worker = Worker({NICENESS}, models.handed_on)
    print(*[pid for pid, _ in worker(whoever_asks, (), {{}})], flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there it is a pipe without a folder")
def test_it_ends_with_its_owner_however_that_ends(tmp_path):
    script, scratch = tmp_path / "owner.py", tmp_path / "scratch"
    script.write_text(OWNER, encoding="utf-8")
    scratch.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    owner = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        child = psutil.Process(int(owner.stdout.readline()))
        assert list(scratch.glob("unnoise-*/socket"))
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    assert eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert eventually(lambda: not list(scratch.iterdir()))


def test_models_of_the_hub_are_handed_on(monkeypatch):
    monkeypatch.setitem(models._of_hub, "someone/digits", FOLDER / "digits")
    worker = Worker(NICENESS, models.handed_on)
    try:
        assert "someone/digits" in answer(worker, models.names)
    finally:
        worker.end()


# -- the page's events -----------------------------------------------------------------------------


def test_every_event_of_a_training_is_done_where_the_trainings_are():
    asked = []

    def lender(handler, args, kwargs):
        asked.append(name_of(handler))
        yield "an answer"

    handlers = handlers_at(build({TRAININGS: lender}), TRAININGS)
    assert {name.partition(".")[0] for name in handlers} == {"train"}
    assert all(handler({}) == "an answer" for handler in handlers.values())
    assert set(asked) == set(handlers)
    # All that reads the registry, and nothing else, which would find an empty one here.
    source = (ROOT / "app/tabs/train.py").read_text(encoding="utf-8")
    for name in ("start", "find_again", "watch", "pause", "stop", "download", "upload", "export"):
        assert f"train.{name}" in handlers
        assert f"def {name}(" in source
    assert "train.to_walk" in handlers


def test_a_training_that_begins_there_is_known_there_alone(worker):
    handlers = handlers_at(build({TRAININGS: worker}), TRAININGS)
    with pytest.raises(gr.Error) as raised:
        handlers["train.stop"]({})
    assert raised.value.message == "There is no training: start one first."
    mine, *_ = handlers["train.find_again"]({})
    assert mine["owner"]
    assert jobs.REGISTRY.find(mine["job"]) is None


def test_a_wish_that_changed_ends_a_run_elsewhere(worker, tmp_path):
    page = build({NETWORKS: worker})
    wish = Wish(("this",))
    (show,) = (f for n, f in handlers_at(page, NETWORKS).items() if n == "reverse.show")
    assert show is not None
    numbers = apart._sent(counted, worker)(wish, tmp_path / "over")
    assert next(numbers) == 0
    wish.runs = ("another",)
    assert list(numbers) == []
    assert eventually((tmp_path / "over").exists)


def test_what_was_shown_to_its_end_is_kept_and_nothing_else():
    @apart.keeps(lambda asked, wanted: wanted)
    def show(asked, wanted):
        yield "progress", gr.skip()
        if asked == "an error":
            raise ValueError(asked)
        if asked != "another wish":
            yield asked, wanted

    keeping = apart.keeping(show)
    assert apart.kept(show, 1, "this") is None
    list(keeping("another wish", "this"))
    with pytest.raises(ValueError, match="an error"):
        list(keeping("an error", "this"))
    left = keeping(3, "this")
    next(left)
    left.close()
    assert apart.kept(show, 1, "this") is None
    assert list(keeping(4, "this")) == [("progress", gr.skip()), (4, "this")]
    assert apart.kept(show, 1, "this") == (4, "this")
    assert apart.kept(show, 1, "that") is None


def counted(wish, seen):
    yield from count(10**9, seen)


def test_a_process_that_is_gone_is_one_sentence_in_the_page(tmp_path):
    worker = Worker(NICENESS, models.handed_on)
    try:
        numbers = apart._sent(counted, worker)(Wish(), tmp_path / "over")
        next(numbers)
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(gr.Error) as raised:
            list(numbers)
        assert raised.value.message == GONE
    finally:
        worker.end()
