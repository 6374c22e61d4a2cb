"""Tensors come back to the bit, files are as small as they say, and damaged ones are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from hwaware.encoding.bits import packed, unpacked
from hwaware.encoding.container import KEY, load, save
from hwaware.encoding.forms import Coded, Dense, Encoded, SparseDelta, SparseMask, coded, decode, encode, index_bits
from hwaware.encoding.size import size_report
from hwaware.encoding.sparse import best_width, gaps, marked, marks, places_of
from hwaware.errors import ArtifactError


def thin(size: int, density: float, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal(size) * (random.random(size) < density)).astype(dtype)


@given(width=st.integers(1, 16), count=st.integers(0, 70), seed=st.integers(0, 99))
def test_numbers_of_a_few_bits_come_back_and_take_no_more(width: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, count)
    data = packed(values, width)
    assert len(data) == -(-count * width // 8)
    assert np.array_equal(unpacked(data, width, count), values)


def test_many_numbers_are_packed_piece_by_piece() -> None:
    values = np.random.default_rng(0).integers(0, 1 << 11, (1 << 20) + 12345)
    assert np.array_equal(unpacked(packed(values, 11), 11, values.size), values)


@given(places=st.sets(st.integers(0, 5000), max_size=60), width=st.integers(1, 16))
def test_gaps_and_marks_lead_to_the_same_places(places: set[int], width: int) -> None:
    where = np.array(sorted(places), np.int64)
    assert np.array_equal(places_of(gaps(where, width), width), where)
    assert np.array_equal(marked(marks(where, 5001), 5001), where)
    codes = {bits: len(gaps(where, bits)) * bits for bits in range(2, 17)}
    assert codes[best_width(where)] == min(codes.values())


@given(
    shape=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    density=st.sampled_from([0.0, 0.02, 0.2, 0.7, 1.0]),
    dtype=st.sampled_from(["float32", "float16", "int8", "float64"]),
    seed=st.integers(0, 99),
)
def test_every_tensor_comes_back_to_the_bit(shape: tuple[int, ...], density: float, dtype: str, seed: int) -> None:
    array = thin(int(np.prod(shape)), density, seed, dtype).reshape(shape)
    if array.size > 1 and dtype.startswith("float"):
        array.reshape(-1)[:2] = [-0.0, np.nan]
    encoded = encode(array)
    found = decode(encoded)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    plain = array if isinstance(encoded, Dense) else array + array.dtype.type(0)  # -0 + 0 is 0
    assert found.tobytes() == plain.tobytes()
    assert encoded.bytes <= array.nbytes


def test_the_smallest_encoding_is_taken() -> None:
    assert isinstance(encode(thin(10_000, 1.0)), Dense)
    assert isinstance(encode(thin(10_000, 0.5)), SparseMask)
    assert isinstance(encode(thin(10_000, 0.01)), SparseDelta)


@pytest.mark.parametrize("words", [1, 2, 7, 256, 2048])
def test_indices_have_as_many_bits_as_name_the_words(words: int) -> None:
    random = np.random.default_rng(words)
    codebook = random.standard_normal((words, 4)).astype(np.float16)
    assignments = random.integers(0, words, 300)
    found = coded((40, 30), codebook, assignments)
    assert found.bytes == -(-300 * index_bits(words) // 8) + 2 * 4 * words
    assert np.array_equal(decode(found), codebook.astype(np.float32)[assignments].reshape(40, 30))


def several() -> dict[str, Encoded]:
    random = np.random.default_rng(1)
    book = random.standard_normal((16, 3)).astype(np.float16)
    return {
        "a.weight": encode(thin(4000, 0.03).reshape(40, 100)),
        "b.weight": encode(thin(900, 0.4).reshape(30, 30)),
        "c.weight": coded((20, 9), book, random.integers(0, 16, 60)),
        "c.bias": encode(thin(7, 1.0)),
        "": encode(np.zeros((3, 0, 2), np.float32)),
    }


def test_a_file_holds_what_was_saved_and_little_else(tmp_path: Path) -> None:
    tensors = several()
    save(tmp_path / "w.safetensors", tensors)
    found = load(tmp_path / "w.safetensors")
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert type(found[name]) is type(tensor)
        assert decode(found[name]).tobytes() == decode(tensor).tobytes()
    held = sum(tensor.bytes for tensor in tensors.values())
    assert (tmp_path / "w.safetensors").stat().st_size <= held + 3000


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_is_refused_or_means_the_same(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    save(path, several())
    data = bytearray(path.read_bytes())
    if cut:
        del data[place % len(data) :]
    else:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        found = load(path)
    except ArtifactError as error:
        said = str(error)
    else:
        said = "".join(str(decode(tensor).shape) for tensor in found.values())
    assert "\n" not in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "other"}, "kind is not"),
        ({"schema_version": 2}, "schema version 1"),
        ({"tensors": {"a": {"encoding": "dense", "shape": [7]}}}, "another shape"),
        ({"tensors": {"a": {"encoding": "zip", "shape": [4]}}}, "unknown encoding"),
        ({"tensors": {"a": {"encoding": "sparse-mask", "shape": [1 << 40]}}}, "more than"),
        ({"tensors": {"a": {"encoding": "dense", "shape": "four"}}}, "no list of sizes"),
    ],
)
def test_what_does_not_fit_together_is_said(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save(path, {"a": Dense(np.ones(4, np.float32))})
    document = {"kind": "hwaware-encoded", "schema_version": 1, "tensors": {}} | change
    save_file(load_file(path), path, {KEY: json.dumps(document)})
    with pytest.raises(ArtifactError, match=message):
        load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights")
    save_file({"a": np.ones(3, np.float32)}, tmp_path / "plain")
    for name in ("text", "plain", "absent"):
        with pytest.raises(ArtifactError, match=name):
            load(tmp_path / name)


def test_the_report_tells_parameters_from_bytes() -> None:
    tensors: dict[str, Encoded] = {"w": encode(thin(100_000, 0.01)), "b": Dense(np.ones(100, np.float32))}
    report = size_report(tensors)
    assert isinstance(tensors["w"], SparseDelta)
    kept = len(tensors["w"].values) + 100
    assert report.times_parameters == pytest.approx(100_100 / kept)
    assert report.times_bytes == pytest.approx(4 * 100_100 / (tensors["w"].bytes + 400))
    assert report.times_bytes < report.times_parameters
    assert report.document()["bytes_x"] == report.times_bytes
    assert report.text().endswith("fewer bytes")
    assert isinstance(coded((4,), np.ones((2, 2), np.float16), np.array([0, 1])), Coded)
