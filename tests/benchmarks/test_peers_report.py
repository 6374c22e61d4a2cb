"""Rows as numbers, text, JSON and a picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers.plot import draw
from benchmarks.peers.report import write
from benchmarks.peers.result import PeerResult, Row, geometric_mean
from benchmarks.peers.table import footer, header, line
from hwaware.statistics import Ratio

FAST = PeerResult("Fast", None, "one", 2.0, Ratio(2.0, 1.9, 2.1), 0.5, 1e-6, 50, 900_000, 800_000)
SMALL = PeerResult("Small", None, "one", 4.5, Ratio(4.5, 4.4, 4.6), 0.1, 1e-6, 50, 300_000, 200_000)
WRONG = PeerResult("Wrong", "its output is off by 2.0e-01", "one", 0.1, Ratio(0.1, 0.1, 0.1), 0.0, 0.2, 50, 1, 1)
ABSENT = PeerResult("Absent", "cannot convert: no such operator")
ROW = Row("net", 1, 1.0, 1e-6, 100_000, (FAST, SMALL, WRONG, ABSENT))
OTHER = replace(ROW, threads=2, peers=(replace(FAST, times_faster=Ratio(0.5, 0.4, 0.6), ms=0.5), ABSENT))


def test_only_peers_with_the_right_output_are_compared_with() -> None:
    assert ROW.best == FAST
    assert ROW.least_memory == SMALL
    assert replace(ROW, peers=(WRONG, ABSENT)).best is None


def test_geometric_mean_is_of_the_best_peers() -> None:
    assert geometric_mean([ROW]) == pytest.approx(2.0)
    assert geometric_mean([ROW, OTHER]) == pytest.approx(1.0)
    assert geometric_mean([replace(ROW, peers=(ABSENT,))]) is None


def test_table_shows_the_best_the_intervals_and_the_reasons() -> None:
    names = [peer.name for peer in ROW.peers]
    text = line(ROW)
    assert "2.000*" in text
    assert "2.00  1.90 to 2.10" in text
    assert " 1.50" in text  # 2.0 ms less 0.5 of a call, over 1.0
    assert "0.1  0.2 Small" in text
    assert "OFF" not in text
    assert "OUR OUTPUT IS OFF BY 3.0e-01" in line(replace(ROW, ours_error=0.3))
    assert all(name in header(names) for name in names)
    below = footer([ROW, OTHER])
    assert "threads 1: 2.00" in below
    assert "threads 2: 0.50" in below
    assert "all rows: 1.00" in below
    assert "net, threads 1: Absent: cannot convert: no such operator" in below


def test_a_row_without_any_peer_is_still_printed() -> None:
    bare = replace(ROW, ours_peak=None, peers=(ABSENT,))
    assert "net" in line(bare)
    assert "geometric" not in footer([bare])


def test_json_is_strict_and_whole(tmp_path: Path) -> None:
    write([ROW, OTHER], {"rounds": 3}, tmp_path / "peers.json")
    document = json.loads((tmp_path / "peers.json").read_text(), parse_constant=pytest.fail)
    assert document["geometric_mean"] == pytest.approx(1.0)
    assert document["rows"][0]["best_peer"] == "Fast"
    assert document["rows"][0]["peers"][0]["times_faster"] == {"value": 2.0, "low": 1.9, "high": 2.1}
    assert document["rows"][0]["peers"][3]["reason"] == "cannot convert: no such operator"
    assert document["machine"]["versions"]["torch"]


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw([ROW], tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")
