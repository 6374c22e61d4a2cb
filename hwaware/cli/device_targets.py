"""What code `hwaware devices show` says is generated for a device: for its processor and, where it has one, its GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwaware.errors import BuildError

if TYPE_CHECKING:
    from hwaware.compiler.target import Target
    from hwaware.devices.device import Device
    from hwaware.devices.facts import DeviceFacts

# Name in the document, label, as in tables, in words.
Row = tuple[str, str, "dict[str, Any] | None", str]


def device_targets(device: Device, facts: DeviceFacts) -> list[Row]:
    """A row for each unit of the device; what no code can be generated for says why."""
    from hwaware.compiler.target import CPU, GPU

    rows = [_row("target", "target", device, CPU)]
    if facts.gpu is not None:
        rows.append(_row("gpu_target", "GPU target", device, GPU))
    return rows


def _row(name: str, label: str, device: Device, unit: str) -> Row:
    from hwaware.profiling.target import target_of

    try:
        target = target_of(device, unit)
    except BuildError as error:
        return name, label, None, f"none: {error}"
    return name, label, target.identity(), _in_words(target)


def _in_words(target: Target) -> str:
    from hwaware.compiler.cuda.target import CudaTarget

    if isinstance(target, CudaTarget):
        return f"{target.name} (--unit gpu)"
    return f"{target.name} (code for {target.cpu}, {target.lanes} floats a vector)"
