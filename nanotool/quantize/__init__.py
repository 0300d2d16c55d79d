"""Post-training quantization: a float `Graph` and calibration data become an int8 `QGraph`."""

from __future__ import annotations

from nanotool.quantize.calibrate import Progress, Range
from nanotool.quantize.evaluate import evaluate
from nanotool.quantize.observers import OBSERVERS
from nanotool.quantize.quality import measure, worst_layer
from nanotool.quantize.quantizer import quantize

__all__ = ["OBSERVERS", "Progress", "Range", "evaluate", "measure", "quantize", "worst_layer"]
