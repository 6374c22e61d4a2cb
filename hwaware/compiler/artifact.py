"""An artifact: a compiled model as files that run on the device.

``agent`` is one static executable with kernels and weights; ``libmodel.a`` and ``model.h`` are for an app to link, and
missing where a GPU computes; ``model.so`` holds the kernels for hosts with TVM's runtime; ``manifest.json`` says what
all of it is.
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

import torch
from torch import nn

from hwaware.compiler.assemble import Assembled, assemble
from hwaware.compiler.build import write_object
from hwaware.compiler.choice import Choice, Chooser
from hwaware.compiler.library import write_library
from hwaware.compiler.link import link_agent
from hwaware.compiler.shared import link_shared
from hwaware.compiler.tables import weights_assembly
from hwaware.compiler.targets import Target
from hwaware.compiler.tvm_agent import write_tvm_runner
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


def build_artifact(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    target: Target,
    out: Path,
    *,
    name: str,
    chooser: Chooser | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Artifact:
    """Compile `module` for `target` into the directory `out`, which appears whole or not at all.

    An existing artifact at `out` is replaced; anything else there is an error. `chooser` knows the schedules that were
    measured to be best, a cost table's `choices`; without it the compiler takes its guesses. `extra` goes into the
    manifest.
    """
    if out.exists() and not (out / "manifest.json").exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise ArtifactError(f"{out} exists and is not an artifact: choose another --out")
    program = lower(capture(module, example_inputs))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
        try:
            manifest = _write(program, target, scratch, name, chooser, dict(extra or {}))
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


def _write(
    program: Program, target: Target, folder: Path, name: str, chooser: Chooser | None, extra: dict[str, Any]
) -> dict[str, Any]:
    assembled = write_agent(program, target, folder, name, chooser)
    # TVM's runtime loads a library of its own from the agent, and no app links to that.
    if not target.tvm:
        write_library(assembled.tables, target, folder)
        link_shared(target, ["kernels.o"], folder / "model.so")
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
        "ops": [_op(op, assembled.choices) for op in program.ops],
        "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
        "extra": extra,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    return manifest


def write_agent(program: Program, target: Target, folder: Path, name: str, chooser: Chooser | None = None) -> Assembled:
    """Compile `program` into the executable ``agent`` in `folder`, beside its ``weights.bin``.

    And beside its ``kernels.o``, or ``model.so`` where TVM's runtime loads the kernels.
    """
    if target.tvm:
        return write_tvm_runner(program, target, folder, name, chooser)
    assembled = assemble(program, target, name, chooser)
    write_object(assembled.kernels, target, folder / "kernels.o")
    (folder / "weights.bin").write_bytes(assembled.weights)
    link_agent(
        target, assembled.tables.source(), [folder / "kernels.o"], folder / "agent", weights_assembly("weights.bin")
    )
    return assembled


def _tensor(name: str, spec: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(spec.shape), "dtype": spec.dtype}


def _op(op: FusedOp, choices: Mapping[str, Choice]) -> dict[str, str]:
    key = op.workload.key
    return {"name": op.name, "key": key, "path": op.path, "schedule": str(choices[key])}


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
