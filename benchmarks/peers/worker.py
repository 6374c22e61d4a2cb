"""The process in which one peer runs one model: `python -m benchmarks.peers.worker PEER`.

It reads one JSON object a line from stdin and answers each with one: `{"ok": true, ...}` or
`{"ok": false, "reason": ...}`.

| do | takes | answers |
|---|---|---|
| `convert` | `folder` | |
| `load` | `folder`, `setting`, `threads` | `memory_before`: resident bytes before, with the runtime imported |
| `check` | `inputs`, `outputs`: .npy files | runs once, writes the outputs |
| `sample` | `seconds`, `least` | `samples_ms`: each call, after a warm-up of a fifth of the time |
| `memory` | | most resident bytes: `peak_load` from loading to the first inference, `peak_run` since |
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.peers import memory
from benchmarks.peers.peer import Runner
from benchmarks.peers.registry import PEERS

MOST_SAMPLES = 20_000
_PR_SET_PDEATHSIG = 1


class Worker:
    """One peer's side of the protocol."""

    def __init__(self, peer: str) -> None:
        self._peer = PEERS[peer]
        self._runner: Runner | None = None
        self._peak_load = 0

    def convert(self, folder: str) -> dict[str, Any]:
        self._peer.convert(Path(folder))
        return {}

    def load(self, folder: str, setting: str, threads: int) -> dict[str, Any]:
        load = self._peer.start()
        memory.reset_peak()
        before = memory.resident()
        self._runner = load(Path(folder), setting, threads)
        return {"memory_before": before}

    def check(self, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
        runner = self._loaded()
        runner.feed([np.load(path) for path in inputs])
        runner.run()
        if not self._peak_load:
            self._peak_load = memory.peak()
            memory.reset_peak()
        for path, value in zip(outputs, runner.outputs(), strict=True):
            np.save(path, value)
        return {}

    def sample(self, seconds: float, least: int) -> dict[str, Any]:
        run = self._loaded().run
        end = time.perf_counter() + seconds / 5
        while time.perf_counter() < end:
            run()
        return {"samples_ms": _sample(run, seconds, least)}

    def memory(self) -> dict[str, Any]:
        return {"peak_load": self._peak_load, "peak_run": memory.peak()}

    def _loaded(self) -> Runner:
        if self._runner is None:
            raise RuntimeError("nothing is loaded")
        return self._runner


def _sample(run: Callable[[], None], seconds: float, least: int) -> list[float]:
    samples: list[float] = []
    now = time.perf_counter_ns
    end = now() + int(seconds * 1e9)
    last = start = now()
    while (last < end or len(samples) < least) and len(samples) < MOST_SAMPLES:
        start = now()
        run()
        last = now()
        samples.append((last - start) / 1e6)
    return samples


def serve(peer: str, requests: TextIO, answers: TextIO) -> None:
    """Answer each line of `requests` until they end."""
    worker = Worker(peer)
    for line in requests:
        message = json.loads(line)
        try:
            answer = {"ok": True, **getattr(worker, message.pop("do"))(**message)}
        except Exception as error:
            lines = str(error).strip().splitlines() or ["no message"]
            answer = {"ok": False, "reason": f"{type(error).__name__}: {lines[0][:300]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def die_with_parent() -> None:
    """Have Linux kill this process when its parent ends: one that is paused would never see its stdin close."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    # Runtimes print to stdout; the protocol keeps the real one to itself.
    private = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.argv[1], sys.stdin, private)
