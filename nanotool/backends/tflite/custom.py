"""Operators that packages bring."""

from __future__ import annotations

from nanotool.backends.tflite.emitters import HINT, emits
from nanotool.backends.tflite.file import File
from nanotool.errors import UnsupportedOp
from nanotool.ir import Custom
from nanotool.ops import Layer


@emits(Custom)
def _custom(_file: File, layer: Layer[Custom]) -> None:
    what = f"{layer.op.function}, an operator that a package brings, in a .tflite file"
    raise UnsupportedOp(layer.name, what, HINT)
