"""Many layers as one module, so that a property is tried on all of them with one capture and one compilation."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from hwaware.compiler.targets import Target, base_target
from tests.compiler.inprocess import TOLERANCE, Case, expected, lowered, relative_error, run_programs

HAS_AVX512 = torch.cpu._is_avx512_supported()
TARGETS = ("x86_64", "x86_64-avx2", "x86_64-avx512") if HAS_AVX512 else ("x86_64", "x86_64-avx2")
every_target = pytest.mark.parametrize("target", [base_target(name) for name in TARGETS], ids=TARGETS)


class Parallel(nn.Module):
    """Each layer with an input of its own."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(layer(value) for layer, value in zip(self.layers, inputs, strict=True))


def check_all(layers: Sequence[nn.Module], inputs: Sequence[torch.Tensor], target: Target) -> None:
    """Assert that each layer agrees with PyTorch on its input."""
    case = Case(Parallel(layers).eval(), tuple(inputs))
    (given,) = run_programs([lowered(case)], [case.inputs], target)
    for layer, value, found, wanted in zip(layers, inputs, given, expected(case), strict=True):
        error = relative_error(found, wanted)
        assert error < TOLERANCE, f"{layer} on {tuple(value.shape)}: relative error {error}"
