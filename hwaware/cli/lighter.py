"""Those methods of `hwaware compress` that make weights fewer or code them: what they are asked and what they say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.output import progress

if TYPE_CHECKING:
    from hwaware.compression.lighter.goal import Goal, Lighter
    from hwaware.compression.task import Task

LIGHTER_METHODS = ("surgery", "nettrim", "codebook")
_SHOWN = 20  # layers
# Options of the other methods, which these would leave unheeded.
_OTHERS = (
    "regulariser",
    "values",
    "rounds",
    "overshoot",
    "grow",
    "final",
    "exclude",
    "tie",
    "precisions",
    "sensitivity",
    "precision",
    "cores",
    "unit",
)


def add_goal(parser: argparse.ArgumentParser) -> None:
    """What these methods are asked instead of a budget."""
    parser.set_defaults(wrong=parser.error, usual=parser.get_default)
    group = parser.add_argument_group("surgery, nettrim, codebook")
    goal = group.add_mutually_exclusive_group()
    goal.add_argument("--times", type=float, metavar="N", help="so many times fewer parameters; of a codebook, bytes")
    goal.add_argument(
        "--max-loss", type=float, metavar="X", help="the most of the metric that may be lost, like 0.005 of an accuracy"
    )


def check_asked(args: argparse.Namespace, light: bool) -> None:
    """Wrong usage where what was typed does not go with the method."""
    wrong = args.wrong
    costs = args.device is not None or args.table is not None
    goal = args.times is not None or args.max_loss is not None
    if light and (costs or args.budget is not None):
        given = "--budget" if args.budget is not None else "--device" if args.device is not None else "--table"
        wrong(f"{args.method} asks no device: leave {given} out and give --times N or --max-loss X")
    odd = [name for name in _OTHERS if light and getattr(args, name) != args.usual(name)]
    if odd:
        wrong(f"--{odd[0]} is for other methods: leave it out with {args.method}")
    if light and not goal:
        wrong(f"{args.method} needs --times N or --max-loss X, for example --times 20")
    if not light and goal:
        wrong(f"--times and --max-loss are for {', '.join(LIGHTER_METHODS)}; {args.method} has --budget")
    if not light and args.budget is None:
        wrong(f"{args.method} needs a budget, for example --budget latency=60%")
    if not light and not costs:
        wrong(f"{args.method} goes by measured costs: give --device NAME or --table DIR")


def asked_goal(args: argparse.Namespace) -> Goal:
    """What was typed. Raises BudgetError for numbers that cannot be meant."""
    from hwaware.compression.lighter.goal import Goal

    return Goal(args.times, args.max_loss)


def lighter(args: argparse.Namespace, goal: Goal, task: Task, rate: float | None, checkpoints: Path) -> Lighter:
    """Run the method; `rate` is what a recipe suggests for more training."""
    from hwaware.compression.lighter.method import SURGERY, lighten

    with progress(f"{args.method}", 0) as bar:
        return lighten(
            task,
            goal,
            method=args.method,
            seed=args.seed,
            epochs=args.epochs,
            lr=args.lr or (rate if args.method == SURGERY else None),
            on_progress=lambda phase, done, total, what: bar.update(done, total, f"{phase}: {what}"),
            checkpoints=checkpoints,
        )


def lighter_text(result: Lighter, out: Path) -> str:
    """What became of the model, layer by layer."""
    from hwaware.reports.wording import metric

    lines = [f"{'metric':8} {metric(result.baseline_metric)} → {metric(result.metric)}"]
    if result.made.note:
        lines.append(result.made.note)
    for row in result.made.layers[:_SHOWN]:
        lines.append(f"  {row.name:24} {row.before:>10,} → {row.after:>9,}  {row.note}")
    if len(result.made.layers) > _SHOWN:
        lines.append(f"  and {len(result.made.layers) - _SHOWN} more; all with --json")
    lines += [f"  {name}: {why}" for name, why in result.made.left.items()]
    lines += [result.size.text()]
    lines.append(f"written to {out}; next: hwaware compile {out} --device NAME --out {out}-compiled")
    return "\n".join(lines)
