"""The servers on the way to an SSH device: as its URL and the user's ssh configuration say, and once logged in to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import Transport

DEFAULT_SSH_PORT = 22


@dataclass(frozen=True)
class SshHop:
    """Where a server is, and who logs in there with what.

    `alias` is what the user calls it, `host_key_alias` the name its key is kept under if not the host's. `key_files`
    are tried in this order, None stands for the usual ones in ~/.ssh; with `listed_keys_only` the ssh-agent is asked
    for those keys alone. `agent` is the socket of another agent than the usual one, empty for none. `proxy_command`
    carries the connection in the place of TCP, `connect_s` limits its beginning. `is_jump`: the device is reached
    through it.
    """

    user: str
    host: str
    port: int = DEFAULT_SSH_PORT
    alias: str | None = None
    host_key_alias: str | None = None
    key_files: tuple[str, ...] | None = None
    listed_keys_only: bool = False
    agent: str | None = None
    proxy_command: str | None = None
    connect_s: float | None = None
    is_jump: bool = False

    @property
    def key_name(self) -> str:
        """The name of its key in a known_hosts file."""
        if self.host_key_alias is not None:
            return self.host_key_alias
        return self.host if self.port == DEFAULT_SSH_PORT else f"[{self.host}]:{self.port}"

    @property
    def login(self) -> str:
        """USER@HOST:PORT."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"

    @property
    def url(self) -> str:
        """As a device's URL that leads here the same way: by the alias, where there is one."""
        return f"ssh://{replace(self, host=self.alias or self.host).login}"

    def __str__(self) -> str:
        return f"jump host {self.login}" if self.is_jump else self.login


@dataclass(frozen=True)
class OpenHop:
    """A server one is logged in to."""

    hop: SshHop
    transport: Transport
