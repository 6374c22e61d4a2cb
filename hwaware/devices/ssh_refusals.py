"""Why a login failed, and what to do about it."""

from __future__ import annotations

from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.output import one_line
from hwaware.devices.ssh_hop import SshHop
from hwaware.devices.ssh_limits import Timeouts
from hwaware.devices.ssh_login import TRIES, Login
from hwaware.errors import DeviceError


def refused_login(device: str, login: Login, *, asked: bool) -> DeviceError:
    """The server took nothing there was; `asked`: there was a terminal to ask on."""
    hop = login.hop
    if login.unusable and hop.listed_keys_only:
        return DeviceError(
            f"device {device}: cannot log in to {hop} with the key {', '.join(login.unusable)}; name a private key "
            f"with {_naming(device, hop)}"
        )
    if login.locked and not asked:
        return DeviceError(
            f"device {device}: the key {login.locked[0]} has a passphrase; load it with `ssh-add` (its .pub file must "
            "lie beside it), or run this on a terminal to be asked for it"
        )
    passwords = login.wants("password") or login.wants("keyboard-interactive")
    asking = ", or run this on a terminal to be asked for the password" if passwords and not asked else ""
    wrong = f" and no password in {TRIES} tries" if login.questions else ""
    return DeviceError(
        f"device {device}: {hop} did not accept {_keys(hop)}{wrong}; install one with "
        f"`ssh-copy-id -p {hop.port} {hop.user}@{hop.alias or hop.host}`, or name another with "
        f"{_naming(device, hop)}{asking}"
    )


def broken_login(device: str, hop: SshHop, error: Exception, timeouts: Timeouts) -> DeviceError:
    """The connection ended, or fell silent, in the midst of the login."""
    if "timeout" in str(error).lower():
        return DeviceTimeoutError(device, f"logging in to {hop}", timeouts.auth, "try again, or look at its sshd log")
    reason = one_line(str(error)) or type(error).__name__
    return DeviceError(
        f"device {device}: the login to {hop} broke off: {reason}; servers end it after a few tries: if the ssh-agent "
        f"holds many keys, name the right one with {_naming(device, hop)}"
    )


def _keys(hop: SshHop) -> str:
    if not hop.key_files:
        return "a key of the ssh-agent" if hop.key_files is not None else "a key of the ssh-agent or in ~/.ssh"
    return f"the key{'s' if len(hop.key_files) > 1 else ''} {', '.join(hop.key_files)}"


def _naming(device: str, hop: SshHop) -> str:
    if hop.is_jump:
        return "IdentityFile in your ssh configuration"
    return f"`hwaware devices add {device} {hop.url} --key FILE --force`"
