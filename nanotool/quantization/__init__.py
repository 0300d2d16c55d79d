"""Post-training quantization: a float `Graph` and calibration data become an int8 `QGraph`."""

from __future__ import annotations

from nanotool.quantization.calibrate import Range
from nanotool.quantization.evaluate import evaluate
from nanotool.quantization.observers import OBSERVERS
from nanotool.quantization.quality import measure, worst_layer
from nanotool.quantization.quantizer import quantize

__all__ = ["OBSERVERS", "Range", "evaluate", "measure", "quantize", "worst_layer"]
