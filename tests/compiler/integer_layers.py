"""Integer convolutions and dense layers side by side in one graph, so that one compilation tries them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from hwaware.graph.ir import Graph, Node, Ref, Spec
from hwaware.graph.model import GraphModel
from hwaware.graph.workload import CHANNEL, PAIR, PAIRED, QUANTIZE, SCALE, Step, Workload, canonical

# Weights up to these: any, and such that two neighbours are together at most 128.
ANY, PAIRS = 127, 64
ZEROS = (0, 255, 113)


@dataclass(frozen=True)
class Layer:
    """A convolution of an image, or a dense layer of `batch` rows where there is no `kernel`."""

    inside: int
    outside: int
    kernel: tuple[int, int] | None = None
    size: tuple[int, int] = (7, 6)
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    batch: int = 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, self.inside, *(self.size if self.kernel else ()))

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.outside, self.inside // self.groups, *(self.kernel or ()))

    @property
    def output_shape(self) -> tuple[int, ...]:
        if self.kernel is None:
            return self.batch, self.outside
        reach = [(taps - 1) * self.dilation + 1 - 2 * self.padding for taps in self.kernel]
        out = [(size - back) // self.stride + 1 for size, back in zip(self.size, reach, strict=True)]
        return (self.batch, self.outside, *out)


# Channels that fill what is read at once, and leave some of it; borders on each side; columns that all taps of a row
# are one run for; more positions than a tile has and fewer.
_IMAGES = {"inside": 20, "kernel": (3, 3), "size": (9, 7), "padding": 1, "batch": 2}
_SMALL = {"inside": 7, "size": (6, 9)}
LAYERS = (
    Layer(outside=21, **_IMAGES),
    Layer(outside=8, stride=2, **_IMAGES),
    Layer(outside=14, groups=2, **_IMAGES),
    Layer(outside=20, groups=20, **_IMAGES),
    Layer(outside=9, kernel=(3, 3), **_SMALL),
    Layer(outside=5, kernel=(3, 3), padding=2, dilation=2, **_SMALL),
    Layer(outside=40, kernel=(2, 5), padding=3, **_SMALL),
    Layer(37, 17, (1, 1)),
    Layer(59, 35, batch=2),
    Layer(83, 6),
)
# A convolution with borders, one of groups, one whose taps are joined, one of odd extents, a dense layer.
SOME = LAYERS[::2]


@dataclass(frozen=True)
class Values:
    """Levels of the input, weights, the input's zero point and biases of a layer."""

    levels: torch.Tensor
    weight: torch.Tensor
    zero: int
    bias: torch.Tensor


def random_values(layers: Sequence[Layer], seed: int, most: int) -> list[Values]:
    """Weights from -`most` to `most`; zero points in turn; layers whose inputs are of one shape read the same."""
    rng = torch.Generator().manual_seed(seed)

    def ints(low: int, high: int, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randint(low, high + 1, shape, generator=rng)

    images = {layer.input_shape: ints(0, 255, layer.input_shape) for layer in layers}
    return [
        Values(
            images[layer.input_shape],
            ints(-most, most, layer.weight_shape).to(torch.int8),
            ZEROS[index % len(ZEROS)],
            ints(-5000, 5000, (layer.outside,)).to(torch.int32),
        )
        for index, layer in enumerate(layers)
    ]


def extremes(most: int) -> tuple[list[Layer], list[Values]]:
    """Layers with the largest levels and weights, some of whose sums nearly leave int32."""
    bounds = [(127,)] if most == ANY else [(64,), (127, 1), (1, 127)]
    cases = [
        (layer, level, weights, zero)
        for weights in bounds
        for layer in (Layer(70, 6, batch=3), Layer(20, 5, (3, 3), padding=1))
        for level, zero in ((255, 0), (0, 255))
    ]
    long = Layer(66_000, 2, batch=2)
    assert ANY * 255 * long.inside > 0.99 * 2**31
    cases += [(long, 255, bounds[0], 0), (replace(long, batch=1), 0, bounds[0], 255)]
    return [layer for layer, *_ in cases], [_extreme(*case) for case in cases]


def _extreme(layer: Layer, level: int, weights: Sequence[int], zero: int) -> Values:
    """All inputs are `level`; `weights` repeat along the input channels, with the sign changed at every other output.

    Biases take what is left of the sums near to 0, where float32 has every integer.
    """
    pattern = torch.tensor(weights).repeat(-(-layer.weight_shape[1] // len(weights)))[: layer.weight_shape[1]]
    signs = 1 - 2 * (torch.arange(layer.outside) % 2)
    shape = [-1 if d == 0 else 1 for d in range(len(layer.weight_shape))]
    across = [-1 if d == 1 else 1 for d in range(len(layer.weight_shape))]
    weight = (signs.reshape(shape) * pattern.reshape(across)).expand(layer.weight_shape)
    sums = weight.flatten(1).sum(1) * (level - zero)
    bias = (torch.arange(layer.outside) * 97 - sums).to(torch.int32)
    return Values(torch.full(layer.input_shape, level), weight.to(torch.int8).contiguous(), zero, bias)


def model(layers: Sequence[Layer], values: Sequence[Values]) -> GraphModel:
    """All layers; each gives its integer sums as float32."""
    inputs: dict[str, Spec] = {}
    nodes: list[Node] = []
    tensors = {"one": torch.tensor(1.0), "none": torch.tensor(0, dtype=torch.int32)}
    quantised: dict[int, str] = {}
    for index, (layer, given) in enumerate(zip(layers, values, strict=True)):
        y, q = f"y{index}", quantised.setdefault(id(given.levels), f"q{index}")
        if q == f"q{index}":
            inputs[f"x{index}"] = Spec(layer.input_shape, "float32")
            levels = {"input": Ref(f"x{index}"), "scale": Ref("one"), "zero": Ref("none")}
            nodes.append(Node(q, "hwaware.quantize", levels, Spec(layer.input_shape, "uint8"), ""))
        tensors |= {
            f"{y}.weight": given.weight, f"{y}.bias": given.bias, f"{y}.scale": torch.ones(layer.outside),
            f"{y}.zero": torch.tensor(given.zero, dtype=torch.int32),
        }  # fmt: skip
        args = {"input": Ref(q)} | {name: Ref(f"{y}.{name}") for name in ("weight", "zero", "bias", "scale")}
        if layer.kernel is not None:
            two = {name: (getattr(layer, name),) * 2 for name in ("stride", "padding", "dilation")}
            args |= {**two, "groups": layer.groups}  # type: ignore[dict-item]
        kind = "hwaware.linear" if layer.kernel is None else "hwaware.conv2d"
        nodes.append(Node(y, kind, args, Spec(layer.output_shape, "float32"), ""))
    outputs = tuple(f"y{index}" for index in range(len(layers)))
    examples = {id(given.levels): given.levels.float() for given in values}
    return GraphModel(Graph(inputs, nodes, outputs, tensors), tuple(examples.values())).eval()


def convolution(size: int, inside: int, outside: int, kernel: int, *, paired: bool = True) -> Workload:
    """Square images, windows and padding, to uint8 levels."""
    attrs = {"kernel": (kernel,) * 2, "stride": (1, 1), "padding": (kernel // 2,) * 2, "dilation": (1, 1), "groups": 1}
    steps = (Step(SCALE, (), CHANNEL, constant=True), Step("relu"), Step(QUANTIZE, (), PAIR, constant=True))
    spec, out = (Spec((1, size, size, channels), "uint8") for channels in (inside, outside))
    return Workload("conv2d", (spec,), out, canonical(attrs | {PAIRED: paired}), steps)
