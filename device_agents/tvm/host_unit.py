"""The processor as what computes."""

from __future__ import annotations

import ctypes
import mmap
from itertools import pairwise

from device_agents.tvm.faults import Fault
from device_agents.tvm.sensors import Sensors


class HostMoments:
    """Moments of the system's clock."""

    def __init__(self, library: ctypes.CDLL, count: int) -> None:
        self._ns = (ctypes.c_int64 * count)()
        first, size = ctypes.addressof(self._ns), ctypes.sizeof(ctypes.c_int64)
        self.each = (ctypes.c_void_p * count)(*(first + index * size for index in range(count)))
        self.function = int(ctypes.cast(library["hwa_now"], ctypes.c_void_p).value or 0)

    def gaps_ns(self) -> list[float]:
        """Nanoseconds from each moment to the next."""
        moments = list(self._ns)
        return [float(after - before) for before, after in pairwise(moments)]


class HostUnit:
    """Memory of this process, kernels on its threads."""

    device_type = 1

    def __init__(self, library: ctypes.CDLL, sensors: Sensors) -> None:
        self._library = library
        self._sensors = sensors
        self._held: dict[int, mmap.mmap] = {}

    def allocate(self, size: int) -> int:
        """Zeros, as the system gives them: pages that are not touched take no memory."""
        try:
            memory = mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise Fault("out of memory") from error
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._held[address] = memory
        return address

    def free(self, address: int) -> None:
        """Give it back."""
        self._held.pop(address).close()

    def free_bytes(self) -> int | None:
        """What the kernel holds for available."""
        return self._sensors.kilobytes("/proc/meminfo", "MemAvailable")

    def upload(self, address: int, content: bytes) -> None:
        """Write."""
        ctypes.memmove(address, content, len(content))

    def download(self, address: int, size: int) -> bytes:
        """Read."""
        return ctypes.string_at(address, size)

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy."""
        ctypes.memmove(target, source, size)

    def fill(self, address: int, value: int, size: int) -> None:
        """Set every byte."""
        ctypes.memset(address, value, size)

    def synchronise(self) -> None:
        """A kernel is done when its call returns."""

    def moments(self, count: int) -> HostMoments:
        """So many moments."""
        return HostMoments(self._library, count)
