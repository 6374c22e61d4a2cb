"""Concatenations and slices without copies: programs compute the same, in memory that the plan really gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph
from hwaware.graph.lower import Program, lower
from hwaware.graph.lower.copy import Part
from hwaware.graph.lower.in_place import without_copies
from hwaware.graph.lower.layout import INPUT, OUTPUT, Layout, relaid
from tests.compiler.inprocess import check
from tests.graph.lower.programs import apart, planned, programs, run
from tests.graph.lower.test_fusion import Apply
from tests.graph.nets import SHAPE, build


def copies(program: Program) -> int:
    return sum(op.kind == "copy" for op in program.ops)


@given(programs(), st.integers(0, 1000))
@settings(max_examples=300, deadline=None)
def test_programs_compute_the_same_in_planned_memory(made: Program, seed: int) -> None:
    """Poison shows where something is read before it is written, a wrong value where live memory was overwritten."""
    x = np.random.default_rng(seed).integers(1, 90, np.prod(made.buffers["x"].shape)).astype(float)
    wanted = run(made, apart(made), x)
    rewritten = copy.deepcopy(made)
    without_copies(rewritten)
    assert copies(rewritten) <= copies(made)
    for got, want in zip(run(rewritten, planned(rewritten), x), wanted, strict=True):
        np.testing.assert_array_equal(got, want)


@given(programs())
@settings(max_examples=100, deadline=None)
def test_slices_lie_inside_memory_of_its_own(made: Program) -> None:
    without_copies(made)
    for name, place in made.slices.items():
        assert place.buffer not in made.slices
        assert place.buffer in made.buffers
        assert place.offset + made.buffers[name].shape[-1] <= np.prod(made.buffers[place.buffer].shape)


@given(
    pixels=st.integers(1, 4),
    channels=st.integers(1, 6),
    gap=st.integers(0, 5),
    side=st.sampled_from([INPUT, OUTPUT]),
    data=st.data(),
)
def test_moves_of_a_dense_value_move_the_same_elements_of_its_layout(
    pixels: int, channels: int, gap: int, side: int, data: st.DataObject
) -> None:
    """Where a move can be laid anew, element k of it is the same element of the value as before."""
    total = pixels * channels
    run_length = data.draw(st.sampled_from([n for n in range(1, total + 1) if total % n == 0]))
    dims = (total // run_length, run_length)
    swapped = data.draw(st.booleans())
    own, other = (run_length, 1), (run_length, 1) if not swapped else (1, dims[0])
    strides = (own, other) if side == INPUT else (other, own)
    before: Part = (dims, strides[0], 0, strides[1], 0)
    layout = Layout("whole", 0, channels, channels + gap)
    after = relaid(before, side, layout)
    if after is None:
        assert run_length % channels
        assert channels % run_length
        return
    elsewhere = addresses(before)
    want = {(layout.place(a), b) if side == INPUT else (a, layout.place(b)) for a, b in elsewhere}
    assert set(addresses(after)) == want


def addresses(move: Part) -> list[tuple[int, int]]:
    shape, ins, first, outs, start = move
    return [(first + int(np.dot(at, ins)), start + int(np.dot(at, outs))) for at in np.ndindex(*shape)]


def graph(name: str) -> Graph:
    return capture(build(name), (torch.randn(2, *SHAPE),))


@pytest.mark.parametrize(
    ("name", "left"), [("squeeze", 1), ("fires", 1), ("dense", 1), ("unet", 2), ("inception", 1), ("split", 1)]
)
def test_nets_of_concatenations_copy_only_at_their_ends(name: str, left: int) -> None:
    program = lower(graph(name))
    assert copies(program) == left
    ends = {buffer for _, buffer, _ in (*program.inputs, *program.outputs)}
    assert all({*op.inputs, op.output} & ends for op in program.ops if op.kind == "copy")


def test_a_shuffle_unit_copies_what_passes_by_and_shuffles() -> None:
    """Half of the channels go round the branch; they and the shuffle itself are moves, the branch's ends are not."""
    program = lower(graph("shuffle"))
    assert copies(program) == 2 + 3 + 2  # the input for both stems, three shuffles, two halves


class Halves(nn.Module):
    """Two equal layers side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(4, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return torch.cat([self.one(x), self.two(x)], 1).mean((2, 3))


def test_both_halves_are_one_kernel() -> None:
    """Where in the concatenation a part lies is not compiled in."""
    program = lower(capture(Halves().eval(), (torch.randn(2, 3, 4, 4),)))
    one, two = (op.workload for op in program.ops if op.kind == "conv2d" and "out_pitch" in op.attrs)
    assert one == two
    assert one.out_pitch == 10
    assert {place.offset for place in program.slices.values()} == {0, 5}


class Twice(nn.Module):
    """A part used twice, and one that the model returns as well."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 1), nn.Conv2d(3, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c = self.one(x), self.two(x), self.three(x)
        return torch.cat([a, b, a, c.softmax(1)], 1).mean((2, 3))


def test_what_cannot_be_written_in_place_is_copied_alone() -> None:
    program = lower(capture(Twice().eval(), (torch.randn(2, 3, 4, 4),)))
    (joined,) = [op for op in program.ops if op.name == "cat"]
    assert [spec.shape for spec in joined.input_specs] == [(128,), (128,), (192,)]
    assert [op.name for op in program.ops if "out_pitch" in op.attrs] == ["conv2d_1"]


def branches(dim: int) -> Apply:
    """Two layers side by side along any dimension."""
    stem, layers = nn.Conv2d(3, 4, 1), nn.ModuleList([nn.Conv2d(4, 5, 1), nn.Conv2d(4, 5, 3, padding=1)])

    def joined(both: nn.ModuleList, stem: nn.Module, x: torch.Tensor) -> torch.Tensor:
        x = stem(x)
        return F.max_pool2d(torch.cat([layer(x) for layer in both], dim), 2)

    return Apply(joined, layers, stem)


@pytest.mark.parametrize(
    ("dim", "shape", "left"),
    [
        (1, (1, 3, 4, 6), 2),
        (1, (1, 3, 2, 2), 1),  # a single pixel leaves the model: no other order to copy into
        (2, (1, 3, 4, 6), 2),  # the images are blocks, one behind the other
        (0, (2, 3, 4, 6), 2),
        (2, (2, 3, 4, 6), 3),  # halves of images alternate
        (3, (2, 3, 4, 6), 3),
    ],
)
def test_along_any_dimension_where_parts_are_rows_of_channels(dim: int, shape: tuple[int, ...], left: int) -> None:
    assert copies(check(branches(dim), torch.randn(shape))) == left


def test_channels_without_any_image() -> None:
    """One pixel: parts are vectors, and lie one behind the other."""
    layers = nn.ModuleList([nn.Linear(7, 5), nn.Linear(7, 9), nn.Linear(5, 4)])
    halves = Apply(lambda all_, x: all_[2](torch.cat([all_[0](x), all_[1](x)], 1)[:, 3:8]), layers)
    for rows in (1, 3):
        program = check(halves, torch.randn(rows, 7))
        assert copies(program) == 0
        assert [op.workload.out_pitch for op in program.ops] == ([14, 14, 4] if rows > 1 else [5, 9, 4])
        assert program.ops[-1].workload.in_pitch == (14 if rows > 1 else 5)


def test_a_map_over_some_channels_reads_a_slice() -> None:
    """Its place is not compiled in, its strides are those of dense channels."""
    program = check(
        Apply(lambda layer, x: layer(x)[:, 2:7].exp().mean((2, 3)), nn.Conv2d(3, 9, 1)), torch.randn(2, 3, 4, 4)
    )
    (work,) = [op.workload for op in program.ops if op.kind == "map"]
    assert (work.in_pitch, work.attr("offset"), work.ints("strides")[-2:]) == (9, 0, (5, 1))
