"""`hwaware compress`: shrink a task's model to a budget by measured costs."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.arguments import add_cores, add_unit
from hwaware.cli.lighter import LIGHTER_METHODS, add_goal, asked_goal, check_asked, lighter, lighter_text
from hwaware.cli.output import emit, note, progress
from hwaware.cli.search_arguments import add_search, asked_precisions, search_options
from hwaware.errors import ArtifactError, TableError, TaskError

if TYPE_CHECKING:
    from hwaware.compression.compress import Result
    from hwaware.compression.quantize.choices import Precision
    from hwaware.compression.task import Task
    from hwaware.costs.table import CostTable
    from hwaware.devices.device import Device

HELP = "shrink a task's model to a budget by measured costs"
EXAMPLE = "hwaware compress zoo:resnet8@digits --device pi4 --budget latency=60% --out small"


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("task", metavar="TASK", help="zoo:NAME@DATA (trained first) or FILE.py:FACTORY")
    costs = parser.add_mutually_exclusive_group()
    costs.add_argument("--device", metavar="NAME", help="profile this device first, into the folder table of --out")
    costs.add_argument("--table", type=Path, metavar="DIR", help="what `hwaware profile` wrote")
    parser.add_argument(
        "--budget",
        metavar="LIMITS",
        help="latency=60%% of the model as measured or latency=12ms; memory= and size= in bytes, KiB, MiB or %%; "
        "flops= like 9M",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the compressed model")
    parser.add_argument(
        "--method",
        choices=("joint", "precision", "morphnet", "halp", "best", *LIGHTER_METHODS),
        default="joint",
        help="joint (default): widths and precisions; precision: only those; morphnet, halp: only widths; best: the "
        "one of these two that fits the training data better; surgery, nettrim: connections; codebook: weights as "
        "codewords; these three take --times or --max-loss and neither a budget nor a device",
    )
    add_goal(parser)
    add_search(parser)
    add_cores(parser)
    add_unit(parser)
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of all random numbers (default: 0)")
    parser.add_argument("--epochs", type=_epochs, metavar="N", help="passes over the training data (default: 20)")
    parser.add_argument("--resume", action="store_true", help="go on with what an interrupted run left in --out")
    parser.add_argument("--lr", type=_rate, metavar="X", help="peak learning rate (default: half the recipe's, 0.05)")


def run(args: argparse.Namespace) -> int:
    """Compress; the folder appears whole at the end or not at all. Ctrl-C keeps what is trained."""
    from hwaware.compression.distributed import joined
    from hwaware.compression.saved import CHECKPOINTS, check_destination, save_lighter, save_result

    light = args.method in LIGHTER_METHODS
    check_asked(args, light)
    check_destination(args.out)
    checkpoints = args.out / CHECKPOINTS
    with joined() as processes:
        if processes.count > 1 and args.device is not None:
            raise TableError("several processes cannot profile a device: profile it first, then give --table")
        if processes.count > 1 and light:
            raise TaskError(f"{args.method} runs in one process: start it without torchrun")
        if checkpoints.exists() and not args.resume:
            raise ArtifactError(f"{checkpoints} is an interrupted run's: add --resume to go on with it, or delete it")
        try:
            if light:
                found = lighter(args, asked_goal(args), *_task(args.task, args.seed), checkpoints)
            else:
                result = _compressed(args, checkpoints)
        except KeyboardInterrupt:
            if checkpoints.exists():
                note("what is trained is kept: the same command with --resume goes on")
            raise
        if processes.main and light:
            save_lighter(found, args.out)
            emit(args, {"out": str(args.out), **found.document()}, lighter_text(found, args.out))
        elif processes.main:
            save_result(result, args.out)
            emit(args, _document(result, args.out), _text(result, args.out))
    return 0


def _compressed(args: argparse.Namespace, checkpoints: Path) -> Result:
    from hwaware.api import measuring
    from hwaware.compression.budget import Budget
    from hwaware.compression.compress import EPOCHS, LR, compress

    budget, options = Budget.parse(args.budget), search_options(args)
    task, rate = _task(args.task, args.seed)
    with ExitStack() as held:
        device = None if args.device is None else held.enter_context(_device(args.device))
        table = _named_table(args) if device is None else _profiled(args, task, device)
        bar = held.enter_context(progress("compressing", 0))
        return compress(
            task,
            table,
            budget,
            method=args.method,
            options=options,
            final=args.final,
            checkpoints=checkpoints,
            seed=args.seed,
            epochs=args.epochs or EPOCHS,
            lr=args.lr or rate or LR,
            on_progress=lambda phase, done, total, what: bar.update(done, total, f"{phase}: {what}"),
            measure=None if device is None else measuring(device, table),
        )


def _task(ref: str, seed: int) -> tuple[Task, float | None]:
    """The task with a trained model, and the learning rate its recipe suggests for more training."""
    from hwaware.reference import load_task, parse_zoo

    zoo = parse_zoo(ref)
    if zoo is None or zoo[1] is None:
        return load_task(ref), None
    from hwaware.zoo.recipes import recipe
    from hwaware.zoo.training import trained_zoo_task

    name, data = zoo[0], zoo[1]
    how = recipe(name, data)
    note(f"training {name} on {data}: {how['epochs']} epochs")
    with progress(f"training {name}", how["epochs"]) as bar:
        task = trained_zoo_task(
            name, data, seed=seed, on_epoch=lambda _, facts: bar.advance(note=f"loss {facts['loss']:.3f}")
        )
    return task, how["lr"] / 2


def _named_table(args: argparse.Namespace) -> CostTable:
    from hwaware.costs.table import CostTable

    if args.cores is not None or args.unit is not None:
        raise TableError("a table knows its cores and unit: leave --cores and --unit out with --table")
    return CostTable.load(args.table)


def _device(name: str) -> AbstractContextManager[Device]:
    from hwaware.devices.device import open_device

    return open_device(name)


def _profiled(args: argparse.Namespace, task: Task, device: Device) -> CostTable:
    """The table of the device: begun, gone on with or as it is in the output folder."""
    from hwaware.compression.saved import TABLE
    from hwaware.profiling.precisions import usual
    from hwaware.profiling.profile import profile
    from hwaware.profiling.target import target_of

    out = args.out / TABLE
    note(f"table: {out}")
    wanted: tuple[Precision, ...] = ()
    if args.method in ("joint", "precision"):
        wanted = (
            usual(target_of(device, args.unit, integers=True)) if args.precisions is None else asked_precisions(args)
        )
    with progress(f"profiling {task.label}", 0) as bar:
        return profile(
            task.model,
            task.example_inputs,
            device,
            out=out,
            name=task.name or "model",
            resume=out.exists(),
            cores=args.cores,
            unit=args.unit,
            wider=args.grow,
            on_progress=bar.update,
            precisions=wanted,
        )


def _document(result: Result, out: Path) -> dict[str, object]:
    plan = result.plan.document()
    return {
        "out": str(out),
        "metric": {"before": result.baseline_metric, "after": result.metric},
        "predicted": {"before": plan["before"], "after": plan["after"], "limits": plan["limits"]},
        "widths": {group.name: [group.before, group.after] for group in result.plan.groups},
        "plan": plan,
    }


def _text(result: Result, out: Path) -> str:
    from hwaware.compression.budget import UNITS, quantity
    from hwaware.reports.plan_table import layer_table
    from hwaware.reports.precision_table import precision_lines
    from hwaware.reports.wording import metric

    plan = result.plan
    lines = []
    for name in UNITS:
        before, after = getattr(plan.before, name), getattr(plan.after, name)
        limit = f", budget {quantity(name, plan.limits[name])}" if name in plan.limits else ""
        lines.append(
            f"{name:8} {quantity(name, before)} → {quantity(name, after)} ({after / before:.1%} predicted{limit})"
        )
    lines.append(f"{'metric':8} {metric(result.baseline_metric)} → {metric(result.metric)}")
    if plan.note:
        lines.append(plan.note)
    lines += layer_table(plan)
    lines += precision_lines(plan)
    lines += [f"  {name} keeps its width: {why}" for name, why in plan.fixed.items()]
    lines.append(f"written to {out}; next: hwaware compile {out} --device NAME --out {out}-compiled")
    return "\n".join(lines)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {2**31 - 1}")
    return int(text)


def _epochs(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 2 to 100000: one epoch to shrink, one to tune")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e3:
        raise argparse.ArgumentTypeError(f"{text!r} is no learning rate; write one like 0.05")
    return rate
