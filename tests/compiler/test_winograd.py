"""Winograd convolution: its matrices exactly, its kernels at every border, width and number of tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from hwaware.compiler.build import compile_module
from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.winograd import winograd
from hwaware.compiler.schedules.winograd_candidates import winograd_candidates
from hwaware.compiler.schedules.winograd_transforms import as_array, filtering
from hwaware.compiler.targets import Target, base_target
from hwaware.graph.lower.program import FusedOp
from hwaware.graph.workload import IN_PITCH, OUT_PITCH, canonical
from tests.compiler.inprocess import AVX2, Case, Guarded, expected, guarded, lowered, relative_error
from tests.compiler.parallel import TARGETS, every_target

# Relative to the largest output, whatever the shape.
TYPICAL = 1e-5
UNIT = 2.0**-24


@dataclass(frozen=True)
class Run:
    """A module that is one convolution with its epilogue, its inputs, and the schedule to write it by."""

    module: nn.Module
    inputs: tuple[torch.Tensor, ...]
    choice: Choice


class Residual(nn.Module):
    """relu(conv(x) + y), the end of a residual block."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.relu(self.layer(x) + y)


def convolution(run: Run) -> FusedOp:
    """The operation of a run's convolution, which must be all of it besides copies to and from channels-last."""
    (found,) = [op for op in lowered(Case(run.module.eval(), run.inputs)).ops if op.workload.kind == "conv2d"]
    return found


def results(runs: list[Run], target: Target) -> list[np.ndarray]:
    """What the kernels compute, channels last; all are compiled at once, under names of their own."""
    made: list[tuple[Kernel, FusedOp]] = []
    for run in runs:
        op = convolution(run)
        made.append((winograd(KernelBuilder(op.workload, target, run.choice)), op))
    module = compile_module(list({kernel.symbol: kernel for kernel, _ in made}.values()), target)
    return [_call(module, kernel, op, run) for (kernel, op), run in zip(made, runs, strict=True)]


def _call(module: Any, kernel: Kernel, op: FusedOp, run: Run) -> np.ndarray:
    inputs = iter([guarded(value.permute(0, 2, 3, 1).contiguous().numpy()) for value in run.inputs])
    packed = iter([guarded(array) for array in kernel.pack(op.constants)])
    places = []
    for argument in kernel.arguments:
        source = {"input": inputs, "weight": packed}.get(argument.role)
        places.append(next(source) if source is not None else Guarded(argument.size, argument.dtype))
    module[kernel.symbol](*(place.tensor(a.size) for place, a in zip(places, kernel.arguments, strict=True)))
    assert all(place.intact() for place in places), f"{kernel.workload.key} by {run.choice} writes outside its buffers"
    return places[-1].values.reshape(op.workload.output.shape)


def check(runs: list[Run], target: Target) -> None:
    """Assert that every run agrees with PyTorch."""
    for run, found in zip(runs, results(runs, target), strict=True):
        (wanted,) = expected(Case(run.module, run.inputs))
        error = relative_error(found.transpose(0, 3, 1, 2), wanted)
        assert error < TYPICAL, f"{run.module} on {[tuple(x.shape) for x in run.inputs]} by {run.choice}: {error}"


@pytest.mark.parametrize("outputs", [2, 4])
def test_the_matrices_filter_exactly(outputs: int) -> None:
    method = filtering(outputs)
    a, b, g = method.outputs_matrix, method.inputs_matrix, method.weights_matrix
    for i in range(outputs):
        for k in range(3):
            for j in range(method.points):
                # The coefficient of filter tap k times input j in output i.
                assert sum(a[i][x] * g[x][k] * b[x][j] for x in range(method.points)) == (j == i + k)


@pytest.mark.parametrize("outputs", [2, 4])
def test_the_constants_of_the_transforms_are_exact_in_float32(outputs: int) -> None:
    method = filtering(outputs)
    for matrix in (method.outputs_matrix, method.inputs_matrix):
        for value in (entry for row in matrix for entry in row):
            assert float(np.float32(float(value))) == value


@st.composite
def any_run(draw: st.DrawFn) -> Run:
    width = st.sampled_from([1, 2, 3, 7, 8, 13, 16, 17, 33, 40])
    inside, outside = draw(width), draw(width)
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    height, length = (draw(st.integers(max(1, 3 - 2 * pad), 15)) for pad in padding)
    batch = draw(st.integers(1, 2))
    layer = nn.Conv2d(inside, outside, 3, padding=padding, bias=draw(st.booleans()))
    params = {"tile": draw(st.sampled_from([2, 4])), "tasks": draw(st.integers(1, 3)), "split": draw(st.integers(0, 1))}
    if draw(st.booleans()):
        params["strip"] = draw(st.integers(1, 30))
    x = torch.randn(batch, inside, height, length)
    choice = Choice.of("winograd", **params)
    end = draw(st.sampled_from([nn.Identity(), nn.ReLU(), nn.ReLU6(), nn.Hardswish(), None]))
    if end is None:
        y = torch.randn(batch, outside, height + 2 * padding[0] - 2, length + 2 * padding[1] - 2)
        return Run(Residual(layer), (x, y), choice)
    return Run(nn.Sequential(layer, end), (x,), choice)


@settings(max_examples=3, deadline=None)
@given(runs=st.lists(any_run(), min_size=4, max_size=6), target=st.sampled_from([base_target(t) for t in TARGETS]))
def test_any_convolution_agrees_with_pytorch(runs: list[Run], target: Target) -> None:
    check(runs, target)


@every_target
def test_every_candidate_agrees_with_pytorch(target: Target) -> None:
    runs = []
    for inside, outside, size, batch in ((48, 33, 17, 1), (130, 70, 6, 2)):
        layer, x = nn.Conv2d(inside, outside, 3, padding=1), torch.randn(batch, inside, size, size)
        whole = nn.Sequential(layer, nn.ReLU())
        op = convolution(Run(whole, (x,), Choice("winograd")))
        found = winograd_candidates(op.workload, target)
        assert found
        runs += [Run(whole, (x,), choice) for choice in found]
    check(runs, target)


def test_part_of_a_wider_tensor_is_read_and_written() -> None:
    layer, x = nn.Conv2d(9, 21, 3, padding=1), torch.randn(1, 9, 7, 6)
    run = Run(nn.Sequential(layer, nn.ReLU()), (x,), Choice.of("winograd", strip=3))
    op = convolution(run)
    attrs = canonical({**dict(op.workload.attrs), IN_PITCH: 13, OUT_PITCH: 30})
    kernel = winograd(KernelBuilder(replace(op.workload, attrs=attrs), AVX2, run.choice))
    module = compile_module([kernel], AVX2)
    wide = np.full((1, 7, 6, 13), np.nan, np.float32)
    wide[..., :9] = x.permute(0, 2, 3, 1)
    packed = iter([guarded(array) for array in kernel.pack(op.constants)])
    places = [
        next(packed) if argument.role == "weight" else Guarded(argument.size, argument.dtype)
        for argument in kernel.arguments
    ]
    places[0].values[:] = wide.reshape(-1)[: places[0].values.size]
    places[-1].values[:] = 7.0
    module[kernel.symbol](*(place.tensor(a.size) for place, a in zip(places, kernel.arguments, strict=True)))
    found = np.pad(places[-1].values, (0, 9)).reshape(7, 6, 30)
    (wanted,) = expected(Case(run.module, run.inputs))
    assert relative_error(found[..., :21].transpose(2, 0, 1)[None], wanted) < TYPICAL
    assert (found[:-1, :, 21:] == 7.0).all()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 5, padding=2),
        nn.Conv2d(8, 8, 3, stride=2),
        nn.Conv2d(8, 8, 3, dilation=2),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Conv2d(8, 8, (3, 1)),
    ],
)
def test_other_windows_have_no_candidates(layer: nn.Conv2d) -> None:
    op = convolution(Run(nn.Sequential(layer), (torch.randn(1, 8, 9, 9),), Choice("winograd")))
    assert winograd_candidates(op.workload, AVX2) == []


def bound(weight: np.ndarray, x: np.ndarray, outputs: int) -> np.ndarray:
    """The bound of winograd.py on the error of one tile: weights (K, C, 3, 3), input (C, n, n); gives (K, m, m)."""
    method = filtering(outputs)
    a, b, g = (np.abs(as_array(m)) for m in (method.outputs_matrix, method.inputs_matrix, method.weights_matrix))
    u = np.einsum("ir,kcrs,js->kcij", g, np.abs(weight.astype(np.float64)), g)
    v = np.einsum("ir,crs,js->cij", b, np.abs(x.astype(np.float64)), b)
    roundings = (weight.shape[1] + 4 * outputs + 2) * UNIT
    return roundings / (1 - roundings) * np.einsum("ix,kxy,jy->kij", a, np.einsum("kcij,cij->kij", u, v), a)


@settings(max_examples=6, deadline=None)
@given(
    outputs=st.sampled_from([2, 4]),
    spread=st.floats(0, 6),
    seed=st.integers(0, 2**32 - 1),
    target=st.sampled_from([base_target(name) for name in TARGETS]),
)
def test_errors_stay_below_the_bound(outputs: int, spread: float, seed: int, target: Target) -> None:
    rng = np.random.default_rng(seed)
    channels, filters, n = 19, 5, outputs + 2

    def numbers(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 10.0 ** rng.uniform(-spread, spread, shape)).astype(np.float32)

    weight, x = numbers(filters, channels, 3, 3), numbers(channels, n, n)
    layer = nn.Conv2d(channels, filters, 3, bias=False)
    layer.weight.data = torch.from_numpy(weight)
    run = Run(nn.Sequential(layer), (torch.from_numpy(x)[None],), Choice.of("winograd", tile=outputs))
    found = results([run], target)[0][0].transpose(2, 0, 1)
    exact = F.conv2d(torch.from_numpy(x)[None].double(), layer.weight.double())[0].detach().numpy()
    assert (np.abs(found - exact) <= bound(weight, x, outputs)).all()


@pytest.mark.parametrize("outputs", [2, 4])
def test_typical_errors_are_those_of_float32(outputs: int) -> None:
    layer, x = nn.Conv2d(256, 64, 3, padding=1, bias=False), torch.randn(1, 256, 14, 14).relu()
    (found,) = results([Run(nn.Sequential(layer), (x,), Choice.of("winograd", tile=outputs))], AVX2)
    exact = F.conv2d(x.double(), layer.weight.double(), padding=1).detach().numpy()
    # Measured: 2.4e-6 for F(4×4, 3×3), 7e-7 for F(2×2, 3×3).
    assert relative_error(found.transpose(0, 3, 1, 2), exact) < {4: 5e-6, 2: 1.5e-6}[outputs]
