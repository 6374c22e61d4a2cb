"""Two levels from -8 to 7 a byte, as `hwaware.graph.decode.decode_int4` reads them."""

from __future__ import annotations

import torch
from torch import Tensor

from hwaware.compression.quantize.weights import rows_of


def packed(levels: Tensor) -> Tensor:
    """uint8 (K, bytes of a row) of the integers `levels` (K, …): rows in the order of memory, the low half first.

    A row of an odd count ends with a level 0.
    """
    rows = rows_of(levels).to(torch.int16) + 8
    if rows.shape[1] % 2:
        rows = torch.cat([rows, torch.full((len(rows), 1), 8, dtype=rows.dtype)], 1)
    return (rows[:, 0::2] | rows[:, 1::2] << 4).to(torch.uint8)
