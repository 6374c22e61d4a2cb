"""The parent's side of a worker: start it, ask it, and keep it from using the processor while others are measured."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np


class PeerError(Exception):
    """A peer cannot convert or run a model; the message is the reason, one line."""


class Client:
    """A worker process on the first `threads` of this process's processors. A context manager that ends it."""

    worker: ClassVar[str] = "benchmarks.peers.worker"  # the module that is run

    def __init__(self, peer: str, threads: int) -> None:
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        command = ["taskset", "-c", ",".join(map(str, cpus)), sys.executable, "-m", self.worker, peer]
        self._threads = threads
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Kill the process; a second call does nothing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def convert(self, folder: Path) -> None:
        """Write the runtime's own files into the model's folder."""
        self._ask("convert", folder=str(folder))

    def load(self, folder: Path, setting: str) -> int:
        """Load the model; the resident bytes before that."""
        return int(self._ask("load", folder=str(folder), setting=setting, threads=self._threads)["memory_before"])

    def check(self, inputs: Sequence[np.ndarray], count: int, folder: Path) -> list[np.ndarray]:
        """The model's `count` outputs for `inputs`; `folder` is for the files between the processes."""
        given = [str(folder / f"given{index}.npy") for index in range(len(inputs))]
        results = [str(folder / f"result{index}.npy") for index in range(count)]
        for path, value in zip(given, inputs, strict=True):
            np.save(path, value)
        self._ask("check", inputs=given, outputs=results)
        return [np.load(path) for path in results]

    def sample(self, seconds: float, least: int) -> list[float]:
        """Milliseconds of each call."""
        return list(self._ask("sample", seconds=seconds, least=least)["samples_ms"])

    def memory(self) -> tuple[int, int]:
        """Most resident bytes until the first inference, and since."""
        answer = self._ask("memory")
        return int(answer["peak_load"]), int(answer["peak_run"])

    def pause(self) -> None:
        """Stop the process: threads of its pools that spin while they wait would disturb the others."""
        self._process.send_signal(signal.SIGSTOP)

    def _ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps({"do": verb, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"its process ended with status {self._process.wait()} at {verb!r}")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise PeerError(str(answer["reason"]))
        return answer
