"""Convolutions and dense layers most of whose weights are 0: only the others are kept, and multiplied."""
