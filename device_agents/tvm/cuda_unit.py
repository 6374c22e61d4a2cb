"""The GPU as what computes."""

from __future__ import annotations

import ctypes

from device_agents.tvm.driver import Driver


class CudaMoments:
    """Moments of the GPU's own: when its stream gets to them, and not when they are asked for."""

    def __init__(self, driver: Driver, count: int) -> None:
        self._driver = driver
        self._events = [driver.event() for _ in range(count)]
        self.each = (ctypes.c_void_p * count)(*(event.value for event in self._events))
        self.function = driver.marker()

    def gaps_ns(self) -> list[float]:
        """Nanoseconds of the GPU from each moment to the next; waits for the last."""
        pairs = zip(self._events, self._events[1:], strict=False)
        return [self._driver.between_ns(before, after) for before, after in pairs]


class CudaUnit:
    """The first GPU's memory, kernels on its default stream, where TVM launches them."""

    device_type = 2

    def __init__(self) -> None:
        """Raises Fault where there is no GPU."""
        self._driver = Driver()
        self._driver.open()
        self.gpu = self._driver.gpu()

    def allocate(self, size: int) -> int:
        """So many bytes; what is in them is undefined."""
        return self._driver.allocate(size)

    def free(self, address: int) -> None:
        """Give it back."""
        self._driver.free(address)

    def free_bytes(self) -> int | None:
        """Bytes of the GPU's memory that nobody has."""
        return self._driver.free_bytes()

    def upload(self, address: int, content: bytes) -> None:
        """Write."""
        self._driver.upload(address, content)

    def download(self, address: int, size: int) -> bytes:
        """Read, after what was asked for before."""
        return self._driver.download(address, size)

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy, after what was asked for before."""
        self._driver.copy(target, source, size)

    def fill(self, address: int, value: int, size: int) -> None:
        """Set every byte, after what was asked for before."""
        self._driver.fill(address, value, size)

    def synchronise(self) -> None:
        """Wait until all that was asked for is done."""
        self._driver.synchronise()

    def moments(self, count: int) -> CudaMoments:
        """So many moments."""
        return CudaMoments(self._driver, count)
