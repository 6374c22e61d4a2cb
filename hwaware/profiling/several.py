"""Profiles of several devices at once: a process each, so that what goes wrong with one leaves the others alone.

A device that is this machine itself waits until the others are done: building for them would spoil its times.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from hwaware.compiler.workers import end_with_parent
from hwaware.devices.address import LocalAddress, parse_address
from hwaware.devices.inventory import Inventory
from hwaware.errors import HwawareError
from hwaware.profiling.request import Outcome, Request, run_request

_END_S = 30.0
_ENDING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Told:
    """Step `done` of `total` of the profile of `device`, and what it is."""

    device: str
    done: int
    total: int
    what: str


@dataclass(frozen=True)
class Failed:
    """Why a device has no finished table, in one line, and the command that goes on."""

    device: str
    reason: str
    again: str


@dataclass
class _Worker:
    request: Request
    process: SpawnProcess
    pipe: Connection
    connected: bool = False


def profile_several(requests: Sequence[Request], tell: Callable[[Told], None]) -> Iterator[list[Outcome] | Failed]:
    """Run `requests`, one a device, and hand out what became of each as it ends; `tell` hears of every step.

    One connects after the other, as each may ask for a password. On KeyboardInterrupt all are stopped; each keeps what
    it measured.
    """
    here = [request for request in requests if _is_here(request.device)]
    for batch in ([request for request in requests if request not in here], *([request] for request in here)):
        yield from _batch(batch, tell)


def _is_here(name: str) -> bool:
    return isinstance(parse_address(Inventory().find(name).url), LocalAddress)


def _batch(requests: Sequence[Request], tell: Callable[[Told], None]) -> Iterator[list[Outcome] | Failed]:
    waiting = list(requests)
    running: list[_Worker] = []
    with _stopped_at_the_end(running):
        while waiting or running:
            if waiting and all(worker.connected for worker in running):
                running.append(_start(waiting.pop(0)))
            for ready in wait([worker.pipe for worker in running]):
                worker = next(one for one in running if one.pipe is ready)
                heard = _heard(worker)
                if isinstance(heard, Told):
                    worker.connected = True
                    tell(heard)
                else:
                    running.remove(worker)
                    worker.process.join(_END_S)
                    worker.pipe.close()
                    yield heard


def _start(request: Request) -> _Worker:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(request, theirs), name=f"profile of {request.device}")
    # Not heard until it can handle it; what came meanwhile is heard then.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Worker(request, process, ours)


def _heard(worker: _Worker) -> Told | list[Outcome] | Failed:
    """What a worker says; one that was killed says nothing."""
    try:
        heard: Told | list[Outcome] | Failed = worker.pipe.recv()
    except EOFError:
        worker.process.join(_END_S)
        status = worker.process.exitcode
        return _failed(worker.request, f"its process ended with status {status} before it was done")
    return heard


def _failed(request: Request, reason: str) -> Failed:
    return Failed(request.device, reason, request.again())


@contextmanager
def _stopped_at_the_end(running: list[_Worker]) -> Iterator[None]:
    """Workers stop as on Ctrl-C: what they measured is kept, and their devices are left in order."""
    try:
        yield
    finally:
        for worker in running:
            if worker.process.is_alive() and worker.process.pid is not None:
                worker.process.terminate()
        for worker in running:
            worker.process.join(_END_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()


def _ignore(*_: object) -> None:
    """Nothing is to be done any more."""


def _interrupt(*_: object) -> None:
    """As Ctrl-C, once: the terminal and the parent both tell, and the second must not break the tidying up."""
    for number in _ENDING:
        signal.signal(number, _ignore)  # SIG_IGN would have Python complain of one that is on its way
    raise KeyboardInterrupt


def _work(request: Request, pipe: Connection) -> None:
    """The process of one device. SIGTERM ends it as Ctrl-C does."""
    end_with_parent()
    for number in _ENDING:
        signal.signal(number, _interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        result: list[Outcome] | Failed = run_request(
            request, lambda done, total, what: pipe.send(Told(request.device, done, total, what))
        )
    except HwawareError as error:
        result = _failed(request, " ".join(str(error).split()))
    except KeyboardInterrupt:
        sys.exit(1)
    pipe.send(result)
