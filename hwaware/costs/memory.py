"""Peak memory of a model that runs: its weights and arena, which the memory plan says exactly, and what else there is.

Memory is resident by the page. What else: the tables that describe tensors to the kernels, some bytes an operation, and
a constant (beginnings of pages, blocks of the allocator). Both are fitted to models that were run, relative to their
size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwaware.costs.manifest import TABLE
from hwaware.fields import Fields

# An operation's entries in the agent's tables on a 64-bit device: about four tensors of 112 bytes, four arguments of
# 16. Used where the models that were run have too similar a number of operations to tell.
_PER_OP = 512.0
_LEAST_SPREAD = 2.0
# In front of the arena: the allocator's header, up to the alignment of tensors.
_HEADER = 64


@dataclass(frozen=True)
class MemorySample:
    """Bytes of one model that was run, its number of operations, and the peak (resident bytes) that was measured."""

    weights: int
    arena: int
    ops: int
    peak: int


@dataclass(frozen=True)
class MemoryModel:
    """Bytes beside weights and arena; `error` is the largest relative one over the `samples` it was fitted to."""

    page_bytes: int
    fixed_bytes: float
    bytes_per_op: float
    error: float
    samples: int

    def peak(self, weights: int, arena: int, ops: int) -> int:
        """The most resident bytes of a model with so many bytes of weights and arena and so many operations."""
        return max(0, round(_planned(weights, arena, self.page_bytes) + self.fixed_bytes + self.bytes_per_op * ops))

    def document(self) -> dict[str, Any]:
        """The JSON object in a table's manifest."""
        return dict(vars(self))

    @classmethod
    def load(cls, values: Mapping[str, Any], source: str = "the cost table") -> MemoryModel:
        """Read an untrusted `document`. Raises TableError naming `source` and the field."""
        top = Fields(source, "memory", values, TABLE)
        return cls(
            page_bytes=top.integer("page_bytes", low=1),
            fixed_bytes=top.number("fixed_bytes"),
            bytes_per_op=top.number("bytes_per_op", low=0.0),
            error=top.number("error", low=0.0),
            samples=top.integer("samples", low=1),
        )


def fit_memory(samples: Sequence[MemorySample], page_bytes: int) -> MemoryModel:
    """The least relative squares fit to at least one sample from a device with pages of `page_bytes`.

    The bytes an operation takes are fitted only where the samples' numbers of operations differ twofold. ValueError
    without a sample.
    """
    if not samples:
        raise ValueError("the memory of no model was measured")
    ops = np.array([sample.ops for sample in samples], dtype=np.float64)
    peaks = np.array([sample.peak for sample in samples], dtype=np.float64)
    rest = peaks - [_planned(sample.weights, sample.arena, page_bytes) for sample in samples]
    per_op = _PER_OP
    if len(samples) > 2 and ops.max() >= _LEAST_SPREAD * ops.min():
        columns = np.stack([np.ones_like(ops), ops], axis=1) / peaks[:, None]
        per_op = max(0.0, float(np.linalg.lstsq(columns, rest / peaks, rcond=None)[0][1]))
    fixed = float(np.average(rest - per_op * ops, weights=peaks**-2.0))
    off = np.abs(fixed + per_op * ops - rest) / peaks
    return MemoryModel(page_bytes, round(fixed, 1), round(per_op, 3), round(float(off.max()), 6), len(samples))


def _planned(weights: int, arena: int, page_bytes: int) -> int:
    """Bytes of the pages of weights and arena."""
    return sum(-(-size // page_bytes) * page_bytes for size in (weights, arena + _HEADER))
