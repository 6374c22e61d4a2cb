import os

# Kernels that run inside the test process split their loops over two threads, as on a device with two cores.
os.environ.setdefault("TVM_NUM_THREADS", "2")
