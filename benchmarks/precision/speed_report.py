"""Part `speed` in words: ratios of medians with their intervals, and how good the outputs are that they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.precision.bars import Bar, summary
from benchmarks.precision.int8_peers import RUNTIMES

FASTER = 1.2
# Of a peer's error: within this outputs count as equally good.
EQUAL = 1.1
Row = Mapping[str, Any]


def speed_text(rows: Sequence[Row]) -> str:
    """All rows, and the bars."""
    lines = ["speed of integers; error: relative to float32's outputs, agreement: same largest output"]
    bars: list[Bar] = []
    for row in rows:
        label = f"{row['model']}, {row['threads']} threads"
        layers = ", ".join(f"{count} {name}" for name, count in row["layers"].items()) or "all float32"
        lines.append(
            f"  {label}: ours {row['ours_ms']:.3f} ms ({layers}; {_quality(row)}), our float32 ",
        )
        lines[-1] += f"{row['float_ms']:.3f} ms, {_ratio(row['times_faster'])} times as fast"
        if row["note"]:
            lines.append(f"    {row['note']}")
        lines += [f"    {_peer(peer, row)}" for peer in row["peers"]]
        faster = row["left"] or row["times_faster"]["low"] > 1
        figure = "left in float32" if row["left"] else _ratio(row["times_faster"])
        bars.append(Bar(f"{label}: faster than float32, or left in it", figure, faster))
        bars += [bar for runtime in RUNTIMES if (bar := _against(runtime, row, label)) is not None]
    return "\n".join([*lines, *map(str, bars), summary(bars)])


def _against(runtime: str, row: Row, label: str) -> Bar | None:
    """Against the fastest of a runtime's formats; None where the runtime was not asked."""
    asked = [peer for peer in row["peers"] if peer["name"].startswith(runtime)]
    if not asked:
        return None
    ran = [peer for peer in asked if "ms" in peer]
    what = f"{label}: at least {FASTER} times as fast as {runtime}'s int8"
    if not ran:
        return Bar(what, f"it did not run: {asked[0]['reason']}", met=False)
    best = min(ran, key=lambda peer: peer["ms"])
    figure = f"{_ratio(best['times_faster'])} against {best['name']}, {_compared(row, best)}"
    return Bar(what, figure, best["times_faster"]["value"] >= FASTER)


def _peer(peer: Row, row: Row) -> str:
    if "ms" not in peer:
        return f"{peer['name']}: {peer['reason']}"
    return (
        f"{peer['name']} ({peer['setting']}) {peer['ms']:.3f} ms, ours {_ratio(peer['times_faster'])} times as fast; "
        f"{_quality(peer)}, {_compared(row, peer)}"
    )


def _compared(ours: Row, theirs: Row) -> str:
    if ours["error"] > EQUAL * theirs["error"]:
        return "our outputs are worse"
    return "our outputs are better" if EQUAL * ours["error"] < theirs["error"] else "outputs of equal quality"


def _quality(row: Row) -> str:
    return f"error {row['error']:.1%}, agreement {row['agreement']:.0%}"


def _ratio(ratio: Row) -> str:
    return f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
