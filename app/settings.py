"""What the person who starts the app may choose, read once from the environment.

This module imports nothing heavy: the launcher asks it for the port before Gradio and PyTorch
load, so that a mistake is answered at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

MOST_MODELS = 16  # of the Hub: each stays in memory

TEXTS = os.path.join(os.path.dirname(__file__), "texts")  # a folder a language


@dataclass(frozen=True)
class Settings:
    """One start of the app; the defaults suit a person at their own computer."""

    host: str = "127.0.0.1"  # GRADIO_SERVER_NAME: the address to listen on
    port: int = 7860  # PORT, else GRADIO_SERVER_PORT
    open_browser: bool = False  # UNNOISE_OPEN: `make run` sets it where there is a screen
    max_upload: str = "20mb"  # UNNOISE_MAX_UPLOAD: largest picture, in Gradio's notation
    max_T: int = 4000  # UNNOISE_MAX_T: longest schedule that a user may ask for
    run_cache: int = 64  # UNNOISE_RUN_CACHE: MiB of sampling runs that all users share
    train_seconds: int = 600  # UNNOISE_TRAIN_SECONDS: the longest training
    train_steps: int = 20_000  # UNNOISE_TRAIN_STEPS: the same in steps
    train_size: int = 64  # UNNOISE_TRAIN_SIZE: largest side of its pictures
    train_parameters: int = 8_000_000  # UNNOISE_TRAIN_PARAMETERS: of its network
    train_pictures: int = 5_000  # UNNOISE_TRAIN_PICTURES: most that may be uploaded as a zip
    jobs: int = 1  # UNNOISE_JOBS: trainings at once
    waiting: int = 8  # UNNOISE_WAITING: trainings that may wait for their turn
    grace: int = 120  # UNNOISE_GRACE: seconds that a training goes on without its page
    hub: bool = True  # UNNOISE_HUB: whether datasets of the Hugging Face Hub may be asked for
    queue_size: int = 1000  # UNNOISE_QUEUE: requests that may wait before new ones are turned away
    runs: int = 4  # UNNOISE_RUNS: requests that ask a network at once; they share its batches
    rate: int = 60  # UNNOISE_RATE: such requests a minute from one session; 0 for any number
    max_uploads: str = "2gb"  # UNNOISE_MAX_UPLOADS: all uploads of an hour together
    keep_hours: int = 24  # UNNOISE_KEEP_HOURS: for which people's own models stay on disk; 0: never
    keep_models: int = 64  # UNNOISE_KEEP_MODELS: most of them, the oldest goes first
    log: bool = False  # UNNOISE_LOG: one line of JSON for each event
    processes: bool = True  # UNNOISE_PROCESSES: networks and trainings in processes of their own
    device: str = ""  # UNNOISE_DEVICE: cuda, mps or cpu; without it, the best that is there
    models: tuple[str, ...] = ()  # UNNOISE_MODELS: checkpoints of the Hub to offer, by their ids
    language: str = "en"  # UNNOISE_LANGUAGE: a folder of app/texts
    zero_gpu: bool = False  # SPACES_ZERO_GPU: a Space whose GPU is lent for the time of an event

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """The settings of `env`; a variable that is missing or empty means the default.

        Raises ValueError with a sentence that names the variable, its value and what is valid.
        """
        # A Space serves other people's browsers, so there "only this computer" is no use.
        host = "0.0.0.0" if env.get("SPACE_ID") else cls.host
        # Gradio reads its own variable at import, so it must be valid even where PORT overrules it.
        port = _integer(env, "GRADIO_SERVER_PORT", cls.port, 1, 65_535)
        zero_gpu = env.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
        return cls(
            host=env.get("GRADIO_SERVER_NAME") or host,
            port=_integer(env, "PORT", port, 1, 65_535),
            open_browser=_integer(env, "UNNOISE_OPEN", 0, 0, 1) == 1,
            max_upload=_file_size(env, "UNNOISE_MAX_UPLOAD", cls.max_upload),
            # Not below 1000: that is the papers' T, with which every tab begins.
            language=_language(env, "UNNOISE_LANGUAGE", cls.language),
            max_T=_integer(env, "UNNOISE_MAX_T", cls.max_T, 1000, 1_000_000),
            run_cache=_integer(env, "UNNOISE_RUN_CACHE", cls.run_cache, 0, 1_000_000),
            train_seconds=_integer(env, "UNNOISE_TRAIN_SECONDS", cls.train_seconds, 1, 1_000_000),
            train_steps=_integer(env, "UNNOISE_TRAIN_STEPS", cls.train_steps, 1, 100_000_000),
            train_size=_integer(env, "UNNOISE_TRAIN_SIZE", cls.train_size, 16, 256),
            train_parameters=_integer(
                env, "UNNOISE_TRAIN_PARAMETERS", cls.train_parameters, 500_000, 200_000_000
            ),
            train_pictures=_integer(env, "UNNOISE_TRAIN_PICTURES", cls.train_pictures, 1, 100_000),
            jobs=_jobs(env, cls.jobs, zero_gpu),
            waiting=_integer(env, "UNNOISE_WAITING", cls.waiting, 0, 1000),
            grace=_integer(env, "UNNOISE_GRACE", cls.grace, 5, 86_400),
            # A Space is everybody's: what it downloads, it downloads for all.
            hub=_integer(env, "UNNOISE_HUB", 0 if env.get("SPACE_ID") else 1, 0, 1) == 1,
            queue_size=_integer(env, "UNNOISE_QUEUE", cls.queue_size, 1, 10_000),
            runs=_integer(env, "UNNOISE_RUNS", cls.runs, 1, 64),
            rate=_integer(env, "UNNOISE_RATE", cls.rate, 0, 100_000),
            max_uploads=_file_size(env, "UNNOISE_MAX_UPLOADS", cls.max_uploads),
            keep_hours=_integer(env, "UNNOISE_KEEP_HOURS", cls.keep_hours, 0, 100_000),
            keep_models=_integer(env, "UNNOISE_KEEP_MODELS", cls.keep_models, 1, 100_000),
            # A server's events are for its keeper; at one's own computer they are noise.
            log=_integer(env, "UNNOISE_LOG", 1 if env.get("SPACE_ID") else 0, 0, 1) == 1,
            processes=_processes(env, zero_gpu),
            device=_device(env, "UNNOISE_DEVICE"),
            models=_repositories(env, "UNNOISE_MODELS"),
            zero_gpu=zero_gpu,
        )


@cache
def current() -> Settings:
    """The settings of this process, read at the first call. Raises as `Settings.from_env`."""
    return Settings.from_env()


def bytes_of(size: str) -> int:
    """The bytes of a size in Gradio's notation, such as "20mb"."""
    number, unit = size[:-2], size[-2:]
    return int(number) << {"kb": 10, "mb": 20, "gb": 30}[unit]


def _language(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name, "").strip() or default
    known = sorted(entry.name for entry in os.scandir(TEXTS) if entry.is_dir())
    if text not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {text!r}.")
    return text


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    # Plain digits only: int() would also take "7_860" and digits of other scripts.
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, got {text!r}.")
    return int(text)


def _file_size(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name, "").strip().lower()
    if not text:
        return default
    if not re.fullmatch(r"0*[1-9][0-9]{0,5} ?(kb|mb|gb)", text):
        raise ValueError(f"{name} must be a size from 1kb to 999999gb like 20mb, got {text!r}.")
    return text


def _jobs(env: Mapping[str, str], default: int, zero_gpu: bool) -> int:
    jobs = _integer(env, "UNNOISE_JOBS", 0 if zero_gpu else default, 0, 64)
    if jobs and zero_gpu:
        raise ValueError(
            f"UNNOISE_JOBS must be 0 on ZeroGPU, which lends no GPU to a training, got '{jobs}'."
        )
    return jobs


def _processes(env: Mapping[str, str], zero_gpu: bool) -> bool:
    # From one process to the other a model of one's own travels by the disk.
    kept = _integer(env, "UNNOISE_KEEP_HOURS", Settings.keep_hours, 0, 100_000) > 0
    possible = kept and not zero_gpu
    chosen = _integer(env, "UNNOISE_PROCESSES", int(possible), 0, 1) == 1
    if chosen and not possible:
        why = "on ZeroGPU, which has its own" if zero_gpu else "where UNNOISE_KEEP_HOURS is 0"
        raise ValueError(f"UNNOISE_PROCESSES must be 0 {why}, got '1'.")
    return chosen


def _device(env: Mapping[str, str], name: str) -> str:
    text = env.get(name, "").strip().lower()
    if not re.fullmatch(r"(cuda(:[0-9]{1,2})?|mps|cpu)?", text):
        raise ValueError(f"{name} must be cuda, cuda:0, mps or cpu, got {text!r}.")
    return text


def _repositories(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    ids = [text for part in env.get(name, "").split(",") if (text := part.strip())]
    for text in ids:
        if not re.fullmatch(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", text, re.ASCII):
            raise ValueError(
                f"{name} must be ids of the Hugging Face Hub like owner/name, separated by "
                f"commas, got {text!r:.100}."
            )
    if len(ids) > MOST_MODELS:
        raise ValueError(f"{name} must name at most {MOST_MODELS} checkpoints, got {len(ids)}.")
    return tuple(dict.fromkeys(ids))
