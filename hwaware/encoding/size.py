"""How much smaller a model has become: in parameters that are not 0, and in bytes, which are not the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwaware.encoding.forms import NAMES, Coded, Dense, Encoded


@dataclass(frozen=True)
class SizeRow:
    """One tensor: its parameters, those that are kept (of a codebook: all), bytes in float32 and as encoded."""

    name: str
    encoding: str
    parameters: int
    kept: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class SizeReport:
    """All tensors."""

    rows: tuple[SizeRow, ...]

    @property
    def total(self) -> SizeRow:
        """The sums."""
        counts = (sum(getattr(row, name) for row in self.rows) for name in _COUNTS)
        return SizeRow("total", "", *counts)

    @property
    def times_parameters(self) -> float:
        """How many times fewer parameters."""
        return self.total.parameters / max(1, self.total.kept)

    @property
    def times_bytes(self) -> float:
        """How many times fewer bytes, headers left out."""
        return self.total.bytes_before / max(1, self.total.bytes_after)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "tensors": [asdict(row) for row in self.rows],
            "parameters_x": self.times_parameters,
            "bytes_x": self.times_bytes,
        }

    def text(self) -> str:
        """A table."""
        lines = [f"{'tensor':32} {'encoding':13} {'parameters':>11} {'kept':>9} {'bytes':>11} {'encoded':>10}"]
        for row in (*self.rows, self.total):
            lines.append(
                f"{row.name[:32]:32} {row.encoding:13} {row.parameters:11,} {row.kept:9,} "
                f"{row.bytes_before:11,} {row.bytes_after:10,}"
            )
        said = f"{self.times_parameters:.1f}× fewer parameters, {self.times_bytes:.1f}× fewer bytes"
        return "\n".join([*lines, said])


_COUNTS = ("parameters", "kept", "bytes_before", "bytes_after")


def size_report(tensors: Mapping[str, Encoded]) -> SizeReport:
    """What `tensors` take, beside float32."""
    return SizeReport(tuple(_row(name, tensor) for name, tensor in tensors.items()))


def _row(name: str, tensor: Encoded) -> SizeRow:
    shape = tensor.values.shape if isinstance(tensor, Dense) else tensor.shape
    count = math.prod(shape)
    if isinstance(tensor, Dense):
        kept = int(np.count_nonzero(tensor.values))
    else:
        kept = count if isinstance(tensor, Coded) else len(tensor.values)
    return SizeRow(name, NAMES[type(tensor)], count, kept, 4 * count, tensor.bytes)
