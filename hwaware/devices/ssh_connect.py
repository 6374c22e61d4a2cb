"""Opening an SSH connection, hop by hop: every step has a time limit and every failure says what to do about it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.devices.host_keys import changed_key, trusted_key, unknown_key
from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.output import one_line
from hwaware.devices.ssh_dial import dial
from hwaware.devices.ssh_hop import OpenHop, SshHop
from hwaware.devices.ssh_limits import KEEPALIVE_S, Timeouts
from hwaware.devices.ssh_login import Login
from hwaware.devices.ssh_questions import Ask
from hwaware.devices.ssh_refusals import broken_login, refused_login
from hwaware.errors import DeviceError

if TYPE_CHECKING:
    from paramiko import PKey, Transport


def connect(
    device: str, route: Sequence[SshHop], known_hosts: Path, ask: Ask | None, timeouts: Timeouts
) -> list[OpenHop]:
    """Log in to each server of `route` through the one before. Raises HostKeyError or another DeviceError."""
    opened: list[OpenHop] = []
    try:
        for hop in route:
            opened.append(open_hop(device, hop, opened[-1] if opened else None, known_hosts, ask, timeouts))
    except BaseException:
        close_hops(opened)
        raise
    return opened


def close_hops(opened: Sequence[OpenHop]) -> None:
    """End the connections, the last one first."""
    for one in reversed(opened):
        one.transport.close()


def open_hop(
    device: str, hop: SshHop, previous: OpenHop | None, known_hosts: Path, ask: Ask | None, timeouts: Timeouts
) -> OpenHop:
    """Log in to `hop`, through `previous` if there is one; see connect. `ask` answers what keys do not."""
    import paramiko

    known = trusted_key(known_hosts, hop.key_name)
    transport = _greeted(device, hop, previous, timeouts, known)
    try:
        key = transport.get_remote_server_key()
        if known is None:
            raise unknown_key(device, hop, key)
        if key != known:
            raise changed_key(device, hop, key, known)
        login = Login(hop, transport, ask)
        if not login.run():
            raise refused_login(device, login, asked=ask is not None)
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException as error:
        transport.close()
        if isinstance(error, (paramiko.SSHException, OSError, EOFError)):
            raise broken_login(device, hop, error, timeouts) from error
        raise
    return OpenHop(hop, transport)


def fetch_host_key(
    device: str, hop: SshHop, timeouts: Timeouts, known: PKey | None = None, previous: OpenHop | None = None
) -> PKey:
    """The key `hop` shows now, without logging in; of `known`'s type if it has one of that type."""
    transport = _greeted(device, hop, previous, timeouts, known)
    try:
        return transport.get_remote_server_key()
    finally:
        transport.close()


def _greeted(device: str, hop: SshHop, previous: OpenHop | None, timeouts: Timeouts, known: PKey | None) -> Transport:
    """A connection after its handshake; nobody has looked at the host key, nobody is logged in."""
    import paramiko

    # paramiko logs tracebacks of handshakes that fail; the error raised here says it in one line.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    stream = dial(device, hop, previous, timeouts)
    started = time.monotonic()
    try:
        transport = paramiko.Transport(stream)
        transport.banner_timeout = timeouts.banner
        transport.auth_timeout = timeouts.auth
        transport.channel_timeout = timeouts.channel
        if known is not None:
            _prefer(transport, known)
        try:
            transport.start_client(timeout=timeouts.banner)
            transport.get_remote_server_key()  # there is none yet if the time was up first
        except BaseException:
            transport.close()
            raise
    except BaseException as error:
        stream.close()
        if isinstance(error, (paramiko.SSHException, OSError, EOFError, ValueError)):
            raise _no_handshake(device, hop, error, time.monotonic() - started, timeouts) from error
        raise
    return transport


def _prefer(transport: Transport, known: PKey) -> None:
    """Ask for a host key of the type of `known` first."""
    options = transport.get_security_options()
    # An RSA key signs under several names, none of which is the key's own.
    first = [name for name in options.key_types if name == known.get_name()] or [
        name for name in options.key_types if "rsa" in name and "rsa" in known.get_name()
    ]
    options.key_types = first + [name for name in options.key_types if name not in first]


def _no_handshake(device: str, hop: SshHop, error: Exception, elapsed: float, timeouts: Timeouts) -> DeviceError:
    advice = "check that an SSH server listens on that port"
    if hop.proxy_command is not None:
        advice = f"check its ProxyCommand with `ssh -v {hop.alias or hop.host}`"
    if elapsed >= timeouts.banner:
        return DeviceTimeoutError(device, f"the SSH handshake with {hop}", timeouts.banner, advice)
    reason = one_line(str(error)) or "the connection was closed"
    return DeviceError(f"device {device}: the SSH handshake with {hop} failed: {reason}; {advice}")
