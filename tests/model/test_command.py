"""``python -m model.train``: as a process of its own, interrupted, resumed, and as two."""

import errno
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image

from model import command, files, options
from model.average import MEAN, average_pictures
from model.checkpoint import CARD, CONFIG, WEIGHTS, load_checkpoint
from model.command import main
from model.data import load_data
from model.resume import STATE, read_settings
from model.train import train
from model.training import new_network
from tests.model.tiny import parts, same

ROOT = Path(__file__).parents[2]
TINY = ["--data", "digits", "--size", "8", "--channels", "8", "16", "--bottleneck", "16"]
TINY += ["--attention", "1", "--heads", "2", "--batch", "8", "--warmup", "5", "--no-bf16"]
STEPS = ["--steps", "100"]
PATIENCE = 300  # seconds for a process, however busy the machine


def environment(**changes):
    """One thread each, and nothing that would change what Accelerate does."""
    ours = ("ACCELERATE_", "RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "OMP_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"} | changes


def launched(*words, start=("-m", "model.train"), **changes):
    return subprocess.Popen(
        [sys.executable, *start, *map(str, words)],
        cwd=ROOT,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    """Its exit code and what it said."""
    try:
        out, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert out == ""
    return process.returncode, errors


def state(folder):
    return safetensors.torch.load_file(folder / STATE)


def step_of(folder):
    return int(state(folder)["step.blocks.output.bias"])


def wait_for(path, *processes):
    until = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > until or any(process.poll() is not None for process in processes):
            for process in processes:
                process.kill()
            pytest.fail(f"no {path.name}: {[process.communicate()[1] for process in processes]}")
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training from beginning to end, in a process of its own."""
    folder = tmp_path_factory.mktemp("trainings") / "whole"
    process = launched(
        *TINY, *STEPS, "--out", folder, "--sample-every", 50, "--sample-steps", 3, "--samples", 5
    )
    code, errors = finished(process)
    assert code == 0, errors
    return folder


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The same training, stopped by SIGTERM on its way: folder, exit code, what it said, step."""
    folder = tmp_path_factory.mktemp("trainings") / "interrupted"
    process = launched(*TINY, *STEPS, "--out", folder, "--save-minutes", 0)
    wait_for(folder / CONFIG, process)
    process.send_signal(signal.SIGTERM)
    code, errors = finished(process)
    return folder, code, errors, step_of(folder)


# -- as a process of its own ---------------------------------------------------------------------


def test_a_training_leaves_a_checkpoint_and_a_picture(whole):
    names = {CONFIG, WEIGHTS, CARD, MEAN, STATE, "samples.png"}
    assert {path.name for path in whole.iterdir()} == names
    checkpoint = load_checkpoint(whole)
    assert checkpoint.shape == (1, 8, 8)
    assert checkpoint.config.classes == tuple("0123456789")
    assert checkpoint.config.training["images"] == 800
    mean, _ = average_pictures(load_data("digits", size=8))
    assert torch.equal(checkpoint.mean, mean.half().float())
    for name, weight in checkpoint.net.state_dict().items():
        assert torch.equal(weight, state(whole)[f"ema.{name}"].half().float())
    with Image.open(whole / "samples.png") as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (24, 16))
        assert picture.crop((16, 8, 24, 16)).getextrema() == (0, 0)  # of five, the sixth is empty
        assert picture.crop((0, 0, 8, 8)).getextrema() != (0, 0)


def test_sigterm_ends_it_after_the_step_under_way_and_saves(interrupted):
    folder, code, errors, step = interrupted
    assert code == 128 + signal.SIGTERM
    assert 0 < step < 100
    last = errors.strip().splitlines()[-1]
    assert (
        last == f"Stopped by SIGTERM after step {step}; --out {folder} --resume goes on from there."
    )
    assert load_checkpoint(folder).config.training["images"] == 8 * step
    assert not list(folder.glob(".*"))


def test_a_resumed_training_ends_as_the_uninterrupted_one_bit_for_bit(whole, interrupted):
    folder, *_ = interrupted
    code, errors = finished(launched("--out", folder, "--resume"))
    assert code == 0, errors
    assert same(state(folder), state(whole))
    assert (folder / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_two_processes_train_as_one_does_and_stop_as_one(tmp_path, monkeypatch):
    words = [*TINY, "--steps", "500", "--report-every", "1000", "--flip", "--label-dropout", "0.3"]
    words += ["--sample-every", "3", "--samples", "1", "--sample-steps", "1"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    ours = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    pair = [  # as torchrun starts them
        launched(*words, "--out", tmp_path / "two", **ours, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank in range(2)
    ]
    wait_for(tmp_path / "two" / "samples.png", *pair)
    pair[1].send_signal(signal.SIGTERM)  # one alone is told to stop
    (code, errors), (other_code, other_errors) = map(finished, pair)
    assert (code, other_code) == (0, 143), errors + other_errors
    assert "loss" in errors
    assert other_errors == ""  # one alone speaks and saves
    step = step_of(tmp_path / "two")

    def train_to_there(training, *rest):
        def stop(*_):
            training.stopping = training.step == step - 1

        training.net.register_forward_hook(stop)
        return train(training, *rest)

    monkeypatch.setattr(command, "train", train_to_there)
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    assert one.keys() == two.keys()
    assert torch.equal(one["generator"], two["generator"])
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4, msg=name)
    start = parts(new_network(load_checkpoint(tmp_path / "one").config.network, seed=0))
    moved = [(one[f"net.{name}"] - start[name]).abs().max() for name in start]
    assert min(moved) > 5e-4  # more than they may differ by


# -- what it refuses -----------------------------------------------------------------------------


def refused(capsys, *words):
    """The sentence for words that start no training."""
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    sentence = said.err.strip()
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data", "digits"], "the budget is either steps or minutes: give one of them"),
        (
            ["--data", "digits", "--steps", "2", "--minutes", "1"],
            "the budget is either steps or minutes: give one of them",
        ),
        (["--steps", "2"], "say what to train on: --data digits, for example"),
        (["--data", "nonsense", "--steps", "2"], "there is no data set 'nonsense'"),
        (["--data", "digits", "--steps", "0"], "steps must be in 1 … 1,000,000,000, got 0"),
        ([*TINY, "--steps", "2", "--heads", "3"], "heads must divide the channels"),
        ([*TINY, "--steps", "2", "--size", "9"], "halvings need a side that 2 divides"),
        ([*TINY, "--steps", "2", "--T", "0"], "T must be an integer in 1 … 1,000,000, got 0"),
        (
            [*TINY, "--steps", "2", "--schedule", "cosine", "--beta-end", "0.1"],
            "the schedule 'cosine' cannot be made of T, beta_end",
        ),
    ],
)
def test_what_starts_no_training_is_one_sentence(tmp_path, capsys, words, says):
    assert says in refused(capsys, *words, "--out", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "the following arguments are required: --out"),
        (["--out", "x", "--target", "noise"], "argument --target: invalid choice: 'noise'"),
        (["--out", "x", "--schedule", "warp"], "argument --schedule: invalid choice: 'warp'"),
        (["--out", "x", "--steps", "many"], "argument --steps: invalid int value: 'many'"),
        (["--out", "x", "--image-channels", "2"], "argument --image-channels: invalid choice: 2"),
    ],
)
def test_what_is_no_command_is_told_by_the_parser(capsys, words, says):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_help_shows_every_setting_with_its_default(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in options.DEFAULTS:
        assert "--" + name.replace("_", "-") in text
    assert "highest learning rate (default: 0.001)" in text
    assert "channels of each level, the image's own first (default: 32 64 128)" in text


def test_a_folder_that_holds_a_training_is_not_overwritten(whole, capsys):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    sentence = refused(capsys, *TINY, "--steps", 2, "--out", whole)
    assert sentence == (
        f"{whole} already holds a training: add --resume to go on with it, or name another folder"
    )
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        ["--learning-rate", "0.1"],
        ["--channels", "8", "32"],
        ["--bf16"],
        ["--pre-norm"],
        ["--T", "9"],
    ],
)
def test_a_training_that_goes_on_keeps_its_settings(whole, capsys, words):
    sentence = refused(capsys, "--out", whole, "--resume", *words)
    option = words[0]
    assert sentence == f"a training that goes on keeps its settings: leave out {option}"


def test_the_settings_it_has_may_be_repeated(whole, capsys):
    assert main([*TINY, *STEPS, "--out", str(whole), "--resume"]) == 0  # nothing is left to do


def test_nothing_to_resume_is_one_sentence(tmp_path, capsys):
    sentence = refused(capsys, "--out", tmp_path / "none", "--resume")
    assert sentence.startswith("there is no training to go on with: ")
    (tmp_path / STATE).write_bytes(b"rubbish")
    assert "is damaged" in refused(capsys, "--out", tmp_path, "--resume")


# -- in this process -----------------------------------------------------------------------------


def run(folder, *words):
    assert main([*TINY, "--out", str(folder), *map(str, words)]) == 0
    return read_settings(folder)


def test_a_larger_budget_goes_on(tmp_path):
    run(tmp_path, "--steps", 3)
    assert main(["--out", str(tmp_path), "--resume", "--steps", "5"]) == 0
    assert step_of(tmp_path) == 5
    assert main(["--out", str(tmp_path), "--resume", "--minutes", "0.001"]) == 0
    assert (read_settings(tmp_path)["steps"], read_settings(tmp_path)["minutes"]) == (None, 0.001)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", "many"),
        ("steps", 2.5),
        ("steps", True),
        ("minutes", [1]),
        ("channels", "8 16"),
        ("channels", [8, "16"]),
        ("batch", None),
        ("learning_rate", {}),
        ("flip", 1),
        ("bf16", "yes"),
        ("schedule", 3),
        ("size", 8.0),
        ("data", None),
        ("colour", "red"),
    ],
)
def test_a_state_with_settings_of_the_wrong_kind_is_one_sentence(tmp_path, capsys, name, value):
    run(tmp_path, "--steps", 1)
    capsys.readouterr()  # the bar
    tensors = safetensors.torch.load_file(tmp_path / STATE)
    with safetensors.safe_open(tmp_path / STATE, framework="pt") as file:
        counters = json.loads(file.metadata()["training"])
    counters["settings"][name] = value
    safetensors.torch.save_file(tensors, tmp_path / STATE, {"training": json.dumps(counters)})
    sentence = refused(capsys, "--out", tmp_path, "--resume", "--minutes", "0.001")
    assert f"its setting {name!r} cannot be {value!r}" in sentence


def test_pictures_are_jittered_on_demand(tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(
        command, "train", lambda training, data, _: seen.append(data.jitter) or iter(())
    )
    run_out = [*TINY, "--out", str(tmp_path / "a"), "--steps", "1", "--jitter", "0.5"]
    assert main(run_out) == 0
    assert seen == [0.5]
    capsys.readouterr()
    assert "jitter must lie in [0, 1], got 2.0" in refused(
        capsys, *TINY, "--out", tmp_path / "b", "--steps", "1", "--jitter", "2"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--steps", 1],
        ["--steps", 1, "--target", "v", "--schedule", "cosine", "--T", 50, "--learning-rate", 3e-5],
        [
            "--steps",
            1,
            "--beta-start",
            1e-5,
            "--beta-end",
            0.05,
            "--rescale",
            "--flip",
            "--seed",
            9,
        ],
        ["--steps", 1, "--label", "", "--pre-norm", "--zero-init", "--groups", 2, "--attention"],
        ["--steps", 1, "--jitter", 0.25],
        ["--minutes", 0.001, "--split", "test", "--image-channels", 3, "--ema", 0.5],
    ],
    ids=lambda words: " ".join(map(str, words[2:]))[:40],
)
def test_the_recorded_command_trains_the_same_anew(tmp_path, words):
    first = tmp_path / "it's here"
    settings = run(first, *words)
    recorded = load_checkpoint(first).config.training["command"]
    python, flag, module, *rest = shlex.split(recorded)
    assert (python, flag, module) == ("python", "-m", "model.train")
    assert rest[rest.index("--out") + 1] == str(first)
    rest[rest.index("--out") + 1] = str(tmp_path / "again")
    again = options.settings_of(rest)
    restored = {k: list(v) if isinstance(v, tuple) else v for k, v in again.items()}
    assert restored == settings | {"out": str(tmp_path / "again")}
    assert recorded in (first / CARD).read_text()


def test_the_label_may_be_left_out(tmp_path):
    run(tmp_path, "--steps", 1, "--label", "")
    assert load_checkpoint(tmp_path).config.classes == ()


def test_a_divergence_is_one_sentence_and_keeps_the_good_weights(tmp_path, capsys):
    words = [*TINY, "--steps", "200", "--learning-rate", "1e5", "--warmup", "0"]
    assert main([*words, "--out", str(tmp_path)]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("training diverged: the loss was ")
    assert "the weights of step 0;" in last
    assert list(tmp_path.iterdir()) == []  # there was nothing good yet


def test_a_full_disk_does_not_end_a_training(tmp_path, capsys, monkeypatch):
    write, tries = files.write_whole, []

    def full_at_first(path, content):
        tries.append(path.name)
        if len(tries) <= 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    for module in ("command", "resume", "checkpoint"):
        monkeypatch.setattr(f"model.{module}.write_whole", full_at_first)
    words = ["--steps", 4, "--save-minutes", 0, "--sample-every", 2, "--sample-steps", 1]
    run(tmp_path, *words)
    said = capsys.readouterr().err
    assert said.count("Could not save, the last saved state is kept: [Errno 28] No space left") == 5
    assert tries[:6] == [STATE, "samples.png", STATE, STATE, "samples.png", STATE]
    assert load_checkpoint(tmp_path).config.training["images"] == 32


def test_a_disk_that_stays_full_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main([*TINY, "--steps", "1", "--out", str(tmp_path / "file" / "below")]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "file" in last
    assert "Errno" in last


def test_signals_are_as_they_were_afterwards(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run(tmp_path, "--steps", 1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_ends_it_at_once(tmp_path, monkeypatch, capsys):
    def impatient(training, data, accelerator):
        yield from ()
        assert not training.stopping
        signal.raise_signal(signal.SIGINT)
        assert training.stopping
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    monkeypatch.setattr(command, "train", impatient)
    assert main([*TINY, "--steps", "3", "--out", str(tmp_path)]) == 128 + signal.SIGINT


def test_digits_are_what_is_trained_on(whole):
    assert load_checkpoint(whole).config.network.classes == len(load_data("digits").classes)
