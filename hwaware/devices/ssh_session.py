"""Channels of one SSH connection, with a limit on every wait and paramiko's errors in our words."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.output import one_line
from hwaware.devices.ssh_connect import close_hops
from hwaware.devices.ssh_hop import OpenHop
from hwaware.devices.ssh_limits import Timeouts
from hwaware.errors import DeviceError

if TYPE_CHECKING:
    from paramiko import Channel

_AGAIN = "check the board's load, power and network, then run the same command again"


class SshSession:
    """A logged-in connection to the device `name`, the last of `hops`; several threads may use it at once."""

    def __init__(self, name: str, hops: Sequence[OpenHop], timeouts: Timeouts) -> None:
        self.name = name
        self.timeouts = timeouts
        self._hops = hops
        self._transport = hops[-1].transport

    @property
    def alive(self) -> bool:
        """Whether the connection still stands."""
        return self._transport.is_active()

    def close(self) -> None:
        """End the connection and all its channels."""
        close_hops(self._hops)

    @contextmanager
    def channel(self, step: str) -> Iterator[Channel]:
        """A new channel for `step`, closed at the end."""
        with self.translated(step, self.timeouts.channel):
            opened = self._transport.open_session(timeout=self.timeouts.channel)
        opened.settimeout(self.timeouts.transfer)
        try:
            yield opened
        finally:
            opened.close()

    def execute(self, channel: Channel, command: str, step: str) -> None:
        """Start `command`, already quoted, in the login shell of the other side."""
        with self.limited(channel, step, self.timeouts.channel):
            channel.exec_command(command.encode(errors="surrogateescape"))

    @contextmanager
    def limited(self, channel: Channel, step: str, seconds: float) -> Iterator[None]:
        """Bound waits that paramiko does not bound: past `seconds` the channel is closed, which ends them."""
        expired = threading.Event()

        def cut() -> None:
            expired.set()
            channel.close()

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            with self.translated(step, seconds):
                yield
                if expired.is_set():
                    raise TimeoutError
        except DeviceError as error:
            if expired.is_set() and not isinstance(error, DeviceTimeoutError):
                raise DeviceTimeoutError(self.name, step, seconds, _AGAIN) from error
            raise
        finally:
            timer.cancel()

    @contextmanager
    def translated(self, step: str, seconds: float) -> Iterator[None]:
        """Errors of paramiko and the socket inside, as DeviceError naming `step`; `seconds` was its limit."""
        import paramiko

        try:
            yield
        except (paramiko.SSHException, OSError, EOFError) as error:
            if not self.alive:
                raise self.lost(step) from error
            if isinstance(error, TimeoutError) or "timeout" in str(error).lower():
                raise DeviceTimeoutError(self.name, step, seconds, _AGAIN) from error
            reason = one_line(str(error)).rstrip(" :") or type(error).__name__
            raise DeviceError(f"device {self.name}: {step} failed: {reason}; {_AGAIN}") from error

    def lost(self, step: str) -> DeviceError:
        """The error of a connection that ended during `step`."""
        return DeviceError(f"device {self.name}: the connection was lost during {step}; {_AGAIN}")
