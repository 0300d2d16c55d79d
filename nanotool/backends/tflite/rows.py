"""Functions of all elements along an axis."""

from __future__ import annotations

import tflite

from nanotool.backends.tflite.file import Codes, File
from nanotool.backends.tflite.registry import emits
from nanotool.ir import ArgMax, LogSoftmax, QOp, Softmax


@emits(Softmax)
def _softmax(file: File, op: QOp) -> None:
    assert isinstance(op.op, Softmax)
    output = file.index[op.name]
    file.operator(Codes.SOFTMAX, file.inputs(op), output, "SoftmaxOptions", Beta=op.op.beta)


@emits(LogSoftmax)
def _log_softmax(file: File, op: QOp) -> None:
    file.operator(Codes.LOG_SOFTMAX, file.inputs(op), file.index[op.name], "LogSoftmaxOptions")


@emits(ArgMax)
def _argmax(file: File, op: QOp) -> None:
    assert isinstance(op.op, ArgMax)
    axis = file.numbers(f"{op.name}/axis", 1 + op.op.axis)
    inputs, output = (*file.inputs(op), axis), file.index[op.name]
    file.operator(
        Codes.ARG_MAX, inputs, output, "ArgMaxOptions", OutputType=tflite.TensorType.INT32
    )
