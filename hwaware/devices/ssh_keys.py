"""Private keys to log in with: those of the ssh-agent, and those in files."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwaware.devices.output import one_line
from hwaware.devices.ssh_hop import SshHop

if TYPE_CHECKING:
    from paramiko import AgentKey, PKey

_USUAL = ("id_rsa", "id_ecdsa", "id_ed25519")


def key_files(hop: SshHop) -> list[str]:
    """The key files for `hop`, in the order to try them; where none are named, the usual ones that exist."""
    if hop.key_files is not None:
        return list(hop.key_files)
    usual = [os.path.expanduser(f"~/.ssh/{name}") for name in _USUAL]
    return [path for path in usual if os.path.isfile(path)]


def load_key(path: str, passphrase: str | None = None) -> PKey:
    """The key in the file `path`, with its certificate if one lies beside it.

    Raises paramiko's PasswordRequiredException for a locked key, and ValueError, saying why, for a file that holds no
    key or is not unlocked by `passphrase`.
    """
    import paramiko

    kinds: tuple[type[PKey], ...] = (paramiko.RSAKey, paramiko.ECDSAKey, paramiko.Ed25519Key)
    reason = ""
    for kind in kinds:
        try:
            key = kind.from_private_key_file(path, passphrase)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError, OSError) as error:
            reason = one_line(str(error))
            continue
        if os.path.isfile(f"{path}-cert.pub"):
            key.load_certificate(f"{path}-cert.pub")
        return key
    raise ValueError(reason)


def public_half(path: str) -> bytes | None:
    """What lies beside the key file `path`, to know a key of the agent by; None if nothing does."""
    try:
        words = Path(path if path.endswith(".pub") else f"{path}.pub").read_text(encoding="utf-8").split()
        return base64.b64decode(words[1], validate=True)
    except (OSError, ValueError, IndexError):
        return None


@contextmanager
def agent_keys(hop: SshHop) -> Iterator[Sequence[AgentKey]]:
    """The keys that the ssh-agent for `hop` holds, usable inside the context; none without an agent."""
    from paramiko import SSHException
    from paramiko.agent import AgentSSH

    agent: Any = AgentSSH()
    place = os.environ.get("SSH_AUTH_SOCK", "") if hop.agent is None else hop.agent
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            try:
                stream.connect(place)
                agent._connect(stream)  # paramiko.Agent, which does the same, knows no other than the usual one
            except (SSHException, OSError):
                yield ()
                return
            yield agent.get_keys()
    finally:
        agent._close()
