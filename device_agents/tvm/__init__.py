"""The agent for boards with a GPU: the protocol of `native/protocol.md`, over kernels that TVM's runtime loads.

It runs on the board, from an archive, with Python 3.10 or later and nothing but its standard library; only what runs
kernels needs `tvm_ffi` and two libraries of TVM's.
"""

PROTOCOL = 1
