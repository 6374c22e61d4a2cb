"""The process in which one of the int8 peers runs one model: `python -m benchmarks.precision.worker PEER`.

It speaks the protocol of `benchmarks.peers.worker`.
"""

from __future__ import annotations

import os
import sys

from benchmarks.peers.registry import PEERS
from benchmarks.peers.worker import die_with_parent, serve
from benchmarks.precision.int8_peers import INT8_PEERS

if __name__ == "__main__":
    die_with_parent()
    # Runtimes print to stdout; the protocol keeps the real one to itself.
    private = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    PEERS.update(INT8_PEERS)
    serve(sys.argv[1], sys.stdin, private)
