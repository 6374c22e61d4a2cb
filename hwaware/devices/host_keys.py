"""SSH host keys, strictly: a key is used after the user has trusted it, and a changed one is refused.

The keys are in a file of our own beside the inventory, in OpenSSH's known_hosts format.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.devices.address import SshAddress
from hwaware.devices.inventory import write_whole
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


def trusted_key(path: Path, address: SshAddress) -> PKey | None:
    """The key trusted for `address`, or None."""
    found = load_host_keys(path).lookup(address.host_key_name)
    return next(iter(found.values())) if found else None


def store_host_key(path: Path, address: SshAddress, key: PKey | None) -> None:
    """Trust `key`, and only it, for `address`; None forgets the address."""
    entries = load_host_keys(path)
    kept = [
        f"{name} {key_type} {old.get_base64()}"
        for name in entries
        if name != address.host_key_name
        for key_type, old in entries[name].items()
    ]
    if key is not None:
        kept.append(f"{address.host_key_name} {key.get_name()} {key.get_base64()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(f"{line}\n" for line in kept))
    except OSError as error:
        raise DeviceError(f"cannot write the host keys {path}: {error.strerror}") from error


def unknown_key(device: str, address: SshAddress, key: PKey) -> HostKeyError:
    """The refusal of a host nobody has trusted yet."""
    return HostKeyError(
        f"device {device}: the host key of {address} is not trusted yet ({described(key)}); compare it "
        "with the "
        f"board's own and accept it with `hwaware devices trust {device}`"
    )


def changed_key(device: str, address: SshAddress, key: PKey, trusted: PKey) -> HostKeyError:
    """The refusal of a host that shows another key than the trusted one."""
    return HostKeyError(
        f"device {device}: the host key of {address} has changed: trusted {described(trusted)}, now "
        f"{described(key)}; if the board was set up anew, accept it with `hwaware devices trust {device} "
        "--replace`, otherwise something else answers at this address"
    )


def described(key: PKey) -> str:
    """The key type and fingerprint as `ssh-keygen -lf` prints them."""
    return f"{key.get_name()} {key.fingerprint}"
