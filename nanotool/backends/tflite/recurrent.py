"""Layers that remember."""

from __future__ import annotations

from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import File
from nanotool.errors import UnsupportedOp
from nanotool.ir import Lstm, Svdf
from nanotool.ops import Layer
from nanotool.ops.words import words


@emits(Lstm, Svdf)
def _refuse(file: File, layer: Layer[Lstm | Svdf]) -> None:
    raise UnsupportedOp(
        layer.name,
        f"{words(layer.op)} in a .tflite file",
        "Keep the .nano file, or export the model as C.",
    )
