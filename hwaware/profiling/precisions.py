"""Which precisions a profile measures beside float32, and random variants in them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hwaware.compiler.target import CPU, Target
from hwaware.compression.quantize.choices import PRECISIONS, Precision, everywhere, layers
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.structure import in_precisions, uniform
from hwaware.errors import TableError
from hwaware.graph.ir import Graph

# How often a random layer has the precision of the one before.
_STAY = 0.5


def parse_precisions(text: str) -> tuple[Precision, ...]:
    """From ``int8,weight8``; float32 is always measured. Raises TableError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PRECISIONS:
            raise TableError(f"no precision {name!r}: choose of {', '.join(PRECISIONS)}")
    return tuple(name for name in PRECISIONS if name in names and name != "float32")


def usual(target: Target) -> tuple[Precision, ...]:
    """What is worth measuring on `target` where nobody said: the faster kind of integers, none on a GPU."""
    if target.unit != CPU:
        return ()
    in_pairs = target.name.startswith("x86") and not target.name.endswith("vnni")
    return ("int8p",) if in_pairs else ("int8",)


def mixed(graph: Graph, precisions: Sequence[Precision], rng: random.Random) -> Graph:
    """Each layer in one of `precisions` or in float32, neighbours often in the same."""
    plain = folded(graph)
    able = {precision: everywhere(plain, precision) for precision in precisions}
    choices: dict[str, Precision] = {}
    now: Precision = "float32"
    for node in layers(plain):
        if rng.random() > _STAY:
            now = rng.choice(("float32", *precisions))
        if now != "float32" and node.name in able[now]:
            choices[node.name] = now
    return in_precisions(graph, choices)


__all__ = ["Precision", "mixed", "parse_precisions", "uniform"]
