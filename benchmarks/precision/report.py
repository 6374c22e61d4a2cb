"""The report of a run: a section for each part, its rows in words, and its bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

from benchmarks.precision.accuracy import MOST as LOST_MOST
from benchmarks.precision.bars import Bar, summary
from benchmarks.precision.joint_report import joint_text
from benchmarks.precision.sizes import MOST as BYTES_MOST
from benchmarks.precision.sizes import shares
from benchmarks.precision.speed_report import speed_text

Row = Mapping[str, Any]


def report(found: Mapping[str, Any]) -> str:
    """Of the parts that there are, by name."""
    return "\n\n".join(_TEXTS[part](found[part]) for part in found)


def bytes_text(rows: Sequence[Row]) -> str:
    """Shares of float32 by model and precision."""
    lines, bars = ["bytes of weights, as shares of float32 (in the manifest, on disk, resident)"], []
    plain = {row["model"]: row for row in rows if row["precision"] == "float32"}
    for row in rows:
        if row["precision"] == "float32":
            lines.append(f"  {row['model']}: {row['parameters']} bytes of parameters, resident {row['resident']}")
            continue
        found = shares(list(rows), row)  # type: ignore[arg-type]
        figure = ", ".join(f"{share:.2%}" for share in found.values())
        ours = row["resident"] / plain[row["model"]]["resident"]
        peak = _mega(row["peak_rss"])
        lines.append(f"    {row['precision']:8} {figure}; of our float32 artifact {ours:.1%}; peak resident {peak}")
        most = BYTES_MOST.get(row["precision"])
        if most is not None:
            worst = max(found.values())
            bars.append(Bar(f"{row['model']} {row['precision']} at most {most:.0%}", f"{worst:.2%}", worst <= most))
    return "\n".join([*lines, *map(str, bars), summary(bars)])


def accuracy_text(rows: Sequence[Row]) -> str:
    """Accuracy of each seed, and the mean loss."""
    lines, bars = ["accuracy on test images"], []
    for net in dict.fromkeys(row["net"] for row in rows):
        mine = [row for row in rows if row["net"] == net]
        for row in mine:
            each = ", ".join(f"{name} {value:.2%}" for name, value in row["metrics"].items())
            lines.append(f"  {net}, seed {row['seed']}: {each}")
        for name in mine[0]["metrics"]:
            if name == "float32":
                continue
            lost = mean(row["metrics"]["float32"] - row["metrics"][name] for row in mine)
            lines.append(f"    {name} loses {100 * lost:.2f} points on average")
            most = LOST_MOST.get(name)
            if most is not None:
                what = f"{net} {name} loses at most {100 * most:.1f} points"
                # Counts of images in float32: what is at the bar meets it.
                bars.append(Bar(what, f"{100 * lost:.2f}", lost <= most + 1e-6))
    return "\n".join([*lines, *map(str, bars), summary(bars)])


def never_slower_text(rows: Sequence[Row]) -> str:
    """How many plans are slower than what went in, by their first interval and by the second where there is one."""
    measured = [row for row in rows if "ratio" in row]
    outcomes = {name: sum(row["outcome"] == name for row in rows) for name in ("changed", "unchanged", "refused")}
    told = ", ".join(f"{count} {name}" for name, count in outcomes.items())
    lines = [f"never slower: {len(rows)} random nets and budgets: {told}"]
    for row in measured:
        if row["ratio"]["low"] > 1:
            again = f"; once more {_interval(row['again'])}" if "again" in row else ""
            lines.append(
                f"  net {row['seed']} ({row['kind']}, {row['method']}, {row['threads']} threads, {row['outcome']}): "
                f"{_interval(row['ratio'])}{again}"
            )
    first = sum(row["ratio"]["low"] <= 1 for row in measured)
    both = sum(row["ratio"]["low"] <= 1 or row.get("again", row["ratio"])["low"] <= 1 for row in measured)
    bars = [
        Bar(
            "no interval above 1, measured once",
            f"{first} of {len(measured)}",
            bool(measured) and first == len(measured),
        ),
        Bar("no interval above 1 both times", f"{both} of {len(measured)}", bool(measured) and both == len(measured)),
    ]
    changed = [row["ratio"]["value"] for row in measured if row["outcome"] == "changed"]
    if changed:
        lines.append(f"  changed nets take {mean(changed):.1%} of float32's time on average")
    return "\n".join([*lines, *map(str, bars)])


def _interval(ratio: Row) -> str:
    return f"{ratio['value']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f}) of float32's time"


def _mega(value: int | None) -> str:
    return "unknown" if value is None else f"{value / 1e6:.2f} MB"


_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "speed": speed_text,
    "bytes": bytes_text,
    "accuracy": accuracy_text,
    "never-slower": never_slower_text,
    "joint": joint_text,
}
