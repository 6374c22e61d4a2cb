"""`python -m benchmarks.precision`: layers in integers and stored weights, measured on this machine.

Five parts. `speed`: int8 against our float32 and other runtimes' int8. `bytes`: what weights take. `accuracy`: what
trained nets lose. `never-slower`: random nets and budgets against what went in. `joint`: widths and precisions
together against either alone and against FLOPs. Results: a report on stdout, JSON and pictures in the folder --out.
What is trained, profiled or measured is on disk: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.precision import accuracy, joint, never_slower, sizes, speed
from benchmarks.precision.int8_peers import INT8_PEERS
from benchmarks.precision.nets import DATA
from benchmarks.precision.plot import draw
from benchmarks.precision.report import report
from hwaware.errors import HwawareError
from hwaware.profiling.precisions import parse_precisions

_PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "speed": speed.speed,
    "bytes": sizes.sizes,
    "accuracy": accuracy.accuracy,
    "never-slower": never_slower.never_slower,
    "joint": joint.joint,
}
# Of latency; precisions alone reach less far, and narrow layers take longer than their FLOPs say.
SHARES, PRECISION_SHARES = (0.7, 0.5, 0.35, 0.25, 0.18, 0.12), (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
FLOPS_SHARES = (0.6, 0.4, 0.2, 0.1, 0.05, 0.025)


def main() -> int:
    """Run all parts. Status 0 whether or not the bars are met, 1 where something failed."""
    args = _arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    args.cache = args.cache or args.out
    found: dict[str, Any] = {}
    try:
        args.precisions = parse_precisions(args.precisions)
        args.drawn_precisions = parse_precisions(args.drawn_precisions)
        for part in args.parts:
            found[part] = _PARTS[part](args)
            print(report({part: found[part]}), end="\n\n", flush=True)
    except HwawareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    draw(_all(args.out), args.out / "precision.png")
    print(f"written: {args.out}", file=sys.stderr)
    return 0


def _all(out: Path) -> dict[str, Any]:
    """What earlier runs with other parts left in the folder as well."""
    files = {part: out / f"{part}.json" for part in _PARTS}
    return {part: json.loads(file.read_text()) for part, file in files.items() if file.exists()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--parts", nargs="+", choices=tuple(_PARTS), default=list(_PARTS))
    add("--out", type=Path, default=Path("benchmarks-out/precision"))
    add("--mnist", type=Path, default=Path("../shared/data/mnist"), help="folder of MNIST's IDX files")
    add("--cache", type=Path, help="folder that holds or takes fashion-mnist/ (default: --out)")
    add("--threads", type=int, nargs="+", default=[1, 2], metavar="N", help="of speed, and drawn from by never-slower")
    add("--rounds", type=int, default=7, help="of measuring in turn")
    add("--seconds", type=float, default=0.5, help="of each side in each round")
    add("--processes", type=int, default=2, help="that train side by side")
    add("--seeds", type=int, default=3, help="of accuracy and joint")
    add("--epochs", type=int, default=10, help="of training, and again of every plan of joint")
    add("--images", type=int, default=0, help="training images to take (0: all)")
    add("--precisions", default="int8p,weight8", help="that joint profiles and searches")
    one = parser.add_argument_group("speed").add_argument
    one("--models", nargs="+", default=list(speed.MODELS), metavar="NET", help="of the zoo")
    one("--peers", nargs="*", choices=tuple(INT8_PEERS), default=list(INT8_PEERS), metavar="PEER")
    one("--checked", type=int, default=16, help="images whose outputs are compared")
    one("--profile-s", type=float, default=1200.0, help="seconds a table may take")
    one("--profile-rounds", type=int, default=2, help="rounds of whole variants of a table")
    two = parser.add_argument_group("bytes, accuracy").add_argument
    two("--sized", nargs="+", default=list(sizes.MODELS), metavar="NET", help="nets of bytes")
    two("--nets", nargs="+", choices=tuple(DATA), default=list(DATA), help="of accuracy")
    three = parser.add_argument_group("never-slower").add_argument
    three("--nets-drawn", type=int, default=50)
    three("--drawn-s", type=float, default=300.0, help="seconds the table of a drawn net may take")
    three("--drawn-precisions", default="int8p", help="that these tables know")
    four = parser.add_argument_group("joint").add_argument
    four("--joint-nets", nargs="+", choices=joint.NETS, default=list(joint.NETS))
    four("--data", nargs="+", choices=joint.DATA, default=list(joint.DATA))
    four("--shares", nargs="+", type=float, default=SHARES, help="budgets of latency")
    four("--precision-shares", nargs="+", type=float, default=PRECISION_SHARES, help="those of precisions alone")
    four("--flops-shares", nargs="+", type=float, default=FLOPS_SHARES, help="budgets of FLOPs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
