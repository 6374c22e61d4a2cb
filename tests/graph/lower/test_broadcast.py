"""Arithmetic between views: broadcast, reshaped, permuted, sliced, with sizes of 1 anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.compiler.inprocess import AVX2, TOLERANCE, Case, check, expected, lowered, relative_error, run_programs
from tests.graph.lower.test_fusion import Apply

SIZES = st.sampled_from([1, 1, 2, 3, 5, 9])


@dataclass(frozen=True)
class Operand:
    """A tensor and how it is seen: permuted, with every second element of a dimension, or a constant."""

    value: torch.Tensor
    order: tuple[int, ...]
    stepped: int | None
    constant: bool

    def view(self, value: torch.Tensor) -> torch.Tensor:
        seen = value.permute(self.order)
        if self.stepped is None:
            return seen
        cut = [slice(None)] * seen.dim()
        cut[self.stepped] = slice(None, None, 2)
        return seen[tuple(cut)]


@st.composite
def operands(draw: st.DrawFn, shape: tuple[int, ...]) -> Operand:
    sizes = [1 if draw(st.integers(0, 3)) == 0 else size for size in shape]
    sizes = sizes[draw(st.integers(0, len(sizes) - 1)) if draw(st.booleans()) else 0 :]
    order = tuple(draw(st.permutations(range(len(sizes)))))
    stepped = draw(st.one_of(st.none(), st.integers(0, len(sizes) - 1)))
    stored = list(sizes)
    if stepped is not None:
        stored[stepped] = 2 * stored[stepped] - draw(st.integers(0, 1))
    base = [0] * len(sizes)
    for place, source in enumerate(order):
        base[source] = stored[place]
    return Operand(torch.randn(base) + 3, order, stepped, draw(st.integers(0, 3)) == 0)


@st.composite
def expressions(draw: st.DrawFn) -> list[Operand]:
    shape = tuple(draw(st.lists(SIZES, min_size=1, max_size=4)))
    first = draw(operands(shape))
    rest = [draw(operands(shape)) for _ in range(draw(st.integers(1, 3)))]
    return [Operand(first.value, first.order, first.stepped, False), *rest]


class Arithmetic(nn.Module):
    """One operator after the other over the operands of each expression."""

    def __init__(self, expressions: list[list[Operand]]) -> None:
        super().__init__()
        self.expressions = expressions

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = iter(inputs)
        results = []
        for operands in self.expressions:
            views = [item.view(item.value if item.constant else next(given)) for item in operands]
            total = views[0]
            for index, view in enumerate(views[1:]):
                total = (torch.mul, torch.sub, torch.add, torch.div)[index % 4](total, view)
            results.append(total)
        return tuple(results)


@settings(max_examples=4, deadline=None)
@given(st.lists(expressions(), min_size=6, max_size=10))
def test_any_broadcast_agrees_with_pytorch(made: list[list[Operand]]) -> None:
    inputs = tuple(item.value for operands in made for item in operands if not item.constant)
    case = Case(Arithmetic(made), inputs)
    (given_back,) = run_programs([lowered(case)], [inputs], AVX2)
    for operands, found, wanted in zip(made, given_back, expected(case), strict=True):
        assert math.prod(wanted.shape) > 0
        assert relative_error(found, wanted) < TOLERANCE, operands


@pytest.mark.parametrize(
    ("features", "seen", "operand"),
    [(12, (2, 3, 4), (4,)), (12, (2, 3, 4), (3, 1)), (12, (4, 6), (6,)), (5, (2, 5, 1), (5, 1))],
)
@pytest.mark.parametrize("constant", [False, True])
def test_a_reshape_between_a_layer_and_its_operand(
    features: int, seen: tuple[int, ...], operand: tuple[int, ...], constant: bool
) -> None:
    other = torch.randn(operand)
    if constant:
        check(Apply(lambda layer, x: layer(x).view(seen) * other, nn.Linear(7, features)), torch.randn(2, 7))
    else:
        check(Apply(lambda layer, x, y: layer(x).view(seen) * y, nn.Linear(7, features)), torch.randn(2, 7), other)


def test_a_single_number_with_more_dimensions_than_the_value() -> None:
    number = torch.randn(1, 1, 1)
    check(Apply(lambda x: x.relu() * 2 - number), torch.randn(3, 5))


def test_the_same_value_on_both_sides() -> None:
    def twice(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = layer(x)
        return y * y + y

    check(Apply(twice, nn.Conv2d(3, 5, 1)), torch.randn(2, 3, 4, 4))


def test_numbers_on_either_side() -> None:
    check(Apply(lambda x: (2 - x * 3 / 4, 1 / (x + 5), (x - 1) ** 2, -x, torch.rsub(x, 2))), torch.rand(3, 17))


def test_an_epilogue_over_values_without_dimensions() -> None:
    check(Apply(lambda x: x.mean() * 2 + x.sum()), torch.randn(2, 17))


def test_slices_splits_and_stacks() -> None:
    def moved(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b, c = x.split([2, 3, 1], 1)
        first, second = x.unbind(0)
        return a * c, torch.cat([b, a], 1), torch.stack([first, second * 2], 1), x[:, -1], x[:, 1:5:2, ::3]

    check(Apply(moved), torch.randn(2, 6, 5, 7))
