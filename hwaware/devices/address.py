"""Where a device is: the three URL forms, checked before anything is stored or dialled.

``local`` | ``ssh://[USER@]HOST[:PORT]`` | ``adb:SERIAL``. A part that could be read as an option or a path
(leading ``-``, ``/``, blanks) is refused here, so that nothing behind this module has to think about it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from hwaware.errors import DeviceError

FORMS = "local, ssh://[USER@]HOST[:PORT] or adb:SERIAL"

_SSH = re.compile(r"ssh://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^]/]*\]|[^:/@\[\]]*)(?::(?P<port>[^/@]*))?/?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


@dataclass(frozen=True)
class LocalAddress:
    """This machine."""


@dataclass(frozen=True)
class SshAddress:
    """What an SSH URL says; what it leaves out, the user's ssh configuration may say.

    `host` is a name, an alias in that configuration, an IPv4 or a bare IPv6 address.
    """

    user: str | None
    host: str
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{user}{host}:{self.port}" if self.port else f"{user}{host}"


@dataclass(frozen=True)
class AdbAddress:
    """An Android device by its adb serial number."""

    serial: str


Address = LocalAddress | SshAddress | AdbAddress


def parse_address(url: str) -> Address:
    """The address in `url`; raises DeviceError naming the part that is wrong."""
    if url == "local":
        return LocalAddress()
    if url.startswith("adb:"):
        serial = url.removeprefix("adb:")
        if not _SERIAL.fullmatch(serial):
            raise _refusal(url, "the serial number is not one that `adb devices` prints")
        return AdbAddress(serial)
    if not url.startswith("ssh://"):
        raise _refusal(url, "the form is unknown")
    return parse_ssh(url)


def parse_ssh(url: str) -> SshAddress:
    """The address in an ssh:// URL; raises DeviceError naming the part that is wrong."""
    found = _SSH.fullmatch(url)
    if found is None:
        raise _refusal(url, "it has parts beyond user, host and port")
    return SshAddress(_user(url, found["user"]), _host(url, found["host"]), _port(url, found["port"]))


def missing_user(address: SshAddress) -> DeviceError:
    """The refusal of an address without a user, where nothing else gives one either."""
    return _refusal(f"ssh://{address}", "the user is missing")


def _user(url: str, user: str | None) -> str | None:
    if user is None:
        return None
    if ":" in user:
        raise DeviceError(
            "a device URL carries no password: give a key with --key FILE, or load one with ssh-add, "
            "and write ssh://[USER@]HOST[:PORT]"
        )
    if not _USER.fullmatch(user):
        raise _refusal(url, f"the user {user!r} is not a login name")
    return user


def _host(url: str, host: str) -> str:
    if host.startswith("["):
        address, _, zone = host[1:-1].partition("%")
        try:
            bare = str(ipaddress.IPv6Address(address))
        except ValueError as error:
            raise _refusal(url, f"{host} is not an IPv6 address") from error
        if not zone:
            return bare
        if not _ZONE.fullmatch(zone):
            raise _refusal(url, f"the IPv6 zone {zone!r} is not an interface name")
        return f"{bare}%{zone}"
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _refusal(url, f"the host {host!r} is not a host name or address")
    return host.lower()


def _port(url: str, port: str | None) -> int | None:
    if port is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise _refusal(url, f"the port {port!r} is not a number from 1 to 65535")
    return int(port)


def _refusal(url: str, reason: str) -> DeviceError:
    return DeviceError(f"bad device URL {url!r}: {reason}; write {FORMS}")
