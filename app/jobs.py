"""Training in the background: one registry, whose jobs belong to whoever knows their key.

A job goes waiting → running ⇄ paused → done or failed. It survives a reload of its page, and ends
when nobody has asked for it for a while. What it learned is kept, however it ends.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace

from torch import Tensor

from app import models, priority, shelf
from app.memory import give_back
from app.plans import Plan
from app.server import journal
from app.settings import current
from model.checkpoint import Checkpoint
from model.denoiser import predict
from model.image_data import ImageData
from model.train import draw_samples, train
from model.training import Diverged, Example, Progress, Training

WAITING, RUNNING, PAUSED, DONE, FAILED = "waiting", "running", "paused", "done", "failed"
OVER = (DONE, FAILED)
SAMPLING_SHARE = 0.15  # of a job's time goes into samples at most
KEPT = 32  # jobs that are over, of all sessions, before the oldest is forgotten
SHORTEST_PAUSE = 1.0  # seconds between samples
MOST_MOMENTS = 40  # of a film, which travels to the page as a whole
# How often what was learned so far goes to disk, should the process end: soon, then less often.
KEEP_SECONDS = (2.0, 15.0)
LOOK_SECONDS = 1.0  # how often a job that rests asks whether its page is still there
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Moment:
    """The network at one step: samples from the same noise, and one training example."""

    step: int
    averaged: Tensor  # (N, C, H, W), from the averaged weights
    raw: Tensor  # (N, C, H, W), from the last ones
    example: Example | None = None  # none after a last step that nobody foresaw
    believed: Tensor | None = None  # (C, H, W): ε_θ of the example


@dataclass(eq=False)
class Job:
    """One training and everything about it that a page may want to show."""

    plan: Plan
    owner: str
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    state: str = WAITING
    message: str = ""  # why it ended, in one sentence
    records: list[Progress] = field(default_factory=list)  # without samples
    film: list[Moment] = field(default_factory=list)
    data: ImageData | None = None
    training: Training | None = None  # while it runs: it takes four times the network's memory
    steps: int = 0  # behind the weights that it has, or had
    checkpoint: Checkpoint | None = None
    seen: float = field(default_factory=time.monotonic)  # when a page last asked for it
    going: threading.Event = field(default_factory=threading.Event)  # cleared while paused
    stopped: bool = False  # somebody asked it to end

    def __post_init__(self) -> None:
        self.going.set()

    @property
    def over(self) -> bool:
        return self.state in OVER

    def stop(self) -> None:
        """Let it end with the step under way, and keep what it has learned."""
        self.stopped = True
        if self.training is not None:
            self.training.stopping = True
        self.going.set()


class Registry:
    """All jobs of the process: some run, others wait for their turn."""

    def __init__(self, places: int, waiting: int, grace: float) -> None:
        self.places, self.waiting, self.grace = places, waiting, grace
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._running: set[str] = set()
        self._lock = threading.RLock()
        self._closed = False

    def start(self, plan: Plan, owner: str) -> Job:
        """Begin a training, or let it wait for a place. One owner has one at a time.

        Raises ValueError with one sentence where there is no place, or the owner has one already.
        """
        with self._lock:
            if self._closed or not self.places:
                raise ValueError("This server does not train: run Unnoise on your own computer.")
            if any(job.owner == owner and not job.over for job in self._jobs.values()):
                raise ValueError("A training of yours is under way: stop it before the next one.")
            self._drop_abandoned()
            if len(self._running) >= self.places and len(self._queue) >= self.waiting:
                raise ValueError(
                    f"All {self.places} places are taken and {len(self._queue)} trainings wait: "
                    "come back in a few minutes."
                )
            job = Job(plan, owner)
            self._jobs[job.key] = job
            self._queue.append(job)
            self._forget_old()
            self._fill()
            return job

    def find(self, key: object) -> Job | None:
        """The job of that key, which thereby counts as looked at; None if there is none."""
        with self._lock:
            job = self._jobs.get(key) if isinstance(key, str) else None
            if job is not None:
                job.seen = time.monotonic()
            return job

    def place(self, job: Job) -> int:
        """How many trainings begin before this one; 0 where it is not waiting."""
        with self._lock:
            return self._queue.index(job) + 1 if job in self._queue else 0

    def seconds_to_wait(self, job: Job) -> float:
        """An estimate: what is left of those that run, and the budgets of those before it."""
        with self._lock:
            running = [self._jobs[key] for key in self._running]
            left = sum(map(_seconds_left, running))
            ahead = list(self._queue)[: max(0, self.place(job) - 1)]
            return (left + sum(map(_budget, ahead))) / max(1, self.places)

    def stop(self, job: Job) -> None:
        """End it, wherever it stands; what it has learned is kept."""
        with self._lock:
            job.stop()
            if job in self._queue:
                self._queue.remove(job)
                job.state, job.message = DONE, "It was stopped before it began."

    def pause(self, job: Job, paused: bool) -> None:
        """Let it rest after the step under way, or go on."""
        with self._lock:
            if job.state == RUNNING and paused:
                job.going.clear()
                job.state = PAUSED
            elif job.state == PAUSED and not paused:
                job.state = RUNNING
                job.going.set()

    def close(self) -> None:
        """End all jobs: the server goes."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                if not job.over:
                    self.stop(job)

    def wait(self, seconds: float) -> None:
        """Return when no job is under way any more, or `seconds` later."""
        until = time.monotonic() + seconds
        while self._running and time.monotonic() < until:
            time.sleep(0.02)

    def _drop_abandoned(self) -> None:
        for job in [job for job in self._queue if self._abandoned(job)]:
            self.stop(job)

    def _abandoned(self, job: Job) -> bool:
        return time.monotonic() - job.seen > self.grace

    def _forget_old(self) -> None:
        over = [key for key, job in self._jobs.items() if job.over]
        for key in over[: max(0, len(over) - KEPT)]:
            del self._jobs[key]

    def _fill(self) -> None:
        self._drop_abandoned()
        while self._queue and len(self._running) < self.places and not self._closed:
            job = self._queue.popleft()
            self._running.add(job.key)
            job.state = RUNNING
            threading.Thread(target=self._work, args=(job,), name="training", daemon=True).start()

    def _work(self, job: Job) -> None:
        priority.stand_back(priority.TRAINING)
        state, message = FAILED, ""
        models.learning.add(job.key)
        try:
            message = self._train(job)
            state = DONE
        except Diverged as error:
            message = f"{error}."
        except (ValueError, OSError) as error:
            message = f"{str(error).removesuffix('.')}."
        except Exception:
            log.exception("a training ended by an error")
            message = "The training ended by an error in the app, which the server has noted."
        try:
            self._keep(job)
        except ValueError as error:
            state, message = FAILED, str(error)
        except Exception:
            log.exception("what a training learned could not be kept")
            state, message = FAILED, "What was learned could not be kept."
        models.learning.discard(job.key)
        with self._lock:
            job.state, job.message = state, message[:1].upper() + message[1:]
            job.plan, job.data, job.training = replace(job.plan, load=_forgotten), None, None
            self._running.discard(job.key)
            self._fill()
        give_back()
        journal.note("training", outcome=state, steps=job.steps)

    def _train(self, job: Job) -> str:
        data = job.plan.data()
        training = job.plan.training(data)
        job.data, job.training = data, training
        if job.stopped:  # while the data were loaded
            training.stopping = True
        training.sampling = True  # the first step: what no training gives
        next_film, pause = 0.0, SHORTEST_PAUSE
        between, longest = KEEP_SECONDS
        next_keep = time.monotonic() + between
        for progress in train(training, data):
            if progress.samples is not None:
                began = time.perf_counter()
                job.film.append(_moment(training, progress))
                spent = 2 * (time.perf_counter() - began)  # as long for the averaged ones
                if len(job.film) > MOST_MOMENTS:  # a long one gets coarser, not larger
                    job.film, pause = job.film[::2], 2 * pause
                next_film = training.seconds + max(pause, spent / SAMPLING_SHARE)
            job.records.append(replace(progress, samples=None, example=None))
            if training.seconds >= next_film or _nearly_over(training):
                training.sampling = True
            if time.monotonic() >= next_keep:
                shelf.put(job.key, _title(job, training), job.plan.checkpoint(training, data))
                between = min(2 * between, longest)
                next_keep = time.monotonic() + between
            while not self._abandoned(job) and not job.going.wait(LOOK_SECONDS):
                pass
            if self._abandoned(job):
                training.stopping = True
                return "It ended because its page was closed."
        if training.step and job.film[-1].step < training.step:
            samples = draw_samples(training), draw_samples(training, averaged=False)
            job.film.append(Moment(training.step, *samples))
        return "It was stopped." if job.stopped else "The budget is used up."

    def _keep(self, job: Job) -> None:
        job.steps = job.training.step if job.training is not None else 0
        if job.steps:
            job.checkpoint = job.plan.checkpoint(job.training, job.data)
            models.keep(job.key, _title(job, job.training), job.checkpoint)


def _title(job: Job, training: Training) -> str:
    return f"{job.plan.title}, step {training.step}"


def _nearly_over(training: Training) -> bool:
    """Whether the next step is likely the last, which one wants to see."""
    return training.seconds_left <= 1.5 * training.seconds / training.step


def _moment(training: Training, progress: Progress) -> Moment:
    example = progress.example
    believed = predict(
        training.config.target, example.output[None], training.schedule, example.x_t[None],
        example.t,
    )  # fmt: skip
    raw = draw_samples(training, averaged=False)
    return Moment(progress.step, progress.samples, raw, example, believed.eps[0])


def _forgotten() -> ImageData:
    raise ValueError("The pictures of a training that is over are not kept.")


def _seconds_left(job: Job) -> float:
    """What a job that runs still takes; its budget, as long as nothing can be told from it."""
    training = job.training
    return training.seconds_left if training is not None and training.step else _budget(job)


def _budget(job: Job) -> float:
    """The seconds that a job may take; a guess where it is given in steps."""
    config = job.plan.config
    return 60 * config.minutes if config.minutes else config.steps * 0.1


REGISTRY = Registry(current().jobs, current().waiting, current().grace)


def end_all(seconds: float) -> None:
    """End all trainings, and wait at most so long until what they learned is kept."""
    REGISTRY.close()
    REGISTRY.wait(seconds)
