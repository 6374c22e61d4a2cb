"""Widths and precisions chosen together, by measured cost."""
