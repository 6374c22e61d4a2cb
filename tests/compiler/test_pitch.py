"""Kernels of every kind that takes pitches: what they compute inside wider memory, at any element of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwaware.compiler.build import compile_module
from hwaware.compiler.bundle import build_bundle
from hwaware.compiler.kernel import INPUT, Kernel
from hwaware.compiler.schedules import candidates, generate, variant
from hwaware.graph.lower import FusedOp
from hwaware.graph.lower.pitches import READERS, WRITERS
from hwaware.graph.workload import IN_PITCH, OUT_PITCH, Workload, canonical
from tests.compiler.inprocess import AVX2, TOLERANCE, Case, Guarded, alignments, guarded, lowered, relative_error
from tests.device_agents.building import run_agent
from tests.graph.lower.test_fusion import Apply

OFFSET = 3  # elements: no vector is aligned there


class Residual(nn.Module):
    """A layer, its bias, a residual sum and an activation: all kinds of steps."""

    def __init__(self, layer: nn.Module, outside: int) -> None:
        super().__init__()
        self.layer, self.other = layer, nn.Conv2d(3, outside, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.relu(self.layer(x) + self.other(y))


def conv(inside: int, outside: int, size: int, **options: int) -> Callable[[], FusedOp]:
    """A convolution with a residual sum over a 7 × 9 image."""

    def made() -> FusedOp:
        layer = nn.Conv2d(inside, outside, size, padding=size // 2, **options)  # type: ignore[arg-type]
        shape = layer(torch.zeros(1, inside, 7, 9)).shape[2:]
        return the(Residual(layer, outside), "conv2d", torch.randn(2, inside, 7, 9), torch.randn(2, 3, *shape))

    return made


def the(module: nn.Module, kind: str, *inputs: torch.Tensor) -> FusedOp:
    """The last operation of this kind in a module."""
    return [op for op in lowered(Case(module.eval(), inputs)).ops if op.kind == kind][-1]


def on_images(kind: str, function: Callable[[torch.Tensor], torch.Tensor], channels: int) -> Callable[[], FusedOp]:
    def made() -> FusedOp:
        # A convolution in front and a step behind, so that neither end of the model joins in.
        module = Apply(lambda layer, x: function(layer(x)), nn.Conv2d(3, channels, 1))
        return the(module, kind, torch.randn(2, 3, 6, 8))

    return made


OPS: dict[str, Callable[[], FusedOp]] = {
    "1x1": conv(19, 21, 1),
    "1x1 aligned": conv(32, 48, 1),
    "3x3": conv(19, 21, 3),
    "3x3 aligned": conv(16, 32, 3),
    "3x3 strided": conv(5, 37, 3, stride=2),
    "5x5 dilated": conv(6, 9, 5, dilation=2),
    "grouped": conv(12, 18, 3, groups=3),
    "depthwise": conv(21, 21, 3, groups=21),
    "depthwise strided": conv(37, 37, 5, groups=37, stride=2),
    "one channel": conv(1, 1, 3),
    "transposed": lambda: the(nn.ConvTranspose2d(7, 10, 3, 2, 1), "conv2d_transpose", torch.randn(2, 7, 5, 6)),
    "dense": lambda: the(nn.Sequential(nn.Linear(19, 21), nn.ReLU()), "dense", torch.randn(5, 19)),
    "dense row": lambda: the(nn.Sequential(nn.Linear(64, 48), nn.ReLU()), "dense", torch.randn(2, 64)),
    "matmul": lambda: the(Apply(torch.matmul), "matmul", torch.randn(2, 5, 7), torch.randn(2, 7, 19)),
    "transposed matmul": lambda: the(
        Apply(lambda a, b: torch.matmul(a, b.transpose(1, 2))), "matmul", torch.randn(2, 5, 7), torch.randn(2, 19, 7)
    ),
    "max pool": on_images("pool2d", lambda x: F.relu(F.max_pool2d(x, 3, 2, 1)), 21),
    "average pool": on_images("pool2d", lambda x: F.relu(F.avg_pool2d(x, 3, 1, 1)), 13),
    "adaptive pool": on_images("pool2d", lambda x: F.relu(F.adaptive_avg_pool2d(x, (4, 3))), 9),
    "bilinear": on_images("resample", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), 11),
    "nearest": on_images("resample", lambda x: F.interpolate(x, scale_factor=3.0), 16),
    "map": on_images("map", lambda x: F.max_pool2d(x, 2).softmax(1).exp(), 21),
    "map by channel": on_images("map", lambda x: x.softmax(1) * torch.arange(1.0, 14).view(13, 1, 1), 13),
}


def pitched(work: Workload, kind: str) -> Workload:
    """The workload inside wider memory on each side that its kind can have so."""
    attrs = dict(work.attrs)
    if kind in READERS or kind == "map":
        attrs[IN_PITCH] = work.in_width + 14
    if kind in WRITERS:
        attrs[OUT_PITCH] = work.out_width + 5
    return replace(work, attrs=canonical(attrs))


class Wide:
    """Pixels of some channels in wider memory that is poisoned."""

    def __init__(self, pixels: int, width: int, pitch: int) -> None:
        self.whole = Guarded(OFFSET + pixels * pitch, "float32")
        # The slice ends with its last channel: nothing need follow that.
        self.place = self.whole.part(OFFSET)
        self._rows = self.place.values[: pixels * pitch].reshape(pixels, pitch)
        self.channels, self._gaps = self._rows[:, :width], self._rows[:, width:]

    def untouched_around(self) -> bool:
        return bool(np.isnan(self._gaps).all() and np.isnan(self.whole.values[:OFFSET]).all()) and self.whole.intact()


def wide(values: np.ndarray, width: int, pitch: int) -> Wide:
    made = Wide(values.size // width, width, pitch)
    made.channels[:] = values.reshape(-1, width)
    return made


def call(module: object, kernel: Kernel, places: Sequence[Guarded]) -> None:
    arguments = [
        place.tensor(argument.size, alignment)
        for place, argument, alignment in zip(places, kernel.arguments, alignments(kernel), strict=True)
    ]
    module[kernel.symbol](*arguments)  # type: ignore[index]


@pytest.mark.parametrize("name", OPS)
def test_inside_wider_memory_kernels_compute_the_same(name: str) -> None:
    op, machine = OPS[name](), AVX2
    plain, inside = op.workload, pitched(op.workload, op.kind)
    assert inside != plain
    reference = generate(plain, machine)
    kernels = [generate(inside, machine, choice) for choice in candidates(inside, machine)]
    module = compile_module([reference, *kernels], machine)
    rng = np.random.default_rng()
    given = [rng.standard_normal(item.size).astype(item.dtype) for item in reference.arguments if item.role == INPUT]
    output = Guarded(reference.arguments[-1].size, "float32")
    call(module, reference, [*map(guarded, given), *_own(reference, op), output])
    for kernel in kernels:
        places = list(map(guarded, given))
        first = None
        if inside.in_pitch > inside.in_width:
            first = wide(given[0], inside.in_width, inside.in_pitch)
            places[0] = first.place
        last = Wide(output.values.size // inside.out_width, inside.out_width, inside.out_pitch)
        call(module, kernel, [*places, *_own(kernel, op), last.place])
        assert relative_error(last.channels.reshape(-1).copy(), output.values) < TOLERANCE, kernel.choice
        assert last.untouched_around(), kernel.choice
        assert first is None or first.untouched_around(), kernel.choice


def _own(kernel: Kernel, op: FusedOp) -> list[Guarded]:
    """Constants and scratch memory."""
    return [
        *map(guarded, kernel.pack(op.constants)),
        *(Guarded(piece.bytes // 4, "float32") for piece in kernel.scratch),
    ]


def test_cells_have_memory_for_what_lies_between(tmp_path: Path) -> None:
    """An agent measures them: buffers reach from the first channel of the first pixel to the last of the last."""
    works = [op.workload for name in ("1x1", "depthwise", "average pool", "map") if (op := OPS[name]())]
    variants = [variant(pitched(work, work.kind), AVX2) for work in works]
    bundle = build_bundle(variants, AVX2, tmp_path / "bundle")
    lines = run_agent(bundle, "bench", "--min-time-ms", "0", "--min-count", "1", "--max-count", "1").lines
    cells = {line["id"]: line for line in lines if line["type"] == "cell"}
    for one in variants:
        kernel = generate(one.workload, AVX2, one.choice)
        assert cells[one.id]["status"] == "ok", cells[one.id]
        assert cells[one.id]["arg_bytes"] == sum(argument.bytes for argument in kernel.arguments)
        pixels = kernel.arguments[-1].size // one.workload.out_pitch + 1
        assert kernel.arguments[-1].size == (pixels - 1) * one.workload.out_pitch + one.workload.out_width


def test_every_kind_with_pitches_is_tried() -> None:
    kinds = {made().kind for made in OPS.values()}
    assert kinds == READERS | WRITERS
