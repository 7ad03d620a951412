"""The measurement of a GPU, tried out without one: it runs to its end and says what is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
NO_GPU = not (torch.cuda.is_available() or torch.backends.mps.is_available())
SMALL = [
    "--name",
    "digits",
    "--rounds",
    "1",
    "--images",
    "1",
    "2",
    "--steps",
    "3",
    "--batch",
    "2",
    "--train-steps",
    "21",
]


def measured(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "There is no GPU here that PyTorch can use: --device cpu tries this out without one."),
        (["--device", "cuda"], "the device must be cpu here, got 'cuda'."),
    ],
)
def test_without_a_gpu_it_is_one_sentence(arguments, sentence):
    result = measured(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == sentence + "\n"


def test_a_processor_draws_its_own_pictures_to_the_last_bit():
    result = measured("--device", "cpu", *SMALL)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    exact = [line for line in lines if re.match(r"float32 +[12] ", line)]
    assert len(exact) == 2
    assert all(re.search(r" ms +1\.00 × +0\.000$", line) for line in exact)
    rough = [line for line in lines if re.match(r"bfloat16 +[12] ", line)]
    assert len(rough) == 2
    assert all(float(line.split()[-1]) > 0.01 for line in rough)  # so it is not the same pass
    paces = [line for line in lines if re.match(r"(float32|bfloat16)(, a record.*)? +\d+ +", line)]
    assert len([line for line in paces if line.endswith("×")]) == 4
    assert lines[-1] == "losses differ from the CPU's by 0.0e+00 at most"
