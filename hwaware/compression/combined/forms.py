"""What a model costs with its layers in each of the precisions that a table knows, at any widths.

A layer's operation in a precision costs what it does where its neighbours have that precision as well; what it costs
beside that where levels meet floats is `borders`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from hwaware.compression.meters import LATENCY, SIZE
from hwaware.compression.outline import Outline, OutlineOp, Widths
from hwaware.compression.quantize.choices import PRECISIONS, Choices, Precision, everywhere, layers
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.structure import assigned, uniform
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import MissingCostError
from hwaware.graph.arithmetic import weight_bytes
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower

FLOAT: Precision = "float32"


@dataclass(frozen=True)
class Forms:
    """`uniform` are the costs with all layers in one precision, float32 first; `options` what each layer may have.

    `graph` is the model's, in float32 and at full widths.
    """

    graph: Graph
    uniform: Mapping[Precision, WidthCosts]
    options: Mapping[str, tuple[Precision, ...]]
    _folded: dict[tuple[tuple[str, int], ...], Graph] = field(default_factory=dict)
    _packed: dict[tuple[Precision, str], float] = field(default_factory=dict)

    @classmethod
    def known(cls, graph: Graph, floats: WidthCosts, wanted: Iterable[Precision] = PRECISIONS) -> Forms:
        """Those of `graph`, whose costs in float32 are `floats`, of which the table knows every operation."""
        plain = folded(graph)
        uniforms = {FLOAT: floats}
        able: dict[Precision, dict[str, Precision]] = {}
        for precision in wanted:
            if precision == FLOAT or not (found := everywhere(plain, precision)):
                continue
            try:
                uniforms[precision] = floats.formed(partial(uniform, precision=precision))
            except MissingCostError:
                continue
            able[precision] = found
        options = {
            node.name: (FLOAT, *(precision for precision, names in able.items() if node.name in names))
            for node in layers(plain)
        }
        return cls(graph, uniforms, options)

    @property
    def floats(self) -> WidthCosts:
        """The costs in float32."""
        return self.uniform[FLOAT]

    def assigned(self, choices: Choices) -> WidthCosts:
        """The costs where the layers have these precisions."""
        mixed = {name: precision for name, precision in choices.items() if precision != FLOAT}
        return self.floats.formed(assigned(mixed)) if mixed else self.floats

    def priced(self, widths: Widths, choices: Choices, meters: Iterable[str]) -> dict[str, float]:
        """What the model costs there by each of `meters`, lowered for real. Raises MissingCostError."""
        key = tuple(sorted(widths.items()))
        if key not in self._folded:
            self._folded.clear()  # the widths before will not be asked for again
            self._folded[key] = folded(self.floats.outline(widths).resized(widths))
        return self.floats.priced(lower(assigned(choices)(self._folded[key])), meters)

    def own(self, meter: str, layer: str, precision: Precision, widths: Widths) -> float:
        """What the operation of `layer` costs in `precision` among its like; 0 where it is gone.

        `meter` is a sum over operations. Raises MissingCostError where the table does not reach these widths.
        """
        costs = self.uniform[precision]
        outline = costs.outline(widths)
        op = _op(outline, layer)
        if op is None:
            return 0.0
        if meter != SIZE or not op.units:
            return costs.op_cost(meter, outline, op, widths)
        # The exact bytes need generated code for every width: those of the weights, and what packing adds as it is.
        workload = outline.workload(op, widths)
        return 0.0 if workload is None else weight_bytes(workload) * self._packing(precision, layer)

    def _packing(self, precision: Precision, layer: str) -> float:
        """Bytes of packed weights and biases a byte of weights, at full widths."""
        key = (precision, layer)
        if key not in self._packed:
            costs = self.uniform[precision]
            outline = costs.outline(costs.full)
            op = _op(outline, layer)
            assert op is not None
            bare = weight_bytes(op.workload)
            self._packed[key] = costs.op_cost(SIZE, outline, op, costs.full) / bare if bare else 0.0
        return self._packed[key]

    def units(self, layer: str, widths: Widths) -> tuple[str, ...]:
        """The groups that the operation of `layer` depends on, in float32."""
        op = _op(self.floats.outline(widths), layer)
        return () if op is None else tuple(op.units)

    def fastest(self, widths: Widths) -> dict[str, Precision]:
        """The precision of each layer in which its own operation takes the least time."""
        return {
            layer: min(options, key=lambda each: self.own(LATENCY, layer, each, widths))
            for layer, options in self.options.items()
        }


def _op(outline: Outline, layer: str) -> OutlineOp | None:
    return next((op for op in outline.ops if op.op.name == layer), None)
