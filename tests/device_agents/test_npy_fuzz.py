"""Whatever an input file holds, the sanitized agent either reads what NumPy reads or says why not."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.device_agents.building import run_agent

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MEMBERS = ("'descr'", ":", "'<f4'", ",", "'fortran_order'", ":", "False", ",", "'shape'", ":")
WANTED = ("{", *MEMBERS, "(", "4", ",", "3", ")", ",", "}")
WRONG = ("True", "99999999999999999999", "-1", "\\", '"', "\x00", " ", "\n", "é")


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


VALID = saved(np.arange(12, dtype=np.float32).reshape(4, 3))


def check(agent: Path, folder: Path, data: bytes) -> None:
    (folder / "x.npy").write_bytes(data)
    (folder / "i.npy").write_bytes(saved(np.zeros(5, np.int64)))
    inputs = ("--input", folder / "x.npy", "--input", folder / "i.npy")
    answer = run_agent(agent, "run", "--min-time-ms", "0", "--min-count", "1", "--max-count", "1", *inputs)
    assert answer.stderr == ""
    if answer.status == 0:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = np.load(io.BytesIO(data), allow_pickle=False)
        assert (read.shape, read.dtype.str) == ((4, 3), "<f4")
    else:
        assert answer.status == 1
        assert "x.npy: " in answer.one("error")["reason"]


@FEW
@given(
    at=st.integers(0, len(VALID) - 1),
    cut=st.integers(0, 8),
    put=st.binary(max_size=8),
)
def test_damaged_files(sanitized: Path, tmp_path: Path, at: int, cut: int, put: bytes) -> None:
    check(sanitized, tmp_path, VALID[:at] + put + VALID[at + cut :])


@st.composite
def headers(draw: st.DrawFn) -> str:
    """The wanted header with a few tokens replaced, dropped or repeated."""
    tokens = list(WANTED)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(tokens) - 1))
        tokens[at : at + draw(st.integers(0, 1))] = draw(st.lists(st.sampled_from(WANTED + WRONG), max_size=2))
        tokens = tokens or [" "]
    return draw(st.sampled_from(["", " "])).join(tokens)


@FEW
@given(header=headers(), version=st.sampled_from([1, 2]))
def test_headers_of_wrong_tokens(sanitized: Path, tmp_path: Path, header: str, version: int) -> None:
    text = header.encode("utf-8" if version == 2 else "latin-1")
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    check(sanitized, tmp_path, b"\x93NUMPY" + bytes([version, 0]) + length + text + bytes(48))


@pytest.mark.parametrize("length", [0, 10_001, 0xFFFFFFFF])
def test_lengths_that_lie(sanitized: Path, tmp_path: Path, length: int) -> None:
    check(sanitized, tmp_path, b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + VALID[10:])
