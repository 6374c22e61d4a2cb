"""Code for CUDA GPUs: what a workload computes is written down as blocks, TVM's rules for GPUs schedule them."""
