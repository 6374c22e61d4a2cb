"""Convolutions and dense layers whose weights are indices into a codebook (product quantisation)."""
