"""How trainings end that go wrong, and what is left of them."""

import threading
from dataclasses import replace

import pytest
import torch

from app import jobs, models, plans
from app.jobs import DONE, FAILED
from model.training import LastGood
from tests.app.jobs.waiting import ends, has_steps
from tests.app.train_inputs import ENDLESS, plan_of

# -- what goes wrong -----------------------------------------------------------------------------


def test_a_learning_rate_that_is_far_too_high_fails_with_a_sentence(registry):
    job = registry().start(plan_of(learning_rate=100, amount=2000), "a")
    assert ends(job)
    assert job.state == FAILED
    assert job.message.startswith("Training diverged: the loss was ")
    assert job.message.endswith("a learning rate well below 100 should hold.")
    assert "\n" not in job.message


def test_when_it_diverges_the_last_good_weights_are_kept(registry, monkeypatch):
    monkeypatch.setattr(LastGood, "EVERY", 3)
    own = registry()
    job = own.start(plan_of(**ENDLESS), "a")
    assert has_steps(job, 8)
    own.pause(job, True)
    threading.Event().wait(0.5)
    with torch.no_grad():
        for weight in job.training.net.parameters():
            weight.fill_(torch.nan)
    own.pause(job, False)
    assert ends(job)
    assert job.state == FAILED
    assert f"it ended with the weights of step {job.steps};" in job.message
    assert 0 < job.steps < job.records[-1].step + 1
    weights = models.load(job.key).net.state_dict().values()
    assert all(weight.isfinite().all() for weight in weights)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("picture 3 is damaged"), "Picture 3 is damaged."),
        (FileNotFoundError("there is no data set 'a/b'."), "There is no data set 'a/b'."),
        (ConnectionError("the Hub could not be reached"), "The Hub could not be reached."),
        (KeyError("secret"), "The training ended by an error in the app, which the server has "
                             "noted."),
        (MemoryError(), "The training ended by an error in the app, which the server has noted."),
    ],
    ids=repr,
)  # fmt: skip
def test_data_that_cannot_be_loaded_end_in_one_sentence_and_no_model(registry, error, message):
    def load():
        raise error

    own = registry()
    job = own.start(replace(plan_of(), load=load), "a")
    next_one = own.start(plan_of(amount=1), "b")
    assert ends(job, next_one)
    assert (job.state, job.message, job.checkpoint) == (FAILED, message, None)
    assert models.own_choices([job.key]) == ()
    assert next_one.state == DONE


def test_data_that_do_not_fit_the_network_say_so(registry):
    wrong = replace(plan_of(), load=plan_of(grey=False).load)
    job = registry().start(wrong, "a")
    assert ends(job)
    assert (job.state, job.checkpoint) == (FAILED, None)
    assert job.message.startswith("The network takes 1 channels")


def test_weights_that_cannot_be_kept_do_not_take_a_place_for_ever(registry):
    class Lost(plans.Plan):
        def checkpoint(self, training, data):
            raise RuntimeError("the disk is full")

    own = registry()
    job = own.start(Lost(**vars(plan_of(amount=1))), "a")
    after = own.start(plan_of(amount=1), "b")
    assert ends(job, after)
    assert (job.state, job.message) == (FAILED, "What was learned could not be kept.")
    assert after.state == DONE


def test_weights_that_the_other_tabs_cannot_have_can_still_be_taken_away(registry, monkeypatch):
    def keep(*_):
        raise ValueError("The disk does not take it: download it.")

    monkeypatch.setattr(models, "keep", keep)
    job = registry().start(plan_of(amount=1), "a")
    assert ends(job)
    assert (job.state, job.message) == (FAILED, "The disk does not take it: download it.")
    assert job.checkpoint is not None


# -- what is left on disk -------------------------------------------------------------------------


def test_what_is_on_disk_of_a_training_under_way_is_no_model_yet(registry, monkeypatch):
    monkeypatch.setattr(jobs, "KEEP_SECONDS", (0.0, 0.0))
    seen, put = [], jobs.shelf.put

    def look(key, title, checkpoint):
        put(key, title, checkpoint)
        seen.append(models.own_choices([key]))

    monkeypatch.setattr(jobs.shelf, "put", look)
    own = registry()
    job = own.start(plan_of(amount=2), "a")
    assert ends(job)
    assert seen[:2] == [(), ()]
    assert models.own_choices([job.key]) == (("yours: digits, step 2", job.key),)
    assert models.learning == set()


def test_what_is_learned_so_far_is_on_disk_should_the_process_end(registry, monkeypatch):
    kept = []
    monkeypatch.setattr(jobs, "KEEP_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(jobs.shelf, "put", lambda *given: kept.append(given))
    own = registry()
    job = own.start(plan_of(amount=3), "a")
    assert ends(job)
    titles = [(key, title) for key, title, _ in kept]
    assert titles == [(job.key, f"digits, step {step}") for step in (1, 2, 3, 3)]
    first, *_, last = (checkpoint.net.state_dict() for *_, checkpoint in kept)
    assert any((first[name] != last[name]).any() for name in first)
