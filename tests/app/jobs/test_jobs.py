"""Training in the background: one state after the other, one owner one job, nothing lost."""

import os
import sys
import threading

import pytest
import torch

from app import jobs, models, priority
from app.jobs import DONE, KEPT, PAUSED, RUNNING, WAITING
from app.priority import stand_back
from model.sampler import standard_noise
from model.train import draw_samples
from tests.app.jobs.waiting import ends, has_steps
from tests.app.train_inputs import ENDLESS, plan_of

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
        stand_back(priority.TRAINING)
        found.append(os.getpriority(os.PRIO_PROCESS, me))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [max(before, priority.TRAINING)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < priority.TRAINING
