"""`hwaware compile`: a model for a device, as files that run there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.arguments import threads
from hwaware.cli.output import emit, note, progress

if TYPE_CHECKING:
    from hwaware.compiler.choice import Chooser
    from hwaware.compiler.targets import Target
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
    schedules.add_argument("--table", type=Path, metavar="DIR", help="schedules as `hwaware profile` measured them")
    schedules.add_argument("--tune", action="store_true", help="measure each kernel's candidates on the device first")
    parser.add_argument(
        "--threads", type=threads, default=1, metavar="N", help="with --tune: threads of the model (default: 1)"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the artifact")


def run(args: argparse.Namespace) -> int:
    """Compile and say what was written."""
    from hwaware.compiler.artifact import build_artifact
    from hwaware.compression.report_extra import report_extra
    from hwaware.devices.device import open_device
    from hwaware.profiling.target import target_of
    from hwaware.reference import load_model

    loaded = load_model(args.model)
    with open_device(args.device) as device:
        target = target_of(device)
        chooser = _chooser(args, loaded, device, target)
    note(f"compiling {loaded.name} for {target.name}")
    artifact = build_artifact(
        loaded.module,
        loaded.example_inputs,
        target,
        args.out,
        name=loaded.name,
        chooser=chooser,
        extra=report_extra(Path(args.model)),
    )
    memory = artifact.manifest["memory"]
    text = (
        f"{artifact.path}: {loaded.name} for {target.name}, {len(artifact.manifest['ops'])} operations, "
        f"weights {memory['weights']:,} bytes, arena {memory['arena']:,} bytes\n"
        f"run it with `hwaware run {artifact.path} --device {args.device}`"
    )
    emit(args, {"artifact": str(artifact.path), **artifact.manifest}, text)
    return 0


def _chooser(args: argparse.Namespace, loaded: LoadedModel, device: Device, target: Target) -> Chooser | None:
    """The table's choices, those of a search, those a compressed model came with; None leaves it to the compiler."""
    from hwaware.compression.saved import saved_chooser
    from hwaware.profiling.schedules import search_choices, table_choices

    if args.table is not None:
        return table_choices(args.table, device)
    if not args.tune:
        return saved_chooser(Path(args.model), target)
    with progress(f"trying schedules for {loaded.name}", 0) as bar:
        return search_choices(
            loaded.module,
            loaded.example_inputs,
            device,
            threads=args.threads,
            on_progress=bar.update,
        )
