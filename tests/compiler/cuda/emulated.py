"""GPU kernels without a GPU: their CUDA source compiled as C (`emulated.h`), launched by TVM's own host code."""

from __future__ import annotations

import ctypes
import re
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tvm_ffi

from device_agents import TVM
from device_agents.tvm.abi import Bound, Calls
from hwaware.compiler.cuda.build import compile_module
from hwaware.compiler.cuda.functions import PRELUDE
from hwaware.compiler.cuda.imports import packed_imports
from hwaware.compiler.cuda.target import cuda_target
from hwaware.compiler.kernel import Kernel
from hwaware.compiler.targets import host_machine, plain_target
from tests.requirements import need

HERE = cuda_target(plain_target(host_machine()), "8.7")
_GPU = 2  # DLPack's number of a GPU's memory
_SET_DEVICE = "__tvm_set_device"
_FIRST = 'extern "C" __global__'
_ANY = "typedef struct { int32_t type; uint32_t padding; union { int64_t integer; void *pointer; }; } any;\n"


class Emulated:
    """Kernels by their symbols, called with tensors as TVM's module would be."""

    def __init__(self, library: Path, device: Path, module: Any) -> None:
        self._library, self._device, self._module = ctypes.CDLL(str(library)), ctypes.CDLL(str(device)), module

    def __getitem__(self, symbol: str) -> Callable[..., None]:
        def call(*tensors: Any) -> None:
            bound = [Bound(one.data_ptr(), str(one.dtype), tuple(one.shape), _GPU) for one in tensors]
            Calls(self._library, [(symbol, bound)]).run()
            for fault in ("diverged", "misaligned"):
                assert not ctypes.c_int.in_dll(self._device, f"hwa_{fault}").value, f"{symbol}: {fault}"

        return call


@contextmanager
def emulated(kernels: Sequence[Kernel], folder: Path) -> Iterator[Emulated]:
    """The kernels, compiled for a GPU beside this processor."""
    compiled = compile_module(kernels, HERE)
    source = compiled.source.encode()
    launches = _launches(packed_imports(compiled.module).partition(source)[0])
    compiled.module.write_to_file(str(folder / "kernels.o"), "o")
    (folder / "device.c").write_text(_as_c(compiled.source, launches))
    _cc(folder, "-shared", str(TVM / "sequence.c"), "kernels.o", "-o", "host.so")
    # Apart: what the checks call is our own.
    _cc(folder, "-fsanitize=alignment", "-I", str(Path(__file__).parent), "-c", "device.c", "-o", "device.o")
    _cc(folder, "-shared", "device.o", "-lm", "-o", "device.so")
    module = tvm_ffi.load_module(str(folder / "host.so"))
    module.import_module(tvm_ffi.load_module(str(folder / "device.so")))
    before = tvm_ffi.get_global_func(_SET_DEVICE)
    # There is no device to be set.
    tvm_ffi.register_global_func(_SET_DEVICE, lambda *_: None, override=True)
    try:
        yield Emulated(folder / "host.so", folder / "device.so", module)
    finally:
        tvm_ffi.register_global_func(_SET_DEVICE, before, override=True)


def _cc(folder: Path, *words: str) -> None:
    command = [need("cc", package="gcc"), "-std=gnu11", "-O1", "-fPIC", *words]
    subprocess.run(command, cwd=folder, check=True, timeout=240)


def _as_c(source: str, launches: dict[str, tuple[int, list[str]]]) -> str:
    """`source` in C, and for each kernel what TVM's host code calls: with pointers, then with sizes by their tags."""
    code = source[source.index(_FIRST) :].replace('extern "C" ', "").replace("alignas(64) ", "")
    lines = ['#include "emulated.h"', _ANY, PRELUDE, re.sub(r"\bvolatile float\*", "float*", code)]
    for name, (count, tags) in launches.items():
        pointers = ", ".join(f"a[{index}]" for index in range(count))
        lines.append(f"static void body_{name}(void **a) {{ {name}({pointers}); }}")
        lines.append(f"int __tvm_ffi_{name}(void *h, const any *args, int32_t n, any *result) {{")
        lines.append(f"dim3 block = {{1, 1, 1}}, grid = {{1, 1, 1}}; void *a[{count}];")
        lines.append(f"for (int i = 0; i < {count}; i++) a[i] = args[i].pointer;")
        for index, tag in enumerate(tags):
            what, axis = tag.split(".")
            size = {"blockIdx": "grid", "threadIdx": "block"}[what]
            lines.append(f"{size}.{axis} = (int)args[{count + index}].integer;")
        lines.append(f"launch(body_{name}, a, grid, block); return 0; }}")
    return "\n".join(lines)


def _launches(packed: bytes) -> dict[str, tuple[int, list[str]]]:
    """Of each kernel, how many pointers it takes, and what the numbers after them are: TVM's table of functions."""
    at = packed.rindex(struct.pack("<Q", 4) + b"cuda") + 12

    def number() -> int:
        nonlocal at
        at += 8
        return int(struct.unpack_from("<Q", packed, at - 8)[0])

    def text() -> str:
        nonlocal at
        length = number()
        at += length
        return packed[at - length : at].decode()

    found = {}
    for _ in range(number()):
        name, _ = text(), text()
        count = number()
        at += 4 * count  # the types of the arguments
        tags = [text() for _ in range(number())]
        extra = number()
        at += 4 * extra
        found[name] = (count, tags)
    return found
