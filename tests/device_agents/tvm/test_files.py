"""Tensors as files and at random: numpy and the agent read what the other wrote, random numbers are well-behaved."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from device_agents.tvm import fill, npy
from device_agents.tvm.elements import ELEMENTS, bytes_of
from device_agents.tvm.faults import Fault

SHAPES: list[tuple[int, ...]] = [(), (1,), (7,), (3, 5), (2, 0, 3), (1, 3, 8, 8)]


def drawn(seed: int) -> random.Random:
    """Where contents of tensors come from: they are no secret."""
    return random.Random(seed)  # noqa: S311


def some(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return (np.random.default_rng(5).random(shape) * 100).astype(dtype)


@pytest.mark.parametrize("dtype", ELEMENTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_files_go_both_ways(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = some(dtype, shape)
    np.save(tmp_path / "in.npy", array)
    content = npy.read(tmp_path / "in.npy", dtype, shape)
    assert content == array.tobytes()
    assert len(content) == bytes_of(dtype, shape)
    npy.write(tmp_path / "out.npy", dtype, shape, content)
    found = np.load(tmp_path / "out.npy")
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def test_the_second_version_of_the_format_is_read(tmp_path: Path) -> None:
    array = some("float32", (3, 5))
    with (tmp_path / "in.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=(2, 0))
    assert npy.read(tmp_path / "in.npy", "float32", (3, 5)) == array.tobytes()


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((4, 3)), "<f8"),
        (np.zeros((4, 3), ">f4"), ">f4"),
        (np.zeros((3, 4), np.float32), "(3, 4)"),
        (np.asfortranarray(np.zeros((4, 3), np.float32)), "in C's order"),
    ],
)
def test_arrays_of_another_form_are_refused(array: np.ndarray, complaint: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(Fault) as refusal:
        npy.read(tmp_path / "x.npy", "float32", (4, 3))
    assert complaint in str(refusal.value)


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, some("float32", (4, 3)))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Fault):
            npy.read(path, "float32", (4, 3))


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="No such file"):
        npy.read(tmp_path / "absent.npy", "float32", (1,))
    with pytest.raises(Fault, match="No such file"):
        npy.write(tmp_path / "absent" / "x.npy", "float32", (1,), bytes(4))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_half_of_one_to_one_of_either_sign(dtype: str) -> None:
    count = (1 << 16) + 5  # more than is made at a time
    content = fill.values(drawn(3), dtype, count)
    found = np.frombuffer(content, dtype).astype(np.float64)
    assert found.shape == (count,)
    assert np.abs(found).min() >= 0.5
    assert np.abs(found).max() < 1.0
    assert 0.4 < (found < 0).mean() < 0.6
    assert np.unique(found).size > count // 100
    assert content == fill.values(drawn(3), dtype, count)
    assert content != fill.values(drawn(4), dtype, count)


def test_indices_are_in_range() -> None:
    found = np.frombuffer(fill.indices(drawn(3), "int64", 1000, 23), np.int64)
    assert (found.min(), found.max()) == (0, 22)
    assert not any(fill.indices(drawn(3), "int32", 10, 1))
    assert fill.values(drawn(3), "int64", 10) == bytes(80)
