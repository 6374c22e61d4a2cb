"""`hwaware compile`: a model for a device, as files that run there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.arguments import add_unit, threads
from hwaware.cli.output import emit, note, progress

if TYPE_CHECKING:
    from hwaware.compiler.choice import Chooser
    from hwaware.compiler.targets import Target
    from hwaware.costs.audit import Stored
    from hwaware.costs.table import CostTable
    from hwaware.devices.device import Device
    from hwaware.reference import LoadedModel

HELP = "compile a model for a device"
EXAMPLE = "hwaware compile zoo:mobilenet_v2 --device local --out mobilenet"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model", metavar="MODEL", help="zoo:NAME, FILE.py:FACTORY, FILE.pt2 or a compressed model's folder"
    )
    parser.add_argument("--device", required=True, metavar="NAME", help="the device (see `hwaware devices`)")
    schedules = parser.add_mutually_exclusive_group()
    schedules.add_argument(
        "--table", type=Path, metavar="DIR", help="schedules and costs as measured by `hwaware profile`"
    )
    schedules.add_argument("--tune", action="store_true", help="measure each kernel's candidates on the device first")
    parser.add_argument(
        "--threads", type=threads, metavar="N", help="threads of the model (default: those of --table, or 1)"
    )
    parser.add_argument(
        "--any-device", action="store_true", help="use the schedules of --table though it is of another device"
    )
    add_unit(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the artifact")


def run(args: argparse.Namespace) -> int:
    """Compile and say what was written."""
    from hwaware.compiler.artifact import build_artifact
    from hwaware.compression.report_extra import report_extra
    from hwaware.compression.saved import saved_target
    from hwaware.costs.table import CostTable
    from hwaware.devices.device import open_device
    from hwaware.profiling.target import target_of
    from hwaware.reference import load_model

    loaded = load_model(args.model)
    table = None if args.table is None else CostTable.load(args.table)
    with open_device(args.device) as device:
        like = saved_target(Path(args.model)) if table is None else table.manifest.target
        target = target_of(device, args.unit or _only_unit(table), like=like)
        table = None if table is None else table.of(target.unit)
        chooser = _chooser(args, loaded, device, target, table)
    extra = report_extra(Path(args.model))
    # A table's answer is for the schedules that it was measured with.
    stored = None if args.tune else _prediction(args, loaded, target, table)
    if stored is not None:
        extra["predicted"] = stored.document()
    note(f"compiling {loaded.name} for {target.name}")
    artifact = build_artifact(
        loaded.module,
        loaded.example_inputs,
        target,
        args.out,
        name=loaded.name,
        chooser=chooser,
        extra=extra,
    )
    memory = artifact.manifest["memory"]
    text = (
        f"{artifact.path}: {loaded.name} for {target.name}, {len(artifact.manifest['ops'])} operations, "
        f"weights {memory['weights']:,} bytes, arena {memory['arena']:,} bytes{_expected(stored)}\n"
        f"run it with `hwaware run {artifact.path} --device {args.device}`"
    )
    emit(args, {"artifact": str(artifact.path), **artifact.manifest}, text)
    return 0


def _only_unit(table: CostTable | None) -> str | None:
    """What the cells of the table are of, if all are of the same."""
    return table.manifest.unit if table is not None and len(table.manifest.units) == 1 else None


def _chooser(
    args: argparse.Namespace, loaded: LoadedModel, device: Device, target: Target, table: CostTable | None
) -> Chooser | None:
    """The table's choices, those of a search, those a compressed model came with; None leaves it to the compiler."""
    from hwaware.compression.saved import saved_chooser
    from hwaware.profiling.schedules import search_choices, table_choices

    if table is not None:
        if args.any_device:
            _tell_of_difference(table, device)
        return table_choices(table, device, threads=args.threads, any_device=args.any_device)
    if not args.tune:
        return saved_chooser(Path(args.model), target)
    with progress(f"trying schedules for {loaded.name}", 0) as bar:
        return search_choices(
            loaded.module,
            loaded.example_inputs,
            device,
            threads=args.threads or 1,
            unit=target.unit,
            on_progress=bar.update,
        )


def _tell_of_difference(table: CostTable, device: Device) -> None:
    from hwaware.errors import TableError
    from hwaware.profiling.fits import check_table

    try:
        check_table(table.manifest, device)
    except TableError as error:
        note(f"{error}; used nevertheless: --any-device")


def _expected(stored: Stored | None) -> str:
    if stored is None:
        return ""
    low, high = stored.interval_ms
    return f"\npredicted {stored.latency_ms:.4g} ms ({low:.4g} to {high:.4g}), threads {stored.threads}"


def _prediction(
    args: argparse.Namespace, loaded: LoadedModel, target: Target, table: CostTable | None
) -> Stored | None:
    """What the table says of the model, for `hwaware run` to audit; a compressed model's own table if none is named."""
    from hwaware.compression.saved import BASELINE, TABLE
    from hwaware.costs.audit import Stored
    from hwaware.costs.predict import predict
    from hwaware.costs.table import MANIFEST, CostTable
    from hwaware.errors import TableError

    compressed = Path(args.model)
    own = (compressed.parent if compressed.name == BASELINE else compressed) / TABLE
    folder = args.table if args.table is not None else own
    if not (folder / MANIFEST).exists():
        return None
    try:
        known = CostTable.load(folder) if table is None else table
        if target.unit not in known.manifest.units:
            return None
        known = known.of(target.unit)
        if known.manifest.target != target.identity():
            return None
        return Stored.of(predict(loaded.module, loaded.example_inputs, known), known)
    except TableError as error:
        note(f"the artifact goes without a prediction: {error}")
        return None
