"""Tensors and calls as compiled kernels take them: DLPack's descriptors over memory of the agent's own.

TVM's own views carry an offset, which kernels refuse; here a tensor begins where its address says.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass

from device_agents.tvm.elements import ELEMENTS
from device_agents.tvm.faults import Fault, KernelFault
from device_agents.tvm.runtime import raised
from device_agents.tvm.unit import Moments

_TENSOR = 7  # TVMFFIAny.type_index of a DLTensor pointer
_SYMBOL = "__tvm_ffi_"


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Any(ctypes.Structure):
    _fields_ = (("type_index", ctypes.c_int32), ("zero_padding", ctypes.c_uint32), ("pointer", ctypes.c_void_p))


class _Call(ctypes.Structure):
    """``hwa_call`` of sequence.c."""

    _fields_ = (("kernel", ctypes.c_void_p), ("args", ctypes.c_void_p), ("n_args", ctypes.c_int64))


@dataclass(frozen=True)
class Bound:
    """A tensor at an address of the memory of `device_type` (DLPack's number)."""

    address: int
    dtype: str
    shape: tuple[int, ...]
    device_type: int

    def descriptor(self) -> _DLTensor:
        """DLPack's description, dense."""
        count = len(self.shape)
        sizes = (ctypes.c_int64 * max(1, count))(*self.shape)
        steps = (ctypes.c_int64 * max(1, count))(*(math.prod(self.shape[axis + 1 :]) for axis in range(count)))
        element = ELEMENTS[self.dtype]
        return _DLTensor(self.address, self.device_type, 0, count, element.code, element.bits, 1, sizes, steps, 0)


class Calls:
    """Calls of kernels over tensors that stay where they are."""

    def __init__(self, library: ctypes.CDLL, calls: Sequence[tuple[str, Sequence[Bound]]]) -> None:
        """Raises Fault for a kernel that `library` does not have."""
        # Descriptors must live as long as the calls: C holds nothing but their addresses.
        self._tensors: list[_DLTensor] = []
        self._arguments: list[ctypes.Array[_Any]] = []
        self._calls = (_Call * max(1, len(calls)))()
        self._count = len(calls)
        for index, (symbol, tensors) in enumerate(calls):
            arguments = self._bound(tensors)
            self._calls[index] = _Call(_address(library, symbol), ctypes.addressof(arguments), len(tensors))
        self._sequence = library["hwa_sequence"]
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._sequence.argtypes = [pointer, number, number, pointer, pointer, number]
        self._sequence.restype = number

    def _bound(self, tensors: Sequence[Bound]) -> ctypes.Array[_Any]:
        arguments = (_Any * max(1, len(tensors)))()
        for index, tensor in enumerate(tensors):
            described = tensor.descriptor()
            self._tensors.append(described)
            arguments[index] = _Any(_TENSOR, 0, ctypes.addressof(described))
        self._arguments.append(arguments)
        return arguments

    def run(self, times: int = 1, between: Moments | None = None) -> None:
        """All of them in order, `times` over, the two moments `between` marked around. Raises KernelFault."""
        self._run(self._count, times, between, each=False)

    def run_each(self, moments: Moments) -> None:
        """All of them in order, a moment marked before and after each. Raises KernelFault."""
        self._run(self._count, 1, moments, each=True)

    def run_none(self, between: Moments) -> None:
        """The two moments alone: what marking them costs."""
        self._run(0, 1, between, each=False)

    def _run(self, count: int, times: int, moments: Moments | None, *, each: bool) -> None:
        marking = (None, None) if moments is None else (moments.function, ctypes.addressof(moments.each))
        failed = self._sequence(ctypes.addressof(self._calls), count, times, *marking, int(each))
        if failed >= 0:
            raise KernelFault(int(failed), raised())


def _address(library: ctypes.CDLL, symbol: str) -> int:
    try:
        found = library[_SYMBOL + symbol]
    except AttributeError as error:
        raise Fault(f"the library has no kernel {symbol}") from error
    return int(ctypes.cast(found, ctypes.c_void_p).value or 0)
