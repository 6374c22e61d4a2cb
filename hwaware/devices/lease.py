"""One user a device at a time: two measurements at once would spoil each other.

The lease is a folder, ``CACHE/lease``, made by mkdir, which either makes it or fails. In it: ``token``
(whose), ``holder`` (JSON for the message to others), ``heartbeat`` (boot id and uptime of the device, renewed
every 10 s; the uptime, because a board's clock jumps when it first hears the time). A lease is stale, and
taken over, if its heartbeat is 60 s old or from before the device's last boot, or if its holder ran on this
machine and has ended, or is this very process and does not hold it any more. Different logins on one board
have different caches and do not see each other's leases.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hwaware.devices.holder import Holder
from hwaware.devices.lease_scripts import ACQUIRE, HEARTBEAT, RELEASE, TAKE_OVER
from hwaware.devices.link import Completed, Link
from hwaware.devices.output import one_line
from hwaware.errors import AgentError, DeviceBusyError, DeviceError

HEARTBEAT_S = 10.0
STALE_S = 60.0
_POLL_S = 1.0
_SCRIPT_S = 30.0
_TRIES = 20
# Tokens of leases that this process holds: one that it lost with a link is nobody's.
_OURS: set[str] = set()
_SECONDS = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class _Held:
    """What a refused acquisition found; all of it was written by others."""

    now: str
    heartbeat: str
    old: bool
    token: str
    holder: str

    def stale(self) -> bool:
        holder = Holder.parse(self.holder)
        if holder.has_ended() or (holder.is_this_process() and self.token not in _OURS):
            return True
        boot, _, uptime = self.heartbeat.partition(" ")
        now_boot, _, now_uptime = self.now.partition(" ")
        if not (_SECONDS.fullmatch(uptime) and _SECONDS.fullmatch(now_uptime)):
            return self.old
        return boot != now_boot or int(now_uptime) - int(uptime) > STALE_S


class Lease:
    """A lease that is held; `token` tells it from others, `work` is a folder on the device that goes with it."""

    def __init__(self, link: Link, cache: str, token: str) -> None:
        self.work = f"{cache}/work-{token}"
        self.token = token
        self._link = link
        self._cache = cache
        self._lost: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of {link.name}", daemon=True)

    def check(self) -> None:
        """Raise DeviceError if the lease has been lost, so that nothing is measured beside another user."""
        if self._lost is not None:
            raise DeviceError(
                f"device {self._link.name}: the lease was lost ({self._lost}); run the same command again"
            )

    def start(self) -> None:
        """Begin the heartbeat."""
        self._thread.start()

    def stop(self) -> None:
        """End the heartbeat and give the device back."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_SCRIPT_S)
        _run(self._link, RELEASE, self._cache, self.token)

    def _beat(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(HEARTBEAT_S):
            try:
                answer = _run(self._link, HEARTBEAT, self._cache, self.token).stdout.strip()
            except DeviceError as error:
                # One slow answer is no loss; a minute of them is what others take for death.
                if time.monotonic() - renewed > STALE_S:
                    self._lost = f"no heartbeat reached the device for {STALE_S:g} s: {error}"
                    return
                continue
            if answer == "lost":
                self._lost = "another user took it over"
                return
            renewed = time.monotonic()


@contextmanager
def leased(link: Link, cache: str, wait: float, on_wait: Callable[[str], None] | None = None) -> Iterator[Lease]:
    """Hold the device; waits up to `wait` seconds, then raises DeviceBusyError naming the holder.

    `on_wait` is told once, in words, whom one waits for.
    """
    token = secrets.token_hex(16)
    lease = Lease(link, cache, token)
    _OURS.add(token)
    try:
        _acquire(link, cache, token, wait, on_wait)
        lease.start()
        yield lease
        lease.check()
    except BaseException as error:
        # Also after an interrupted acquisition, which may have succeeded on the device.
        try:
            lease.stop()
        except DeviceError as failure:
            error.add_note(f"the lease of {link.name} expires by itself within {STALE_S:g} s: {failure}")
        raise
    else:
        lease.stop()
    finally:
        _OURS.discard(token)


def _acquire(link: Link, cache: str, token: str, wait: float, on_wait: Callable[[str], None] | None) -> None:
    deadline = time.monotonic() + wait
    me = Holder.current().as_json()
    tries = 0
    while True:
        kind, *lines = _run(link, ACQUIRE, cache, token, me).stdout.split("\n")
        if kind == "acquired":
            return
        if kind == "refused":
            tries += 1  # released between our two looks at it, unless it repeats
            if tries > _TRIES:
                raise DeviceError(f"device {link.name}: cannot make {cache}/lease: {one_line(' '.join(lines))}")
            continue
        if kind != "held" or len(lines) < 5:
            raise AgentError(f"device {link.name}: taking the lease answered {one_line(kind)!r}")
        held = _Held(lines[0], lines[1], lines[2] == "old", lines[3], lines[4])
        if tries < _TRIES and held.stale():
            tries += 1  # another one may be taking it over this instant
            _run(link, TAKE_OVER, cache, held.token, held.heartbeat, token)
            continue
        busy = f"device {link.name} is in use by {Holder.parse(held.holder)}"
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise DeviceBusyError(f"{busy}; try again when that has ended")
        if on_wait is not None:
            on_wait(f"{busy}; waiting up to {remaining:.0f} s")
            on_wait = None
        time.sleep(min(_POLL_S, remaining))


def _run(link: Link, script: str, *words: str) -> Completed:
    done = link.run(["sh", "-c", script, "hwaware", *words], timeout=_SCRIPT_S)
    if done.returncode != 0:
        reason = one_line(done.stderr) or f"exit {done.returncode}"
        raise DeviceError(f"device {link.name}: cannot take or keep the lease: {reason}")
    return done
