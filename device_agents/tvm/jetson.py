"""What a Jetson's own tools tell: the power mode, and the board's state while something runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence

from device_agents.tvm.lock import PLACES

_TIMEOUT_S = 20.0
_INTERVAL_MS = 500
_MODE = re.compile(r"^NV Power Mode:[ \t]*(\S.*?)\s*$", re.MULTILINE)
# A line is fields after each other, some of which a board does not have:
# RAM 2345/7620MB … EMC_FREQ 3%@2133 GR3D_FREQ 37%@[611] … gpu@44.2C … VDD_IN 4512mW/4512mW
_FIELDS = {
    "ram_mib": re.compile(r"\bRAM ([0-9]+)/[0-9]+MB"),
    "emc_percent": re.compile(r"\bEMC_FREQ ([0-9]+)%"),
    "gr3d_percent": re.compile(r"\bGR3D_FREQ ([0-9]+)%"),
    "gr3d_mhz": re.compile(r"\bGR3D_FREQ [0-9]+%@\[?([0-9]+)"),
}
_TEMPERATURE = re.compile(r"\b([A-Za-z][A-Za-z0-9_]*)@(-?[0-9]+(?:\.[0-9]+)?)C\b")
_POWER = re.compile(r"\b((?:V|POM_)[A-Z0-9_]+) ([0-9]+)(?:mW)?/[0-9]+(?:mW)?")


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")


def power_mode() -> str | None:
    """The mode's name, ``MAXN`` or ``15W``; None on other boards."""
    tool = _tool("nvpmodel")
    if tool is None:
        return None
    try:
        done = subprocess.run(
            [tool, "-q"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_mode(done.stdout)


def parse_mode(text: str) -> str | None:
    """The name in the answer of ``nvpmodel -q``."""
    found = _MODE.search(text)
    return None if found is None else found[1]


def summary(lines: Sequence[str]) -> dict[str, object] | None:
    """The means of what tegrastats printed; None where it printed nothing."""
    numbers: dict[str, list[float]] = {}
    for line in lines:
        for name, pattern in _FIELDS.items():
            found = pattern.search(line)
            if found is not None:
                numbers.setdefault(name, []).append(float(found[1]))
        for kind, pattern in (("celsius", _TEMPERATURE), ("milliwatts", _POWER)):
            for found in pattern.finditer(line):
                numbers.setdefault(f"{kind}_{found[1].lower()}", []).append(float(found[2]))
    if not numbers:
        return None
    means: dict[str, object] = {name: round(sum(seen) / len(seen), 1) for name, seen in sorted(numbers.items())}
    return {"lines": len(lines), **means}


class Tegrastats:
    """The board's state from here to `end`, where the board has the tool; without a reader it ends by itself."""

    def __init__(self) -> None:
        tool = _tool("tegrastats")
        self._process: subprocess.Popen[str] | None = None
        if tool is not None:
            self._process = subprocess.Popen(
                [tool, "--interval", str(_INTERVAL_MS)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )

    def end(self) -> dict[str, object] | None:
        """Stop it; what it saw."""
        if self._process is None:
            return None
        self._process.send_signal(signal.SIGTERM)
        try:
            output, _ = self._process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        return summary(output.splitlines())
