"""Sequences of vectors."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Tokens(nn.Module):
    """Patches, positions, a class token, an encoder layer: its heads and hidden channels can go, the stream not."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 12)), nn.Parameter(torch.randn(1, 5, 12))
        self.encoder = nn.TransformerEncoderLayer(12, 3, 16, batch_first=True, activation="gelu")
        self.head = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], 1, 12), x], 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


class Mixed(nn.Module):
    """Positions and a token without a norm between: the whole stream can shrink."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 10, 4, stride=4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 10)), nn.Parameter(torch.randn(1, 5, 10))
        self.inner, self.outer, self.head = nn.Linear(10, 14), nn.Linear(14, 10), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], 1, 10), x], 1) + self.positions
        return self.head(x + self.outer(F.gelu(self.inner(x)))).mean(1)
