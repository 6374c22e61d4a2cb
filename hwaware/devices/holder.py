"""Who holds a lease: enough for another user to find them, and for this machine to see that they are gone."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

_MAX_WORD = 128


@dataclass(frozen=True)
class Holder:
    """A hwaware process. `machine` tells apart hosts, boots and containers; `started`: ticks after boot."""

    user: str
    host: str
    pid: int
    since: str
    machine: str
    started: int

    @classmethod
    def current(cls) -> Holder:
        """This process."""
        pid = os.getpid()
        return cls(
            user=_user(),
            host=socket.gethostname(),
            pid=pid,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=_machine(),
            started=_started(pid) or 0,
        )

    @classmethod
    def parse(cls, line: str) -> Holder:
        """The holder another process wrote down; what cannot be read is called unknown."""
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            document = None
        fields = document if isinstance(document, dict) else {}

        def word(name: str) -> str:
            value = fields.get(name)
            return (
                value if isinstance(value, str) and 0 < len(value) <= _MAX_WORD and value.isprintable() else "unknown"
            )

        def number(name: str) -> int:
            value = fields.get(name)
            return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0

        return cls(word("user"), word("host"), number("pid"), word("since"), word("machine"), number("started"))

    def as_json(self) -> str:
        """One line, for `parse`."""
        return json.dumps(asdict(self))

    def has_ended(self) -> bool:
        """True only if it ran on this very machine and certainly runs no more."""
        if self.machine in ("", "unknown") or self.machine != _machine() or self.pid == 0:
            return False
        return _started(self.pid) != self.started

    def is_this_process(self) -> bool:
        """Whether it is the one that asks."""
        return (self.machine, self.pid, self.started) == (_machine(), os.getpid(), _started(os.getpid()) or 0)

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (process {self.pid}) since {self.since}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # a container's user without a name


def _machine() -> str:
    """Boot and process-number space of this process; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """When process `pid` began, in clock ticks after boot: with it, a reused number is another process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold blanks and parentheses itself; field 22 is the 20th after it.
    return int(stat.rpartition(")")[2].split()[19])
