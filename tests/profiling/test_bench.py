"""Bundles on devices: agents that die, builds beside the measuring, a board behind SSH."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
from hwaware.profiling import bench, building
from hwaware.profiling.bench import Bench, Effort
from hwaware.profiling.building import Builder
from hwaware.profiling.profile import profile
from hwaware.profiling.surroundings import FrequencyLock
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
    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by id, what each measurement of it says
    files: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def push(self, path: Path) -> str:
        return f"/data/{path.read_text()}/{path.name}"

    def push_file(self, path: Path, name: str, *, program: bool = False) -> str:
        if program:
            return f"/data/{path.read_text()}/{name}"
        self.files[f"/lease/{name}"] = path.read_text()
        return f"/lease/{name}"

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
            told = self.told.get(key)
            on_line(json.dumps(GOOD | {"id": key} | (told.pop(0) if told else {})))
        if len(keys) > self.stamina:
            return Completed(tuple(argv), -9, "", "")
        on_line('{"type":"done","cells":1}')
        return Completed(tuple(argv), 0, "", "")


VARIANTS = [variant(pool(width), base_target("aarch64")) for width in range(1, 8)]


def measured(board: Board, monkeypatch: pytest.MonkeyPatch, bundle: int = 64, *, pinned: bool = True) -> list[CellRow]:
    def build(variants: Sequence[Variant], _target: Any, out: Path, jobs: int) -> Path:
        out.write_text(",".join(str(one.workload.inputs[0].shape[-1]) for one in variants))
        return out

    monkeypatch.setattr(building, "build_bundle", build)
    monkeypatch.setattr(bench, "BUNDLE", bundle)
    rows: list[CellRow] = []
    device: Any = SimpleNamespace(transport=board, name="board")
    Bench(device, base_target("aarch64"), 1, Effort(512, pinned=pinned)).measure(VARIANTS, rows.append)
    return rows


def test_an_agent_that_dies_is_started_again_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(3, VARIANTS)
    rows = measured(board, monkeypatch)
    assert sorted(row.key for row in rows) == sorted(one.workload.key for one in VARIANTS)
    assert len(board.starts) == 3
    assert "--only-from" not in board.starts[0]
    assert board.starts[0][-5:] == ["--max-count", "400", "--cool-ms", "10000", "--lock-frequency"]
    assert "--displace-kb 512" in " ".join(board.starts[0])
    assert board.removed == ["/data/1,2,3,4,5,6,7/bundle0"]


def test_an_agent_that_never_gets_on_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(0, VARIANTS)
    with pytest.raises(AgentError, match=r"ended with status -9 .*--resume"):
        measured(board, monkeypatch)
    assert board.removed


def test_as_shipped_neither_pins_nor_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(9, VARIANTS)
    measured(board, monkeypatch, pinned=False)
    assert "--no-pin" in board.starts[0]
    assert "--lock-frequency" not in board.starts[0]


SLOW = {"sentinel_before_ns": 120000, "sentinel_after_ns": 125000}
HOT = {"throttle": "throttled"}


def test_bad_cells_are_measured_again_at_the_end_of_their_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = VARIANTS[2], VARIANTS[5]
    board = Board(9, VARIANTS, told={first.id: [SLOW | {"cold_ns": 1}, {"cold_ns": 2}], second.id: [HOT, HOT, HOT]})
    rows = {row.key: row for row in measured(board, monkeypatch)}
    assert len(rows) == len(VARIANTS)
    mended, hot = rows[first.workload.key], rows[second.workload.key]
    assert (mended.status, mended.retries, mended.cold_ns, mended.sentinel_drift) == ("ok", 1, 2, 0.0)
    assert (hot.status, hot.retries, hot.throttle) == ("throttled", 2, "throttled")
    assert {row.status for key, row in rows.items() if key != hot.key} == {"ok"}
    again = [board.starts[index][board.starts[index].index("--only-from") + 1] for index in (1, 2)]
    assert len(board.starts) == 3
    assert len(set(again)) == 1
    assert board.files[again[0]].splitlines() == [second.id]
    assert len(board.removed) == 1


def test_a_retry_that_dies_loses_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that waited for a better measurement are handed out before the error is."""

    @dataclass
    class Dying(Board):
        def run(self, argv: Sequence[str], **options: Any) -> Completed:
            if "--only-from" in argv:
                return Completed(tuple(argv), -9, "", "")
            return super().run(argv, **options)

    board = Dying(9, VARIANTS, told={VARIANTS[3].id: [HOT]})
    rows: list[CellRow] = []
    monkeypatch.setattr(building, "build_bundle", lambda variants, _target, out, jobs: out.write_text("1,2,3,4,5,6,7"))
    device: Any = SimpleNamespace(transport=board, name="board")
    with pytest.raises(AgentError, match="--resume"):
        Bench(device, base_target("aarch64"), 1, Effort(512)).measure(VARIANTS, rows.append)
    assert sorted(row.key for row in rows) == sorted(one.workload.key for one in VARIANTS)


def test_a_bench_remembers_what_the_device_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "build_bundle", lambda variants, _target, out, jobs: out.write_text("1,2,3,4,5,6,7"))
    device: Any = SimpleNamespace(transport=Board(9, VARIANTS), name="board")
    one = Bench(device, base_target("aarch64"), 1, Effort(512))
    replace(one, effort=Effort(64)).measure(VARIANTS, lambda row: None)
    assert one.witness.sentinel_ns == 98000
    assert one.witness.lock == FrequencyLock(True, 1800000, None)


def test_bundles_for_another_machine_are_built_beside_the_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    builders = []
    real = Builder.build
    monkeypatch.setattr(Builder, "build", lambda *args: (builders.append(threading.current_thread()), real(*args))[1])
    assert len(measured(Board(9, VARIANTS), monkeypatch, bundle=2)) == len(VARIANTS)
    assert len(builders) == 4
    assert threading.main_thread() not in builders


def test_nothing_is_built_beside_measuring_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path("/proc/sys/kernel/random/boot_id").read_text()
    builders = []
    real = Builder.build
    monkeypatch.setattr(Builder, "build", lambda *args: (builders.append(threading.current_thread()), real(*args))[1])
    measured(Board(9, VARIANTS, boot=here), monkeypatch, bundle=2)
    assert set(builders) == {threading.main_thread()}


def test_a_board_behind_ssh_is_profiled(profiling_home: None, sshd: Sshd, tmp_path: Path) -> None:
    add_board(sshd)
    module, inputs = tiny()
    with open_device("board") as device:
        table = profile(module, inputs, device, out=tmp_path / "table", name="tiny", rounds=1)
    assert table.manifest.device == "board"
    assert all(row.usable for row in table.rows)
    assert CostTable.load(tmp_path / "table") == table
