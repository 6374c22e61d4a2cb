"""The weights that are not 0, by output channel: values, where their inputs are, and where each channel's begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from hwaware.compiler.kernel import KernelBuilder
from hwaware.compiler.tir import Buffer, Expr, Stmt, bind, cast, integer, load, loop
from hwaware.graph.workload import SPARSE, STORED, Workload

_MOST_SHORT = 1 << 16


def count_of(workload: Workload) -> int:
    """How many weights are kept."""
    return int(str(workload.attr(STORED)).removeprefix(SPARSE))


@dataclass(frozen=True)
class Entries:
    """Entry e of output channel k, starts[k] <= e < starts[k + 1], is `values[e]` times the input at `places[e]`."""

    values: Buffer
    places: Buffer
    starts: Buffer

    def place(self, index: Expr) -> Expr:
        """Where the input of an entry is."""
        return cast("int32", load(self.places, index))

    def of(self, channel: Expr) -> tuple[Expr, Expr, list[Stmt]]:
        """The first entry of a channel and how many there are, as names, and what binds them."""
        first, bound = bind("first", load(self.starts, channel))
        count, counted = bind("count", load(self.starts, channel + 1) - first)
        return first, count, [bound, counted]

    def by(self, size: int, count: Expr, body: Callable[[Expr], Stmt]) -> tuple[Expr, list[Stmt]]:
        """`body(entry)` for every `size` of `count` entries; how many that were, and the statements."""
        # The loop starts at 0: TVM's simplifier forgets another start where the variable is divided further in.
        steps, bound = bind(f"steps{size}", tirx.floordiv(count, integer(size)))
        return steps * size, [bound, loop("j", steps, lambda j: body(j * size))]


def entries(builder: KernelBuilder, channels: int, places: np.ndarray, extent: int) -> Entries:
    """Declare them; `places` says where the input of each weight of a row is, below `extent`.

    A row of `places` and of the weights is in the order (input channel, height, width).
    """
    count = max(1, count_of(builder.workload))
    dtype = "uint16" if extent <= _MOST_SHORT else "int32"

    def rows(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return constants["weight"].reshape(channels, -1)

    def by_place(constants: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each weight, of a row in the order in which its inputs lie."""
        row, column = np.nonzero(rows(constants))
        order = np.lexsort((places[column], row))
        return row[order], column[order]

    def values(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return _padded(rows(constants)[by_place(constants)].astype(np.float32), count)

    def starts(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(np.count_nonzero(rows(constants), axis=1))]).astype(np.int32)

    def where(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return _padded(places[by_place(constants)[1]].astype(dtype), count)

    return Entries(
        builder.constant("values", count, values),
        builder.constant("places", count, where, dtype, limit=int(places.max(initial=0)) + 1),
        builder.constant("starts", channels + 1, starts, "int32", limit=count_of(builder.workload), rising=True),
    )


def _padded(found: np.ndarray, count: int) -> np.ndarray:
    return np.pad(found, (0, count - len(found)))
