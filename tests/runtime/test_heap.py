"""Large blocks stay out of the heap, however many were freed before."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BLOCK = 4 * 1024 * 1024

PROGRAM = f"""
import ctypes
from app.runtime.heap import give_back_large

class Heap(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

library = ctypes.CDLL(None)
library.mallinfo2.restype = Heap
if SETTLED:
    assert give_back_large()
bytes(2 * {BLOCK})  # freed at once: glibc learns that such blocks come and go
before = library.mallinfo2().hblkhd
block = bytes({BLOCK})
print(library.mallinfo2().hblkhd - before)
"""


def mapped(*, settled: bool) -> int:
    """Return how many bytes of a large block stand outside the heap, in a process of its own."""
    program = PROGRAM.replace("SETTLED", str(settled))
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has such a limit")
def test_a_large_block_is_given_back_whatever_was_freed_before() -> None:
    assert mapped(settled=False) == 0
    assert mapped(settled=True) >= BLOCK
