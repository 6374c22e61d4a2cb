"""A comparison as plain text for the terminal and for pipes."""

from __future__ import annotations

from collections.abc import Sequence

from hwaware.reports.compare import Comparison, OpPair
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.wording import accuracy_clause, pair_sentence, significant

_OPS = 10  # lines per pair; the JSON document and the page have all


def comparison_text(reports: Sequence[LatencyReport], comparison: Comparison) -> str:
    """One sentence per pair, its ops with the regressions first, and why the others are no pairs."""
    by_label = dict(zip(comparison.labels, reports, strict=True))
    lines = []
    for pair in comparison.pairs:
        before, after = by_label[pair.a], by_label[pair.b]
        sentence = pair_sentence(pair, str(before.device["name"]))
        lines.append(f"{sentence}{accuracy_clause(before, after)}. p = {pair.p_value:.2g}")
        ops = [op for op in comparison.ops if (op.a, op.b) == (pair.a, pair.b)]
        lines += _op_lines(ops)
    lines += [f"not comparable: {reason}" for reason in comparison.reasons]
    return "\n".join(lines)


def _op_lines(ops: Sequence[OpPair]) -> list[str]:
    """Regressions first, in the order of the comparison; columns: before, after, ratio, name."""
    if not ops:
        return []
    lines = [f"  {'before ms':>10} {'after ms':>10} {'ratio':>6}  op"]
    for op in ops[:_OPS]:
        before, after = ("-" if value is None else significant(value) for value in (op.a_p50_ms, op.b_p50_ms))
        ratio = "-" if op.ratio is None else f"{op.ratio:.2f}"
        lines.append(f"  {before:>10} {after:>10} {ratio:>6}  {op.name}")
    if len(ops) > _OPS:
        lines.append(f"  … and {len(ops) - _OPS} more ops (--json and --html show them)")
    return lines
