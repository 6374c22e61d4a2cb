"""An artifact: a compiled model as files that run on the device.

``agent`` is one static executable with kernels and weights; ``libmodel.a`` and ``model.h`` are for an app to link;
``model.so`` holds the kernels for hosts with TVM's runtime; ``manifest.json`` says what all of it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hwaware.compiler.build import compile_module
from hwaware.compiler.kernel import Kernel
from hwaware.compiler.library import write_library
from hwaware.compiler.link import link_agent, run_tool, toolchain
from hwaware.compiler.memory import ALIGNMENT, MemoryPlan, align, plan_memory
from hwaware.compiler.schedules import generate
from hwaware.compiler.tables import Call, ModelTables, Tensor, weights_assembly
from hwaware.compiler.targets import Target
from hwaware.compiler.versions import toolchain_identity
from hwaware.errors import ArtifactError
from hwaware.fields import Fields
from hwaware.files import Document, read_json
from hwaware.graph.capture import capture
from hwaware.graph.lower import FusedOp, Program, lower

SCHEMA_VERSION = 1
_KIND = "hwaware-artifact"
_DOCUMENT = Document("artifact manifest", "compile the model again", ArtifactError)


@dataclass(frozen=True)
class Artifact:
    """A compiled model on disk; `manifest` as in its manifest.json."""

    path: Path
    manifest: dict[str, Any]

    @property
    def agent(self) -> Path:
        """The executable that runs the model."""
        return self.path / "agent"

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.manifest["model"])


@dataclass(frozen=True)
class Assembled:
    """A program with its kernels, memory and packed weights, ready to be linked."""

    kernels: tuple[Kernel, ...]
    tables: ModelTables
    weights: bytes


def assemble(program: Program, target: Target, name: str) -> Assembled:
    """Kernels (one a distinct workload), tensor places and weights (equal ones stored once) of a program."""
    plan = plan_memory(program)
    kernels: dict[str, Kernel] = {}
    weights = _Weights()
    tensors = _Tensors(plan)
    calls = []
    for op in program.ops:
        workload = op.workload
        kernel = kernels.setdefault(workload.key, generate(workload, target))
        packed = [weights.add(array) for array in kernel.pack(op.constants)]
        arguments = [argument.size for argument in kernel.arguments]
        buffers = [*op.inputs, *[None] * len(packed), op.output]
        indices = []
        for position, (buffer, size) in enumerate(zip(buffers, arguments, strict=True)):
            if buffer is None:
                offset, dtype = packed[position - len(op.inputs)]
                indices.append(tensors.weight(offset, size, dtype))
            else:
                indices.append(tensors.view(buffer, (size,), program.buffers[buffer].dtype))
        calls.append(Call(op.name, workload.key, kernel.symbol, tuple(indices)))
    inputs = tuple(tensors.view(buffer, spec.shape, spec.dtype) for _, buffer, spec in program.inputs)
    outputs = tuple(tensors.view(buffer, spec.shape, spec.dtype) for _, buffer, spec in program.outputs)
    data = weights.data()
    tables = ModelTables(name, tuple(tensors.items), tuple(calls), inputs, outputs, plan.size, len(data))
    return Assembled(tuple(kernels.values()), tables, data)


class _Weights:
    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._known: dict[str, int] = {}

    def add(self, array: np.ndarray) -> tuple[int, str]:
        """Offset and element type of an array, stored once however often it is used."""
        data = array.tobytes() or bytes(array.itemsize)
        digest = hashlib.sha256(data + array.dtype.str.encode()).hexdigest()
        if digest not in self._known:
            self._known[digest] = self._size
            padding = align(len(data)) - len(data)
            self._parts.append(data + bytes(padding))
            self._size += len(data) + padding
        return self._known[digest], str(array.dtype)

    def data(self) -> bytes:
        return b"".join(self._parts) or bytes(ALIGNMENT)


class _Tensors:
    def __init__(self, plan: MemoryPlan) -> None:
        self._plan = plan
        self._known: dict[Tensor, int] = {}
        self.items: list[Tensor] = []

    def _index(self, tensor: Tensor) -> int:
        if tensor not in self._known:
            self._known[tensor] = len(self.items)
            self.items.append(tensor)
        return self._known[tensor]

    def view(self, buffer: str, shape: tuple[int, ...], dtype: str) -> int:
        return self._index(Tensor(shape, dtype, "arena", self._plan.offsets[buffer]))

    def weight(self, offset: int, size: int, dtype: str) -> int:
        return self._index(Tensor((size,), dtype, "weights", offset))


def program_memory(program: Program, target: Target) -> dict[str, int]:
    """Exact bytes of weights and arena that the artifact of `program` will use."""
    assembled = assemble(program, target, "")
    return {"weights": assembled.tables.weight_bytes, "arena": assembled.tables.arena_bytes}


def build_artifact(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    target: Target,
    out: Path,
    *,
    name: str,
    extra: Mapping[str, Any] | None = None,
) -> Artifact:
    """Compile `module` for `target` into the directory `out`, which appears whole or not at all.

    An existing artifact at `out` is replaced; anything else there is an error. `extra` goes into the manifest.
    """
    if out.exists() and not (out / "manifest.json").exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise ArtifactError(f"{out} exists and is not an artifact: choose another --out")
    program = lower(capture(module, example_inputs))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
        try:
            manifest = _write(program, target, scratch, name, dict(extra or {}))
            _replace(scratch, out)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise ArtifactError(
            f"{out} cannot be written: {error.strerror or error}; free space or choose another --out"
        ) from error
    return Artifact(out, manifest)


def _replace(scratch: Path, out: Path) -> None:
    if out.exists():
        old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-old-"))
        os.replace(out, old / "artifact")
        os.replace(scratch, out)
        shutil.rmtree(old)
    else:
        os.replace(scratch, out)


def _write(program: Program, target: Target, folder: Path, name: str, extra: dict[str, Any]) -> dict[str, Any]:
    assembled = assemble(program, target, name)
    module = compile_module(assembled.kernels, target)
    module.mod.write_to_file(str(folder / "kernels.o"), "o")
    (folder / "weights.bin").write_bytes(assembled.weights)
    link_agent(
        target, assembled.tables.source(), [folder / "kernels.o"], folder / "agent", weights_assembly("weights.bin")
    )
    write_library(assembled.tables, target, folder)
    tools = toolchain(target)
    run_tool([*tools.cc, "-shared", "-o", "model.so", "kernels.o"], folder, "linking model.so")
    (folder / "kernels.o").unlink()
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": _KIND,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": name,
        "inputs": [_tensor(item, spec) for item, _, spec in program.inputs],
        "outputs": [_tensor(item, spec) for item, _, spec in program.outputs],
        "target": target.identity(),
        "toolchain": toolchain_identity(target),
        "memory": {"weights": assembled.tables.weight_bytes, "arena": assembled.tables.arena_bytes},
        "ops": [_op(op) for op in program.ops],
        "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
        "extra": extra,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    return manifest


def _tensor(name: str, spec: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(spec.shape), "dtype": spec.dtype}


def _op(op: FusedOp) -> dict[str, str]:
    return {"name": op.name, "key": op.workload.key, "path": op.path}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_artifact(path: Path) -> Artifact:
    """The artifact in the directory `path`; ArtifactError if it is missing, corrupt or of another schema."""
    file = path / "manifest.json"
    if not file.is_file():
        raise ArtifactError(
            f"{path} is no artifact (no manifest.json): make one with "
            f"`hwaware compile MODEL --device NAME --out {path}`"
        )
    manifest = read_json(file, _DOCUMENT)
    fields = Fields(str(file), "", manifest, _DOCUMENT)
    if fields.raw("kind") != _KIND:
        raise fields.error("kind", f"is not {_KIND}")
    if fields.integer("schema_version") != SCHEMA_VERSION:
        raise fields.error("schema_version", f"is {manifest['schema_version']}, this hwaware reads {SCHEMA_VERSION}")
    fields.text("model")
    for name in ("target", "toolchain", "memory", "files", "extra"):
        fields.section(name)
    for name in ("inputs", "outputs"):
        for tensor in fields.sections(name):
            tensor.text("name")
            tensor.text("dtype")
            tensor.numbers("shape", low=0)
    agent = path / "agent"
    if not agent.is_file() or _sha256(agent) != fields.section("files").raw("agent"):
        raise ArtifactError(f"{agent} is missing or not what {file.name} says: {_DOCUMENT.remedy}")
    return Artifact(path, manifest)
