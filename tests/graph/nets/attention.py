"""Attention as people write it, mostly with four heads of three channels; inputs are (batch, TOKENS, WIDTH)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

TOKENS, WIDTH, HEADS = 5, 12, 4
SIZE = WIDTH // HEADS


def causal() -> torch.Tensor:
    return torch.triu(torch.full((TOKENS, TOKENS), float("-inf")), diagonal=1)


class Fused(nn.Module):
    """One projection, seen as three times heads; products and softmax by hand; a residual around it."""

    def __init__(self, *, heads_first: bool = False) -> None:
        super().__init__()
        self.heads_first = heads_first
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        if self.heads_first:
            q, k, v = self.qkv(x).view(b, t, HEADS, 3, SIZE).permute(3, 0, 2, 1, 4).unbind(0)
        else:
            q, k, v = self.qkv(x).reshape(b, t, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * SIZE**-0.5).softmax(-1)
        return x + self.out((weights @ v).transpose(1, 2).reshape(b, t, c))


class Chunked(nn.Module):
    """One projection cut in three; the built-in attention, causal."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(part) for part in self.qkv(x).chunk(3, -1))
        return self.out(joined(F.scaled_dot_product_attention(q, k, v, is_causal=True)))


class Separate(nn.Module):
    """Three projections; `memory` tokens to attend to; masks for all heads, or a bias of its own for each."""

    def __init__(
        self, *, memory: int = TOKENS, mask: torch.Tensor | None = None, biased: bool = False, normed: bool = False
    ) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH, bias=bias) for bias in (True, False, True))
        self.out, self.memory, self.dropout = nn.Linear(WIDTH, WIDTH), memory, nn.Dropout(0.1)
        self.norm = nn.LayerNorm(SIZE) if normed else nn.Identity()
        self.register_buffer("mask", mask)
        self.bias = nn.Parameter(torch.randn(1, HEADS, TOKENS, memory)) if biased else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        memory = x[:, : self.memory]
        q, k = self.norm(split_heads(self.q(x))), self.norm(split_heads(self.k(memory)))
        scores = q @ k.transpose(-1, -2) / SIZE**0.5
        if self.mask is not None:
            scores = scores + self.mask
        if self.bias is not None:
            scores = scores + self.bias
        return self.out(joined(self.dropout(scores.softmax(-1)) @ split_heads(self.v(memory))))


class BuiltInMask(Separate):
    """The built-in attention with a mask, one for all heads or one for each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(layer(x)) for layer in (self.q, self.k, self.v))
        mask = self.mask if self.bias is None else self.bias
        return self.out(joined(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)))


class Multihead(nn.Module):
    """`nn.MultiheadAttention`; with weights it computes by hand, batch and heads as one dimension."""

    def __init__(self, *, weights: bool = False, masked: bool = False, memory: int = TOKENS) -> None:
        super().__init__()
        self.attend, self.weights = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), weights
        self.mask, self.memory = causal() if masked else None, memory

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        memory = x if self.memory == TOKENS else x[:, : self.memory]
        return self.attend(x, memory, memory, need_weights=self.weights, attn_mask=self.mask)[0]


class Image(nn.Module):
    """Attention over the pixels of an image, projected by 1×1 convolutions with a norm that can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Conv2d(WIDTH, WIDTH, 1) for _ in range(3))
        self.norm, self.out = nn.BatchNorm2d(WIDTH), nn.Conv2d(WIDTH, 7, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)[..., None]
        b, c, h, w = x.shape
        q, k, v = (y.view(b, HEADS, SIZE, h * w) for y in (self.q(x), self.norm(self.k(x)), self.v(x)))
        return self.out((v @ (q.transpose(2, 3) @ k).softmax(-1).transpose(2, 3)).view(b, c, h, w))


class Grouped(nn.Module):
    """Grouped queries: two heads of keys and values, each for two heads of queries, by hand or built in."""

    def __init__(self, *, shared: int = 2, built_in: bool = False) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(WIDTH, WIDTH), *(nn.Linear(WIDTH, shared * SIZE) for _ in range(2))
        self.out, self.shared, self.built_in = nn.Linear(WIDTH, WIDTH), shared, built_in

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = split_heads(self.q(x)), *(split_heads(layer(x), self.shared) for layer in (self.k, self.v))
        if self.built_in:
            return self.out(joined(F.scaled_dot_product_attention(q, k, v, enable_gqa=True)))
        k, v = (y[:, :, None].expand(-1, -1, HEADS // self.shared, -1, -1).flatten(1, 2) for y in (k, v))
        return self.out(joined((q @ k.transpose(2, 3)).softmax(-1) @ v))


class Alone(nn.Module):
    """One head, in three dimensions or in four."""

    def __init__(self, *, dims: int) -> None:
        super().__init__()
        self.qkv, self.out, self.dims = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.dims == 4:
            return self.out(joined(F.scaled_dot_product_attention(*(split_heads(y, 1) for y in (q, k, v)))))
        return self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)


class Block(nn.Module):
    """A transformer block with its norms first, and a head that reads the mean token."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.attend, self.second = nn.LayerNorm(WIDTH), Chunked(), nn.LayerNorm(WIDTH)
        self.inner, self.outer, self.head = nn.Linear(WIDTH, 20), nn.Linear(20, WIDTH), nn.Linear(WIDTH, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.first(x))
        x = x + self.outer(F.gelu(self.inner(self.second(x))))
        return self.head(x.mean(1))


def split_heads(x: torch.Tensor, heads: int = HEADS) -> torch.Tensor:
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def joined(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


def encoder(*, norm_first: bool) -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True, norm_first=norm_first, activation="gelu")


# How many heads, or pairs of query heads, are free to go.
FREE: dict[str, tuple[Callable[[], nn.Module], dict[str, int]]] = {
    "fused": (Fused, {"qkv": 4}),
    "fused_heads_first": (lambda: Fused(heads_first=True), {"qkv": 4}),
    "chunked": (Chunked, {"qkv": 4}),
    "separate": (Separate, {"q": 4}),
    "cross": (lambda: Separate(memory=3), {"q": 4}),
    "masked": (lambda: Separate(mask=causal()), {"q": 4}),
    "biased": (lambda: Separate(biased=True), {"q": 4}),
    "normed": (lambda: Separate(normed=True), {"q": 4}),
    "built_in_masked": (lambda: BuiltInMask(mask=causal()), {"q": 4}),
    "built_in_biased": (lambda: BuiltInMask(biased=True), {"q": 4}),
    "multihead": (Multihead, {"attend.in_proj_weight": 4}),
    "multihead_masked": (lambda: Multihead(masked=True), {"attend.in_proj_weight": 4}),
    "multihead_weights": (lambda: Multihead(weights=True), {"attend.in_proj_weight": 4}),
    "multihead_all": (lambda: Multihead(weights=True, masked=True), {"attend.in_proj_weight": 4}),
    "image": (Image, {"q": 4}),
    "grouped": (Grouped, {"q": 2}),
    "encoder": (lambda: encoder(norm_first=False), {"self_attn.in_proj_weight": 4, "linear1": 16}),
    "encoder_norm_first": (lambda: encoder(norm_first=True), {"self_attn.in_proj_weight": 4, "linear1": 16}),
    "block": (Block, {"attend.qkv": 4, "inner": 20}),
}
# Why none can go, by the group of the queries.
PINNED: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "three_dimensions": (lambda: Alone(dims=3), "qkv", "there are no heads, or only one"),
    "one_head": (lambda: Alone(dims=4), "qkv", "there are no heads, or only one"),
    "shared_keys": (lambda: Grouped(shared=1), "q", "shares an operand between heads"),
    "grouped_built_in": (lambda: Grouped(built_in=True), "q", "shares keys and values between heads"),
    "multihead_cross": (lambda: Multihead(memory=3), "attend.out_proj", "an output of the model"),
}
