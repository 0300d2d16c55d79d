"""Functions of all elements along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.builder import Call
from nanotool.frontends.tflite.content import FULL_INTEGER
from nanotool.frontends.tflite.importers import imports
from nanotool.ir import INT8_MAX, INT8_MIN, ArgMax, CumSum, LogSoftmax, QOp, Softmax, Table

TURNED = Table("turned", tuple(range(INT8_MAX, INT8_MIN - 1, -1)))


def only(call: Call, values: Sequence[int]) -> int:
    """The one axis among ``values``."""
    if len(values) != 1:
        call.invalid(f"it has {len(values)} axes, not 1")
    return values[0]


@imports("ARG_MAX", ArgMax, 2, 2, border=True)
def _arg_max(call: Call) -> None:
    call.options(schema.ArgMaxOptions)
    _largest(call, call.source(0))


def _largest(call: Call, source: str) -> None:
    shape = call.given(0).shape
    axis = call.axis(only(call, call.integers(1, "axis")), len(shape))
    axis -= len(shape) - len(call.shape(0))
    if axis < 0:
        call.unsupported(f"{call.code} over the batch", "Search along another axis.")
    if call.result().type != "INT32":
        call.unsupported(
            f"{call.code} with a result in {call.result().type}", "Use output_type=tf.int32."
        )
    inner = call.shape(0)
    call.emit(ArgMax(axis), [source], inner[:axis] + inner[axis + 1 :])


@imports("ARG_MIN", ArgMax, 2, 2, border=True)
def _arg_min(call: Call) -> None:
    """The largest of -1 - q."""
    call.options(schema.ArgMinOptions)
    source = call.source(0)
    name = call.builder.unique(f"{call.target().name}/turned")
    call.builder.tensors[name] = replace(call.builder.tensors[source], name=name)
    call.builder.ops.append(QOp(name, TURNED, (source,)))
    _largest(call, name)


@imports("SOFTMAX", Softmax, border=True)
def _softmax(call: Call) -> None:
    types = (call.given(0).type, call.result().type)
    if types not in {("INT8", "INT8"), ("INT8", "INT16"), ("INT16", "INT16")}:
        call.unsupported(f"SOFTMAX from {types[0]} to {types[1]}", FULL_INTEGER)
    beta = call.options(schema.SoftmaxOptions).beta
    call.emit(Softmax(beta), [call.source(0)], call.shape(0))


@imports("LOG_SOFTMAX", LogSoftmax)
def _log_softmax(call: Call) -> None:
    call.emit(LogSoftmax(), [call.source(0)], call.shape(0))


@imports("CUMSUM", CumSum, 2, 2)
def _cumsum(call: Call) -> None:
    options = call.options(schema.CumsumOptions)
    shape, inner = call.given(0).shape, call.shape(0)
    axis = call.axis(only(call, call.integers(1, "axis")), len(shape)) - (len(shape) - len(inner))
    if axis < 0:
        call.unsupported("CUMSUM over the batch", "Sum along another axis.")
    source = call.source(0)
    # So TensorFlow Lite Micro's sums begin, and no other runtime has them in int8.
    start = -call.builder.tensors[source].zero_point
    call.emit(CumSum(axis, options.exclusive, options.reverse, start), [source], inner)
