"""The way to an SSH device by the user's own ssh configuration: what an alias means, and which hosts are in between.

It is read at each connection and stored nowhere. What a device URL says comes first, as ssh's command line does; it can
neither name a jump host nor a command.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwaware.devices.address import SshAddress, missing_user, parse_ssh
from hwaware.devices.ssh_config_text import PERCENT, UNJUDGED, USED, config_lines, config_paths, in_words, unusable
from hwaware.devices.ssh_hop import DEFAULT_SSH_PORT, SshHop
from hwaware.errors import DeviceError

_MOST_JUMPS = 8
# Of these two the one that is set first decides.
_RIVALS = {"proxyjump": "proxycommand", "proxycommand": "proxyjump"}
_SECONDS = re.compile(r"[1-9][0-9]{0,4}")
_KEY_NAME = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,253}")


def route_to(device: str, address: SshAddress, key_file: str | None = None) -> tuple[SshHop, ...]:
    """The servers on the way to `address`, in order, itself last; there `key_file` counts in the place of other keys.

    Raises DeviceError, also for a `key_file` that does not exist.
    """
    if key_file is not None and not os.path.isfile(key_file):
        raise DeviceError(
            f"device {device}: the key file {key_file} does not exist; name another with "
            f"`hwaware devices add {device} ssh://{address} --key FILE --force`"
        )
    *jumps, last = _route(_Config(device), address, ())
    if key_file is not None:
        last = replace(last, key_files=(key_file,), listed_keys_only=True)
    return (*(replace(jump, is_jump=True) for jump in jumps), last)


class _Config:
    """The configuration as it is now."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.paths = config_paths()
        self._lines = config_lines(self.paths)

    def settings(self, address: SshAddress) -> dict[str, Any]:
        """What is set for `address`, by names in lower case, in the order found."""
        told = {"user": address.user, "port": address.port}
        given = {name: str(value) for name, value in told.items() if value is not None}
        if not self._lines:
            return dict(given)
        import paramiko

        lines = [*(f"{name} {value}" for name, value in given.items()), *self._lines]
        try:
            found = paramiko.SSHConfig.from_text("\n".join(lines)).lookup(address.host)
        except (paramiko.SSHException, ValueError, KeyError, OSError) as error:
            raise unusable(self.paths, error) from error
        open_setting = _undecided(found)
        if open_setting is not None:
            raise DeviceError(
                f"device {self.device}: {in_words(self.paths)} may set {open_setting} of {address.host} under a "
                "`Match` whose condition is not judged here (`exec` runs a command); set it under "
                f"`Host {address.host}` above that"
            )
        return {name: _whole(value) for name, value in found.items()}


def _whole(value: Any) -> Any:
    """A value with its `%%`."""
    return [_whole(one) for one in value] if isinstance(value, list) else value and value.replace(PERCENT, "%")


def _undecided(found: Mapping[str, Any]) -> str | None:
    """A setting whose first value may be one that stands under a condition nobody has judged."""
    order = {name: place for place, name in enumerate(found)}
    end = len(order)
    for name in sorted(USED):
        doubt = order.get(UNJUDGED + name)
        settled = min(order.get(name, end), order.get(_RIVALS.get(name, name), end))
        if doubt is not None and doubt < settled:
            return name
    return None


def _route(config: _Config, address: SshAddress, behind: tuple[str, ...], *, direct: bool = False) -> list[SshHop]:
    """The way to `address`, which leads to the hosts `behind`; `direct`: from the hop before, whatever is set."""
    if address.host in behind or len(behind) > _MOST_JUMPS:
        raise DeviceError(
            f"device {config.device}: the jump hosts in {in_words(config.paths)} go round in a circle at "
            f"{address.host}; set `ProxyJump none` for it there"
        )
    settings = config.settings(address)
    jumps: list[SshAddress] = []
    command: str | None = None
    if not direct:
        jumps, command = _way(config, settings)
    hops: list[SshHop] = []
    for index, jump in enumerate(jumps):
        # As with ssh: the first is reached as its own settings say, each further one through the one before.
        hops += _route(config, jump, (*behind, address.host), direct=index > 0)
    return [*hops, _hop(config, address, settings, command)]


def _way(config: _Config, settings: Mapping[str, Any]) -> tuple[list[SshAddress], str | None]:
    """Jump hosts or a command: whichever is set first, as with ssh."""
    for name, value in settings.items():
        if name == "proxycommand":
            return [], value  # None for `ProxyCommand none`
        if name == "proxyjump":
            words = [] if value.lower() == "none" else value.split(",")
            return [_jump(config, word.strip()) for word in words], None
    return [], None


def _jump(config: _Config, word: str) -> SshAddress:
    try:
        return parse_ssh(word if word.startswith("ssh://") else f"ssh://{word}")
    except DeviceError as error:
        raise unusable(config.paths, f"ProxyJump {word}: {error}") from error


def _hop(config: _Config, address: SshAddress, settings: Mapping[str, Any], command: str | None) -> SshHop:
    user = settings.get("user") or _login_name()
    if user is None:
        raise missing_user(address)
    host = settings.get("hostname", address.host)
    port = settings.get("port", DEFAULT_SSH_PORT)
    bracketed = f"[{host}]" if ":" in host else host
    try:
        # The same checks as for what is typed.
        checked = parse_ssh(f"ssh://{user}@{bracketed}:{port}")
    except DeviceError as error:
        raise unusable(config.paths, f"{address.host}: {error}") from error
    files = settings.get("identityfile")
    return SshHop(
        user=user,
        host=checked.host,
        port=int(port),
        alias=address.host,
        host_key_alias=_matching(config, settings, "hostkeyalias", _KEY_NAME),
        key_files=None if files is None else tuple(file for file in files if file.lower() != "none"),
        listed_keys_only=settings.get("identitiesonly", "no").lower() == "yes",
        agent=_agent(settings),
        proxy_command=command,
        connect_s=_seconds(config, settings),
    )


def _agent(settings: Mapping[str, Any]) -> str | None:
    value = str(settings.get("identityagent", "SSH_AUTH_SOCK"))
    if value == "SSH_AUTH_SOCK":
        return None
    if value.lower() == "none":
        return ""
    return os.environ.get(value[1:], "") if value.startswith("$") else os.path.expanduser(value)


def _seconds(config: _Config, settings: Mapping[str, Any]) -> float | None:
    found = _matching(config, settings, "connecttimeout", _SECONDS)
    return None if found is None else float(found)


def _matching(config: _Config, settings: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value: str | None = settings.get(name)
    if value is None or value.lower() == "none":
        return None
    if not form.fullmatch(value):
        raise unusable(config.paths, f"`{name} {value}` is not understood")
    return value


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None  # a container's user without a name
