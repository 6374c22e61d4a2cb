"""Keeps a line of HiGHS's debugging off standard output.

Some versions print it whatever the options say (github.com/jump-dev/HiGHS.jl, issue 312), from C: behind `sys.stdout`,
into whatever a verb of ours prints for another program to read.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_LINE = b"HighsMipSolverData::"


@contextmanager
def quiet() -> Iterator[None]:
    """Standard output without lines of that kind; any other line appears when the block ends."""
    library = ctypes.CDLL(None)
    library.fflush(None)
    try:
        output = os.dup(1)
    except OSError:  # closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 1)
        try:
            yield
        finally:
            library.fflush(None)
            os.dup2(output, 1)
            os.close(output)
            held.seek(0)
            for line in held:
                if not line.startswith(_LINE):
                    os.write(1, line)
