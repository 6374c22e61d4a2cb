"""Layers in integers and stored weights against float32, against other runtimes, and against narrower nets."""
