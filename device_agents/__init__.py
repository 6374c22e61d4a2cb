"""What runs on the device. `NATIVE` is the folder of the C agent's sources, `TVM` that of the agent for GPUs."""

from pathlib import Path

NATIVE = Path(__file__).parent / "native"
TVM = Path(__file__).parent / "tvm"
