"""`python -m benchmarks.peers [MODEL ...]`: our compiled models beside other runtimes, on this machine, in one run.

Absolute times of a shared machine mean little; what counts is the ratio of medians of samples taken in turn. Results:
a table on stdout, peers.json and peers.png in the folder --out. Status 1 if an output of ours disagrees.
"""

from __future__ import annotations

import argparse
import fcntl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.ours import build
from benchmarks.peers.call import call_costs
from benchmarks.peers.compare import Effort, compare
from benchmarks.peers.lineup import convert
from benchmarks.peers.plot import draw
from benchmarks.peers.registry import PEERS
from benchmarks.peers.report import write
from benchmarks.peers.result import Row
from benchmarks.peers.sources import write_source
from benchmarks.peers.table import footer, header, line
from hwaware.devices.device import open_device
from hwaware.reference import load_model

MODELS = (
    "zoo:mobilenet_v2",
    "zoo:mobilenet_v1",
    "zoo:resnet18",
    "zoo:resnet50",
    "zoo:squeezenet",
    "zoo:efficientnet_b0",
    "zoo:resnet20",
    "zoo:ds_cnn",
    "zoo:lenet5",
)
LEAST_SAMPLES = 5


def main() -> int:
    """Run all rows."""
    args = _arguments()
    torch.set_num_threads(1)
    chosen = [PEERS[name] for name in args.peers]
    effort = Effort(args.rounds, args.seconds, LEAST_SAMPLES, lambda: _quiet(args.lock))
    settings = {"rounds": args.rounds, "seconds": args.seconds}
    args.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with open_device("local") as device, tempfile.TemporaryDirectory() as scratch:
        calls = {}
        for threads in args.threads:
            folder = Path(scratch) / f"call{threads}"
            folder.mkdir()
            calls[threads] = call_costs(chosen, threads, folder)
        print(header(args.peers), flush=True)
        for number, reference in enumerate(args.models):
            model = load_model(reference)
            folder = Path(scratch) / f"model{number}"
            folder.mkdir()
            write_source(model.module, model.example_inputs, folder)
            failed = convert(chosen, folder)
            for threads in args.threads:
                ours = build(model, device, threads, folder / f"ours{threads}")
                rows.append(compare(model, ours, chosen, folder, failed, calls[threads], effort))
                print(line(rows[-1]), flush=True)
                write(rows, settings, args.out / "peers.json")
    print(footer(rows))
    draw(rows, args.out / "peers.png")
    print(f"written: {args.out / 'peers.json'} and {args.out / 'peers.png'}", file=sys.stderr)
    return 0 if all(row.agrees for row in rows) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL", help="as `hwaware compile` takes them")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each side in each round (default: 0.5)")
    parser.add_argument("--lock", type=Path, help="hold this file's lock while samples are taken (shared machines)")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), metavar="DIR")
    return parser.parse_args()


@contextmanager
def _quiet(lock: Path | None) -> Iterator[None]:
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
