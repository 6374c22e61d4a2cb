"""TVM's runtime without its compiler: `tvm_ffi` and two small libraries of the package `tvm`, which is not imported.

Importing it would load the compiler, 260 MB, and where that is switched off, no GPU's runtime.
"""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from device_agents.tvm.faults import Fault

_INSTALL = (
    "install it on the board: python3 -m venv ~/.local/share/hwaware/tvm && "
    "~/.local/share/hwaware/tvm/bin/pip install apache-tvm"
)
_MISSING = re.compile(r"(lib[A-Za-z0-9_.+-]+\.so[.0-9]*): cannot open shared object file")
# Where CUDA's own libraries are, if not where the loader looks.
_CUDA_PLACES = ("/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/*/lib", "/usr/lib/aarch64-linux-gnu")
_PIP_PLACES = ("nvidia/cu*/lib", "nvidia/cuda_runtime/lib")


def prepare(*, gpu: bool, threads: int) -> None:
    """Load what kernels need, with a pool of `threads`. Raises Fault, saying what to install, where something lacks."""
    os.environ["TVM_NUM_THREADS"] = str(threads)
    os.environ["TVM_BIND_THREADS"] = "0"  # where threads go is for the caller of the agent to say
    os.environ["TVM_FFI_DISABLE_TORCH_C_DLPACK"] = "1"
    with _without_torch():
        _foreign()
    # TVM's handler takes memory to tell where it was: after a crash within malloc it would wait for ever.
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    folder = _libraries()
    _load(folder / "libtvm_runtime.so", ctypes.RTLD_GLOBAL)
    if gpu:
        _load(folder / "libtvm_runtime_cuda.so", ctypes.RTLD_LOCAL)


@contextmanager
def _without_torch() -> Iterator[None]:
    """`tvm_ffi` imports torch where there is one: seconds, and a lot of memory, for nothing."""
    if "torch" in sys.modules:
        yield
        return
    blocked: dict[str, Any] = sys.modules  # None in it makes an import fail
    blocked["torch"] = None
    try:
        yield
    finally:
        del blocked["torch"]


def _foreign() -> Any:
    try:
        import tvm_ffi
    except ImportError as error:
        raise Fault(f"this Python ({sys.executable}) has no tvm_ffi ({error}); {_INSTALL}") from error
    return tvm_ffi


def _libraries() -> Path:
    """The folder of TVM's libraries: $TVM_LIBRARY_PATH, or the installed package's."""
    chosen = os.environ.get("TVM_LIBRARY_PATH")
    if chosen:
        return Path(chosen)
    found = importlib.util.find_spec("tvm")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise Fault(f"this Python ({sys.executable}) has no tvm; {_INSTALL}")
    return Path(places[0]) / "lib"


def _load(path: Path, mode: int) -> None:
    """Load a library, and before it what it needs of CUDA from where that usually is."""
    tried: set[str] = set()
    while True:
        try:
            ctypes.CDLL(str(path), mode)
        except OSError as error:
            missing = _MISSING.search(str(error))
            name = missing[1] if missing is not None else ""
            if not name or name in tried or not _load_of_cuda(name):
                raise Fault(f"{path.name} cannot be loaded: {error}; {_advice(name)}") from error
            tried.add(name)
        else:
            return


def _load_of_cuda(name: str) -> bool:
    """Whether the library `name` was found in one of CUDA's folders and loaded."""
    places = [*_CUDA_PLACES, *(os.path.join(folder, place) for folder in sys.path for place in _PIP_PLACES)]
    for place in places:
        for found in sorted(glob.glob(os.path.join(place, name))):
            try:
                ctypes.CDLL(found, ctypes.RTLD_GLOBAL)
            except OSError:
                continue
            return True
    return False


def _advice(name: str) -> str:
    if name.startswith("libcudart.so."):
        release = name.rpartition(".")[2]
        return (
            f"this TVM was built for CUDA {release}: install that (pip install nvidia-cuda-runtime), or a TVM built "
            "for the board's CUDA, and name its folder with TVM_LIBRARY_PATH"
        )
    if name.startswith("libcuda.so"):
        return "the board has no NVIDIA driver"
    return _INSTALL


def load(path: Path) -> ctypes.CDLL:
    """The library at `path` with the device code that it carries. Raises Fault.

    TVM's loader hands the library its imports; the symbols are then called as C functions.
    """
    foreign = _foreign()
    try:
        foreign.load_module(str(path))
        return ctypes.CDLL(str(path))
    except Exception as error:  # TVM's errors have classes of their own
        raise Fault(f"the kernels cannot be loaded: {' '.join(str(error).split())[:300]}") from error


def raised() -> str:
    """What the kernel that failed last has told TVM's runtime, kind and message."""
    library = _foreign().LIB
    handle = ctypes.c_void_p()
    library.TVMFFIErrorMoveFromRaised(ctypes.byref(handle))
    if not handle.value:
        return "it gave no reason"
    cell = _Error.from_address(handle.value)
    kind, message = (_text(part) for part in (cell.kind, cell.message))
    library.TVMFFIObjectDecRef(handle)
    return f"{kind}: {' '.join(message.split())[:400]}"


class _Bytes(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Error(ctypes.Structure):
    """An error object: the header of every object (counts, type, deleter), then what was said."""

    _fields_ = (("header", ctypes.c_uint64 * 3), ("kind", _Bytes), ("message", _Bytes))


def _text(part: _Bytes) -> str:
    return ctypes.string_at(part.data, part.size).decode(errors="replace") if part.data else ""


def versions() -> dict[str, str | None]:
    """Of the packages that run kernels; None where one is not installed."""
    return {name: _version(name) for name in ("apache-tvm", "apache-tvm-ffi")}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
