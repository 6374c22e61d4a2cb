"""SSH host keys, strictly: a key is used after the user has trusted it, and a changed one is refused.

The keys are in a file of our own beside the inventory, in OpenSSH's known_hosts format.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.devices.inventory import write_whole
from hwaware.devices.ssh_hop import SshHop
from hwaware.errors import DeviceError, HostKeyError

if TYPE_CHECKING:
    from paramiko import PKey
    from paramiko.hostkeys import HostKeys


def load_host_keys(path: Path) -> HostKeys:
    """The trusted keys; no file is no keys. Raises HostKeyError for a file that cannot be read."""
    from paramiko.hostkeys import HostKeys, InvalidHostKey

    keys = HostKeys()
    try:
        keys.load(str(path))
    except FileNotFoundError:
        return keys
    except (OSError, ValueError, InvalidHostKey) as error:
        raise HostKeyError(
            f"cannot read the host keys in {path}: {error}; delete the file and trust the devices again with "
            "`hwaware devices trust NAME`"
        ) from error
    return keys


def trusted_key(path: Path, name: str) -> PKey | None:
    """The key trusted under `name` (SshHop.key_name), or None."""
    found = load_host_keys(path).lookup(name)
    return next(iter(found.values())) if found else None


def store_host_key(path: Path, name: str, key: PKey | None) -> None:
    """Trust `key`, and only it, under `name`; None forgets the name."""
    entries = load_host_keys(path)
    kept = [
        f"{other} {key_type} {old.get_base64()}"
        for other in entries
        if other != name
        for key_type, old in entries[other].items()
    ]
    if key is not None:
        kept.append(f"{name} {key.get_name()} {key.get_base64()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(f"{line}\n" for line in kept))
    except OSError as error:
        raise DeviceError(f"cannot write the host keys {path}: {error.strerror}") from error


def unknown_key(device: str, hop: SshHop, key: PKey) -> HostKeyError:
    """The refusal of a host nobody has trusted yet."""
    return HostKeyError(
        f"device {device}: the host key of {hop} is not trusted yet ({described(key)}); compare it with "
        f"{'that host' if hop.is_jump else 'the board'}'s own and accept it with `hwaware devices trust {device}`"
    )


def changed_key(device: str, hop: SshHop, key: PKey, trusted: PKey) -> HostKeyError:
    """The refusal of a host that shows another key than the trusted one."""
    return HostKeyError(
        f"device {device}: the host key of {hop} has changed: trusted {described(trusted)}, now {described(key)}; if "
        f"{'that host' if hop.is_jump else 'the board'} was set up anew, accept it with "
        f"`hwaware devices trust {device} --replace`, otherwise something else answers at this address"
    )


def described(key: PKey) -> str:
    """The key type and fingerprint as `ssh-keygen -lf` prints them."""
    return f"{key.get_name()} {key.fingerprint}"
