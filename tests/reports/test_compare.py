"""Comparisons: refusals that name both values, verdicts, and ops with the regressions first."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hwaware.errors import ArtifactError
from hwaware.reports.compare import compare, report_labels
from hwaware.reports.parts import OpLatency
from hwaware.reports.text import comparison_text
from hwaware.reports.wording import headline, memory_size, milliseconds, pair_sentence, significant
from hwaware.statistics import Verdict
from tests.reports.fixtures import CONDITIONS, DEVICE, TOOLCHAIN, before_and_after, report


def test_the_verdict_of_a_pair() -> None:
    before, after = before_and_after()
    comparison = compare(before, after)
    (pair,) = comparison.pairs
    assert comparison.comparable
    assert (pair.a, pair.b, pair.verdict) == ("resnet8", "resnet8 compressed", Verdict.FASTER)
    assert pair.ratio == pytest.approx(after.latency_ms.p50 / before.latency_ms.p50)
    assert pair.ci95[0] <= pair.ratio <= pair.ci95[1] < 0.6
    assert compare(after, before).pairs[0].verdict is Verdict.SLOWER
    assert compare(before, report(seed=2)).pairs[0].verdict is Verdict.INDISTINGUISHABLE


def test_the_document_is_the_promised_one() -> None:
    document = compare(*before_and_after()).to_document()
    assert {"comparable", "reasons", "pairs", "ops"} <= set(document)
    assert set(document["pairs"][0]) == {"a", "b", "ratio", "ci95", "p_value", "verdict"}
    assert document["pairs"][0]["verdict"] == "faster"
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threads": 4}, ("threads", "1", "4")),
        ({"protocol": "as-shipped"}, ("protocol", "pinned", "as-shipped")),
        ({"toolchain": TOOLCHAIN | {"tvm": "0.28"}}, ("toolchain tvm", "0.27.0", "0.28")),
        ({"toolchain": {"tvm": "0.27.0"}}, ("toolchain linker", "cc 12.2", "not recorded")),
        ({"conditions": CONDITIONS | {"power_mode": "30W"}}, ("power_mode", "15W", "30W")),
        (
            {"device": DEVICE | {"name": "pi", "fingerprint": "ab" * 32}},
            ("device", "fixture-board", "pi, fingerprint abab"),
        ),
    ],
)
def test_what_was_measured_differently_is_refused(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    comparison = compare(report(), report("other", **changes))
    assert not comparison.comparable
    assert comparison.pairs == comparison.ops == ()
    (reason,) = comparison.reasons
    assert all(word in reason for word in ("resnet8", "other", *words))


def test_what_may_differ() -> None:
    """The load, the temperature and the name the device has in someone's inventory make no other device."""
    other = report(
        "other",
        device=DEVICE | {"name": "same-board"},
        conditions=CONDITIONS | {"load1": 0.5, "milli_c_before": 50000},
    )
    assert compare(report(), other).comparable


def test_each_report_is_paired_with_the_first() -> None:
    comparison = compare(report("a"), report("b", threads=2), report("c", median_ms=3.0, seed=7))
    assert not comparison.comparable
    assert [(pair.a, pair.b) for pair in comparison.pairs] == [("a", "c")]
    assert comparison.slower == comparison.pairs


def test_regressions_come_first_and_lonely_ops_last() -> None:
    def with_ops(**times: float) -> Any:
        return replace(report(), ops=tuple(OpLatency(name, name, ms, 0.1) for name, ms in times.items()))

    before = with_ops(same=1.0, faster=2.0, slower=1.0, dropped=5.0)
    after = with_ops(same=1.0, faster=1.0, slower=1.5, added=5.0)
    ops = compare(before, after).ops
    assert [(op.name, op.ratio) for op in ops] == [
        ("slower", 1.5), ("same", 1.0), ("faster", 0.5), ("added", None), ("dropped", None)
    ]  # fmt: skip
    assert (ops[-1].a_p50_ms, ops[-1].b_p50_ms) == (5.0, None)


def test_one_report_is_no_comparison() -> None:
    with pytest.raises(ArtifactError, match="at least two"):
        compare(report())


def test_labels_tell_reports_apart() -> None:
    same, other = report(), report("lenet")
    assert report_labels([same, other], ["x", "y"]) == ("resnet8", "lenet")
    assert report_labels([same, same, other], ["x", "y", "z"]) == ("x", "y", "lenet")
    assert report_labels([same, same], ["x", "x"]) == ("x (1)", "x (2)")
    assert report_labels([same, same]) == ("resnet8 (1)", "resnet8 (2)")


def test_sentences() -> None:
    before, after = before_and_after()
    comparison = compare(before, after)
    sentence = headline([before, after], comparison)
    assert sentence.startswith("resnet8 compressed is 1.8")
    assert "× faster than resnet8 on fixture-board (95 % CI 1." in sentence
    assert sentence.endswith("measured; accuracy 98.7 % → 98.4 %")
    pair = replace(comparison.pairs[0], ratio=1.005, ci95=(0.998, 1.011), verdict=Verdict.INDISTINGUISHABLE)
    assert "cannot be told apart" in pair_sentence(pair, "x")
    assert "ratio 1.005 (95 % CI 0.998–1.011)" in pair_sentence(pair, "x")
    near = replace(pair, ratio=1.0021, ci95=(1.0012, 1.0032), verdict=Verdict.SLOWER)
    assert "is 1.002× slower than resnet8 on x (95 % CI 1.001–1.003)" in pair_sentence(near, "x")
    assert headline([before], None).startswith("resnet8 takes 2.03 ms on fixture-board (median of 400 runs")
    assert "cannot be compared" in headline([before, after], compare(before, replace(after, threads=8)))


def test_text_for_the_terminal() -> None:
    reports = before_and_after()
    lines = comparison_text(reports, compare(*reports)).splitlines()
    assert "faster than resnet8" in lines[0]
    assert lines[1].split() == ["before", "ms", "after", "ms", "ratio", "op"]
    assert lines[2].split()[-1] == "pool"  # the least saved


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (milliseconds(12.345), "12.3 ms"),
        (milliseconds(0.01234), "12.3 µs"),
        (significant(9.996), "10.0"),
        (significant(123456.0), "123456"),
        (significant(0), "0"),
        (significant(0.00123), "0.00123"),
        (memory_size(1023), "1023 B"),
        (memory_size(1536), "1.50 KiB"),
        (memory_size(3 * 2**20), "3.00 MiB"),
        (memory_size(None), "not measured"),
    ],
)
def test_numbers_in_words(text: str, expected: str) -> None:
    assert text == expected
