"""`hwaware compile`: a model for a device, as files that run there."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwaware.cli.output import emit, note

HELP = "compile a model for a device"
EXAMPLE = "hwaware compile zoo:mobilenet_v2 --device local --out mobilenet"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model", metavar="MODEL", help="zoo:NAME, FILE.py:FACTORY, FILE.pt2 or a compressed model's folder"
    )
    parser.add_argument("--device", required=True, metavar="NAME", help="the device (see `hwaware devices`)")
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
    note(f"compiling {loaded.name} for {target.name}")
    artifact = build_artifact(
        loaded.module,
        loaded.example_inputs,
        target,
        args.out,
        name=loaded.name,
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
