"""The C tables that tell the agent what it carries: cells to measure, or a model to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwaware.compiler.kernel import OUTPUT, SCRATCH, WEIGHT, Argument, Kernel

_CODES = {"i": "HWA_INT", "u": "HWA_UINT", "f": "HWA_FLOAT", "b": "HWA_BOOL"}
_ROLES = {WEIGHT: "HWA_WEIGHT", OUTPUT: "HWA_OUTPUT", SCRATCH: "HWA_SCRATCH"}


def c_string(text: str) -> str:
    """A C string literal; keys and names are data and may hold anything."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{escaped}"'


def _dtype(dtype: str) -> tuple[str, int]:
    kind = np.dtype(dtype)
    return _CODES[kind.kind], kind.itemsize * 8


def _prototype(kernel: Kernel) -> str:
    return f"int __tvm_ffi_{kernel.symbol}(void *, const TVMFFIAny *, int32_t, TVMFFIAny *);"


def cells_source(kernels: Sequence[Kernel]) -> str:
    """Tables with one cell a kernel, its id that of the kernel's variant."""
    lines = ['#include "hwa.h"', "#include <stddef.h>"]
    entries = []
    for index, kernel in enumerate(kernels):
        lines.append(_prototype(kernel))
        rows = []
        for number, argument in enumerate(kernel.arguments):
            lines.append(f"static const int64_t s{index}_{number}[] = {{{argument.size}}};")
            rows.append(_argument(argument, f"s{index}_{number}"))
        lines.append(f"static const hwa_arg a{index}[] = {{{', '.join(rows)}}};")
        entries.append(
            f"{{{c_string(kernel.variant.id)}, __tvm_ffi_{kernel.symbol}, {len(kernel.arguments)}, a{index}}}"
        )
    lines.append("const hwa_cell hwa_cells[] = {" + ",\n".join(entries) + "};")
    lines.append(f"const int32_t hwa_n_cells = {len(kernels)};")
    lines.append("const hwa_model *const hwa_model_table = NULL;")
    return "\n".join(lines) + "\n"


def _argument(argument: Argument, shape: str) -> str:
    code, bits = _dtype(argument.dtype)
    role = _ROLES.get(argument.role, "HWA_INPUT")
    fill = "HWA_FILL_NORMAL" if argument.dtype == "float32" else "HWA_FILL_INDEX"
    if argument.rising:
        fill = "HWA_FILL_RISING"
    # Other tables of a kernel stay zero: any position they could name must exist.
    limit = max(1, argument.limit)
    return f"{{1, {shape}, {code}, {bits}, {role}, {fill}, {limit}, {argument.bytes}u}}"


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model: its logical shape, element type, and place."""

    shape: tuple[int, ...]
    dtype: str
    space: str  # "arena" or "weights"
    offset: int

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Call:
    """One operation: its name, its workload's key, the kernel's symbol and the tensors it gets."""

    name: str
    key: str
    symbol: str
    tensors: tuple[int, ...]


@dataclass(frozen=True)
class ModelTables:
    """A whole model for the agent."""

    name: str
    tensors: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arena_bytes: int
    weight_bytes: int

    def source(self) -> str:
        """The C source; weights come from the symbol ``hwa_weights``."""
        lines = ['#include "hwa.h"', "#include <stddef.h>", "extern const unsigned char hwa_weights[];"]
        lines += [
            f"int __tvm_ffi_{symbol}(void *, const TVMFFIAny *, int32_t, TVMFFIAny *);"
            for symbol in dict.fromkeys(call.symbol for call in self.calls)
        ]
        rows = []
        for index, tensor in enumerate(self.tensors):
            lines.append(f"static const int64_t s{index}[] = {{{_numbers(tensor.shape)}}};")
            code, bits = _dtype(tensor.dtype)
            space = "HWA_ARENA" if tensor.space == "arena" else "HWA_WEIGHTS"
            rows.append(
                f"{{{len(tensor.shape)}, s{index}, {code}, {bits}, {space}, {tensor.offset}u, {tensor.bytes}u}}"
            )
        lines.append("static const hwa_buffer buffers[] = {" + ",\n".join(rows) + "};")
        ops = []
        for index, call in enumerate(self.calls):
            lines.append(f"static const int32_t t{index}[] = {{{_numbers(call.tensors)}}};")
            ops.append(
                f"{{{c_string(call.name)}, {c_string(call.key)}, __tvm_ffi_{call.symbol}, "
                f"{len(call.tensors)}, t{index}}}"
            )
        lines.append("static const hwa_op ops[] = {" + ",\n".join(ops) + "};")
        lines.append(f"static const int32_t inputs[] = {{{_numbers(self.inputs)}}};")
        lines.append(f"static const int32_t outputs[] = {{{_numbers(self.outputs)}}};")
        lines.append(
            f"static const hwa_model model = {{{c_string(self.name)}, {len(self.tensors)}, buffers, {len(self.calls)}, "
            f"ops, {len(self.inputs)}, inputs, {len(self.outputs)}, outputs, {self.arena_bytes}u, hwa_weights, "
            f"{self.weight_bytes}u}};"
        )
        lines.append("const hwa_model *const hwa_model_table = &model;")
        lines.append("const hwa_cell hwa_cells[] = {{NULL, NULL, 0, NULL}};")
        lines.append("const int32_t hwa_n_cells = 0;")
        return "\n".join(lines) + "\n"


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values) or "0"


def weights_assembly(name: str) -> str:
    """Assembly that maps the file `name` as read-only data under the symbol ``hwa_weights``."""
    return (
        '.section .rodata.weights,"a",%progbits\n.balign 64\n.globl hwa_weights\nhwa_weights:\n'
        f'.incbin "{name}"\n.byte 0\n.section .note.GNU-stack,"",%progbits\n'
    )
