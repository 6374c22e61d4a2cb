"""Weights in files that are as small as they are said to be: sparse, in a codebook, or as they are."""
