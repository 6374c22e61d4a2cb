"""Opening an SSH connection: every step has a time limit and every failure says what to do about it."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.devices.address import SshAddress
from hwaware.devices.host_keys import changed_key, load_host_keys, unknown_key
from hwaware.devices.link import DeviceTimeoutError
from hwaware.errors import DeviceError

if TYPE_CHECKING:
    from paramiko import PKey, SSHClient

# A dead peer answers nothing at all: TCP gives up on unacknowledged data, keepalives included, after this
# long.
KEEPALIVE_S = 15
_DEAD_PEER_MS = 60_000


@dataclass(frozen=True)
class Timeouts:
    """Seconds each step may take; `transfer` is the longest silence while a file is copied."""

    connect: float = 10.0
    banner: float = 15.0
    auth: float = 20.0
    channel: float = 15.0
    transfer: float = 60.0


def connect(device: str, address: SshAddress, key_file: str | None, known_hosts: Path, timeouts: Timeouts) -> SSHClient:
    """A logged-in client. Raises HostKeyError, DeviceTimeoutError or DeviceError."""
    import paramiko

    _silence_paramiko()

    class Refuse(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
            raise unknown_key(device, address, key)

    if key_file is not None and not Path(key_file).is_file():
        raise DeviceError(
            f"device {device}: the key file {key_file} does not exist; name another with `hwaware devices "
            "add "
            f"{device} ssh://{address} --key FILE --force`"
        )
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(Refuse())
    client.get_host_keys().update(load_host_keys(known_hosts))
    started = time.monotonic()
    stream = _dial(device, address, timeouts)
    try:
        client.connect(
            address.host,
            address.port,
            address.user,
            sock=stream,
            key_filename=key_file,
            allow_agent=key_file is None,
            look_for_keys=key_file is None,
            timeout=timeouts.banner,
            banner_timeout=timeouts.banner,
            auth_timeout=timeouts.auth,
            channel_timeout=timeouts.channel,
        )
        opened = client.get_transport()
        if opened is None:
            raise paramiko.SSHException("the connection was closed")
        opened.set_keepalive(KEEPALIVE_S)
    except BaseException as error:
        opened = client.get_transport()
        greeted = opened is not None and opened.initial_kex_done
        client.close()
        stream.close()
        if isinstance(error, paramiko.BadHostKeyException):
            raise changed_key(device, address, error.key, error.expected_key) from error
        if isinstance(error, (paramiko.SSHException, OSError, EOFError, ValueError)):
            if greeted:
                raise _login_failed(device, address, key_file, error, timeouts) from error
            raise _no_handshake(device, address, error, time.monotonic() - started, timeouts) from error
        raise
    return client


def fetch_host_key(device: str, address: SshAddress, timeouts: Timeouts, known: PKey | None = None) -> PKey:
    """The key the host shows now, without logging in; of `known`'s type if the host has one of that type."""
    import paramiko

    _silence_paramiko()
    started = time.monotonic()
    stream = _dial(device, address, timeouts)
    try:
        transport = paramiko.Transport(stream)
        transport.banner_timeout = timeouts.banner
        if known is not None:
            options = transport.get_security_options()
            # An RSA key signs under several names, none of which is the key's own.
            first = [name for name in options.key_types if name == known.get_name()] or [
                name for name in options.key_types if "rsa" in name and "rsa" in known.get_name()
            ]
            options.key_types = first + [name for name in options.key_types if name not in first]
        try:
            transport.start_client(timeout=timeouts.banner)
            return transport.get_remote_server_key()
        finally:
            transport.close()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _no_handshake(device, address, error, time.monotonic() - started, timeouts) from error
    finally:
        stream.close()


def _silence_paramiko() -> None:
    """paramiko logs tracebacks of handshakes that fail; the error raised here says it in one line."""
    logging.getLogger("paramiko").addHandler(logging.NullHandler())


def _dial(device: str, address: SshAddress, timeouts: Timeouts) -> socket.socket:
    check = "check that the board is on and in this network, and the address with `hwaware devices list`"
    try:
        stream = socket.create_connection((address.host, address.port), timeouts.connect)
    except TimeoutError as error:
        raise DeviceTimeoutError(device, f"connecting to {address}", timeouts.connect, check) from error
    except socket.gaierror as error:
        raise DeviceError(
            f"device {device}: the host name {address.host} is unknown ({error.strerror}); {check}"
        ) from error
    except OSError as error:
        raise DeviceError(
            f"device {device}: cannot connect to {address}: {error.strerror or error}; {check}"
        ) from error
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)
    return stream


def _login_failed(
    device: str, address: SshAddress, key_file: str | None, error: Exception, timeouts: Timeouts
) -> DeviceError:
    import paramiko

    if "timeout" in str(error).lower():
        return DeviceTimeoutError(
            device, f"logging in to {address}", timeouts.auth, "try again, or look at the board's sshd log"
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return DeviceError(
            f"device {device}: the key {key_file or 'in ~/.ssh'} has a passphrase; load it with `ssh-add` "
            "and add "
            "the device without --key"
        )
    key = f"the key {key_file}" if key_file else "a key of the ssh-agent or in ~/.ssh"
    if not isinstance(error, paramiko.AuthenticationException):
        return DeviceError(
            f"device {device}: cannot log in to {address} with {key}: {error}; name a private key with "
            f"`hwaware devices add {device} ... --key FILE --force`"
        )
    return DeviceError(
        f"device {device}: {address} did not accept {key}; install one with `ssh-copy-id -p {address.port} "
        f"{address.user}@{address.host}`, or name another with `hwaware devices add {device} ... --key FILE "
        "--force`"
    )


def _no_handshake(
    device: str, address: SshAddress, error: Exception, elapsed: float, timeouts: Timeouts
) -> DeviceError:
    advice = "check that an SSH server listens on that port"
    if elapsed >= timeouts.banner:
        return DeviceTimeoutError(device, f"the SSH handshake with {address}", timeouts.banner, advice)
    return DeviceError(f"device {device}: the SSH handshake with {address} failed: {error}; {advice}")
