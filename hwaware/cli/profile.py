"""hwaware profile: measure a model's operations on a device into a cost table."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.arguments import add_cores, add_unit, factor, threads
from hwaware.cli.output import emit, note, progress, progress_of

if TYPE_CHECKING:
    from hwaware.profiling.request import Request

HELP = "measure a model's operations on a device into a cost table"
EXAMPLE = "hwaware profile zoo:resnet8@digits --device pi4 --budget 10m"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_MOST_ROUNDS = 100
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|min|h|)")


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m` or `1.5h`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def _rounds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _MOST_ROUNDS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds; write 0 to {_MOST_ROUNDS}")
    return int(text)


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("model", metavar="MODEL", help="zoo:NAME, FILE.py:FACTORY, FILE.pt2 or a directory")
    parser.add_argument(
        "--device",
        required=True,
        action="append",
        metavar="NAME",
        help="a device of `hwaware devices list`; again for others to be profiled at the same time",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="the table (default: hwaware-tables/DEVICE/MODEL); of several devices, the folder of DEVICE's",
    )
    parser.add_argument("--threads", type=threads, default=1, metavar="N", help="threads of a model (default: 1)")
    parser.add_argument("--budget", type=duration, metavar="TIME", help="stop after this time: 90s, 10m, 1h")
    parser.add_argument(
        "--rounds",
        type=_rounds,
        metavar="N",
        help="rounds of whole variants at most (default: 4; 0 times operations alone, which predicts less well)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the table in DIR")
    parser.add_argument(
        "--protocol",
        choices=("pinned", "as-shipped"),
        default="pinned",
        help="how to measure (default: pinned, what cost tables are made of)",
    )
    parser.add_argument(
        "--wider",
        type=factor,
        default=1.0,
        metavar="X",
        help="measure up to X times the model's channels too, for `compress --grow X` (default: 1)",
    )
    parser.add_argument(
        "--precisions",
        default="",
        metavar="LIST",
        help="measure layers in these beside float32: int8, int8p (weights bounded in pairs, which x86 multiplies "
        "faster), weight8, weight4, float16 (weights stored so); like int8p,weight8",
    )
    add_cores(parser, each=True)
    add_unit(parser)


def run(args: argparse.Namespace) -> int:
    """Measure; Ctrl-C keeps what is measured. With several devices 1 if one of them has no table in the end."""
    requests = _requests(args)
    if len(requests) > 1:
        return _several(args, requests)
    from hwaware.costs.table import JOURNAL
    from hwaware.errors import DeviceError
    from hwaware.profiling.request import CONNECTED, run_request

    request = requests[0]
    try:
        with progress(f"profiling {args.model}", 0) as bar:

            def tell(done: int, total: int, what: str) -> None:
                if what == CONNECTED:
                    note(f"table: {request.out}")
                bar.update(done, total, what)

            outcomes = run_request(request, tell)
    except (KeyboardInterrupt, DeviceError) as error:
        if isinstance(error, KeyboardInterrupt) or (request.out / JOURNAL).exists():
            note(f"go on with: {request.again()}")
        raise
    documents = [outcome.document() for outcome in outcomes]
    document = documents[0] if request.cores != "each" else {"tables": documents}
    emit(args, document, "\n".join(outcome.text() for outcome in outcomes))
    return 0


def _requests(args: argparse.Namespace) -> list[Request]:
    from hwaware.devices.inventory import Inventory
    from hwaware.errors import DeviceError
    from hwaware.profiling.precisions import parse_precisions
    from hwaware.profiling.profile import default_out
    from hwaware.profiling.request import Request
    from hwaware.profiling.rounds import MOST_ROUNDS
    from hwaware.reference import load_model

    if len(set(args.device)) < len(args.device):
        raise DeviceError("a device was named twice: give --device once for each")
    for name in args.device:
        Inventory().find(name)
    precisions = parse_precisions(args.precisions)
    name = load_model(args.model).name
    several = len(args.device) > 1
    return [
        Request(
            model=args.model,
            device=device,
            out=default_out(device, name) if args.out is None else args.out / device if several else args.out,
            threads=args.threads,
            budget_s=args.budget,
            rounds=MOST_ROUNDS if args.rounds is None else args.rounds,
            resume=args.resume,
            protocol=args.protocol,
            cores=args.cores,
            unit=args.unit,
            wider=args.wider,
            precisions=precisions,
        )
        for device in args.device
    ]


def _several(args: argparse.Namespace, requests: Sequence[Request]) -> int:
    from hwaware.profiling.several import Failed, profile_several

    documents: list[dict[str, object]] = []
    texts = []
    failed = 0
    try:
        with progress_of([request.device for request in requests]) as bars:
            for end in profile_several(
                requests, lambda told: bars.update(told.device, told.done, told.total, told.what)
            ):
                if isinstance(end, Failed):
                    failed += 1
                    note(f"error: {end.reason}; when it is mended: {end.again}")
                    documents.append({"device": end.device, "error": end.reason})
                    continue
                bars.finish(end[0].device)
                documents += [outcome.document() for outcome in end]
                texts += [f"{outcome.device}: {outcome.text()}" for outcome in end]
    except KeyboardInterrupt:
        ended = {document["device"] for document in documents}
        for request in requests:
            if request.device not in ended:
                note(f"go on with: {request.again()}")
        raise
    if failed:
        texts.append(f"{failed} of {len(requests)} devices failed")
    emit(args, {"tables": documents}, "\n".join(texts))
    return 1 if failed else 0
