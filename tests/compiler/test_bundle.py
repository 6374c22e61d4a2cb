"""A bundle measures each variant under its id."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compiler.bundle import build_bundle
from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.schedules import SCHEDULES, candidates, variant
from hwaware.compiler.targets import base_target
from hwaware.compression.quantize.choices import layers
from hwaware.compression.sparsify import sparsified
from hwaware.errors import BuildError
from hwaware.graph.capture import capture
from hwaware.graph.ir import Spec
from hwaware.graph.lower import lower
from hwaware.graph.workload import Workload
from hwaware.profiling.precisions import uniform
from hwaware.zoo.registry import build
from tests.compiler.families import FAMILIES, program_of
from tests.compiler.inprocess import Case, lowered
from tests.compiler.test_coded import LAYERS, coded
from tests.device_agents.building import run_agent

QUICK = ("--min-time-ms", "0", "--min-count", "1", "--max-count", "1")


def test_every_schedule_of_every_kind_runs_as_a_cell(tmp_path: Path) -> None:
    target = base_target("x86_64-avx2")
    pairs = Case(nn.Conv2d(26, 26, 3, groups=13).eval(), (torch.randn(1, 26, 7, 5),))
    small = capture(build("mobilenet_v2_small")[0].eval(), build("mobilenet_v2_small")[1])
    programs = [*(program_of(name, 1)[1] for name in FAMILIES), lowered(pairs)]
    programs += [lower(uniform(small, precision)) for precision in ("int8", "weight4")]
    plain = [node.name for node in layers(small) if node.args.get("groups", 1) == 1]
    programs.append(lower(sparsified(small, plain)))
    for name in ("dense of one row", "3x3"):
        layer, size, words, depth = LAYERS[name]
        programs.append(lower(coded(layer, torch.randn(size), words, depth).graph_for((torch.randn(size),))))
    workloads = dict.fromkeys(op.workload for program in programs for op in program.ops)
    found: dict[str, list[Variant]] = {}
    for work in workloads:
        for choice in candidates(work, target):
            found.setdefault(choice.schedule, []).append(Variant(work, choice))
    assert set(found) == set(SCHEDULES)
    # Two of each schedule: the families' own tests run them all.
    variants = [one for several in found.values() for one in several[:2]]
    bundle = build_bundle([*variants, *variants], target, tmp_path / "bundle")
    keys = {one.id for one in variants}
    assert sorted(run_agent(bundle, "cells").one("cells")["ids"]) == sorted(keys)
    answer = run_agent(bundle, "bench", *QUICK)
    cells = [line for line in answer.lines if line["type"] == "cell"]
    assert {cell["id"] for cell in cells} == keys
    assert {cell["id"]: cell.get("reason") for cell in cells if cell["status"] != "ok"} == {}


def test_processes_side_by_side_give_the_same_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwaware.compiler.bundle._WORTH_PROCESSES", 1)
    workloads = [Workload("dense", (Spec((1, width), "float32"),), Spec((1, 5), "float32")) for width in (3, 7, 17)]
    target = base_target("x86_64")
    variants = [variant(work, target) for work in workloads]
    bundle = build_bundle(variants, target, tmp_path / "bundle", jobs=2)
    assert set(run_agent(bundle, "cells").one("cells")["ids"]) == {one.id for one in variants}
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_kind_without_a_schedule(tmp_path: Path) -> None:
    spec = Spec((1, 3), "float32")
    unknown = Variant(Workload("fft", (spec,), spec), Choice.of("fft"))
    with pytest.raises(BuildError, match="fft"):
        build_bundle([unknown], base_target("x86_64"), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
