"""What runs on the device. `NATIVE` is the folder of the C agent's sources."""

from pathlib import Path

NATIVE = Path(__file__).parent / "native"
