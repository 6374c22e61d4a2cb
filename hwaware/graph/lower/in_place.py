"""Concatenations and channel slices without copies.

Two rewrites of a lowered program, on its ``copy`` operations:

- cat(…, v, …): what writes v writes into its place in the concatenation, with a pitch between pixels. Later
  concatenations come first, so that in a chain of them (a dense block) all write into the longest.
- v = w[:, a:b]: what reads v reads w, from channel a on and with w's pitch. Several moves that together are one slice,
  such as a concatenation of neighbours in a longer one, count as that slice.

Either needs every other reader of v to be of a kind that can read with a pitch; else the copy stays, of this part only.
What can be done depends on the structure of the network, not on its widths: narrower variants become the same program.
"""

from __future__ import annotations

import math

from hwaware.graph.ir import Spec
from hwaware.graph.lower.copy import Part
from hwaware.graph.lower.layout import INPUT, Layout, block_of, relaid
from hwaware.graph.lower.pitches import can_read, can_write, map_dims, moves, parts_of, write_at
from hwaware.graph.lower.program import FusedOp, Program, Slice
from hwaware.graph.workload import IN_PITCH


def without_copies(program: Program) -> None:
    """Rewrite `program`: its `slices` say what shares memory, pitches are attributes of its operations."""
    placer = _Placer(program)
    for op in reversed(list(program.ops)):
        if moves(op):
            placer.write_parts(op)
    for op in list(program.ops):
        if moves(op):
            placer.read_slice(op)
    for op in program.ops:
        if op.kind == "map":
            placer.read_channels(op)
    program.slices.update({name: Slice(at.buffer, at.offset) for name, at in placer.layouts.items()})


class _Placer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.layouts: dict[str, Layout] = {}
        self._given = {buffer for _, buffer, _ in program.inputs}
        self._asked = {buffer for _, buffer, _ in program.outputs}

    def write_parts(self, op: FusedOp) -> None:
        """Have the parts of a copy written in place where that can be; the copy keeps the others."""
        kept = []
        for name, spec, part in zip(op.inputs, op.input_specs, parts_of(op), strict=True):
            layout = self._place_of(op, name, part)
            if layout is None:
                kept.append((name, spec, part))
                continue
            for writer in self._writers(name):
                write_at(writer, layout, self.program.buffers[layout.buffer])
            self._lay(name, layout, op)
        op.inputs, op.input_specs = [name for name, _, _ in kept], [spec for _, spec, _ in kept]
        op.attrs["parts"] = tuple(part for _, _, part in kept)
        if not kept:
            self._drop(op)

    def _place_of(self, op: FusedOp, name: str, part: Part) -> Layout | None:
        """Where `name` would lie in the output of `op`, if all that write and read it can have it there."""
        block = block_of(part)
        if name in self.layouts or name in self._given | self._asked or op.inputs.count(name) > 1 or block is None:
            return None
        if block.in_offset or block.in_pitch != block.channels or block.elements != self._elements(name):
            return None
        layout = Layout(op.output, block.out_offset, block.channels, block.out_pitch)
        writers = self._writers(name)
        if not writers or not all(can_write(writer, layout) for writer in writers):
            return None
        return layout if self._can_read(name, layout, op) else None

    def read_slice(self, op: FusedOp) -> None:
        """Leave a copy out if all it does is to make a slice of some memory dense, and all its readers need not."""
        target = op.output
        blocks = [block_of(part) for part in parts_of(op)]
        shared = any(layout.buffer == target for layout in self.layouts.values())
        if target in self._asked or shared or len(self._writers(target)) > 1:
            return
        found = set()
        for name, block in zip(op.inputs, blocks, strict=True):
            if block is None:
                return
            root, start = self._root(name)
            pitches = (block.in_pitch, block.out_pitch) if block.pixels > 1 else (0, 0)
            found.add((root, start + block.in_offset - block.out_offset, block.pixels, pitches))
        total = sum(block.elements for block in blocks if block is not None)
        if len(found) != 1 or total != self._elements(target):
            return
        ((root, offset, pixels, (in_pitch, out_pitch)),) = found
        channels = total // pixels
        if pixels > 1 and out_pitch != channels:
            return
        layout = Layout(root, offset, channels, in_pitch or channels)
        if self._can_read(target, layout, op):
            self._drop(op)
            self._lay(target, layout, op)

    def read_channels(self, op: FusedOp) -> None:
        """Let a map over some channels of a buffer read them as a slice: their place is not part of its key then."""
        name = op.inputs[0]
        shape = self.program.buffers[name].shape
        if name in self.layouts or not shape or op.output_spec.shape[-1:] >= shape[-1:]:
            return
        layout = Layout(name, 0, shape[-1], shape[-1])
        if map_dims(op, layout) is not None:
            self._lay_map(op, layout)

    def _lay(self, name: str, layout: Layout, mover: FusedOp) -> None:
        """Put `name` into its place for everything that reads it but `mover`."""
        self.layouts[name] = layout
        for reader in self._readers(name, mover):
            if reader.kind == "copy":
                self._lay_copy(reader, name, layout)
            elif layout.is_block and reader.kind == "map":
                continue
            elif reader.kind == "map":
                self._lay_map(reader, layout)
            else:
                reader.attrs[IN_PITCH] = reader.input_specs[0].shape[-1] if layout.is_block else layout.pitch

    def _lay_copy(self, reader: FusedOp, name: str, layout: Layout) -> None:
        parts = []
        for index, (source, part) in enumerate(zip(reader.inputs, parts_of(reader), strict=True)):
            moved = relaid(part, INPUT, layout) if source == name else part
            assert moved is not None
            parts.append(moved)
            if source == name:
                spec = reader.input_specs[index]
                reader.input_specs[index] = Spec((layout.extent(self._elements(name)),), spec.dtype)
        reader.attrs["parts"] = tuple(parts)

    def _lay_map(self, op: FusedOp, layout: Layout) -> None:
        """`op` reads `layout`, or some of its channels, as if they were dense, with a pitch."""
        dims = map_dims(op, layout)
        assert dims is not None
        strides, start = dims
        name, spec = op.inputs[0], op.input_specs[0]
        width = op.output_spec.shape[-1]
        pixels = self._elements(name) // layout.channels - start // layout.channels
        if start or width != layout.channels:
            op.inputs[0] = f"{op.name}_slice"
            self.program.buffers[op.inputs[0]] = Spec((pixels, width), spec.dtype)
            offset = layout.offset + layout.place(start)
            self.layouts[op.inputs[0]] = Layout(layout.buffer, offset, width, layout.pitch)
        op.input_specs[0] = Spec((pixels * width,), spec.dtype)
        op.attrs |= {"strides": strides, "offset": 0, IN_PITCH: layout.pitch}

    def _can_read(self, name: str, layout: Layout, mover: FusedOp) -> bool:
        return all(can_read(reader, name, layout) for reader in self._readers(name, mover))

    def _readers(self, name: str, mover: FusedOp) -> list[FusedOp]:
        return [op for op in self.program.ops if op is not mover and name in op.inputs]

    def _writers(self, name: str) -> list[FusedOp]:
        return [op for op in self.program.ops if op.output == name]

    def _drop(self, gone: FusedOp) -> None:
        self.program.ops[:] = [op for op in self.program.ops if op is not gone]

    def _root(self, name: str) -> tuple[str, int]:
        layout = self.layouts.get(name)
        return (name, 0) if layout is None else (layout.buffer, layout.offset)

    def _elements(self, name: str) -> int:
        return math.prod(self.program.buffers[name].shape)
