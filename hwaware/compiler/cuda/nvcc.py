"""Device code by nvcc: machine code for one architecture, and PTX that later ones translate."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from hwaware.compiler.toolchain import run_tool
from hwaware.errors import BuildError

_USUAL = Path("/usr/local/cuda/bin/nvcc")
_VERSION = re.compile(r"release ([0-9]{1,3}\.[0-9]{1,3})")
_MISSING = "nvcc is not installed: install the CUDA toolkit, or name its folder with CUDA_PATH; run `hwaware doctor`"


def find_nvcc() -> str:
    """The compiler. Raises BuildError, saying what to install, where there is none."""
    chosen = os.environ.get("CUDA_PATH")
    places = [Path(chosen) / "bin" / "nvcc"] if chosen else []
    found = next((str(path) for path in places if path.exists()), None) or shutil.which("nvcc")
    if found is None and _USUAL.exists():
        found = str(_USUAL)
    if found is None:
        raise BuildError(_MISSING)
    return found


def nvcc_version() -> str:
    """The toolkit's release, such as ``13.0``. Raises BuildError."""
    return _version_of(find_nvcc())


@functools.cache
def _version_of(nvcc: str) -> str:
    done = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=60, check=False)
    found = _VERSION.search(done.stdout)
    if found is None:
        raise BuildError(f"nvcc does not say its version: {(done.stderr or done.stdout).strip()[:100]!r}")
    return found[1]


def compile_source(source: str, arch: str) -> bytes:
    """A fatbin of CUDA `source` for `arch` (``sm_87``). Raises BuildError."""
    virtual = arch.replace("sm_", "compute_")
    words = [find_nvcc(), "--fatbin", "-O3", "-std=c++17", "--expt-relaxed-constexpr"]
    for code in (arch, virtual):
        words += ["-gencode", f"arch={virtual},code={code}"]
    with tempfile.TemporaryDirectory(prefix="hwaware-cuda-") as name:
        folder = Path(name)
        (folder / "kernels.cu").write_text(source)
        run_tool([*words, "-o", "kernels.fatbin", "kernels.cu"], folder, f"compiling kernels for {arch}")
        return (folder / "kernels.fatbin").read_bytes()
