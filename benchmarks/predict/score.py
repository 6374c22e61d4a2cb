"""How good predictions were: shares, correlation and bias of a group of variants, each beside what is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.predict.checks import check_of
from benchmarks.predict.outcome import Outcome, Series
from hwaware.costs.validation import summary


@dataclass(frozen=True)
class Score:
    """Of `n` variants. Those without a prediction count as outside every bound, and not in `spearman` and `bias`.

    Shares are of one. `bias` is the mean, `rmspe` the root of the mean square, `worst` the largest of the relative
    errors, `memory_worst` the same of peaks; `profile_s` and `second_share` are the worst of the group's tables.
    None: nothing to tell.
    """

    n: int
    unpredicted: int
    within_5: float
    within_10: float
    spearman: float | None
    bias: float | None
    rmspe: float | None
    worst: float | None
    coverage: float
    memory_within_3: float | None
    memory_worst: float | None
    profile_s: float | None = None
    second_share: float | None = None


@dataclass(frozen=True)
class Bar:
    """What is asked of one figure: `low` at least, `high` at most, of its size where `signed`."""

    title: str
    field: str
    form: Callable[[float], str]
    low: float | None = None
    high: float | None = None
    signed: bool = False

    @property
    def asked(self) -> str:
        """The bar in words."""
        if self.low is not None and self.high is not None:
            return f"{self.form(self.low)} to {self.form(self.high)}"
        sign, bound = ("≥", self.low) if self.low is not None else ("≤", self.high)
        assert bound is not None
        return f"{'±' if self.signed else sign}{self.form(bound)}"

    def missed_by(self, score: Score) -> float | None:
        """How far beyond the bar; 0 where it is met, None without a figure."""
        value = getattr(score, self.field)
        if value is None:
            return None
        size = abs(value) if self.signed else value
        below = 0.0 if self.low is None else self.low - size
        above = 0.0 if self.high is None else size - self.high
        return float(max(0.0, below, above))

    def verdict(self, score: Score) -> str:
        """`met`, `missed by …` or `not measured`."""
        by = self.missed_by(score)
        if by is None:
            return "not measured"
        return "met" if by == 0 else f"missed by {self.form(by)}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


BARS = (
    Bar("within ±5 %", "within_5", _percent, low=0.85),
    Bar("within ±10 %", "within_10", _percent, low=0.99),
    Bar("Spearman", "spearman", lambda value: f"{value:.3f}", low=0.98),
    Bar("bias", "bias", _percent, high=0.02, signed=True),
    Bar("in the interval", "coverage", _percent, low=0.85, high=0.95),
    Bar("peak within 3 %", "memory_within_3", _percent, low=1.0),
    Bar("profile", "profile_s", lambda value: f"{value:.0f} s", high=600.0),
    Bar("second profile", "second_share", _percent, high=0.10),
)


def score(outcomes: Sequence[Outcome]) -> Score:
    """The figures of one or more variants."""
    checks = [found for outcome in outcomes if (found := check_of(outcome)) is not None]
    block = summary(checks)
    sizes = [error for outcome in outcomes if (error := outcome.memory_error) is not None]

    def of_all(share: float | None, known: int) -> float:
        return 0.0 if share is None else share * known / len(outcomes)

    return Score(
        n=len(outcomes),
        unpredicted=len(outcomes) - len(checks),
        within_5=of_all(block["within_5"], len(checks)),
        within_10=of_all(block["within_10"], len(checks)),
        spearman=block["spearman"],
        bias=block["bias"],
        rmspe=block["rmspe"],
        worst=block["worst"],
        coverage=of_all(block["coverage_90"], len(checks)),
        # Where no table says anything of peaks there is nothing to judge; where one does, a gap in it is a miss.
        memory_within_3=of_all(block["memory_within_3"], len(sizes)) if sizes else None,
        memory_worst=max(sizes, key=abs, default=None),
    )


def groups(series: Sequence[Series]) -> dict[str, Score]:
    """All, then by number of threads, by family, and each series alone; what is the same as one before is left out."""
    parts = {"all": list(series)}
    for threads in sorted({item.threads for item in series}):
        parts[f"{threads} thread{'s' if threads > 1 else ''}"] = [item for item in series if item.threads == threads]
    for family in dict.fromkeys(item.family for item in series):
        parts[family] = [item for item in series if item.family == family]
    parts |= {item.label: [item] for item in series}
    first: dict[tuple[str, ...], str] = {}
    for name, members in parts.items():
        first.setdefault(tuple(item.label for item in members), name)
    return {name: _joint(parts[name]) for name in first.values()}


def _joint(series: Sequence[Series]) -> Score:
    joint = score([outcome for item in series for outcome in item.outcomes])
    seconds = [item.table.seconds for item in series if item.table.seconds is not None]
    shares = [share for item in series if (share := item.table.second_share) is not None]
    tables = {"profile_s": max(seconds, default=None), "second_share": max(shares, default=None)}
    return Score(**{**asdict(joint), **tables})


def judged(name: str, found: Score) -> list[str]:
    """A line for each bar: the figure, what is asked, `met` or `missed by …`."""
    lines = [f"{name}: {found.n} variants, {found.unpredicted} of them without a prediction"]
    for bar in BARS:
        value = getattr(found, bar.field)
        figure = "-" if value is None else bar.form(value)
        lines.append(f"  {bar.title:<16}{figure:>10}   asked {bar.asked:<19}{bar.verdict(found)}")
    return lines


def table(scores: Mapping[str, Score]) -> list[str]:
    """Groups as lines, bars as columns; a star marks what is missed."""
    wide = max(map(len, scores)) + 2
    lines = [f"{'':{wide}}{'n':>4}" + "".join(f"{bar.title:>18}" for bar in BARS) + f"{'worst':>10}{'RMSPE':>9}"]
    lines.append(f"{'asked':{wide}}{'':4}" + "".join(f"{bar.asked:>17} " for bar in BARS))
    for name, found in scores.items():
        cells = "".join(f"{_cell(bar, found):>18}" for bar in BARS)
        ends = "".join(f"{'-' if value is None else _percent(value):>{w}}" for value, w in _ends(found))
        lines.append(f"{name:{wide}}{found.n:>4}{cells}{ends}")
    return lines


def _ends(found: Score) -> tuple[tuple[float | None, int], ...]:
    return (found.worst, 10), (found.rmspe, 9)


def _cell(bar: Bar, found: Score) -> str:
    value, by = getattr(found, bar.field), bar.missed_by(found)
    return "- " if value is None else bar.form(value) + ("*" if by else " ")


def document(scores: Mapping[str, Score]) -> dict[str, Any]:
    """As JSON: figures and verdicts by group."""
    return {
        name: asdict(found) | {"verdicts": {bar.field: bar.verdict(found) for bar in BARS}}
        for name, found in scores.items()
    }
