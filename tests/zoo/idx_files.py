"""Writes IDX files for the tests, byte by byte as the format's description says."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def encode(array: NDArray[np.uint8]) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def write(path: Path, array: NDArray[np.uint8]) -> Path:
    data = encode(array)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def write_dataset(folder: Path, *, size: int = 9, train: int = 40, test: int = 20, ending: str = "") -> Path:
    """A folder in MNIST's naming: an image of class k (0, 1, 2) has a bright row 3k + 1."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = np.arange(count, dtype=np.uint8) % 3
        images = random.integers(0, 60, (count, size, size), dtype=np.uint8)
        images[np.arange(count), 3 * labels + 1] = 255
        write(folder / f"{prefix}-images-idx3-ubyte{ending}", images)
        write(folder / f"{prefix}-labels-idx1-ubyte{ending}", labels)
    return folder
