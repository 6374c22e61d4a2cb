"""One small network a family of models, odd widths throughout."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

from hwaware.graph.lower import Program
from tests.compiler.inprocess import Case, lowered
from tests.graph import nets
from tests.graph.nets import conv, norm

VOCABULARY, TOKENS = 23, 7


class Encoder(nn.Module):
    """A text classifier: embedding, learned positions, pre-norm and post-norm encoder layers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCABULARY, 12), nn.Embedding(TOKENS, 12)
        self.layers = nn.Sequential(
            nn.TransformerEncoderLayer(12, 3, 17, batch_first=True, activation="gelu"),
            nn.TransformerEncoderLayer(12, 2, 23, batch_first=True, norm_first=True),
        )
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 5)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.words(words) + self.positions(torch.arange(words.shape[1]))
        return self.head(self.norm(self.layers(x)).mean(1))


class Attention(nn.Module):
    """`nn.MultiheadAttention` with its weights as a second output, and a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(15, 3, batch_first=True)
        self.masked = nn.MultiheadAttention(15, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.flatten(1).view(-1, 4, 48)[:, :, :15]
        x, weights = self.attend(x, x, x)
        future = torch.triu(torch.full((4, 4), float("-inf")), diagonal=1)
        return self.masked(x, x, x, attn_mask=future, need_weights=False)[0], weights


class MobileV3(nn.Module):
    """Inverted residual with squeeze and excitation, hard swish and hard sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 7, 3, padding=1, bias=False), norm(7), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(7, 17, 1, bias=False), norm(17), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(17, 17, 5, padding=2, groups=17), norm(17), nn.Hardswish())
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(17, 5, 1), nn.ReLU(), nn.Conv2d(5, 17, 1), nn.Hardsigmoid()
        )
        self.project = nn.Sequential(nn.Conv2d(17, 7, 1, bias=False), norm(7))
        self.head = nn.Linear(7, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        return self.head((x + self.project(y * self.gate(y))).mean((2, 3)))


class ResNeXt(nn.Module):
    """Grouped convolutions in a bottleneck, the second of them strided."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 23)
        self.one = nn.Sequential(conv(23, 12, 1), conv(12, 12, groups=4), nn.Conv2d(12, 23, 1), norm(23))
        self.two = nn.Sequential(conv(23, 15, 1), conv(15, 15, groups=3, stride=2), nn.Conv2d(15, 33, 1))
        self.shortcut, self.head = nn.Conv2d(23, 33, 1, stride=2), nn.Linear(33, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = F.relu(x + self.one(x))
        return self.head(F.relu(self.two(x) + self.shortcut(x)).mean((2, 3)))


class PreActivation(nn.Module):
    """Norms and activations before the convolutions: no norm can be folded into the layer it follows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 7, 3, padding=1)
        self.body = nn.Sequential(
            norm(7), nn.ReLU(), nn.Conv2d(7, 17, 3, padding=1), nn.ReLU(), norm(17), nn.Conv2d(17, 7, 1)
        )
        self.last = norm(7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return F.relu(self.last(x + self.body(x)))


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    **nets.NETS,
    "encoder": Encoder,
    "attention": Attention,
    "mobile_v3": MobileV3,
    "resnext": ResNeXt,
    "pre_activation": PreActivation,
}


def case(name: str, batch: int) -> Case:
    """The family's net with fixed random weights, and inputs that are new each time."""
    torch.manual_seed(7)
    module = FAMILIES[name]().eval()
    torch.seed()
    if name == "encoder":
        return Case(module, (torch.randint(0, VOCABULARY, (batch, TOKENS)),))
    return Case(module, (torch.randn(batch, *nets.SHAPE),))


@cache
def program_of(name: str, batch: int) -> tuple[Case, Program]:
    """A case and its program, shared: do not change them."""
    made = case(name, batch)
    return made, lowered(made)
