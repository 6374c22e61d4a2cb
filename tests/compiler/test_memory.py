"""The memory plan: what is alive at the same time never shares a byte."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from hwaware.compiler.memory import ALIGNMENT, Scratch, align, lifetimes, plan_memory, scratch_name, spec_bytes
from hwaware.compiler.schedules.winograd_layout import LINE, task_floats
from hwaware.graph.ir import Spec
from hwaware.graph.lower import FusedOp, Program
from hwaware.graph.lower.in_place import without_copies
from tests.compiler.families import program_of
from tests.graph.lower.programs import programs as moving_programs


def program(sizes: list[int], reads: list[list[int]], outputs: int) -> Program:
    """Operation i writes buffer i + 1 and reads the earlier ones that `reads[i]` names; buffer 0 is the input."""
    specs = [Spec((size,), "float32") for size in sizes]
    ops = []
    for index, sources in enumerate(reads):
        inputs = [f"b{source % (index + 1)}" for source in sources]
        ops.append(FusedOp(f"b{index + 1}", "", "map", inputs, [], f"b{index + 1}", specs[index + 1], {}))
    names = [f"b{index}" for index in range(len(sizes))]
    last = names[-outputs:]
    return Program(
        [("b0", "b0", specs[0])],
        [(name, name, specs[names.index(name)]) for name in last],
        ops,
        dict(zip(names, specs, strict=True)),
    )


@st.composite
def programs(draw: st.DrawFn) -> Program:
    count = draw(st.integers(1, 12))
    sizes = draw(st.lists(st.integers(1, 400), min_size=count + 1, max_size=count + 1))
    reads = [draw(st.lists(st.integers(0, 20), min_size=1, max_size=3)) for _ in range(count)]
    return program(sizes, reads, draw(st.integers(1, min(2, count))))


def check_plan(made: Program) -> None:
    plan, spans = plan_memory(made), lifetimes(made)
    places = {name: (plan.offsets[name], plan.offsets[name] + spec_bytes(made.buffers[name])) for name in spans}
    for name, (start, end) in places.items():
        assert start % ALIGNMENT == 0
        assert 0 <= start < end <= plan.size, name
    for a, b in combinations(spans, 2):
        alive_together = spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]
        if alive_together:
            assert places[a][1] <= places[b][0] or places[b][1] <= places[a][0], (a, b)
    assert plan.size <= sum(align(spec_bytes(made.buffers[name])) for name in spans)


@given(programs())
def test_buffers_alive_together_never_overlap(made: Program) -> None:
    check_plan(made)


@given(programs())
def test_every_reader_comes_within_the_lifetime(made: Program) -> None:
    spans = lifetimes(made)
    for index, op in enumerate(made.ops):
        for name in (*op.inputs, op.output):
            assert spans[name][0] <= index <= spans[name][1]
    for _, buffer, _ in (*made.inputs, *made.outputs):
        assert spans[buffer] == (0, len(made.ops))


@given(moving_programs())
def test_memory_written_in_parts_lives_from_its_first_writer_to_the_last_reader_of_any(made: Program) -> None:
    without_copies(made)
    check_plan(made)
    plan, spans = plan_memory(made), lifetimes(made)
    for index, op in enumerate(made.ops):
        for name in (*op.inputs, op.output):
            assert spans[made.memory_of(name)][0] <= index <= spans[made.memory_of(name)][1]
    for name, place in made.slices.items():
        assert name not in spans
        assert plan.offsets[name] == plan.offsets[place.buffer] + 4 * place.offset


def test_a_chain_needs_two_buffers_beside_its_ends() -> None:
    made = program([64] * 10, [[index] for index in range(9)], 1)
    assert plan_memory(made).size == 4 * 64 * 4


def test_plans_of_networks() -> None:
    for name in ("residual", "unet", "encoder", "dense"):
        made = program_of(name, 1)[1]
        check_plan(made)
        assert plan_memory(made).size < sum(spec_bytes(spec) for spec in made.buffers.values())


@given(programs(), st.data())
def test_scratch_memory_of_tasks_is_theirs_alone(made: Program, data: st.DataObject) -> None:
    pieces = st.lists(st.builds(Scratch, st.integers(1, 900), st.sampled_from([1, 1, 4])), max_size=3)
    scratch = {op.name: data.draw(pieces) for op in made.ops}
    plan, spans = plan_memory(made, scratch), lifetimes(made)
    places = [(plan.offsets[name], plan.offsets[name] + spec_bytes(made.buffers[name])) for name in spans]
    found = {
        (op.name, number): (plan.offsets[scratch_name(op.name, number)], piece)
        for op in made.ops
        for number, piece in enumerate(scratch[op.name])
    }
    for (op, number), (start, piece) in found.items():
        end = start + piece.bytes
        assert 0 <= start < end <= plan.size
        assert start % ALIGNMENT == 0
        for (other, place), (begin, item) in found.items():
            apart = end <= begin or begin + item.bytes <= start
            if (op, number) != (other, place) and op == other:
                assert apart
            if piece.tasks > 1 and not apart:
                assert (piece, number, start) == (item, place, begin)  # of the same slices
        if piece.tasks > 1:
            assert all(end <= low or high <= start for low, high in places)


@given(st.integers(1, 10**7))
def test_slices_are_of_few_sizes_and_hardly_larger(floats: int) -> None:
    found = task_floats(floats)
    assert floats <= found <= max(1.13 * floats, floats + 3 * LINE)
    assert found // LINE % 2 == 1  # no whole pages
    # Eight sizes from one power of two to the next, and one more where both ends count.
    assert len({task_floats(size) for size in range(floats, 2 * floats, max(1, floats // 500))}) <= 10
