"""Options of `hwaware compress` that say how to search; the defaults need none of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hwaware.cli.arguments import factor, times

if TYPE_CHECKING:
    from hwaware.compression.quantize.choices import Precision
    from hwaware.compression.search import Options


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add them, as a group of their own."""
    group = parser.add_argument_group("search")
    group.add_argument(
        "--regulariser",
        metavar="COSTS",
        help="what a channel costs while MorphNet shrinks: latency, memory, size, flops, activations, roofline, "
        "or a sum like latency=1,size=0.2 (default: whatever is above its budget)",
    )
    group.add_argument(
        "--values",
        choices=("auto", "gamma", "lasso", "gate"),
        default="auto",
        help="what a channel is judged by: its BatchNorm scale (gamma), its weights (lasso), a stochastic gate, or "
        "auto (default): scales where there are any, else weights",
    )
    group.add_argument("--rounds", type=_rounds, default=1, metavar="N", help="of shrinking and expansion (default: 1)")
    group.add_argument(
        "--overshoot",
        type=times,
        metavar="X",
        help="shrink to X times the budget, then multiply all widths to it (default: half of the way there; later "
        "rounds 0.8)",
    )
    group.add_argument(
        "--grow",
        type=factor,
        default=1.0,
        metavar="X",
        help="layers may get X times as wide, as far as the table reaches (profile with --wider X; default: 1)",
    )
    group.add_argument(
        "--final", choices=("fine-tune", "scratch"), default="fine-tune", help="training of what came out (fine-tune)"
    )
    group.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN", help="layers that keep their width, like 'stem*'"
    )
    group.add_argument(
        "--tie",
        action="append",
        default=[],
        metavar="PATTERN",
        help="layers that keep the same channels, like '*.conv1'",
    )
    group.add_argument(
        "--precisions",
        metavar="LIST",
        help="what layers may be computed or stored in beside float32: of int8, int8p, weight8, weight4, float16 "
        "(default: all that the table knows; none: widths only)",
    )
    group.add_argument(
        "--sensitivity",
        choices=("loss", "outputs"),
        default="loss",
        help="what precisions are judged by: the task's loss (default), or how far outputs move, without labels",
    )
    group.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="of training (default: float32; float16 needs a GPU)",
    )


def search_options(args: argparse.Namespace) -> Options:
    """What was typed. Raises BudgetError for a regulariser that is none."""
    from hwaware.compression.prepare import Selection
    from hwaware.compression.regulariser import BY_LIMITS, Regulariser
    from hwaware.compression.search import Options

    return Options(
        selection=Selection(args.values, tuple(args.exclude), tuple(args.tie), args.grow),
        regulariser=BY_LIMITS if args.regulariser is None else Regulariser.parse(args.regulariser),
        rounds=args.rounds,
        overshoot=args.overshoot,
        precision=args.precision,
        precisions=asked_precisions(args),
        sensitivity=args.sensitivity,
    )


def asked_precisions(args: argparse.Namespace) -> tuple[Precision, ...]:
    """What was typed for --precisions. Raises TableError for one that is none."""
    from hwaware.compression.quantize.choices import PRECISIONS
    from hwaware.profiling.precisions import parse_precisions

    if args.precisions is None:
        return PRECISIONS
    return () if args.precisions.strip() == "none" else parse_precisions(args.precisions)


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100")
    return int(text)
