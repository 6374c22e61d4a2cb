"""What a kernel computes, as a frozen and canonical key.

Two operations with equal workloads run the same object code and cost the same, whatever model they come from; the
key is what cost tables are indexed by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hwaware.graph.ir import Spec

Attr: TypeAlias = "int | float | str | bool | tuple[Attr, ...]"

# Where a step's operand comes from, in the order of the output's memory.
NONE, FULL, CHANNEL, PAIR = "none", "full", "channel", "pair"

# Steps of quantised values: sums become numbers, numbers levels, levels numbers; and the next step's operand is levels.
SCALE, QUANTIZE, DEQUANTIZE, OF_LEVELS = "scale", "quantize", "dequantize", "of_levels"

# Attribute of integer workloads: whether weights are bounded in pairs, which some processors multiply faster.
PAIRED = "paired"

# Attribute of workloads with weights in fewer bytes, which become float32 in registers, and what it says: int8 with a
# scale a channel (a step), float16, or int4 with a scale for every so many weights, ``int4x64``; or so many float32
# ones that are not 0, ``sparse1234``; or so many codewords of float16, of so many weights each, ``codebook256x4``.
STORED, INT8, INT4, HALF, SPARSE, CODEBOOK = "stored", "int8", "int4", "float16", "sparse", "codebook"
INT4_ZERO = 8  # is added to a level of int4 where it is packed, so that none is negative

# Attributes of workloads that read or write part of a wider tensor, at whatever channel of it.
IN_PITCH, OUT_PITCH = "in_pitch", "out_pitch"


@dataclass(frozen=True)
class Step:
    """One elementwise step after the anchor: `name` with scalar `params` and at most one tensor operand.

    `operand` is ``none``, ``full`` (laid out as the output), ``channel`` (one value per innermost channel) or
    ``pair`` (two numbers for the whole tensor);
    `map` workloads write the operand's strides instead. `constant` operands are packed with the weights.
    """

    name: str
    params: tuple[float | str, ...] = ()
    operand: str | tuple[int, ...] = NONE
    constant: bool = False

    def __str__(self) -> str:
        text = self.name
        if self.params:
            text += "(" + ",".join(_text(value) for value in self.params) + ")"
        if self.operand != NONE or self.constant:
            text += f"[{_text(self.operand)}{'c' if self.constant else ''}]"
        return text


@dataclass(frozen=True)
class Workload:
    """A fused operation: `kind` (conv2d, dense, map, ...), tensors in memory order, attributes, epilogue.

    `inputs` are the activations the kernel reads besides the operands of its steps, `output` what it writes; all
    are channels-last where there are channels.
    """

    kind: str
    inputs: tuple[Spec, ...]
    output: Spec
    attrs: tuple[tuple[str, Attr], ...] = ()
    epilogue: tuple[Step, ...] = ()

    def attr(self, name: str) -> Attr:
        """The attribute `name`; KeyError if this kind of workload has none."""
        return dict(self.attrs)[name]

    def ints(self, name: str) -> tuple[int, ...]:
        """The attribute `name` as a tuple of integers."""
        value = self.attr(name)
        assert isinstance(value, tuple)
        return tuple(int(item) for item in value)  # type: ignore[arg-type]

    @property
    def in_pitch(self) -> int:
        """Elements from one pixel of the first input to the next: its channels, unless it is part of wider memory."""
        return self._pitch(IN_PITCH, self.in_width)

    @property
    def out_pitch(self) -> int:
        """Elements from one pixel of the output to the next."""
        return self._pitch(OUT_PITCH, self.out_width)

    @property
    def in_width(self) -> int:
        """Channels of a pixel of the first input: a map's are those of its output."""
        return _width(self.output if self.kind == "map" else self.inputs[0])

    @property
    def out_width(self) -> int:
        """Channels of a pixel of the output."""
        return _width(self.output)

    def _pitch(self, name: str, width: int) -> int:
        pitch = dict(self.attrs).get(name, width)
        assert isinstance(pitch, int)
        return pitch

    @property
    def key(self) -> str:
        """Canonical text: ``kind|inputs->output|attrs|epilogue``."""
        tensors = ",".join(_spec(spec) for spec in self.inputs) + "->" + _spec(self.output)
        attrs = ";".join(f"{name}={_text(value)}" for name, value in self.attrs)
        return "|".join((self.kind, tensors, attrs, "+".join(str(step) for step in self.epilogue)))


def canonical(attrs: Mapping[str, Attr]) -> tuple[tuple[str, Attr], ...]:
    """Attributes sorted by name, as a workload keeps them."""
    return tuple(sorted(attrs.items()))


_SHORT = {"float32": "f32", "int64": "i64", "int32": "i32", "bool": "b8", "uint8": "u8"}


def _width(spec: Spec) -> int:
    return spec.shape[-1] if spec.shape else 1


def _spec(spec: Spec) -> str:
    return "x".join(map(str, spec.shape)) + ":" + _SHORT.get(spec.dtype, spec.dtype)


def _text(value: Attr) -> str:
    if isinstance(value, tuple):
        return "(" + ",".join(_text(item) for item in value) + ")"
    if isinstance(value, float):
        return format(value, ".9g")
    return str(value)
