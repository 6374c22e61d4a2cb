"""Quantisation of a captured graph: from calibration to the integer graph that the compiler takes."""
