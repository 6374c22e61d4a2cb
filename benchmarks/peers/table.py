"""The comparison as text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers.result import PeerResult, Row, geometric_mean

_MEGA = 1e6
_NONE = "-"


def header(peers: Sequence[str]) -> str:
    """Two lines: what the columns are."""
    names = "".join(f"{name:>14}" for name in peers)
    first = f"{'model':16}{'thr':>4}{'ours':>10}{names}   {'best peer / ours':<22}{'less call':>9}   peak memory, MB"
    units = "".join(f"{'ms':>14}" for _ in peers)
    return f"{first}\n{'':16}{'':4}{'ms':>10}{units}   {'ratio, 95 % interval':<22}{'ratio':>9}   ours  lowest peer"


def line(row: Row) -> str:
    """One row; a star marks its best peer."""
    best, least = row.best, row.least_memory
    cells = "".join(f"{_time(peer, best):>14}" for peer in row.peers)
    ratio, less = _NONE, _NONE
    if best is not None and best.times_faster is not None and best.ms is not None:
        value = best.times_faster
        ratio = f"{value.value:.2f}  {value.low:.2f} to {value.high:.2f}"
        less = f"{(best.ms - (best.call_ms or 0)) / row.ours_ms:.2f}"
    ours_memory = _NONE if row.ours_peak is None else f"{row.ours_peak / _MEGA:.1f}"
    memory = _NONE if least is None else f"{(least.peak_run or 0) / _MEGA:.1f} {least.name}"
    wrong = "" if row.agrees else f"   OUR OUTPUT IS OFF BY {row.ours_error:.1e}"
    times = f"{row.model:16}{row.threads:4}{row.ours_ms:10.3f}{cells}"
    return f"{times}   {ratio:<22}{less:>9}  {ours_memory:>5}  {memory}{wrong}"


def footer(rows: Sequence[Row]) -> str:
    """Geometric means against the best peers, and why a peer has no figure."""
    lines = []
    for threads in sorted({row.threads for row in rows}):
        mean = geometric_mean([row for row in rows if row.threads == threads])
        if mean is not None:
            lines.append(f"geometric mean against the best peer of each row, threads {threads}: {mean:.2f}")
    mean = geometric_mean(rows)
    if mean is not None:
        lines.append(f"geometric mean against the best peer of each row, all rows: {mean:.2f}")
    for row in rows:
        lines += [f"{row.model}, threads {row.threads}: {p.name}: {p.reason}" for p in row.peers if p.reason]
    return "\n".join(lines)


def _time(peer: PeerResult, best: PeerResult | None) -> str:
    if peer.ms is None:
        return _NONE
    return f"{peer.ms:.3f}{'*' if peer is best else ' '}"
