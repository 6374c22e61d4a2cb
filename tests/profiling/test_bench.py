"""Bundles on devices: agents that die, builds beside the measuring, a board behind SSH."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwaware.compiler.choice import Variant
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import base_target
from hwaware.costs.row import CellRow
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.devices.link import Completed
from hwaware.errors import AgentError
from hwaware.profiling import bench
from hwaware.profiling.bench import Bench, Effort
from hwaware.profiling.profile import profile
from tests.costs.tables import pool
from tests.devices.conftest import add_board
from tests.profiling.nets import tiny
from tests.profiling.test_lines import GOOD
from tests.sshd import Sshd


@dataclass
class Board:
    """A transport to a board whose agent dies after `stamina` cells of each start."""

    stamina: int
    variants: Sequence[Variant]
    boot: str = "another machine"
    starts: list[list[str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def push(self, path: Path) -> str:
        return f"/data/{path.read_text()}/{path.name}"

    def push_file(self, path: Path, name: str) -> str:
        self.files[f"/work/{name}"] = path.read_text()
        return f"/work/{name}"

    def run(self, argv: Sequence[str], *, timeout: float, on_line: Callable[[str], None] | None = None) -> Completed:
        assert timeout > 0
        if argv[0] == "cat":
            return Completed(tuple(argv), 0, self.boot, "")
        if argv[0] == "rm":
            self.removed.append(argv[-1])
            return Completed(tuple(argv), 0, "", "")
        assert on_line is not None
        self.starts.append(list(argv))
        built = argv[0].split("/")[2].split(",")
        keys = [one.id for one in self.variants if str(one.workload.inputs[0].shape[-1]) in built]
        if "--only-from" in argv:
            keys = [key for key in keys if key in self.files[argv[argv.index("--only-from") + 1]].splitlines()]
        for key in keys[: self.stamina]:
            on_line(json.dumps(GOOD | {"id": key}))
        if len(keys) > self.stamina:
            return Completed(tuple(argv), -9, "", "")
        on_line('{"type":"done","cells":1}')
        return Completed(tuple(argv), 0, "", "")


VARIANTS = [variant(pool(width), base_target("aarch64")) for width in range(1, 8)]


def measured(board: Board, monkeypatch: pytest.MonkeyPatch, bundle: int = 64) -> list[CellRow]:
    def build(variants: Sequence[Variant], _target: Any, out: Path) -> Path:
        out.write_text(",".join(str(one.workload.inputs[0].shape[-1]) for one in variants))
        return out

    monkeypatch.setattr(bench, "build_bundle", build)
    monkeypatch.setattr(bench, "BUNDLE", bundle)
    rows: list[CellRow] = []
    device: Any = SimpleNamespace(transport=board, name="board")
    Bench(device, base_target("aarch64"), 1, Effort(512)).measure(VARIANTS, rows.append)
    return rows


def test_an_agent_that_dies_is_started_again_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(3, VARIANTS)
    rows = measured(board, monkeypatch)
    assert [row.key for row in rows] == [one.workload.key for one in VARIANTS]
    assert len(board.starts) == 3
    assert "--only-from" not in board.starts[0]
    assert board.starts[0][-2:] == ["--max-count", "400"]
    assert "--displace-kb 512" in " ".join(board.starts[0])
    assert board.removed == ["/data/1,2,3,4,5,6,7"]


def test_an_agent_that_never_gets_on_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(0, VARIANTS)
    with pytest.raises(AgentError, match=r"ended with status -9 .*--resume"):
        measured(board, monkeypatch)
    assert board.removed


def test_bundles_for_another_machine_are_built_beside_the_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    builders = []
    real = Bench._build
    monkeypatch.setattr(Bench, "_build", lambda *args: (builders.append(threading.current_thread()), real(*args))[1])
    assert len(measured(Board(9, VARIANTS), monkeypatch, bundle=2)) == len(VARIANTS)
    assert len(builders) == 4
    assert threading.main_thread() not in builders


def test_nothing_is_built_beside_measuring_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path("/proc/sys/kernel/random/boot_id").read_text()
    builders = []
    real = Bench._build
    monkeypatch.setattr(Bench, "_build", lambda *args: (builders.append(threading.current_thread()), real(*args))[1])
    measured(Board(9, VARIANTS, boot=here), monkeypatch, bundle=2)
    assert set(builders) == {threading.main_thread()}


def test_a_board_behind_ssh_is_profiled(profiling_home: None, sshd: Sshd, tmp_path: Path) -> None:
    add_board(sshd)
    module, inputs = tiny()
    with open_device("board") as device:
        table = profile(module, inputs, device, out=tmp_path / "table", name="tiny")
    assert table.manifest.device == "board"
    assert all(row.usable for row in table.rows)
    assert CostTable.load(tmp_path / "table") == table
