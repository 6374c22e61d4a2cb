"""Which way of multiplying 8-bit integers a target takes, and the target as register tiles of it see it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hwaware.compiler.schedules.integer import arm, x86
from hwaware.compiler.schedules.integer.dots import Dot, Levels, Read, Vectors
from hwaware.compiler.target import Target
from hwaware.compiler.tir import Expr, cast, splat


def dot_of(target: Target, paired: bool, positions: int) -> Dot:
    """The fastest way of a target for so many positions.

    `paired` says that |a| + |b| ≤ 128 for any two neighbouring weights.
    """
    if "+i8mm" in target.features and positions > 1:
        return arm.MMLA
    for feature, dot in _BY_FEATURE.items():
        if feature in target.features:
            return dot
    if target.triple.startswith("x86_64") and target.lanes in x86.LANES:
        return x86.PAIRS if paired else x86.WIDE
    return _BY_FAMILY.get(target.triple.partition("-")[0], SINGLE)


# Registers for what LLVM loads before it is needed, for cores that do not reorder.
_LOADED_AHEAD = 2


@dataclass(frozen=True, kw_only=True)
class IntegerTarget(Target):
    """A target whose multiply-adds are a `dot`."""

    dot: Dot

    @classmethod
    def of(cls, target: Target, dot: Dot) -> IntegerTarget:
        known = {field.name: getattr(target, field.name) for field in fields(Target)}
        return cls(**known | {"registers": dot.room or target.registers}, dot=dot)

    def tile_registers(self, positions: int, vectors: int) -> int:
        """Registers of a tile."""
        return self.dot.registers(positions, vectors) + (0 if self.dual_issue else _LOADED_AHEAD)

    def step_cycles(self, positions: int, vectors: int) -> float:
        """Cycles of a step of the dot's depth."""
        adding = self.dot.instructions(positions, vectors) * self.fma_cycles
        weights = vectors * max(1, self.dot.depth // 4)
        loading = (positions / self.dot.ahead + weights) / self.loads_per_cycle
        return max(max(adding, loading) if self.dual_issue else adding + loading, self.fma_latency)


def _single_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    return total + x[0] * w[0]


def _number(levels: Levels, _step: int, lanes: int) -> Vectors:
    return (splat(levels[0], lanes),)


def _widened(read: Read, lanes: int) -> Vectors:
    return (cast("int32", read(0, lanes), lanes),)


# One channel at a time, which any processor can.
SINGLE = Dot(1, _number, _widened, _single_add, lambda p, v: p * v + v + 3, lambda p, v: 2 * p * v + v)
_BY_FEATURE = {
    "+avx512vnni": x86.VNNI, "+avxvnni": x86.VNNI, "+i8mm": arm.USDOT, "+dotprod": arm.SDOT,
}  # fmt: skip
_BY_FAMILY = {"aarch64": arm.NEON, "arm": arm.ARMV7}
