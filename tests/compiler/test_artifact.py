"""The artifact directory: complete or absent, and checked when it is read."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import tvm
from torch import nn

from hwaware.compiler.artifact import Artifact, build_artifact, load_artifact
from hwaware.compiler.assemble import assemble, program_memory
from hwaware.compiler.memory import ALIGNMENT
from hwaware.compiler.targets import base_target
from hwaware.errors import ArtifactError, BuildError, HwawareError, UnsupportedOpError
from tests.compiler.agents import run_model
from tests.compiler.inprocess import AVX2, TOLERANCE, Case, expected, guarded, lowered, relative_error

X86 = base_target("x86_64")


def make_net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7 * 36, 5)).eval()


INPUT = (torch.randn(1, 3, 8, 8),)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """One artifact; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("built") / "net"
    return build_artifact(make_net(), INPUT, X86, folder, name="net", extra={"plan": {"width": 7}})


@pytest.fixture
def copied(built: Artifact, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built.path, tmp_path / "copy"))


def test_the_manifest_says_what_was_built(built: Artifact) -> None:
    manifest = json.loads((built.path / "manifest.json").read_text())
    assert manifest == built.manifest
    assert (manifest["schema_version"], manifest["kind"], manifest["model"]) == (1, "hwaware-artifact", "net")
    assert manifest["extra"] == {"plan": {"width": 7}}
    assert [item["shape"] for item in manifest["inputs"]] == [[1, 3, 8, 8]]
    assert [item["shape"] for item in manifest["outputs"]] == [[1, 5]]
    assert manifest["target"]["name"] == "x86_64"
    files = {path.name for path in built.path.iterdir()} - {"manifest.json"}
    assert files == set(manifest["files"]) == {"agent", "libmodel.a", "model.h", "model.so", "weights.bin"}


def test_memory_is_known_without_building(built: Artifact) -> None:
    program = lowered(Case(make_net(), INPUT))
    assert program_memory(program, X86) == built.manifest["memory"]


def test_it_is_read_as_it_was_written(built: Artifact) -> None:
    assert load_artifact(built.path) == built


def test_a_second_run_gives_the_same(built: Artifact, tmp_path: Path) -> None:
    first, lines = run_model(built, INPUT, tmp_path, options=["--per-op"])
    again, _ = run_model(built, INPUT, tmp_path, options=["--min-count", "40", "--max-count", "40"])
    np.testing.assert_array_equal(first[0], again[0])
    assert [line["name"] for line in lines if line["type"] == "op"] == [op["name"] for op in built.manifest["ops"]]


def test_the_agent_is_small(built: Artifact) -> None:
    one = (built.path / "agent").stat()
    assert one.st_mode & stat.S_IXUSR
    assert one.st_size < 1024 * 1024 + built.manifest["memory"]["weights"]


def test_tvm_loads_the_shared_library(built: Artifact) -> None:
    module = tvm.runtime.load_module(str(built.path / "model.so"))
    net, program = make_net(), lowered(Case(make_net(), INPUT))
    (op,) = [op for op in program.ops if op.kind == "dense"]
    assembled = assemble(program, X86, "net")
    (kernel,) = [kernel for kernel in assembled.kernels if kernel.workload == op.workload]
    value = torch.randn(1, 252)
    places = [guarded(value.numpy()), *map(guarded, kernel.pack(op.constants)), guarded(np.zeros(5, np.float32))]
    arguments = [place.tensor(argument.size) for place, argument in zip(places, kernel.arguments, strict=True)]
    module[kernel.symbol](*arguments)
    wanted = net[3](value).detach().numpy().reshape(-1)  # type: ignore[index]
    assert relative_error(places[-1].values, wanted) < TOLERANCE


def test_equal_weights_are_stored_once() -> None:
    shared = nn.Linear(40, 40)
    twin = nn.Linear(40, 40)
    twin.load_state_dict(shared.state_dict())
    tied = lowered(Case(nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), twin).eval(), (torch.randn(1, 40),)))
    single = lowered(Case(nn.Sequential(shared).eval(), (torch.randn(1, 40),)))
    assert program_memory(tied, AVX2)["weights"] == program_memory(single, AVX2)["weights"]


def test_every_tensor_lies_aligned_inside_its_space() -> None:
    tables = assemble(lowered(Case(make_net(), INPUT)), AVX2, "net").tables
    for tensor in tables.tensors:
        space = tables.arena_bytes if tensor.space == "arena" else tables.weight_bytes
        assert tensor.offset % ALIGNMENT == 0
        assert tensor.offset + tensor.bytes <= space


def edit(path: Path, change: Callable[[dict], object]) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "no manifest.json"),
    "no JSON": (lambda path: (path / "manifest.json").write_text("{"), "manifest.json"),
    "no object": (lambda path: (path / "manifest.json").write_text("[]"), "manifest.json"),
    "binary": (lambda path: (path / "manifest.json").write_bytes(b"\xff\xfe\x00"), "manifest.json"),
    "deep": (lambda path: (path / "manifest.json").write_text("[" * 100_000), "manifest.json"),
    "another kind": (lambda path: edit(path, lambda m: m.update(kind="hwaware-model")), "kind"),
    "another schema": (lambda path: edit(path, lambda m: m.update(schema_version=99)), "schema_version is 99"),
    "no schema": (lambda path: edit(path, lambda m: m.pop("schema_version")), "schema_version"),
    "no target": (lambda path: edit(path, lambda m: m.pop("target")), "target"),
    "a shape of words": (lambda path: edit(path, lambda m: m["inputs"][0].update(shape=["a"])), "shape"),
    "inputs of another form": (lambda path: edit(path, lambda m: m.update(inputs={})), "inputs"),
    "no agent": (lambda path: (path / "agent").unlink(), "agent"),
    "another agent": (lambda path: (path / "agent").write_bytes(b"#!/bin/sh\n"), "agent"),
    "a wrong sum": (lambda path: edit(path, lambda m: m["files"].update(agent="0" * 64)), "agent"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused(name: str, copied: Path) -> None:
    damage, said = DAMAGE[name]
    damage(copied)
    with pytest.raises(ArtifactError) as caught:
        load_artifact(copied)
    assert said in str(caught.value)
    assert str(copied) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["absent", "a file", "empty"])
def test_what_is_no_artifact_is_refused(what: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if what == "a file":
        place.write_text("text")
    elif what == "empty":
        place.mkdir()
    with pytest.raises(ArtifactError, match="hwaware compile"):
        load_artifact(place)


class Unsupported(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft(x).real


def test_a_model_that_cannot_be_compiled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOpError):
        build_artifact(Unsupported(), (torch.randn(2, 8),), X86, tmp_path / "out", name="net")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_linker_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwaware.compiler.link._LINK_FLAGS", ("-static", "-lno_such_library"))
    with pytest.raises(BuildError) as caught:
        build_artifact(make_net(), INPUT, X86, tmp_path / "out", name="net")
    assert "no_such_library" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_keeps_the_artifact_that_was_there(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwaware.compiler.link._LINK_FLAGS", ("-static", "-lno_such_library"))
    with pytest.raises(BuildError):
        build_artifact(make_net(), INPUT, X86, copied, name="other")
    assert load_artifact(copied).model == "net"
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_a_new_build_replaces_the_old_one(copied: Path, tmp_path: Path) -> None:
    made = build_artifact(make_net(), (INPUT[0].repeat(2, 1, 1, 1),), X86, copied, name="other")
    assert load_artifact(copied) == made
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    inputs = (torch.randn(2, 3, 8, 8),)
    (found,), _ = run_model(made, inputs, tmp_path)
    assert relative_error(found, expected(Case(make_net(), inputs))[0]) < TOLERANCE


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_anything_else_at_the_place_is_kept(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    kept = place if kind == "file" else place / "thesis.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("years of work")
    with pytest.raises(HwawareError, match="not an artifact"):
        build_artifact(make_net(), INPUT, X86, place, name="net")
    assert kept.read_text() == "years of work"
    assert list(tmp_path.iterdir()) == [place]


def test_names_are_data(tmp_path: Path) -> None:
    name = 'a "net"\\ with ??/ and ünïcode */'
    artifact = build_artifact(make_net(), INPUT, X86, tmp_path / "out dir", name=name)
    _, lines = run_model(artifact, INPUT, tmp_path)
    assert lines[0]["model"] == name == load_artifact(artifact.path).model


def test_relative_folders_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build tools run in folders of their own: what is given relative to here must still be found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HWAWARE_CACHE", "the cache")
    net = nn.Sequential(nn.Linear(3, 2))
    target = base_target("x86_64")
    artifact = build_artifact(net, (torch.randn(1, 3),), target, Path("folder") / "artifact", name="net")
    assert artifact.agent.is_file()


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArtifactError, match="cannot be written") as caught:
        build_artifact(make_net(), INPUT, X86, tmp_path / "file" / "artifact", name="net")
    assert "\n" not in str(caught.value)
