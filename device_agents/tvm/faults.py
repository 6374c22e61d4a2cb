"""Failures that are told to the host, in its words."""

from __future__ import annotations


class Fault(Exception):
    """What makes a whole call impossible; the text is the reason."""


class KernelFault(Fault):
    """A kernel failed: the `index` of its call, and what it said."""

    def __init__(self, index: int, said: str) -> None:
        super().__init__(f"kernel error: {said}")
        self.index, self.said = index, said
