"""Register tiles: how many output positions and channel vectors one inner loop keeps in registers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hwaware.compiler.kernel import ceil_div
from hwaware.compiler.targets import Target

# Cycles until the result of a multiply-add can be added to: a tile with fewer accumulators waits.
FMA_LATENCY = 4.0


@dataclass(frozen=True)
class Tile:
    """`positions` × `vectors` accumulators."""

    positions: int
    vectors: int


def vector_widths(count: int, lanes: int) -> list[int]:
    """Vectors that cover `count` channels: full ones, and a last one of the smallest sufficient power of two."""
    full, rest = divmod(count, lanes)
    widths = [lanes] * full
    if rest:
        width = 1
        while width < rest:
            width *= 2
        widths.append(width)
    return widths


@lru_cache(maxsize=4096)
def choose_tile(positions: int, channels: int, target: Target) -> Tile:
    """The tile with the lowest modelled time over a row of `positions` and `channels` outputs.

    A reduction step of p positions and v vectors issues p·v multiply-adds, loads p inputs and v weight vectors at two
    loads a cycle, and cannot take less than the latency of one multiply-add.
    """
    vectors = len(vector_widths(channels, target.lanes))
    best: tuple[float, int, Tile] | None = None
    for v in range(1, min(vectors, 8) + 1):
        for p in range(1, min(positions, 28) + 1):
            if p * v + v + 1 > target.registers:
                break
            cost = _cost(positions, vectors, p, v, target)
            candidate = (cost, -p * v, Tile(p, v))
            if best is None or candidate[:2] < best[:2]:
                best = candidate
    assert best is not None
    return best[2]


def _step(p: int, v: int, target: Target) -> float:
    return max(p * v * target.fma_cycles, (p + v) * 0.5, FMA_LATENCY)


def _cost(positions: int, vectors: int, p: int, v: int, target: Target) -> float:
    full_p, rest_p = divmod(positions, p)
    full_v, rest_v = divmod(vectors, v)
    total = full_p * full_v * _step(p, v, target)
    if rest_p:
        total += full_v * _step(rest_p, v, target)
    if rest_v:
        total += full_p * _step(p, rest_v, target)
    if rest_p and rest_v:
        total += _step(rest_p, rest_v, target)
    return total


@dataclass(frozen=True)
class ChannelBlock:
    """`count` equal blocks of output channels from channel `start`, each of vectors of these `widths`.

    `valid` channels of a block are real, the rest is padding of the last vector; `offset` is where the block's
    packed weights begin, in units of one reduction step's channels.
    """

    start: int
    count: int
    widths: tuple[int, ...]
    valid: int
    offset: int

    @property
    def padded(self) -> int:
        """Channels with padding."""
        return sum(self.widths)

    @property
    def starts(self) -> tuple[int, ...]:
        """First channel of each vector within the block."""
        return tuple(sum(self.widths[:index]) for index in range(len(self.widths)))


def channel_blocks(channels: int, vectors: int, lanes: int) -> tuple[ChannelBlock, ...]:
    """Full blocks of `vectors` vectors, then one of what is left."""
    widths = vector_widths(channels, lanes)
    size = vectors * lanes
    count = channels // size
    blocks = []
    if count:
        blocks.append(ChannelBlock(0, count, (lanes,) * vectors, size, 0))
    rest = channels - count * size
    if rest:
        blocks.append(ChannelBlock(count * size, 1, tuple(widths[count * vectors :]), rest, count * size))
    return tuple(blocks)


@lru_cache(maxsize=4096)
def choose_depthwise(positions: int, channels: int, target: Target) -> Tile:
    """A tile for depthwise convolution: enough independent sums to hide latency, and registers left for inputs."""
    vectors = len(vector_widths(channels, target.lanes))
    v = min(vectors, 2)
    budget = max(1, (target.registers - v - 2) // v)
    p = min(positions, budget, 14 if v == 1 else 7)
    # Even tiles over the row beat a full one and a rest.
    return Tile(ceil_div(positions, ceil_div(positions, p)), v)
