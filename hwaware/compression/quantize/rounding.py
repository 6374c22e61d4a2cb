"""Rounding learned layer by layer, so that the layer's outputs come out right rather than its weights.

Nagel et al. 2020 (arXiv:2004.10568, sections 3.2 to 3.4). Every weight takes the level below or above it. Which is
learned as h(V) = clip(σ(V) (ζ - γ) + γ, 0, 1), against the squared error of the outputs for what the layer reads in
the quantised network (behind a ReLU where one follows), and a penalty Σ 1 - |2h - 1|^β that drives h to 0 or 1 as β
falls. Here the error is taken relative to that of the nearest levels, channel by channel, so that one weight of the
penalty serves all layers. A channel for which the nearest levels do better keeps those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.choices import Choices, settled
from hwaware.compression.quantize.patches import Rows, sampled
from hwaware.compression.quantize.samples import samples
from hwaware.compression.quantize.scales import Recovered, bias_of, weight_scales
from hwaware.compression.quantize.simulate import simulated
from hwaware.compression.quantize.walk import Walk
from hwaware.compression.quantize.weights import GROUP, Format, format_of, rows_of, weight_of
from hwaware.compression.task import Task
from hwaware.graph.arguments import ref
from hwaware.graph.ir import Graph

_ZETA, _GAMMA = 1.1, -0.1  # how far the sigmoid is stretched
_BETA = (20.0, 2.0)  # of the penalty, when it sets in and at the end
_WARM_UP = 0.2  # share of the steps without the penalty
_TRANSPOSED = "conv_transpose"


@dataclass(frozen=True)
class Rounding:
    """How the rounding is learned: `rows` positions a step; `memory` bytes of positions are held for a layer."""

    steps: int = 600
    lr: float = 0.1
    rows: int = 256
    penalty: float = 30.0
    batches: int = 8
    memory: int = 256 << 20
    seed: int = 0


def rounded(
    graph: Graph,
    task: Task,
    choices: Choices,
    ranges: Ranges,
    *,
    scales: Mapping[str, Tensor] | None = None,
    how: Rounding | None = None,
    group: int = GROUP,
) -> Recovered:
    """`graph` with the weights of its quantised layers moved to the levels that were learned, and their scales.

    `choices`, `ranges` and `group` are those it will be quantised with; `scales` of weights are searched where not
    given. Layers in float16, transposed convolutions and weights of several layers stay as they are. Held are the
    values that are still to be read of ``how.batches`` training batches, twice, and one layer's positions. Raises
    TaskError for data that does not fit.
    """
    how = how or Rounding()
    precisions = settled(graph, choices).precisions
    found = {**weight_scales(graph, precisions, ranges, group), **(scales or {})}
    inputs = list(samples(graph, task, how.batches))
    wanted = Walk(graph, inputs)
    ours = Walk(simulated(graph, choices, ranges, scales=found, group=group), inputs)
    layers = ours.graph.producers()
    users = graph.users()
    tensors = dict(graph.tensors)
    random = torch.Generator().manual_seed(how.seed)
    for node in graph.nodes:
        name = ref(node, "weight") if node.name in precisions and node.name in found else ""
        if (
            not name
            or len(users[name]) > 1
            or node.op.startswith(_TRANSPOSED)
            or isinstance(node.args.get("padding"), str)
        ):
            continue
        layer = layers[node.name]
        ours.before(node.name)
        kernel = tuple(graph.tensors[name].shape[2:])
        rows = sampled(node, kernel, ours.values(ref(layer, "input")), wanted.through(node.name), how.memory, random)
        bias = ours.values(ref(layer, "bias"))[0] if layer.args.get("bias") is not None else bias_of(graph, node)
        form = format_of(precisions[node.name], group)
        rectified = [reader.op for reader in users[node.name]] == ["relu.default"]
        problem = _Problem(graph.tensors[name].detach(), bias, found[node.name], form, rows, rectified=rectified)
        tensors[name] = problem.solve(how, random)
        ours.replace(ref(layer, "weight"), tensors[name])
    return Recovered(replace(graph, tensors=tensors), found)


class _Problem:
    """One layer: which of two levels each weight takes."""

    def __init__(
        self, weight: Tensor, bias: Tensor, scale: Tensor, form: Format, rows: Rows, *, rectified: bool
    ) -> None:
        self._shape, self._bias, self._form, self._rows, self._rectified = weight.shape, bias, form, rows, rectified
        flat = rows_of(weight)
        self._ticks = form.spread(scale, flat.shape[1])
        real = flat / self._ticks
        self._nearest = form.nearest(real)
        # What the bounds have moved has no choice left.
        self._fixed = (self._nearest - real).abs() > 0.5
        self._below = torch.where(self._fixed, self._nearest, real.floor())
        self._share = torch.where(self._fixed, 0.0, real - self._below)

    def solve(self, how: Rounding, random: torch.Generator) -> Tensor:
        """The weights on their levels."""
        nearest = self._error(self._nearest)
        # Channels without an error have nothing to learn.
        unit = torch.where(nearest > 0, nearest, 1.0)
        start = (self._share - _GAMMA) / (_ZETA - _GAMMA)
        v = torch.logit(start).requires_grad_()
        stepper = torch.optim.Adam([v], lr=how.lr)
        count = len(self._rows.inputs)
        first = int(how.steps * _WARM_UP)
        for step in range(how.steps):
            chosen = torch.randint(count, (min(how.rows, count),), generator=random)
            up = _stretched(v)
            loss = (self._errors(self._below + self._free(up), chosen) / unit).sum()
            if step >= first:
                beta = _BETA[0] + (_BETA[1] - _BETA[0]) * (step - first) / max(1, how.steps - first)
                loss = loss + how.penalty * (1 - (2 * up - 1).abs().pow(beta)).mean(1).sum()
            stepper.zero_grad()
            loss.backward()
            stepper.step()
        with torch.no_grad():
            learned = self._form.nearest(self._below + self._free(_stretched(v)).round())
            better = (self._error(learned) < nearest).reshape(-1, 1)
            return weight_of(torch.where(better, learned, self._nearest) * self._ticks, self._shape)

    def _free(self, up: Tensor) -> Tensor:
        return torch.where(self._fixed, 0.0, up)

    def _errors(self, levels: Tensor, chosen: Tensor | slice) -> Tensor:
        """The mean squared error of each channel (K) over the `chosen` rows."""
        found = self._rows.predicted(weight_of(levels * self._ticks, self._shape), self._bias, chosen)
        wanted = self._rows.outputs[chosen]
        if self._rectified:
            found, wanted = found.relu(), wanted.relu()
        return (found - wanted).square().mean(0).flatten()

    @torch.no_grad()
    def _error(self, levels: Tensor) -> Tensor:
        """That over all rows."""
        return self._errors(levels, slice(None))


def _stretched(v: Tensor) -> Tensor:
    return (torch.sigmoid(v) * (_ZETA - _GAMMA) + _GAMMA).clamp(0, 1)
