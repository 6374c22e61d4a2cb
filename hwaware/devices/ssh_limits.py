"""How long each step of an SSH connection may take."""

from __future__ import annotations

from dataclasses import dataclass

# A dead peer answers nothing at all: TCP gives up on unacknowledged data, keepalives included, after this long.
KEEPALIVE_S = 15
DEAD_PEER_MS = 60_000


@dataclass(frozen=True)
class Timeouts:
    """Seconds each step may take; `transfer` is the longest silence while a file is copied."""

    connect: float = 10.0
    banner: float = 15.0
    auth: float = 20.0
    channel: float = 15.0
    transfer: float = 60.0
