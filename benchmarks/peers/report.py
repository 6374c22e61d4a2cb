"""The comparison as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.peers.result import Row, geometric_mean

SCHEMA_VERSION = 1
PACKAGES = ("torch", "onnxruntime", "openvino", "ncnn", "pnnx", "ai-edge-litert", "apache-tvm", "numpy")


def write(rows: Sequence[Row], settings: dict[str, Any], path: Path) -> None:
    """Write rows, versions and the machine to `path`; may be called again as rows come."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "machine": {"processor": _processor(), "system": platform.platform(), "versions": _versions()},
        "settings": settings,
        "geometric_mean": geometric_mean(rows),
        "rows": [_row(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _row(row: Row) -> dict[str, Any]:
    best = row.best
    made = asdict(row)
    made["best_peer"] = None if best is None else best.name
    made["agrees"] = row.agrees
    return made


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.lower().startswith(("model name", "hardware")):
            return line.partition(":")[2].strip()
    return platform.machine()
