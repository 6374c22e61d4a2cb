"""What an agent answers to ``run``: one line of the whole, one an operation, outputs as .npy files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hwaware.devices.schema import Fields
from hwaware.errors import AgentError


def run_and_ops(stdout: str, returncode: int, stderr: str, name: str) -> tuple[Fields, list[Fields]]:
    """The ``run`` line and the ``op`` lines of the answer of the agent on the device `name`. Raises AgentError."""
    where = f"device {name}: the agent's answer"
    run: Fields | None = None
    ops: list[Fields] = []
    finished = False
    for line in stdout.splitlines():
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise AgentError(f"{where} is no JSON: {line[:80]!r}; run the command again") from error
        fields = Fields(document, where)
        kind = document.get("type")
        if kind == "error":
            raise AgentError(f"device {name}: {str(document.get('reason'))[:500]}")
        if kind == "run":
            run = fields
        elif kind == "op":
            ops.append(fields)
        finished = finished or kind == "done"
    if run is None or not finished or returncode != 0:
        said = (stderr.strip().splitlines() or ["nothing on stderr"])[-1][:200]
        raise AgentError(
            f"device {name}: the agent ended with status {returncode} before it was done ({said}); run it again"
        )
    counts = {len(op.numbers("samples_ns")) for op in ops}
    if not run.numbers("samples_ns") or 0 in counts or len(counts) > 1:
        raise AgentError(f"{where} lacks samples: run the command again")
    return run, ops


def output_array(path: Path, spec: dict[str, Any], name: str) -> np.ndarray:
    """The output that `path` holds, of the shape that `spec` says. Raises AgentError."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise AgentError(f"device {name}: an output is no .npy file ({error})") from error
    if not isinstance(array, np.ndarray) or list(array.shape) != spec["shape"]:
        raise AgentError(f"device {name}: output {spec['name']} has the wrong shape")
    return array
