"""Reader of IDX files, the format of MNIST and its kin: magic, big-endian sizes, raw bytes; plain or gzipped.

Source: the format's description at the foot of LeCun, Cortes, Burges, "The MNIST database".
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hwaware.errors import TaskError

UNSIGNED_BYTE = 0x08
MAX_DIMENSIONS = 4
# A header is believed only up to this; MNIST's training images are 47 MB.
MAX_BYTES = 2**31

_IMAGES = re.compile(r"(?P<prefix>.*?)[-._]?images[-._]idx(?P<ndim>[34])[-._]ubyte(\.gz)?")
_SPLITS = {"train": ("train",), "test": ("t10k", "test")}


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in `path`, shaped by its header. Raises TaskError naming the file and what is wrong."""
    try:
        with _open(path) as stream:
            return _read(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        # gzip.BadGzipFile is an OSError; a cut gzip stream is an EOFError.
        raise TaskError(f"{path}: cannot be read: {error}") from error


def find_pair(folder: Path, split: str) -> tuple[Path, Path]:
    """Image and label file of `split` ("train" or "test") in `folder`; TaskError unless there is one pair."""
    words = _SPLITS[split]
    found: dict[str, Path] = {}
    # Sorted, so that of `x` and `x.gz` the plain file comes first and is taken.
    for path in sorted(folder.iterdir()):
        match = _IMAGES.fullmatch(path.name)
        if match and any(word in match["prefix"].lower() for word in words):
            found.setdefault(path.name.removesuffix(".gz"), path)
    if not found:
        wanted = f"{words[0]}-images-idx3-ubyte[.gz]"
        raise TaskError(f"{folder}: no {split} images; expected a file like {wanted}")
    if len(found) > 1:
        raise TaskError(f"{folder}: several sets of {split} images: {', '.join(found)}; keep one a folder")
    (stem, images), *_ = found.items()
    labels = folder / re.sub(r"images([-._])idx[34]", r"labels\1idx1", stem)
    for candidate in (labels, labels.with_name(labels.name + ".gz")):
        if candidate.exists():
            return images, candidate
    raise TaskError(f"{folder}: {images.name} has no labels beside it; expected {labels.name}[.gz]")


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _read(path: Path, stream: BinaryIO) -> NDArray[np.uint8]:
    magic = _exactly(path, stream, 4, "its magic number")
    if magic[:2] != b"\0\0":
        raise TaskError(f"{path}: not an IDX file: it starts with {magic.hex()}, not 0000")
    kind, dimensions = magic[2], magic[3]
    if kind != UNSIGNED_BYTE:
        raise TaskError(f"{path}: element type 0x{kind:02x}; only unsigned bytes (0x08) are read")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise TaskError(f"{path}: {dimensions} dimensions; expected 1 to {MAX_DIMENSIONS}")
    shape = struct.unpack(f">{dimensions}I", _exactly(path, stream, 4 * dimensions, "its sizes"))
    size = math.prod(shape)
    if size == 0:
        raise TaskError(f"{path}: empty: its header says {_sizes(shape)}")
    if size > MAX_BYTES:
        raise TaskError(f"{path}: its header says {_sizes(shape)}, above the limit of {MAX_BYTES} bytes")
    data = _exactly(path, stream, size, f"the {_sizes(shape)} bytes of its header")
    if stream.read(1):
        raise TaskError(f"{path}: more data than the {_sizes(shape)} bytes of its header")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _exactly(path: Path, stream: BinaryIO, size: int, what: str) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise TaskError(f"{path}: truncated: {len(data)} bytes where {what} need {size}")
    return data


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
