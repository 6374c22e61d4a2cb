"""What computes, and the memory it computes on: the processor, or the GPU."""

from __future__ import annotations

import ctypes
from typing import Protocol


class Moments(Protocol):
    """Moments that C code marks: the `function` that does it, and what it is given for each of them."""

    function: int
    each: ctypes.Array[ctypes.c_void_p]

    def gaps_ns(self) -> list[float]:
        """Nanoseconds from each moment to the next, once all are marked; waits for the last."""


class Unit(Protocol):
    """The processor or the GPU. Addresses are of its memory; Fault where it has no more."""

    device_type: int  # DLPack's number

    def allocate(self, size: int) -> int:
        """The address of `size` bytes, aligned as TVM's tensors are."""

    def free(self, address: int) -> None:
        """Give back what `allocate` gave."""

    def free_bytes(self) -> int | None:
        """Bytes nobody has, None where nothing tells."""

    def upload(self, address: int, content: bytes) -> None:
        """Write to its memory."""

    def download(self, address: int, size: int) -> bytes:
        """Read from its memory."""

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy within its memory, after what was asked for before."""

    def fill(self, address: int, value: int, size: int) -> None:
        """Set every byte, after what was asked for before."""

    def synchronise(self) -> None:
        """Wait until all that was asked for is done."""

    def moments(self, count: int) -> Moments:
        """So many moments, to be marked again and again."""
