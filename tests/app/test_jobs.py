"""Training in the background: one state after the other, one owner one job, nothing lost."""

import os
import sys
import threading
from dataclasses import replace

import pytest
import torch

from app import jobs, models, plans, priority
from app.jobs import DONE, FAILED, KEPT, PAUSED, RUNNING, WAITING, Registry
from model.sampler import standard_noise
from model.train import draw_samples
from model.training import LastGood
from tests.app.train_inputs import ENDLESS, plan_of
from tests.browser.driver import eventually


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Samples are drawn as always, only fewer."""
    monkeypatch.setattr(plans, "SAMPLES", (2, 2))
    monkeypatch.setattr(plans, "SAMPLE_STEPS", 2)


@pytest.fixture
def registry():
    """Makes registries, and ends all their jobs afterwards."""
    made = []

    def registry(places=1, waiting=8, grace=600.0):
        made.append(Registry(places, waiting, grace))
        return made[-1]

    yield registry
    for one in made:
        one.close()
        assert ends(*one._jobs.values())


@pytest.fixture
def gate():
    """Pictures that take their time: a plan's own, once the gate is opened."""
    opened = threading.Event()

    def gate(plan):
        def load():
            opened.wait()
            return plan.data()

        return replace(plan, load=load)

    gate.open = opened.set
    yield gate
    opened.set()


def ends(*started):
    return eventually(lambda: all(job.over for job in started), 120)


def has_steps(job, count=1):
    return eventually(lambda: len(job.records) >= count, 120)


# -- one job -------------------------------------------------------------------------------------


def test_a_job_goes_from_waiting_over_running_to_done(registry, gate):
    own = registry()
    first = own.start(gate(plan_of()), "a")
    second = own.start(plan_of(amount=2), "b")
    assert (first.state, second.state) == (RUNNING, WAITING)
    assert (own.place(first), own.place(second)) == (0, 1)
    gate.open()
    assert ends(first, second)
    for job, steps in ((first, 4), (second, 2)):
        assert (job.state, job.message) == (DONE, "The budget is used up.")
        assert [record.step for record in job.records] == list(range(1, steps + 1))
        assert job.steps == steps
        assert all(record.samples is None for record in job.records)  # they are in the film
        assert models.load(job.key).net is job.checkpoint.net
        assert models.own_choices([job.key]) == ((f"yours: digits, step {steps}", job.key),)
        assert job.training is None  # its memory is free again
        with pytest.raises(ValueError, match="not kept"):
            job.plan.data()


def test_the_film_has_the_first_and_the_last_step_from_the_same_noise(registry):
    job = registry().start(plan_of(), "a")
    assert ends(job)
    first, *_, last = job.film
    assert (first.step, last.step) == (1, 4)
    for moment in (first, last):
        assert moment.averaged.shape == moment.raw.shape == (2, 1, 16, 16)
        assert moment.example.x0.shape == moment.believed.shape == (1, 16, 16)
    training = plan_of().training(plan_of().data())
    training.ema.load_state_dict(job.checkpoint.net.state_dict())
    torch.testing.assert_close(draw_samples(training), last.averaged, atol=1e-3, rtol=0)
    # What nothing was learned for is still the noise of the seeds: always the same.
    untrained = plan_of(learning_rate=1e-6).training(plan_of().data())
    torch.testing.assert_close(draw_samples(untrained), first.averaged, atol=0.05, rtol=0)
    noise = standard_noise((1, 16, 16), range(2))
    for seed in range(2):
        both = torch.stack([noise[seed].flatten(), first.averaged[seed].flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.5
    assert not first.averaged.equal(last.averaged)


def test_pause_holds_the_steps_and_resume_goes_on(registry):
    own = registry()
    job = own.start(plan_of(**ENDLESS), "a")
    assert has_steps(job)
    own.pause(job, False)  # it does run
    assert job.state == RUNNING
    own.pause(job, True)
    own.pause(job, True)
    assert job.state == PAUSED
    threading.Event().wait(1.0)  # the step under way
    count = len(job.records)
    threading.Event().wait(1.0)
    assert (len(job.records), job.state) == (count, PAUSED)
    own.pause(job, False)
    assert job.state == RUNNING
    assert has_steps(job, count + 2)
    own.pause(job, True)
    own.stop(job)  # from a pause, too
    assert ends(job)
    assert job.state == DONE
    own.pause(job, True)  # too late
    assert job.state == DONE


def test_stop_keeps_what_was_learned_and_shows_it(registry):
    own = registry()
    job = own.start(plan_of(**ENDLESS), "a")
    assert has_steps(job, 3)
    own.stop(job)
    assert ends(job)
    assert (job.state, job.message) == (DONE, "It was stopped.")
    assert job.steps == len(job.records) == job.records[-1].step
    assert job.checkpoint.config.training["images"] == 4 * job.steps
    assert job.film[-1].step == job.steps
    training = plan_of().training(plan_of().data())
    training.ema.load_state_dict(models.load(job.key).net.state_dict())
    samples = draw_samples(training)
    assert samples.isfinite().all()
    torch.testing.assert_close(samples, job.film[-1].averaged, atol=1e-3, rtol=0)


def test_stop_while_it_waits(registry, gate):
    own = registry()
    first = own.start(gate(plan_of(amount=1)), "a")
    second, third = (own.start(plan_of(amount=1), owner) for owner in "bc")
    own.stop(second)
    assert (second.state, second.message) == (DONE, "It was stopped before it began.")
    assert (second.checkpoint, second.records, own.place(second)) == (None, [], 0)
    assert own.place(third) == 1
    gate.open()
    assert ends(first, third)
    assert second.records == []
    assert third.steps == 1


def test_stop_while_the_pictures_are_loaded(registry, gate):
    own = registry()
    job = own.start(gate(plan_of()), "a")
    own.stop(job)
    gate.open()
    assert ends(job)
    assert (job.state, job.message) == (DONE, "It was stopped.")
    assert (job.steps, job.checkpoint, job.film) == (0, None, [])


# -- several jobs, and whose they are ------------------------------------------------------------


def test_a_double_click_starts_one_job(registry):
    own = registry(places=4)
    ready, started, refused = threading.Barrier(8), [], []

    def click():
        ready.wait()
        try:
            started.append(own.start(plan, "a"))
        except ValueError as error:
            refused.append(str(error))

    plan = plan_of(amount=1)
    clicks = [threading.Thread(target=click) for _ in range(8)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert len(started) == 1
    assert set(refused) == {"A training of yours is under way: stop it before the next one."}
    assert ends(*started)
    assert ends(own.start(plan_of(amount=1), "a"))  # the next, after the first


def test_nobody_finds_a_job_without_its_key(registry):
    own = registry(places=2)
    one, two = (own.start(plan_of(amount=1), owner) for owner in ("a", "b"))
    assert one.key != two.key
    assert min(len(one.key), len(two.key)) >= 32
    assert own.find(one.key) is one
    assert own.find(two.key) is two
    for key in ("a", "b", "", None, 0, [one.key], {one.key: 1}, one.key[:-1], one.key.upper()):
        assert own.find(key) is None
    assert ends(one, two)


def test_as_many_run_as_there_are_places_and_so_many_wait(registry, gate):
    own = registry(places=2, waiting=2)
    started = [own.start(gate(plan_of(amount=1)), owner) for owner in "abcd"]
    assert [job.state for job in started] == [RUNNING, RUNNING, WAITING, WAITING]
    assert [own.place(job) for job in started] == [0, 0, 1, 2]
    waits = [own.seconds_to_wait(job) for job in started[2:]]
    assert 0 < waits[0] < waits[1] < 60
    with pytest.raises(ValueError, match="All 2 places are taken and 2 trainings wait: come back"):
        own.start(plan_of(), "e")
    gate.open()
    assert ends(*started)
    assert [job.steps for job in started] == [1] * 4


def test_the_wait_is_a_number_before_anything_is_known(registry, gate):
    own = registry()
    own.start(gate(plan_of(amount=100)), "a")
    assert own.seconds_to_wait(own.start(plan_of(amount=1), "b")) == pytest.approx(10)
    gate.open()


def test_a_server_without_places_says_so(registry):
    with pytest.raises(ValueError, match="This server does not train"):
        registry(places=0).start(plan_of(), "a")


# -- jobs that nobody wants any more -------------------------------------------------------------


LONG_AGO = float("-inf")


@pytest.mark.parametrize("paused", [False, True])
def test_a_job_whose_page_is_gone_ends_and_makes_way(registry, paused):
    own = registry()
    job = own.start(plan_of(**ENDLESS), "a")
    assert has_steps(job)
    own.pause(job, paused)
    later = own.start(plan_of(amount=1), "b")
    job.seen = LONG_AGO
    assert ends(job, later)
    assert (job.state, job.message) == (DONE, "It ended because its page was closed.")
    assert job.checkpoint is not None  # whoever comes back after all finds it
    assert later.steps == 1


def test_a_page_that_asks_keeps_its_job_alive(registry, gate):
    own = registry()
    job = own.start(gate(plan_of(amount=3)), "a")
    job.seen = LONG_AGO
    assert own.find(job.key) is job
    gate.open()
    assert ends(job)
    assert job.steps == 3


def test_one_that_waits_for_nobody_is_passed_over(registry, gate):
    own = registry()
    first = own.start(gate(plan_of(amount=1)), "a")
    gone, gone_later = (own.start(plan_of(amount=1), owner) for owner in "bc")
    gone.seen = LONG_AGO
    stays = own.start(plan_of(amount=1), "d")
    assert (gone.state, own.place(gone_later), own.place(stays)) == (DONE, 1, 2)
    gone_later.seen = LONG_AGO
    gate.open()
    assert ends(first, stays)
    assert (gone.records, gone_later.records, stays.steps) == ([], [], 1)


def test_close_ends_all_and_starts_none(registry, gate):
    own = registry()
    running = own.start(gate(plan_of(**ENDLESS)), "a")
    waiting = own.start(plan_of(**ENDLESS), "b")
    gate.open()
    own.close()
    assert waiting.over
    assert ends(running)
    assert waiting.records == []
    with pytest.raises(ValueError, match="does not train"):
        own.start(plan_of(), "c")


def test_the_oldest_of_those_that_are_over_is_forgotten(registry, gate):
    own = registry(waiting=100)
    own.start(gate(plan_of(amount=1)), "first")
    plan = plan_of()
    gone = [own.start(plan, str(i)) for i in range(KEPT + 2)]
    for job in gone:
        own.stop(job)
    own.start(plan, "last")
    assert [own.find(job.key) is None for job in gone] == [True] * 2 + [False] * KEPT
    gate.open()


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


# -- what a long job costs -----------------------------------------------------------------------


def test_a_film_gets_coarser_not_longer(registry, monkeypatch):
    monkeypatch.setattr(jobs, "MOST_MOMENTS", 4)
    monkeypatch.setattr(jobs, "SAMPLING_SHARE", 1e9)
    monkeypatch.setattr(jobs, "SHORTEST_PAUSE", 0.0)
    job = registry().start(plan_of(amount=9), "a")
    assert ends(job)
    steps = [moment.step for moment in job.film]
    assert (steps[0], steps[-1]) == (1, 9)
    assert 2 <= len(steps) <= 4 + 1
    assert steps == sorted(set(steps))


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own")
@pytest.mark.parametrize("before", [0, 15])
def test_a_thread_only_ever_gets_nicer(before):
    found = []

    def work():
        me = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, me, before)
        priority.stand_back(priority.TRAINING)
        found.append(os.getpriority(os.PRIO_PROCESS, me))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [max(before, priority.TRAINING)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < priority.TRAINING


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
