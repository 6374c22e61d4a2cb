"""Random programs of moves and arithmetic over (pixels, channels) values, and an interpreter of them on flat memory.

The interpreter knows workloads only by their keys, so that what it computes is what the keys promise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from hwaware.compiler.memory import plan_memory
from hwaware.graph.ir import Spec
from hwaware.graph.lower import FusedOp, Program
from hwaware.graph.lower.builder import dense_view
from hwaware.graph.lower.copy import part

Memory = Callable[[str], np.ndarray]  # a buffer's elements, and what lies behind them


@dataclass
class Draft:
    """A program in the making; values are (buffer, channels)."""

    pixels: int
    ops: list[FusedOp] = field(default_factory=list)
    buffers: dict[str, Spec] = field(default_factory=dict)

    def channels(self, name: str) -> int:
        return self.buffers[name].shape[-1]

    def _new(self, kind: str, inputs: list[str], specs: list[Spec], width: int, attrs: dict[str, object]) -> str:
        name = f"{kind}{len(self.ops)}"
        spec = Spec((1, self.pixels, 1, width), "float32")
        self.buffers[name] = spec
        self.ops.append(FusedOp(name, "", kind, inputs, specs, name, spec, attrs))
        return name

    def dense(self, kind: str, name: str, width: int) -> str:
        """An operation that reads all of a value."""
        return self._new(kind, [name], [self.buffers[name]], width, {})

    def map(self, name: str, first: int, width: int) -> str:
        """An elementwise operation on neighbouring channels."""
        all_ = self.channels(name)
        attrs: dict[str, object] = {"strides": (0, all_, 0, 1), "offset": first}
        return self._new("map", [name], [Spec((self.pixels * all_,), "float32")], width, attrs)

    def moves(self, sources: list[tuple[str, int, int]]) -> str:
        """Slices (value, first channel, channels) side by side, by a copy."""
        width = sum(count for _, _, count in sources)
        target, start, parts = dense_view((self.pixels, width), (0, 1)), 0, []
        for name, first, count in sources:
            source = dense_view((self.pixels, self.channels(name)), (0, 1)).narrow(1, first, count)
            parts.append(part(source, target.narrow(1, start, count)))
            start += count
        specs = [Spec((self.pixels * self.channels(name),), "float32") for name, _, _ in sources]
        return self._new("copy", [name for name, _, _ in sources], specs, width, {"parts": tuple(parts)})


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Chains and diamonds of convolutions, maps, slices, concatenations and a kind that reads nothing but dense."""
    draft = Draft(draw(st.integers(1, 3)))
    draft.buffers["x"] = Spec((1, draft.pixels, 1, draw(st.integers(1, 5))), "float32")
    made = ["x"]
    for _ in range(draw(st.integers(1, 10))):
        name = draw(st.sampled_from(made))
        what = draw(st.sampled_from(["conv2d", "softmax", "map", "slice", "cat", "cat"]))
        first = draw(st.integers(0, draft.channels(name) - 1))
        width = draw(st.integers(1, draft.channels(name) - first))
        if what == "conv2d":
            made.append(draft.dense(what, name, draw(st.integers(1, 5))))
        elif what == "softmax":
            made.append(draft.dense(what, name, draft.channels(name)))
        elif what == "map":
            made.append(draft.map(name, first, width))
        elif what == "slice":
            made.append(draft.moves([(name, first, width)]))
        else:
            others = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3))
            made.append(draft.moves([(other, 0, draft.channels(other)) for other in others]))
    last = draw(st.lists(st.sampled_from(made[1:]), min_size=1, max_size=2, unique=True))
    outputs = [(name, name, draft.buffers[name]) for name in last]
    return Program([("x", "x", draft.buffers["x"])], outputs, draft.ops, draft.buffers)


def run(program: Program, memory: Memory, x: np.ndarray) -> list[np.ndarray]:
    """The outputs of `program` for the input `x`."""
    memory("x")[: x.size] = x
    for op in program.ops:
        _KINDS.get(op.kind, _dense)(op, memory)
    return [memory(buffer)[: np.prod(spec.shape)].copy() for _, buffer, spec in program.outputs]


def apart(program: Program) -> Memory:
    """Memory of its own for every buffer, poisoned."""
    assert not program.slices
    places = {name: np.full(int(np.prod(spec.shape)), np.nan) for name, spec in program.buffers.items()}
    return places.__getitem__


def planned(program: Program) -> Memory:
    """One arena as the compiler plans it, poisoned."""
    plan = plan_memory(program)
    arena = np.full(plan.size // 4, np.nan)
    return lambda name: arena[plan.offsets[name] // 4 :]


def _pixels(flat: np.ndarray, count: int, width: int, pitch: int) -> np.ndarray:
    """A view of (pixels, channels)."""
    return np.lib.stride_tricks.as_strided(flat, (count, width), (pitch * flat.itemsize, flat.itemsize))


def _write(op: FusedOp, memory: Memory, values: np.ndarray) -> None:
    work = op.workload
    _pixels(memory(op.output), len(values), work.out_width, work.out_pitch)[:] = values


def _dense(op: FusedOp, memory: Memory) -> None:
    """Some function of all channels of a pixel; kinds other than convolutions can't have pitches."""
    work = op.workload
    assert op.kind == "conv2d" or not op.attrs, op
    read = _pixels(memory(op.inputs[0]), work.inputs[0].shape[1], work.in_width, work.in_pitch)
    weights = 1.0 + np.arange(work.in_width)[:, None] + 0.5 * np.arange(work.out_width)
    _write(op, memory, read @ weights % 97.0)


def _map(op: FusedOp, memory: Memory) -> None:
    work = op.workload
    step = work.ints("strides")[1]
    pitch = step // work.in_width * work.in_pitch if "in_pitch" in op.attrs else step
    offset = work.attr("offset")
    assert isinstance(offset, int)
    _write(op, memory, _pixels(memory(op.inputs[0])[offset:], work.output.shape[1], work.out_width, pitch) + 1.0)


def _copy(op: FusedOp, memory: Memory) -> None:
    for name, (shape, ins, first, outs, start) in zip(op.inputs, op.attrs["parts"], strict=True):  # type: ignore[call-overload]
        for place in np.ndindex(*shape):
            memory(op.output)[start + int(np.dot(place, outs))] = memory(name)[first + int(np.dot(place, ins))]


_KINDS: Mapping[str, Callable[[FusedOp, Memory], None]] = {"map": _map, "copy": _copy}
