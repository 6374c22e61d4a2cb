"""The stream an SSH connection runs over: TCP, a channel through the jump host before, or a command."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.output import one_line
from hwaware.devices.ssh_hop import OpenHop, SshHop
from hwaware.devices.ssh_limits import DEAD_PEER_MS, Timeouts
from hwaware.devices.ssh_proxy import CommandSocket
from hwaware.errors import DeviceError

if TYPE_CHECKING:
    from paramiko import Channel

_CHECK = "check that the board is on and in this network, and the address with `hwaware devices list`"


def dial(device: str, hop: SshHop, previous: OpenHop | None, timeouts: Timeouts) -> socket.socket | Channel:
    """A stream to `hop`, through `previous` if there is one. Raises DeviceTimeoutError or DeviceError."""
    seconds = hop.connect_s or timeouts.connect
    if previous is not None:
        return _through(device, hop, previous, seconds)
    if hop.proxy_command is None:
        return _tcp(device, hop, seconds)
    try:
        return CommandSocket(hop.proxy_command)
    except OSError as error:
        raise DeviceError(f"device {device}: cannot start the ProxyCommand of {hop}: {error.strerror}") from error


def _tcp(device: str, hop: SshHop, seconds: float) -> socket.socket:
    try:
        stream = socket.create_connection((hop.host, hop.port), seconds)
    except TimeoutError as error:
        raise DeviceTimeoutError(device, f"connecting to {hop}", seconds, _CHECK) from error
    except socket.gaierror as error:
        reason = f"the host name {hop.host} is unknown ({error.strerror})"
        raise DeviceError(f"device {device}: {reason}; {_CHECK}") from error
    except OSError as error:
        raise DeviceError(f"device {device}: cannot connect to {hop}: {error.strerror or error}; {_CHECK}") from error
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
    return stream


def _through(device: str, hop: SshHop, previous: OpenHop, seconds: float) -> Channel:
    import paramiko

    step = f"connecting to {hop} through {previous.hop}"
    try:
        # The second address is whom the connection comes from, which only stands in the jump host's log.
        return previous.transport.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=seconds)
    except paramiko.ChannelException as error:
        advice = f"check that {previous.hop.host} reaches it and lets connections be forwarded (AllowTcpForwarding)"
        raise DeviceError(f"device {device}: {step} failed: {one_line(error.text)}; {advice}") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        if "timeout" in str(error).lower():
            raise DeviceTimeoutError(device, step, seconds, _CHECK) from error
        reason = one_line(str(error)) or "the connection was lost"
        raise DeviceError(f"device {device}: {step} failed: {reason}; {_CHECK}") from error
