"""A board's own tools, as scripts on the PATH of the tests."""

from __future__ import annotations

import os
from pathlib import Path

# Keeps the clocks in a file beside itself and writes down how it was called; a file fail… makes such a call fail.
JETSON_CLOCKS = """\
here=$(dirname "$0")
echo "${1:-fix}" >>"$here/calls"
case "$1" in
--store) cp "$here/clocks" "$2" ;;
--restore) cp "$2" "$here/clocks" ;;
*) echo fixed >"$here/clocks" ;;
esac
[ ! -e "$here/fail$1" ]
"""
SUDO = '[ "$1" = -n ] || exit 1\nshift\nexec "$@"\n'


class Tools:
    """Scripts in a folder of their own; `path` is a PATH with it in front."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"

    def add(self, name: str, script: str) -> None:
        """A tool called `name`."""
        tool = self.folder / name
        tool.write_text(f"#!/bin/sh\n{script}")
        tool.chmod(0o755)

    def add_clocks(self) -> None:
        """``jetson_clocks``, and a sudo that asks for nothing."""
        self.add("jetson_clocks", JETSON_CLOCKS)
        self.add("sudo", SUDO)
        (self.folder / "clocks").write_text("as before\n")

    @property
    def clocks(self) -> str:
        """What the clocks are set to."""
        return (self.folder / "clocks").read_text().strip()

    @property
    def calls(self) -> list[str]:
        """How ``jetson_clocks`` was called, in order."""
        written = self.folder / "calls"
        return written.read_text().split() if written.exists() else []
