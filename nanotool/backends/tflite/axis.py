"""Functions of all elements along an axis."""

from __future__ import annotations

import tflite

from nanotool.backends.tflite.clamp import clamped
from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import Codes, File
from nanotool.errors import UnsupportedOp
from nanotool.ir import ArgMax, CumSum, LogSoftmax, Softmax
from nanotool.ops import Layer
from nanotool.ops.shape import RUNNING_SUM_BITS, running_sum


@emits(Softmax, writes=(Codes.SOFTMAX,))
def _softmax(file: File, layer: Layer[Softmax]) -> None:
    op = layer.qop
    output = file.index[op.name]
    file.operator(Codes.SOFTMAX, file.inputs(op), output, "SoftmaxOptions", Beta=layer.op.beta)


@emits(LogSoftmax, writes=(Codes.LOG_SOFTMAX,))
def _log_softmax(file: File, layer: Layer[LogSoftmax]) -> None:
    op = layer.qop
    file.operator(Codes.LOG_SOFTMAX, file.inputs(op), file.index[op.name], "LogSoftmaxOptions")


@emits(ArgMax, writes=(Codes.ARG_MAX,))
def _argmax(file: File, layer: Layer[ArgMax]) -> None:
    op = layer.qop
    axis = file.numbers(f"{op.name}/axis", 1 + layer.op.axis)
    inputs, output = (*file.inputs(op), axis), file.index[op.name]
    file.operator(
        Codes.ARG_MAX, inputs, output, "ArgMaxOptions", OutputType=tflite.TensorType.INT32
    )


@emits(CumSum, writes=(Codes.CUMSUM,))
def _cumsum(file: File, layer: Layer[CumSum]) -> None:
    """CUMSUM, where TFLite Micro computes the same: it begins its sums with -zero point, and shifts
    them 19 bits."""
    op = layer.qop
    same = layer.op.start == -layer.input.zero_point
    if not same or running_sum(layer)[0] < RUNNING_SUM_BITS:
        raise UnsupportedOp(
            op.name,
            f"a cumulative sum of {layer.input.shape[layer.op.axis]} elements with zero point "
            f"{layer.input.zero_point} in a .tflite file",
            "TensorFlow Lite Micro sums up to 16 elements or so, and begins with -zero point: "
            "export C source.",
        )
    axis = file.numbers(f"{op.name}/axis", 1 + layer.op.axis)
    inputs = (*file.inputs(op), axis)
    fields = {"Exclusive": layer.op.exclusive, "Reverse": layer.op.reverse}

    def write(output: int, _activation: int) -> None:
        file.operator(Codes.CUMSUM, inputs, output, "CumsumOptions", **fields)

    clamped(file, op, write, fuses=False)
