"""hwaware: compress neural networks for a board by what was measured on that board.

The names below are the public API. They are imported when first used: `import hwaware` loads neither torch nor TVM.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwaware.api import compile, measuring, profile
    from hwaware.compiler.artifact import Artifact, load_artifact
    from hwaware.compression.budget import Budget
    from hwaware.compression.compress import compress
    from hwaware.compression.plan import Plan
    from hwaware.compression.prepare import Selection
    from hwaware.compression.regulariser import Regulariser
    from hwaware.compression.search import Options
    from hwaware.compression.task import Task
    from hwaware.costs.predict import predict
    from hwaware.costs.table import CostTable
    from hwaware.devices.device import Device
    from hwaware.devices.device import open_device as device
    from hwaware.errors import HwawareError
    from hwaware.reports.compare import compare
    from hwaware.reports.latency_report import LatencyReport
    from hwaware.reports.measure import measure

__all__ = [
    "Artifact",
    "Budget",
    "CostTable",
    "Device",
    "HwawareError",
    "LatencyReport",
    "Options",
    "Plan",
    "Regulariser",
    "Selection",
    "Task",
    "compare",
    "compile",
    "compress",
    "device",
    "load_artifact",
    "measure",
    "measuring",
    "predict",
    "profile",
]

_HOMES = {
    "Artifact": "hwaware.compiler.artifact",
    "Budget": "hwaware.compression.budget",
    "CostTable": "hwaware.costs.table",
    "Device": "hwaware.devices.device",
    "HwawareError": "hwaware.errors",
    "LatencyReport": "hwaware.reports.latency_report",
    "Options": "hwaware.compression.search",
    "Plan": "hwaware.compression.plan",
    "Regulariser": "hwaware.compression.regulariser",
    "Selection": "hwaware.compression.prepare",
    "Task": "hwaware.compression.task",
    "compare": "hwaware.reports.compare",
    "compile": "hwaware.api",
    "compress": "hwaware.compression.compress",
    "device": "hwaware.devices.device:open_device",
    "load_artifact": "hwaware.compiler.artifact",
    "measure": "hwaware.reports.measure",
    "measuring": "hwaware.api",
    "predict": "hwaware.costs.predict",
    "profile": "hwaware.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hwaware' has no attribute {name!r}")
    home, _, inside = _HOMES[name].partition(":")
    return getattr(importlib.import_module(home), inside or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
