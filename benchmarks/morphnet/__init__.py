"""MorphNet on measured costs against FLOPs and against the uniform width multiplier, on real data."""
