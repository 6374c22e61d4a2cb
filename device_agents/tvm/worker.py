"""The child process that measures: a crash, a time-out or a GPU that is lost end the child and not the agent."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from device_agents.tvm import lines
from device_agents.tvm.children import die_with
from device_agents.tvm.faults import Fault

_CHUNK = 1 << 16
_MOST_BYTES = 256 << 20
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALS: dict[int, str] = {
    signal.SIGILL: "SIGILL (illegal instruction)",
    signal.SIGSEGV: "SIGSEGV (segmentation fault)",
    signal.SIGBUS: "SIGBUS (bus error)",
    signal.SIGFPE: "SIGFPE (arithmetic error)",
    signal.SIGABRT: "SIGABRT (aborted)",
    signal.SIGKILL: "SIGKILL (killed from outside, most often because memory ran out)",
    signal.SIGTERM: "SIGTERM (ended from outside)",
}


class Ending(Exception):
    """The agent was told to end, by this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def heed_signals() -> None:
    """Turn the signals that end the agent into `Ending`, so that everything is undone first."""
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _end)


def _end(number: int, _frame: object) -> NoReturn:
    raise Ending(number)


class Gone(Exception):
    """The child has ended; the text says how."""


Receive = Callable[[], "Mapping[str, Any] | None"]  # the next request, None after the last
Send = Callable[[Mapping[str, object]], None]


class Worker:
    """A child that runs `serve` of a function that gives it requests, and one that takes its lines."""

    def __init__(self, serve: Callable[[Receive, Send], None], prepare: Callable[[], None]) -> None:
        """`prepare` is run in the child before all else."""
        parent = os.getpid()
        asked, self._ask = os.pipe()
        self._told, tell = os.pipe()
        self._buffer = b""
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._ask)
            os.close(self._told)
            _serve(parent, prepare, serve, asked, tell)
        os.close(asked)
        os.close(tell)

    def request(self, document: Mapping[str, object]) -> None:
        """Ask for something. Raises Gone."""
        try:
            lines.write(self._ask, document)
        except OSError:
            self._raise_gone()

    def line(self, timeout_ms: int) -> bytes:
        """The next whole line. Raises Gone where the child ended before, or takes longer than that."""
        deadline = time.monotonic() + timeout_ms / 1000
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            readable = select.select([self._told], [], [], max(0.0, left))[0]
            if not readable:
                self.end()
                raise Gone(f"timed out after {timeout_ms} ms")
            chunk = os.read(self._told, _CHUNK)
            if not chunk:
                self._raise_gone()
            self._buffer += chunk
            if len(self._buffer) > _MOST_BYTES:
                self.end()
                raise Gone("out of memory")
        found, _, self._buffer = self._buffer.partition(b"\n")
        return found + b"\n"

    def end(self) -> None:
        """Kill it, if it is still there."""
        if self._pid > 0:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._reap()

    def _raise_gone(self) -> NoReturn:
        status = self._reap()
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            raise Gone(f"signal {_SIGNALS.get(number, str(number))}")
        raise Gone(f"exit {os.WEXITSTATUS(status)}")

    def _reap(self) -> int:
        """How it ended; its pipes are closed."""
        if self._pid <= 0:
            return 0
        for descriptor in (self._ask, self._told):
            os.close(descriptor)
        pid, self._pid = self._pid, 0
        return os.waitpid(pid, 0)[1]


def _serve(
    parent: int, prepare: Callable[[], None], serve: Callable[[Receive, Send], None], asked: int, tell: int
) -> NoReturn:
    """The child: what it prints by accident goes to stderr, the agent's stdout is for the parent's lines alone."""
    status = 1
    try:
        die_with(parent)
        for number in _ENDINGS:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(2, 1)
        prepare()
        with os.fdopen(asked, "rb") as requests:
            serve(lambda: _next(requests.readline()), lambda document: lines.write(tell, document))
        status = 0
    except (Fault, OSError, MemoryError) as error:
        with suppress(OSError):
            lines.error(tell, str(error) or "out of memory")
    except Exception:
        traceback.print_exc()  # a defect of the agent: its last words go to stderr
    finally:
        os._exit(status)


def _next(line: bytes) -> Mapping[str, Any] | None:
    if not line:
        return None
    request: Mapping[str, Any] = json.loads(line)
    return request
