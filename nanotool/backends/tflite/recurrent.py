"""Layers that remember."""

from __future__ import annotations

from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import File
from nanotool.errors import UnsupportedOp
from nanotool.ir import Lstm
from nanotool.ops import Layer


@emits(Lstm)
def _lstm(file: File, layer: Layer[Lstm]) -> None:
    raise UnsupportedOp(
        layer.name,
        "an LSTM in a .tflite file",
        "Keep the .nano file, or export the model as C.",
    )
