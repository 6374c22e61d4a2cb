"""Register tiles: how many output positions and channel vectors one inner loop keeps in registers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from hwaware.compiler.kernel import ceil_div
from hwaware.compiler.targets import Target

# Cycles that loading an input and a vector of weights cost even where multiply-adds hide them, because some miss the
# first-level cache. Measured on Zen 4 over tiles from 28 × 1 to 4 × 6.
HIDDEN_INPUT, HIDDEN_WEIGHTS = 0.08, 0.2
# Bytes of a cache line.
LINE = 64


@dataclass(frozen=True)
class Tile:
    """`positions` × `vectors` accumulators."""

    positions: int
    vectors: int


def vector_widths(count: int, lanes: int, least: int = 1) -> list[int]:
    """Vectors that cover `count` channels: full ones, and a last one of the smallest sufficient power of two.

    It is not below `least`.
    """
    full, rest = divmod(count, lanes)
    widths = [lanes] * full
    if rest:
        width = min(least, lanes)
        while width < rest:
            width *= 2
        widths.append(width)
    return widths


@lru_cache(maxsize=4096)
def ranked_tiles(positions: int, channels: int, target: Target, spacing: int = 0) -> tuple[Tile, ...]:
    """The best tile of each width in vectors, ordered by modelled time over `positions` and `channels` outputs.

    `spacing` is the bytes between the inputs of neighbouring positions, where they may fall into the same cache sets.

    `Target.step_cycles` says how long the core takes for a reduction step of p positions and v vectors.
    """
    vectors = len(vector_widths(channels, target.lanes))
    limit = min(positions, 28, most_lines(spacing, target))
    best = []
    for v in range(1, min(vectors, 8) + 1):
        fitting = [p for p in range(1, limit + 1) if target.tile_registers(p, v) <= target.registers]
        found = [(_cost(positions, vectors, p, v, target), -p, Tile(p, v)) for p in fitting]
        best += [min(found, key=lambda item: item[:2])] if found else []
    return tuple(tile for *_, tile in sorted(best, key=lambda item: (item[0], -item[2].positions * item[2].vectors)))


def choose_tile(positions: int, channels: int, target: Target, spacing: int = 0) -> Tile:
    """The first of `ranked_tiles`."""
    return ranked_tiles(positions, channels, target, spacing)[0]


def fitted(tile: Tile, positions: int, channels: int, target: Target) -> Tile:
    """`tile` made smaller where there are fewer positions, channels or registers."""
    p = max(1, min(tile.positions, positions))
    v = max(1, min(tile.vectors, len(vector_widths(channels, target.lanes))))
    while v > 1 and target.tile_registers(1, v) > target.registers:
        v -= 1
    while p > 1 and target.tile_registers(p, v) > target.registers:
        p -= 1
    return Tile(p, v)


def most_lines(spacing: int, target: Target) -> int:
    """How many lines `spacing` bytes apart stay in the first-level cache together, with room for weights that pass.

    At 4 KiB, say 1024 channels, all lines of a tile's positions fall into one set of 8: a ninth evicts the first
    before its next element is read.
    """
    sets = target.l1 // (LINE * target.l1_ways)
    distinct = sets // gcd(spacing // LINE, sets) if spacing % LINE == 0 else sets
    return distinct * max(1, target.l1_ways - 2)


def _cost(positions: int, vectors: int, p: int, v: int, target: Target) -> float:
    full_p, rest_p = divmod(positions, p)
    full_v, rest_v = divmod(vectors, v)
    return sum(
        tiles * _step(height, width, target)
        for tiles, height, width in (
            (full_p * full_v, p, v), (full_v, rest_p, v), (full_p, p, rest_v), (1, rest_p, rest_v)
        )
        if height and width
    )  # fmt: skip


def _step(p: int, v: int, target: Target) -> float:
    return target.step_cycles(p, v) + HIDDEN_INPUT * p + HIDDEN_WEIGHTS * v


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


def channel_blocks(channels: int, vectors: int, lanes: int, least: int = 1) -> tuple[ChannelBlock, ...]:
    """Full blocks of `vectors` vectors, then one of what is left, no vector narrower than `least`."""
    widths = vector_widths(channels, lanes, least)
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
