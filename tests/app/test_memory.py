"""What the C library keeps of memory, in processes of their own."""

import os
import subprocess
import sys

import pytest

from app.memory import ARENAS
from tests.process import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")

MANY_THREADS = """
import ctypes, os, threading
from app.environment import prepare
prepare()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
barrier = threading.Barrier(16)
def take():
    barrier.wait()
    for _ in range(200):
        libc.malloc(ctypes.c_size_t(1000))  # without Python's lock: each thread at once
threads = [threading.Thread(target=take) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(os.environ["MALLOC_ARENA_MAX"], flush=True)
libc.fdopen.restype = ctypes.c_void_p
out = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fflush(ctypes.c_void_p(out))
"""

IN_PIECES = """
import ctypes, psutil
from app.memory import give_back
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
mine = psutil.Process()
def megabytes(): return mine.memory_info().rss / 1e6
blocks = [libc.malloc(ctypes.c_size_t(10_000)) for _ in range(10_000)]
for block in blocks: ctypes.memset(block, 1, 10_000)
for block in blocks[:-1]: libc.free(ctypes.c_void_p(block))  # the last one holds the others there
before = megabytes()
give_back()
print(before - megabytes())
"""


def output(code):
    kept = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=kept, capture_output=True, text=True, check=True
    ).stdout


def test_many_threads_share_few_arenas():
    for_others, _, found = output(MANY_THREADS).partition("\n")
    assert for_others == str(ARENAS)
    assert 1 <= found.count("<heap nr=") <= ARENAS


def test_what_lies_between_the_pieces_in_use_is_given_back():
    assert float(output(IN_PIECES)) > 80  # of 100 MB
