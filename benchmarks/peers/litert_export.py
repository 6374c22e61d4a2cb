"""MODEL.pt2 to OUT.tflite; a program for the converter's own environment, so it imports nothing of this project."""

from __future__ import annotations

import sys

import litert_torch
import torch

if __name__ == "__main__":
    exported = torch.export.load(sys.argv[1])
    example_inputs, _ = exported.example_inputs
    litert_torch.convert(exported.module(), example_inputs).export(sys.argv[2])
