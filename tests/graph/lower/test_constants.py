"""Values that depend on no input: positions, gates and tokens that were trained."""

from __future__ import annotations

import torch
from torch import nn

from tests.compiler.inprocess import check


class Trained(nn.Module):
    """Parameters used through operators of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.gamma = nn.Parameter(torch.randn(5)), nn.Parameter(torch.randn(5))
        self.weight, self.scale = nn.Parameter(torch.randn(5, 5)), nn.Parameter(torch.rand(5, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * torch.sigmoid(self.gate).view(1, -1, 1, 1) + self.gamma[None, :, None, None]
        return nn.functional.linear(x.mean((2, 3)), self.weight * self.scale)


class Tokens(nn.Module):
    """A class token before the sequence and one behind it, with an embedding of fixed positions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Parameter(torch.randn(1, 1, 7)), nn.Parameter(torch.randn(7))
        self.positions = nn.Embedding(6, 7)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch = x.shape[0]
        whole = torch.cat([self.first.expand(batch, -1, -1), x, self.last.expand(batch, 1, 7)], 1)
        pair = torch.stack([x[:, 0], self.last.expand(batch, 7)], 1)
        return whole + self.positions(torch.arange(6)), pair


def test_parameters_behind_operators_become_weights() -> None:
    program = check(Trained(), torch.randn(2, 5, 4, 3))
    assert [op.kind for op in program.ops if op.kind != "copy"] == ["map", "reduce", "dense"]


def test_tokens_join_a_sequence() -> None:
    check(Tokens(), torch.randn(2, 4, 7))


def test_recurrent_layers_unroll() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTM(3, 5, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(x)[0][:, -1]

    check(Last(), torch.randn(2, 4, 3))
