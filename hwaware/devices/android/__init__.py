"""Androids as devices to measure on: what they are, when they may be measured, the mode they are measured in."""
