"""The power mode of a Jetson: which of its cores run and how fast, as its owner has set it for all users."""

from __future__ import annotations

import re

from hwaware.devices.facts import DeviceFacts
from hwaware.devices.output import one_line
from hwaware.devices.transport import Transport

_TIMEOUT_S = 30.0
# In /usr/sbin, where the PATH of a plain login does not always lead.
_ASK = "PATH=$PATH:/usr/sbin; command -v nvpmodel >/dev/null 2>&1 || exit 0; nvpmodel -q"
_MODE = re.compile(r"^NV Power Mode:[ \t]*(\S.*)$", re.MULTILINE)


def power_mode(transport: Transport, facts: DeviceFacts) -> str | None:
    """The mode's name ("15W", "MAXN"); None for other devices than Jetsons, and where none is told."""
    if not any(word.startswith("nvidia,tegra") for word in facts.compatible):
        return None
    found = _MODE.search(transport.run(["sh", "-c", _ASK], timeout=_TIMEOUT_S).stdout)
    return (one_line(found[1], 64) or None) if found else None
