"""Functions of all elements along an axis."""

from __future__ import annotations

import tflite

from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import Codes, File
from nanotool.ir import ArgMax, LogSoftmax, Softmax
from nanotool.ops import Layer


@emits(Softmax)
def _softmax(file: File, layer: Layer[Softmax]) -> None:
    op = layer.qop
    output = file.index[op.name]
    file.operator(Codes.SOFTMAX, file.inputs(op), output, "SoftmaxOptions", Beta=layer.op.beta)


@emits(LogSoftmax)
def _log_softmax(file: File, layer: Layer[LogSoftmax]) -> None:
    op = layer.qop
    file.operator(Codes.LOG_SOFTMAX, file.inputs(op), file.index[op.name], "LogSoftmaxOptions")


@emits(ArgMax)
def _argmax(file: File, layer: Layer[ArgMax]) -> None:
    op = layer.qop
    axis = file.numbers(f"{op.name}/axis", 1 + layer.op.axis)
    inputs, output = (*file.inputs(op), axis), file.index[op.name]
    file.operator(
        Codes.ARG_MAX, inputs, output, "ArgMaxOptions", OutputType=tflite.TensorType.INT32
    )
