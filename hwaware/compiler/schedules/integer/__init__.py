"""Schedules of uint8 activations and int8 weights."""
