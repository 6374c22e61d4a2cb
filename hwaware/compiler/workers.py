"""Work in several processes that do not outlive the one that asked for it."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from joblib import Parallel, delayed

from hwaware.errors import BuildError

VARIABLE = "HWAWARE_JOBS"
_LOOK_S = 1.0


def processes() -> int:
    """How many processes may generate code: $HWAWARE_JOBS, otherwise one a core. Raises BuildError."""
    chosen = os.environ.get(VARIABLE)
    if chosen and not re.fullmatch(r"[1-9][0-9]{0,3}", chosen):
        raise BuildError(f"{VARIABLE}={chosen[:40]!r} is no number of processes; write for example {VARIABLE}=2")
    return int(chosen or len(os.sched_getaffinity(0)))


def in_processes(jobs: int, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """`function` of each of the `arguments`, in their order, in up to `jobs` processes that are kept for the next call.

    Raises what `function` raises.
    """
    # Begun with the worker, not with its first job: a parent killed before that has sent none, or half of one.
    watched = Parallel(n_jobs=jobs, initializer=_begin, initargs=(os.getpid(),))
    return list(watched(delayed(function)(*each) for each in arguments))


def _begin(parent: int) -> None:
    # A terminal's Ctrl-C goes to all: what it means is the parent's to decide, and workers end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch(parent)


def end_with_parent() -> None:
    """End this process when the one that started it is gone, whatever it does then."""
    _watch(os.getppid())


def _watch(parent: int) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when `parent` is gone: killed, it tells idle workers nothing, and they would stay a while."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)
