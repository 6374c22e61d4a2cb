"""File systems of a test's own: small ones, read-only ones, ones where nothing runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.requirements import need, need_path


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`mount(options)`: a file system of its own, in memory."""
    folders: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk {len(folders)}"
        folder.mkdir()
        command = [need("mount", package="mount"), "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            need_path(folder / "mounted", why="mounting file systems is not permitted here")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)
