"""matplotlib figures as SVG that belongs to the page: its fonts, its colours by theme, no clash of ids.

matplotlib writes fixed colours; the page has a light and a dark theme. So figures are drawn in marker
colours (`PAINT`), and each marker is replaced by a CSS variable of the page. Text stays text: it can be
searched, read aloud and set in the page's font. Labels come from reports nobody vouches for: matplotlib
escapes them, and mathtext is off.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Marker colours, chosen to be nobody's real colour, and the page's CSS variable each becomes.
SERIES = tuple(f"#0102{i:02x}" for i in range(6))
INK, MUTED, RULE = "#010301", "#010302", "#010303"
PAINT = {color: f"var(--series-{i})" for i, color in enumerate(SERIES)} | {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
}
DASHES: tuple[tuple[int, tuple[float, ...]], ...] = (
    (0, ()),
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (9, 2)),
    (0, (3, 1)),
)
WIDTH = 400  # user units; the page scales a figure between a phone's width and about 1.4 times this

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hwaware",
    "text.parse_math": False,
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "lines.linewidth": 2,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def draw(name: str, title: str, height: float, plot: Callable[[Axes], None]) -> str:
    """An inline `<svg>` of WIDTH by `height` user units that `plot` draws on one pair of axes.

    `name` prefixes its ids and must differ between the figures of a page; `title` is its accessible name.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # the same page whatever the user's matplotlibrc says
        mpl.rcParams.update(_STYLE)
        # The browser sets the text in its own fonts; matplotlib only lays it out.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        plot(figure.add_subplot())
        target = io.StringIO()
        unstamped = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(target, format="svg", metadata=unstamped)
    return _inline(target.getvalue(), name, title)


def _inline(svg: str, name: str, title: str) -> str:
    """The document as an element: no prolog, no fixed size, ids prefixed, marker colours made variables."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<style.*?</style>", "", svg, count=1, flags=re.DOTALL)  # a page-wide rule for `*`
    # Labels are escaped, so what stands between < and > is matplotlib's own.
    svg = re.sub(r"<[^>]+>", lambda tag: _retag(tag.group(), name), svg)
    opening, _, body = svg.partition(">")
    view = re.search(r'viewBox="[^"]*"', opening)
    assert view is not None
    label = html.escape(title)
    return f'<svg class="figure" role="img" aria-label="{label}" {view.group()}>{body}'


def _retag(tag: str, name: str) -> str:
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'xlink:href="#', f'href="#{name}-', tag)
    tag = re.sub(r"url\(#", f"url(#{name}-", tag)
    tag = re.sub(r" font-family: [^;\"]*;", "", tag)
    return re.sub(r"#01[0-9a-f]{4}\b", lambda color: PAINT.get(color.group(), color.group()), tag)
