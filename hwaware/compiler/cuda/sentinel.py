"""A fixed piece of work for a GPU: how long it takes follows its clock, and whoever else computes there."""

from __future__ import annotations

from typing import Any

from hwaware.compiler.choice import Choice
from hwaware.compiler.cuda.blocks import Blocks
from hwaware.compiler.cuda.names import ELEMENT
from hwaware.compiler.cuda.schedule import schedule
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.cuda.views import view
from hwaware.compiler.tir import const

SYMBOL = "hwa_sentinel"
# A block of threads for each multiprocessor of a large board; a chain of multiply-adds that wait for each other.
ELEMENTS, _STEPS, _THREADS = 16 * 256, 20_000, 256


def sentinel_function(target: CudaTarget) -> Any:
    """The function `SYMBOL`, which fills a tensor of `ELEMENTS` floats."""
    blocks = Blocks()
    total = blocks.reduce(
        "chain",
        (ELEMENTS,),
        (_STEPS,),
        lambda _kept, _reduced: const(1e-3),
        combine=lambda so_far, term: so_far * const(0.999) + term,
    )
    output = view("y", (ELEMENTS,))
    blocks.store("y", (ELEMENTS,), lambda indices: total.load(*indices), output)
    made = schedule(blocks.function([output]), Choice.of(ELEMENT, threads=_THREADS), target, aligned=True)
    return made.with_attr("global_symbol", SYMBOL)
