"""TVM agents over kernels of the tests' own, and how they are run: on the processor, with this Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_agents import TVM
from hwaware.compiler.tvm_agent import LIBRARY, pack_agent
from tests.device_agents.building import Answer, parse_lines
from tests.requirements import need

KERNELS = Path(__file__).with_name("kernels.c")
FAILING = ("raise", "segfault", "forever", "leave")
QUICK = ("--min-time-ms", "1", "--min-count", "3", "--max-count", "10", "--cool-ms", "0")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """In which an agent finds TVM's runtime."""
    return {**os.environ, "HWAWARE_PYTHON": sys.executable, **(more or {})}


def run_agent(agent: Path, *arguments: str | Path, more: Mapping[str, str] | None = None) -> Answer:
    """Run it to the end; every line of stdout must be JSON."""
    command = [str(agent), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False, env=environment(more))
    return Answer(done.returncode, parse_lines(done.stdout), done.stderr.decode())


def handmade_agent(folder: Path) -> Path:
    """An agent with the cells of kernels.c, and a model of two of them: ``scale``, then ``raise``."""
    command = [need("cc", package="gcc"), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"]
    library = folder / LIBRARY
    sources = [str(KERNELS), str(TVM / "sequence.c")]
    subprocess.run([*command, *sources, "-o", str(library)], check=True, timeout=60)
    weights = folder / "weights.bin"
    weights.write_bytes(bytes(64))
    pack_agent(folder / "agent", _tables(), {LIBRARY: library, weights.name: weights})
    return folder / "agent"


def _tables() -> dict[str, Any]:
    cells = [_cell("scale", ("input", "weight", "output")), _cell("huge", ("input",), rows=1 << 40, symbol="scale")]
    cells += [_cell(name, ()) for name in (*FAILING, "chatty", "absent")]
    place = {"dtype": "float32", "shape": [3, 2]}
    x, y = ({**place, "space": "arena", "offset": offset} for offset in (0, 64))
    ops = [
        {"name": "body", "key": "scale", "symbol": "scale", "args": [x, {**place, "space": "weights", "offset": 0}, y]},
        {"name": "head", "key": "raise", "symbol": "raise", "args": []},
    ]
    model = {"name": "tiny", "arena_bytes": 128, "weight_bytes": 64, "inputs": [x], "outputs": [y], "ops": ops}
    return {"schema": 1, "unit": "cpu", "arch": None, "sentinel": None, "cells": cells, "model": model}


def _cell(name: str, roles: Sequence[str], *, rows: int = 1000, symbol: str | None = None) -> dict[str, Any]:
    args = [{"role": role, "dtype": "float32", "shape": [rows, 2], "limit": 1} for role in roles]
    return {"id": name, "symbol": symbol or name, "args": args}
