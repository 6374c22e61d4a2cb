"""`hwaware run`: an artifact on its device, measured."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.arguments import add_cores, threads
from hwaware.cli.output import emit, note
from hwaware.errors import ArtifactError, ModelError

if TYPE_CHECKING:
    import numpy as np

    from hwaware.reports.latency_report import LatencyReport

HELP = "run and measure a compiled artifact on its device"
EXAMPLE = "hwaware run mobilenet --device local --per-op --report mobilenet.json"
_SLOWEST = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("artifact", metavar="ARTIFACT", type=Path, help="folder written by `hwaware compile`")
    parser.add_argument("--device", required=True, metavar="NAME", help="where to run it")
    parser.add_argument(
        "--threads", type=threads, default=1, metavar="N", help="threads, the caller included (default 1)"
    )
    parser.add_argument(
        "--input",
        type=Path,
        action="append",
        metavar="X.npy",
        help="input, once for each of the model's (default: random)",
    )
    parser.add_argument(
        "--output", type=Path, action="append", metavar="Y.npy", help="where outputs go, once for each of the model's"
    )
    parser.add_argument("--per-op", action="store_true", help="time each operation within the model as well")
    parser.add_argument(
        "--table", type=Path, metavar="DIR", help="the cost table that predicted the model (default: where it was)"
    )
    parser.add_argument("--no-audit", action="store_true", help="leave the cost table's validation as it is")
    parser.add_argument("--report", type=Path, metavar="R.json", help="write the LatencyReport")
    parser.add_argument(
        "--protocol", choices=("pinned", "as-shipped"), default="pinned", help="how it is measured (default pinned)"
    )
    add_cores(parser)


def run(args: argparse.Namespace) -> int:
    """Run, save what was asked for, print the summary."""
    from hwaware.compiler.artifact import load_artifact
    from hwaware.devices.device import open_device
    from hwaware.files import write_bytes_atomic
    from hwaware.profiling.run import run_artifact
    from hwaware.profiling.settings import cores_of
    from hwaware.reports.audit import added, stored_prediction
    from hwaware.reports.measure import report_of

    artifact = load_artifact(args.artifact)
    inputs = [_read(path) for path in args.input] if args.input else None
    if args.output and len(args.output) != len(artifact.manifest["outputs"]):
        raise ModelError(f"{artifact.model} has {len(artifact.manifest['outputs'])} outputs: give --output as often")
    if args.output and inputs is None:
        raise ModelError("--output needs --input: the outputs of random inputs say nothing")
    stored = stored_prediction(artifact)
    with open_device(args.device) as device:
        result = run_artifact(
            artifact,
            device,
            threads=args.threads,
            inputs=inputs,
            per_op=args.per_op,
            protocol=args.protocol,
            cores=cores_of(device, args.cores, args.threads, args.protocol),
        )
        report = report_of(artifact, device, result)
    told = None if args.no_audit else added(stored, report, result, table=args.table)
    for path, array in zip(args.output or [], result.outputs, strict=False):
        write_bytes_atomic(path, _npy(array), ArtifactError)
    if args.report:
        report.save(args.report)
    for warning in report.warnings:
        note(f"warning: {warning}")
    if told:
        note(told)
    emit(args, report.to_document(), _text(report, args.report))
    return 0


def _read(path: Path) -> np.ndarray:
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist: --input takes a .npy file") from error
    except (ValueError, OSError, EOFError) as error:
        raise ModelError(f"{path} is no .npy file of numbers ({error}): write it with numpy.save") from error
    if not isinstance(array, np.ndarray):
        raise ModelError(f"{path} holds several arrays: --input takes one .npy file an input")
    return array


def _npy(array: np.ndarray) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _text(report: LatencyReport, saved: Path | None) -> str:
    from hwaware.reports.audit import audit_lines

    latency, memory = report.latency_ms, report.memory_bytes
    peak = "unknown" if memory.peak_rss is None else f"{memory.peak_rss:,} bytes"
    lines = [
        f"{report.model} on {report.device['name']}, {report.threads} thread{'s' if report.threads > 1 else ''}: "
        f"{latency.p50:.4g} ms median (95 % CI {latency.ci95[0]:.4g} to {latency.ci95[1]:.4g}, p90 {latency.p90:.4g}, "
        f"n {latency.n})",
        f"memory: weights {memory.weights:,}, arena {memory.arena:,} bytes, peak resident {peak}",
    ]
    if report.predicted is not None:
        lines += audit_lines(report)
    for op in sorted(report.ops, key=lambda item: -item.p50_ms)[:_SLOWEST]:
        lines.append(f"  {op.p50_ms:9.4f} ms {op.share:6.1%}  {op.name}")
    if len(report.ops) > _SLOWEST:
        lines.append(f"  … and {len(report.ops) - _SLOWEST} more")
    if saved:
        lines.append(f"report: {saved}")
    return "\n".join(lines)
