"""The numbers and words of the precision benchmark, on rows and curves that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.morphnet.tradeoff import Point
from benchmarks.precision.plot import draw
from benchmarks.precision.quality import quality
from benchmarks.precision.report import report
from benchmarks.precision.sizes import shares
from benchmarks.precision.turns import Effort, in_turn
from benchmarks.precision.verdict import against_flops, against_single, best_at, gains, tightest

LINE = [Point(cost, 0.9 + 0.01 * cost) for cost in (1.0, 2.0, 4.0)]


def ratio(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def speed_row(faster: float, peer: float) -> dict[str, Any]:
    made = {"name": "ONNX Runtime u8s8", "setting": "default", "ms": peer, "times_faster": ratio(peer)}
    return {
        "model": "net",
        "threads": 1,
        "layers": {"int8p": 3, "float32": 1},
        "left": False,
        "note": "",
        "ours_ms": 1.0,
        "float_ms": faster,
        "times_faster": ratio(faster),
        "error": 0.02,
        "agreement": 1.0,
        "peers": [
            {**made, "error": 0.03, "agreement": 1.0},
            {**made, "name": "ONNX Runtime s8s8", "ms": 2 * peer, "error": 0.01, "agreement": 0.9},
            {"name": "OpenVINO u8s8", "reason": "no such thing"},
        ],
    }


def test_speed_counts_against_the_fastest_format_and_says_whose_outputs_are_better() -> None:
    said = report({"speed": [speed_row(1.5, 1.3)]})
    assert "met     net, 1 threads: faster than float32" in said
    assert "met     net, 1 threads: at least 1.2 times as fast as ONNX Runtime's int8: 1.30" in said
    assert "against ONNX Runtime u8s8, our outputs are better" in said
    assert "MISSED  net, 1 threads: at least 1.2 times as fast as OpenVINO's int8: it did not run" in said
    assert "agreement 90%, our outputs are worse" in said


def test_what_is_not_surely_faster_than_float_misses_its_bar() -> None:
    said = report({"speed": [speed_row(1.04, 1.1)]})
    assert "MISSED  net, 1 threads: faster than float32" in said
    assert "MISSED  net, 1 threads: at least 1.2 times as fast as ONNX Runtime" in said
    left = report({"speed": [{**speed_row(1.0, 1.1), "left": True}]})
    assert "met     net, 1 threads: faster than float32, or left in it: left in float32" in left


def byte_row(precision: str, size: int, resident: int) -> dict[str, Any]:
    each = {"manifest": size, "file": size, "resident": resident, "arena": 10, "peak_rss": None}
    return {"model": "net", "precision": precision, "parameters": 1000, **each}


def test_bytes_are_shares_of_the_smaller_float() -> None:
    """An artifact that grew by transformed weights does not make others look small."""
    rows = [byte_row("float32", 3000, 3000), byte_row("int8", 255, 270), byte_row("weight4", 139, 139)]
    assert shares(rows, rows[1]) == {"manifest": 0.255, "file": 0.255, "resident": 0.27}
    said = report({"bytes": rows})
    assert "MISSED  net int8 at most 26%: 27.00%" in said
    assert "met     net weight4 at most 14%: 13.90%" in said
    assert "of our float32 artifact 9.0%" in said


def test_accuracy_is_judged_on_the_mean_of_seeds() -> None:
    def row(seed: int, int8: float) -> dict[str, Any]:
        metrics = {"float32": 0.9, "int8": int8, "weight4": 0.88, "weight4 rounded": 0.894}
        return {"net": "net@data", "seed": seed, "metrics": metrics}

    said = report({"accuracy": [row(0, 0.898), row(1, 0.9)]})
    assert "met     net@data int8 loses at most 0.1 points: 0.10" in said
    assert "MISSED  net@data weight4 rounded loses at most 0.5 points: 0.60" in said
    assert "weight4 loses 2.00 points on average" in said


def test_a_plan_that_is_slower_twice_misses_both_bars_and_one_that_is_not_the_first() -> None:
    row = {"kind": "chain", "method": "joint", "threads": 1, "outcome": "changed"}
    fast, chance, slow = ({**row, "seed": seed} for seed in range(3))
    rows = [{**fast, "ratio": ratio(0.8)}, {**chance, "ratio": ratio(1.06), "again": ratio(1.0)}]
    said = report({"never-slower": [*rows, {**row, "seed": 3, "outcome": "refused", "note": "why"}]})
    assert "3 random nets and budgets: 2 changed, 0 unchanged, 1 refused" in said
    assert "MISSED  no interval above 1, measured once: 1 of 2" in said
    assert "met     no interval above 1 both times: 2 of 2" in said
    said = report({"never-slower": [*rows, {**slow, "ratio": ratio(1.2), "again": ratio(1.2)}]})
    assert "MISSED  no interval above 1 both times: 2 of 3" in said


def test_the_best_of_others_is_what_costs_no_more() -> None:
    assert best_at([LINE], 3.0) == pytest.approx(0.93)
    assert best_at([LINE], 9.0) == pytest.approx(0.94)  # a cheaper plan is as fast as well
    assert best_at([LINE, [Point(2.5, 0.99)]], 3.0) == 0.99
    assert best_at([LINE], 0.5) is None
    found = gains([Point(3.0, 0.95), Point(0.5, 0.9)], [LINE])
    assert found == [(0.5, None), (3.0, pytest.approx(0.02))]
    assert tightest([(1.0, 0.1), (2.0, 0.2), (3.0, 0.3), (4.0, 0.4)]) == [0.1, 0.2]


def test_joint_must_be_no_worse_anywhere_and_better_where_it_is_tight() -> None:
    def met(*all_gains: float) -> list[bool]:
        pairs = [(float(cost), gain) for cost, gain in enumerate(all_gains)]
        return [bar.met for bar in against_single({"net": pairs})]

    assert met(0.004, 0.0, 0.0) == [True, True]
    assert met(0.002, 0.01, 0.01) == [True, False]
    assert met(0.004, -0.001, 0.0) == [False, True]
    twice = [Point(2 * point.cost, point.metric) for point in LINE]
    assert [bar.met for bar in against_flops({"a": (LINE, twice), "b": (LINE, LINE), "c": (LINE, [])})] == [
        True,
        False,
        False,
    ]


def test_joint_is_reported_and_all_parts_are_drawn(tmp_path: Path) -> None:
    runs = [
        {"method": method, "share": cost, "seed": 0, "metric": metric, "flops": cost, "measured_ms": factor * cost}
        for method, factor in (("joint", 1.0), ("widths", 1.5), ("flops", 2.0))
        for cost, metric in ((1.0, 0.91), (2.0, 0.93), (3.0, 0.95))
    ]
    joint = {"net@data": {"runs": runs, "epochs": 1}}
    said = report({"joint": joint})
    assert "1000.0 µs no other is as fast" in said
    assert "met     joint no worse than the best single method at equal latency, every case: 2 of 2" in said
    metrics = {"float32": 0.9, "int8": 0.89}
    found = {
        "speed": [speed_row(1.5, 1.3)],
        "bytes": [byte_row("float32", 1000, 1000), byte_row("int8", 260, 260)],
        "accuracy": [{"net": "net@data", "seed": 0, "metrics": metrics}],
        "never-slower": [{"ratio": ratio(0.9)}],
        "joint": joint,
    }
    draw(found, tmp_path / "all.png")
    assert (tmp_path / "all.png").stat().st_size > 1000
    draw({}, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_quality_is_relative_to_each_images_outputs() -> None:
    expected = np.array([[3.0, 4.0], [0.0, 1.0]])
    found = quality(np.array([[3.0, 4.5], [1.0, 0.0]]), expected)
    assert found.error == pytest.approx((0.1 + 2**0.5) / 2)
    assert found.agreement == 0.5


def test_sides_take_turns_and_each_begins_a_round() -> None:
    asked: list[str] = []

    def side(name: str) -> list[float]:
        asked.append(name)
        return [1.0] * 700

    sides = {name: lambda _seconds, _least, name=name: side(name) for name in "abc"}
    samples = in_turn(sides, Effort(3, 0.1))
    assert "".join(asked) == "abcbcacab"
    assert len(samples["a"]) == 3 * 350
