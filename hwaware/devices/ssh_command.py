"""One command over SSH: where it starts, what it prints, and that it dies when nobody waits for it."""

from __future__ import annotations

import re
import secrets
import select
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.devices.link import Completed, DeviceTimeoutError, OnLine
from hwaware.devices.output import MAX_LINE_BYTES, OutputCollector, one_line
from hwaware.devices.ssh_session import SshSession
from hwaware.devices.stop_script import STOP
from hwaware.errors import AgentError, DeviceError

if TYPE_CHECKING:
    from paramiko import Channel

_READ_BYTES = 1 << 16
_STOP_S = 10.0

# Says which process to stop, before becoming it. What a login shell's start-up files print comes before this
# line and is dropped. The process group is sshd's doing (a session for each channel), so it is told, not
# assumed.
_ANNOUNCE = """
group=0
{ read -r pid name state parent group rest </proc/$$/stat; } 2>/dev/null
printf '%s %s %s\\n' "$1" "$$" "$group"
shift
exec "$@"
"""


def run_command(
    session: SshSession,
    argv: Sequence[str],
    *,
    timeout: float,
    on_line: OnLine | None = None,
    stop_on_error: bool = True,
) -> Completed:
    """Run `argv` on the other side; see Link.run for the promises."""
    step = f"the command {one_line(Path(argv[0]).name)}"
    deadline = time.monotonic() + timeout
    nonce = secrets.token_hex(8)
    output = _Output(session.name, nonce, OutputCollector(session.name, on_line))
    command = shlex.join(["exec", "sh", "-c", _ANNOUNCE, "hwaware", nonce, *argv])
    with session.channel(step) as channel:
        try:
            session.execute(channel, command, step)
            channel.shutdown_write()
            if not _pump(channel, output, deadline):
                advice = "it was stopped there; try again when the device is idle"
                raise DeviceTimeoutError(session.name, step, timeout, advice)
            if not session.alive:
                raise session.lost(step)
            status = channel.recv_exit_status()
            stdout, stderr = output.finish(status)
        except BaseException as error:
            if stop_on_error:
                _stop(session, output, error)
            raise
    return Completed(tuple(argv), status, stdout, stderr)


class _Output:
    """The collector's input, from the announcement on; `process` is what was announced: pid and group."""

    def __init__(self, device: str, nonce: str, collector: OutputCollector) -> None:
        self.process: tuple[str, str] | None = None
        self._device = device
        self._announcement = re.compile(rb"%s ([0-9]{1,10}) ([0-9]{1,10})\n" % nonce.encode())
        self._before = bytearray()
        self._collector = collector

    def feed_stdout(self, data: bytes) -> None:
        if self.process is not None:
            self._collector.feed_stdout(data)
            return
        self._before += data
        found = self._announcement.search(self._before)
        if found:
            self.process = (found[1].decode(), found[2].decode())
            self._collector.feed_stdout(bytes(self._before[found.end() :]))
        elif len(self._before) > MAX_LINE_BYTES:
            raise AgentError(
                f"device {self._device}: its login shell prints without end before any command runs; "
                "correct the "
                "start-up files there"
            )

    def feed_stderr(self, data: bytes) -> None:
        self._collector.feed_stderr(data)

    def finish(self, status: int) -> tuple[str, str]:
        stdout, stderr = self._collector.finish()
        if self.process is None:
            said = one_line(self._before.decode(errors="replace") + " " + stderr) or "nothing"
            raise DeviceError(
                f"device {self._device}: its login shell did not run the command (exit {status}, it said: "
                f"{said}); "
                "hwaware needs an account with a POSIX shell"
            )
        return stdout, stderr


def _pump(channel: Channel, output: _Output, deadline: float) -> bool:
    """Drain both streams until the command has ended; False if `deadline` came first."""
    # Both streams share one flow-control window: reading only one of them would stall the other for ever.
    readable = channel.fileno()
    while time.monotonic() < deadline:
        # Asked before draining: what arrives after the end was seen cannot exist, what arrived before is
        # drained.
        ended = channel.eof_received or channel.closed
        drained = False
        while channel.recv_ready() and time.monotonic() < deadline:
            output.feed_stdout(channel.recv(_READ_BYTES))
            drained = True
            if channel.recv_stderr_ready():
                output.feed_stderr(channel.recv_stderr(_READ_BYTES))
        while channel.recv_stderr_ready() and time.monotonic() < deadline:
            output.feed_stderr(channel.recv_stderr(_READ_BYTES))
            drained = True
        if drained:
            continue
        if not ended:
            select.select([readable], [], [], min(1.0, max(0.0, deadline - time.monotonic())))
        elif channel.exit_status_ready():
            return True
        else:
            time.sleep(0.005)  # the end of output and the exit status are two messages
    return False


def _stop(session: SshSession, output: _Output, cause: BaseException) -> None:
    """Kill what was announced. Where that fails `cause` is told: its process may still run there."""
    if output.process is None or not session.alive:
        return
    try:
        stop = ["sh", "-c", STOP, "hwaware", *output.process]
        run_command(session, stop, timeout=_STOP_S, stop_on_error=False)
    except DeviceError as error:
        cause.add_note(f"process {output.process[0]} may still run on {session.name}: {error}")
