from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hwaware.errors import TaskError
from hwaware.zoo.idx import find_pair, read_idx
from tests.zoo.idx_files import encode, write

shapes = arrays.array_shapes(min_dims=1, max_dims=4, max_side=5)
any_array = arrays.arrays(np.uint8, shapes)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.mark.parametrize("ending", ["", ".gz"])
@in_one_folder
@given(array=any_array)
def test_reads_back_what_was_written(tmp_path: Path, ending: str, array: np.ndarray) -> None:
    read = read_idx(write(tmp_path / f"x-idx-ubyte{ending}", array))
    assert read.dtype == np.uint8
    assert read.shape == array.shape
    assert np.array_equal(read, array)


@in_one_folder
@given(array=any_array, cut=st.floats(0, 1, exclude_max=True))
def test_any_truncation_is_an_error_that_names_the_file(tmp_path: Path, array: np.ndarray, cut: float) -> None:
    data = encode(array)
    path = tmp_path / "cut-idx-ubyte"
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(TaskError, match=r"cut-idx-ubyte: truncated: \d+ bytes where"):
        read_idx(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04" + bytes(20), "not an IDX file: it starts with 504b0304"),
        (b"\0\0\x0d\x03" + bytes(20), "element type 0x0d"),
        (b"\0\0\x08\x00" + bytes(20), "0 dimensions"),
        (b"\0\0\x08\x07" + bytes(40), "7 dimensions"),
        (b"\0\0\x08\x02" + struct.pack(">2I", 0, 28), "empty: its header says 0×28"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**20, 2**20), "above the limit"),
        (encode(np.zeros(3, np.uint8)) + b"x", "more data than the 3 bytes"),
    ],
)
def test_bad_headers(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad-idx3-ubyte"
    path.write_bytes(data)
    with pytest.raises(TaskError, match=f"bad-idx3-ubyte: .*{message}"):
        read_idx(path)


def corrupted(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [corrupted, lambda data: data[:-12], lambda data: b"not gzip at all"],
    ids=["bit", "cut", "text"],
)
def test_corrupt_gzip(tmp_path: Path, damage) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)
    path = tmp_path / "x-idx1-ubyte.gz"
    path.write_bytes(damage(gzip.compress(encode(noise))))
    with pytest.raises(TaskError, match=r"x-idx1-ubyte.gz: cannot be read: "):
        read_idx(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="gone: cannot be read"):
        read_idx(tmp_path / "gone")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte.gz"),
    ],
)
def test_finds_pairs_in_the_usual_names(tmp_path: Path, images: str, labels: str) -> None:
    for name in (images, labels, "t10k-images-idx3-ubyte", "README.md"):
        (tmp_path / name).touch()
    assert find_pair(tmp_path, "train") == (tmp_path / images, tmp_path / labels)


def test_prefers_the_plain_file_beside_its_archive(tmp_path: Path) -> None:
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).touch()
        (tmp_path / f"{name}.gz").touch()
    assert [path.suffix for path in find_pair(tmp_path, "train")] == ["", ""]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no train images; expected a file like train-images-idx3-ubyte"),
        (("train-images-idx3-ubyte",), r"has no labels beside it; expected train-labels-idx1-ubyte\[.gz\]"),
        (("a-train-images-idx3-ubyte", "b-train-images-idx3-ubyte"), "several sets of train images"),
    ],
)
def test_incomplete_folders(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(TaskError, match=message):
        find_pair(tmp_path, "train")
