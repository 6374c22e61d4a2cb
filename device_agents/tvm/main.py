"""The verbs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from device_agents.tvm import lines
from device_agents.tvm.bench import STDOUT, list_cells, run_bench
from device_agents.tvm.faults import Fault
from device_agents.tvm.info import info
from device_agents.tvm.options import Options, parse
from device_agents.tvm.run import run_model
from device_agents.tvm.worker import Ending, heed_signals


def main(argv: Sequence[str]) -> int:
    """Run a verb; the exit status. 1: an ``error`` line says why the call is impossible; 2: wrong usage."""
    options = parse(argv)
    heed_signals()
    try:
        return _VERBS[options.verb](options)
    except Fault as error:
        lines.error(STDOUT, error)
        return 1
    except BrokenPipeError:
        return 1  # nobody reads any more
    except Ending as ending:
        # All is undone: end as the signal would have had it.
        signal.signal(ending.number, signal.SIG_DFL)
        os.kill(os.getpid(), ending.number)
        return 128 + ending.number


def _info(_options: Options) -> int:
    lines.write(STDOUT, info())
    return 0


_VERBS: dict[str, Callable[[Options], int]] = {
    "info": _info,
    "cells": lambda _: list_cells(),
    "bench": run_bench,
    "run": run_model,
}
