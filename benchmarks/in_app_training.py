"""Training in the app beside the command line, and what it does to everybody else's page.

    python -m benchmarks.in_app_training [--seconds 20] [--rounds 2]

The same digits, network and batch, in turns: a job of the running app, whose page asks for it
every second, and `python -m model.train` in a process of its own. Columns: pictures/s by the time
spent on steps, as both report it, and by the clock, in which the app also draws its film.

Then a light event, the API's `/schedule` with T = 10, asked for again and again with and without
a job under way: the app should answer nearly as soon.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as app.py sets it

from gradio_client import Client

from app import plans
from app.jobs import REGISTRY, Job
from app.pictures import built_in
from app.tabs.train import watch
from app.ui import build, launch_options
from benchmarks.command import table

NETWORK = ["--channels", "32", "64", "--bottleneck", "64", "--attention", "1"]
BATCH, LEARNING_RATE = 32, 3e-3
CALLS = 150


def job_of(seconds: float) -> Job:
    """A training of the app that has just begun."""
    plan = plans.make_plan(
        source=plans.DIGITS, base=plans.SCRATCH, picture=built_in("hopper"), files=None,
        archive=None, dataset="", size=16, grey=True, network="small", family="linear", T=1000,
        beta_start=1e-4, beta_end=0.02, target="v", batch=BATCH, learning_rate=LEARNING_RATE,
        budget=plans.SECONDS, amount=seconds, ema=0.999, label_dropout=0.1, seed=0,
    )  # fmt: skip
    return REGISTRY.start(plan, owner=f"benchmark {time.monotonic_ns()}")


def in_app(seconds: float) -> tuple[float, float]:
    """Pictures/s by steps and by the clock, while a page looks on."""
    start, job, frames = time.perf_counter(), job_of(seconds), 0
    while not job.over:
        shown = watch({"owner": "me", "job": job.key, "models": []}, frames)
        frames = shown[5] if isinstance(shown[5], tuple) else frames
        time.sleep(1)
    images = job.steps * BATCH
    return images / job.records[-1].seconds, images / (time.perf_counter() - start)


def command_line(seconds: float) -> float:
    """Pictures/s of `python -m model.train`, by steps."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "digits")
        command = [
            *(sys.executable, "-m", "model.train", "--data", "digits", "--out", str(out)),
            *NETWORK, "--pre-norm", "--zero-init", "--target", "v", "--batch", str(BATCH),
            "--learning-rate", str(LEARNING_RATE), "--minutes", str(seconds / 60),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        training = json.loads((out / "config.json").read_text())["training"]
    return training["images"] / training["seconds"]


def latencies(client: Client) -> list[float]:
    """Milliseconds of light events, one after the other."""
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        client.predict(T=10, api_name="/schedule")
        times.append(1000 * (time.perf_counter() - start))
        time.sleep(0.03)  # as people do: not without a pause
    return times


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    page = build().queue(api_open=False)
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    client = Client(address, verbose=False)
    latencies(client)  # warm

    rounds = [
        (*in_app(options.seconds), command_line(options.seconds)) for _ in range(options.rounds)
    ]
    by_steps, by_clock, alone = (statistics.median(column) for column in zip(*rounds, strict=True))
    rows = [
        ["command line", f"{alone:.0f}", "", "1.00 ×"],
        ["app", f"{by_steps:.0f}", f"{by_clock:.0f}", f"{by_steps / alone:.2f} ×"],
    ]
    print(table(["pictures/s", "by steps", "by the clock", "of the command line"], rows))

    idle = latencies(client)
    job = job_of(600)
    while not job.records:
        time.sleep(0.1)
    busy = latencies(client)
    REGISTRY.stop(job)
    rows = [
        ["idle", f"{statistics.median(idle):.0f} ms", f"{p95(idle):.0f} ms", "1.0 ×"],
        [
            "while training", f"{statistics.median(busy):.0f} ms", f"{p95(busy):.0f} ms",
            f"{p95(busy) / p95(idle):.1f} ×",
        ],
    ]  # fmt: skip
    print()
    print(table(["light event", "median", "p95", "p95 of idle"], rows))
    page.close(verbose=False)
    os._exit(0)


if __name__ == "__main__":
    main()
