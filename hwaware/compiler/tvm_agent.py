"""The TVM agent as one executable file: a shell line that finds Python, and an archive of all it needs.

The archive holds the agent (`device_agents.tvm`), the tables, the weights, and ``model.so``, a library as TVM's runtime
loads it. It is pushed and run as the C agent is, with the same words on its command line.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import device_agents
from hwaware.compiler.assemble import Assembled, assemble
from hwaware.compiler.build import write_object
from hwaware.compiler.choice import Chooser, Variant
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.kernel import Kernel
from hwaware.compiler.link import cache_folder
from hwaware.compiler.schedules import generate
from hwaware.compiler.shared import link_shared
from hwaware.compiler.targets import Target
from hwaware.compiler.tvm_tables import cells_tables, model_tables
from hwaware.graph.lower import Program

LIBRARY = "model.so"
_LAUNCHER = """\
#!/bin/sh
for python in "$HWAWARE_PYTHON" "$HOME/.local/share/hwaware/tvm/bin/python3"; do
    if [ -x "$python" ]; then exec "$python" "$0" "$@"; fi
done
exec python3 "$0" "$@"
"""
_MAIN = "import sys\n\nfrom device_agents.tvm.main import main\n\nsys.exit(main(sys.argv[1:]))\n"
# Files of the archive always have this date: equal contents are equal files, which a device need not be sent twice.
_DATE = (2020, 1, 1, 0, 0, 0)


def write_tvm_bench(variants: Sequence[Variant], target: Target, out: Path) -> Path:
    """Write the executable `out`, whose ``bench`` measures each variant under its id. Raises BuildError."""
    unique = list({variant.id: variant for variant in variants}.values())
    kernels = [generate(variant.workload, target, variant.choice) for variant in unique]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as name:
        folder = Path(name)
        write_library(kernels, target, folder)
        pack_agent(out, cells_tables(kernels, target), {LIBRARY: folder / LIBRARY})
    return out


def write_tvm_runner(
    program: Program, target: Target, folder: Path, name: str, chooser: Chooser | None = None
) -> Assembled:
    """Compile `program` into the executable ``agent`` in `folder`, beside its ``model.so`` and ``weights.bin``."""
    assembled = assemble(program, target, name, chooser)
    write_library(assembled.kernels, target, folder)
    weights = folder / "weights.bin"
    weights.write_bytes(assembled.weights)
    files = {LIBRARY: folder / LIBRARY, weights.name: weights}
    pack_agent(folder / "agent", model_tables(assembled, target), files)
    return assembled


def write_bare_tvm_agent(out: Path) -> Path:
    """Write an agent that carries nothing: it says what the device is."""
    pack_agent(out, None, {})
    return out


def bare_tvm_agent() -> Path:
    """Such an agent, for any machine, written at the first use."""
    digest = hashlib.sha256(_LAUNCHER.encode() + _MAIN.encode())
    for path in _sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    path = cache_folder() / "agents" / f"bare-tvm-{digest.hexdigest()[:16]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bare_tvm_agent(path)
    return path


def _sources() -> list[Path]:
    return sorted(device_agents.TVM.glob("*.py"))


def write_library(kernels: Sequence[Kernel], target: Target, folder: Path) -> None:
    """Write ``model.so`` into `folder`: the kernels, and the loop that calls them one after the other."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".library-") as name:
        scratch = Path(name)
        files = ["kernels.o"]
        if isinstance(target, CudaTarget):
            from hwaware.compiler.cuda.build import compile_module, write_objects
            from hwaware.compiler.cuda.sentinel import sentinel_function

            write_objects(compile_module(kernels, target, [sentinel_function(target)]), target, scratch)
            files.append("imports.S")
        else:
            write_object(kernels, target, scratch / "kernels.o")
        link_shared(target, files, scratch / LIBRARY, [device_agents.TVM / "sequence.c"])
        os.replace(scratch / LIBRARY, folder / LIBRARY)


def pack_agent(out: Path, tables: Mapping[str, Any] | None, payload: Mapping[str, Path]) -> None:
    """Write an agent that carries `payload`, by name; whole or not at all. Stored, as weights do not get smaller."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(_LAUNCHER.encode())
            with zipfile.ZipFile(file, "w") as archive:
                _add(archive, "__main__.py", _MAIN.encode())
                _add(archive, "device_agents/__init__.py", b"")
                for path in _sources():
                    _add(archive, f"device_agents/tvm/{path.name}", path.read_bytes())
                if tables is not None:
                    _add(archive, "payload/tables.json", json.dumps(tables, separators=(",", ":")).encode())
                for name, path in sorted(payload.items()):
                    _add(archive, f"payload/{name}", path.read_bytes())
        part.chmod(0o755)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _DATE), content)
