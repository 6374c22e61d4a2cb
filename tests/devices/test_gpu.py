"""A device's GPU: asked where there are signs of one, checked, and part of what makes two devices alike."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hwaware.devices.facts import DeviceFacts
from hwaware.devices.gpu import ANY_MACHINE, Gpu, gpu_of
from hwaware.errors import AgentError, BuildError
from tests.devices.test_facts import PI

ORIN = Gpu("Orin", "8.7", (8 << 30) - 5, True, 8, 2 << 20, 1_300_500, "13.0")
TEGRA = ("nvidia,p3768", "nvidia,tegra234")


class Board:
    """A transport to a board on which an agent says something, with some status."""

    def __init__(self, said: str = "", status: int = 0, *, nodes: bool = False) -> None:
        self.said, self.status, self.nodes = said, status, nodes
        self.pushed: list[Path] = []

    def run(self, argv: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        if argv[0] == "sh":
            return subprocess.CompletedProcess(list(argv), 0 if self.nodes else 1, "", "")
        assert list(argv) == ["/agent", "info"]
        return subprocess.CompletedProcess(list(argv), self.status, self.said, "")

    def push(self, path: Path) -> str:
        self.pushed.append(path)
        return "/agent"


def asked(board: Board, compatible: Sequence[str] = ()) -> Gpu | None:
    def build(machine: str) -> Path:
        assert machine == ANY_MACHINE
        return Path("bare")

    return gpu_of(board, compatible, build)  # type: ignore[arg-type]


def told(gpu: Any) -> str:
    return json.dumps({"type": "info", "protocol": 1, "gpu": gpu})


def test_a_board_with_one_is_asked() -> None:
    assert asked(Board(told(asdict(ORIN)), nodes=True)) == ORIN
    assert asked(Board(told(asdict(ORIN))), TEGRA) == ORIN


def test_a_board_without_signs_of_one_is_left_alone() -> None:
    board = Board(told(asdict(ORIN)))
    assert asked(board, ("raspberrypi,5", "brcm,bcm2712")) is None
    assert board.pushed == []


@pytest.mark.parametrize("board", [Board(told(None)), Board("", 127), Board(json.dumps({"type": "info"}))])
def test_without_driver_or_python_nothing_is_lost(board: Board) -> None:
    assert asked(board, TEGRA) is None


def test_an_agent_that_cannot_be_built_tells_nothing() -> None:
    def build(_machine: str) -> Path:
        raise BuildError("no agent")

    assert gpu_of(Board(), TEGRA, build) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("nonsense", "no JSON"),
        (told([]), "not a JSON object"),
        (told({**asdict(ORIN), "compute_capability": "8.7; rm"}), "compute_capability"),
        (told({**asdict(ORIN), "memory_bytes": -1}), "memory_bytes"),
        (told({**asdict(ORIN), "name": "\n"}), "name"),
    ],
)
def test_nonsense_is_refused(said: str, complaint: str) -> None:
    with pytest.raises(AgentError, match=complaint):
        asked(Board(said), TEGRA)


def test_it_is_part_of_the_fingerprint_where_there_is_one() -> None:
    plain = DeviceFacts.from_dict(PI, "pi")
    board = DeviceFacts.from_dict({**PI, "gpu": asdict(ORIN)}, "orin")
    assert board.gpu == ORIN
    assert DeviceFacts.from_dict(board.as_dict(), "table") == board
    assert "gpu" not in plain.fingerprint()
    wanted = {"name": "Orin", "compute_capability": "8.7", "memory_gib": 8, "integrated": True}
    assert board.fingerprint()["gpu"] == wanted
    assert board.fingerprint()["sha256"] != plain.fingerprint()["sha256"]
