"""The CUDA driver, through C: what the GPU is, its memory, and moments on its stream.

Kernels are TVM's; what they work on is the agent's. Both use the driver's primary context and its default stream.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from device_agents.tvm.faults import Fault

_LIBRARY = "libcuda.so.1"
# CUdevice_attribute
_CLOCK_RATE, _MULTIPROCESSORS, _INTEGRATED, _L2, _MAJOR, _MINOR = 13, 16, 18, 38, 75, 76
_OUT_OF_MEMORY = 2


class GpuFault(Fault):
    """The driver refused something."""


@dataclass(frozen=True)
class Gpu:
    """A GPU: `integrated` ones share the system's memory. Frequencies in kHz, None where the driver does not tell."""

    name: str
    compute_capability: str
    memory_bytes: int
    integrated: bool
    multiprocessors: int
    l2_bytes: int
    max_khz: int | None
    driver: str


class Driver:
    """The driver with its first GPU. Raises GpuFault where there is no driver or no GPU."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise GpuFault(f"there is no NVIDIA driver: {error}") from error
        self._call("cuInit", ctypes.c_uint(0))
        count = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if count.value < 1:
            raise GpuFault("the NVIDIA driver knows no GPU")
        self._device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(self._device), ctypes.c_int(0))

    def gpu(self) -> Gpu:
        """What the GPU is."""
        name = ctypes.create_string_buffer(128)
        self._call("cuDeviceGetName", name, ctypes.c_int(len(name)), self._device)
        memory, version = ctypes.c_size_t(), ctypes.c_int()
        self._call("cuDeviceTotalMem_v2", ctypes.byref(memory), self._device)
        self._call("cuDriverGetVersion", ctypes.byref(version))
        return Gpu(
            name=name.value.decode(errors="replace"),
            compute_capability=f"{self._attribute(_MAJOR)}.{self._attribute(_MINOR)}",
            memory_bytes=memory.value,
            integrated=bool(self._attribute(_INTEGRATED)),
            multiprocessors=self._attribute(_MULTIPROCESSORS),
            l2_bytes=self._attribute(_L2),
            max_khz=self._attribute(_CLOCK_RATE) or None,
            driver=f"{version.value // 1000}.{version.value % 1000 // 10}",
        )

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(number), self._device)
        return value.value

    def open(self) -> None:
        """Make the primary context, TVM's, the calling thread's."""
        context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
        self._call("cuCtxSetCurrent", context)

    def allocate(self, size: int) -> int:
        """The address of `size` bytes of the GPU's memory."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(1, size)))
        return address.value

    def free(self, address: int) -> None:
        """Give back what `allocate` gave."""
        self._call("cuMemFree_v2", ctypes.c_uint64(address))

    def free_bytes(self) -> int:
        """Bytes of the GPU's memory that nobody has."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def upload(self, address: int, content: bytes) -> None:
        """Write to the GPU's memory."""
        self._call("cuMemcpyHtoD_v2", ctypes.c_uint64(address), ctypes.c_char_p(content), ctypes.c_size_t(len(content)))

    def download(self, address: int, size: int) -> bytes:
        """Read from the GPU's memory."""
        buffer = ctypes.create_string_buffer(max(1, size))
        self._call("cuMemcpyDtoH_v2", buffer, ctypes.c_uint64(address), ctypes.c_size_t(size))
        return buffer.raw[:size]

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy within the GPU's memory, on the stream."""
        words = (ctypes.c_uint64(target), ctypes.c_uint64(source), ctypes.c_size_t(size))
        self._call("cuMemcpyDtoDAsync_v2", *words, ctypes.c_void_p())

    def fill(self, address: int, value: int, size: int) -> None:
        """Set every byte, on the stream."""
        words = (ctypes.c_uint64(address), ctypes.c_ubyte(value), ctypes.c_size_t(size))
        self._call("cuMemsetD8Async", *words, ctypes.c_void_p())

    def synchronise(self) -> None:
        """Wait until all that was asked for is done."""
        self._call("cuCtxSynchronize")

    def event(self) -> ctypes.c_void_p:
        """A moment to be marked."""
        event = ctypes.c_void_p()
        self._call("cuEventCreate", ctypes.byref(event), ctypes.c_uint(0))
        return event

    def marker(self) -> int:
        """The address of what marks an event on a stream, for code that does without Python."""
        return int(ctypes.cast(self._library["cuEventRecord"], ctypes.c_void_p).value or 0)

    def between_ns(self, first: ctypes.c_void_p, second: ctypes.c_void_p) -> float:
        """Nanoseconds between two marked moments; waits for the second."""
        milliseconds = ctypes.c_float()
        self._call("cuEventSynchronize", second)
        self._call("cuEventElapsedTime", ctypes.byref(milliseconds), first, second)
        return milliseconds.value * 1e6

    def _call(self, name: str, *arguments: object) -> None:
        status = int(self._library[name](*arguments))
        if status != 0:
            raise GpuFault("out of memory" if status == _OUT_OF_MEMORY else f"{name}: {self._error_name(status)}")

    def _error_name(self, status: int) -> str:
        text = ctypes.c_char_p()
        known = self._library["cuGetErrorName"](ctypes.c_int(status), ctypes.byref(text)) == 0
        return text.value.decode() if known and text.value else f"error {status}"


def find_gpu() -> tuple[Gpu | None, str | None]:
    """The GPU, or why there is none."""
    try:
        return Driver().gpu(), None
    except Fault as error:
        return None, str(error)
