"""Functions of all elements along an axis: softmax, log-softmax, argmax."""

from __future__ import annotations

import math

import numpy as np

from nanotool import numerics
from nanotool.ir import ArgMax, CumSum, LogSoftmax, Op, Softmax, Struct
from nanotool.lower.layer import (
    Call,
    Fields,
    TargetLayer,
    factor,
    lowers,
    overlap,
    positions,
    store,
    wide,
)
from nanotool.ops.shape import running_sum


@lowers(Softmax)
def _softmax(layer: TargetLayer[Softmax]) -> Call:
    """Row by row; a row's last pass reads an element before it writes it: it works in place."""
    params = _softmax_struct(layer.op.beta, layer)
    if layer.output.dtype == "int8":
        return Call("nano_softmax", params, (0,))
    needs = overlap(wide(np.arange(layer.output.size), 2))
    return Call("nano_softmax_int16", params, (needs,))


def _softmax_struct(beta: float, layer: TargetLayer[Op]) -> Struct:
    """nano_softmax_params."""
    depth = layer.input.shape[-1]
    multiplier, left_shift, diff_min = numerics.softmax_parameters(beta, layer.input.scale)
    fields = (
        ("rows", layer.input.size // depth),
        ("depth", depth),
        ("multiplier", multiplier),
        ("left_shift", left_shift),
        ("diff_min", diff_min),
    )
    return Struct("nano_softmax_params", fields)


@lowers(LogSoftmax)
def _log_softmax(layer: TargetLayer[LogSoftmax]) -> Call:
    """As softmax."""
    reverse = numerics.log_softmax_parameters(layer.input.scale).reverse
    fields = (("row", _softmax_struct(1.0, layer)), ("reverse", factor(reverse)))
    return Call("nano_log_softmax", Struct("nano_log_softmax_params", fields), (0,))


@lowers(ArgMax)
def _argmax(layer: TargetLayer[ArgMax]) -> Call:
    """An index is 4 bytes; it needs the elements that it is searched among."""
    op = layer.op
    shape = layer.input.shape
    fields = (
        ("outer", math.prod(shape[: op.axis])),
        ("count", shape[op.axis]),
        ("inner", math.prod(shape[op.axis + 1 :])),
    )
    first = positions(layer.input).take(0, axis=op.axis).reshape(-1)
    return Call("nano_argmax", Struct("nano_argmax_params", fields), (overlap(wide(first, 4)),))


@lowers(CumSum)
def _cumsum(layer: TargetLayer[CumSum]) -> Call:
    """A cumulative sum: an element is read just before it is written, those behind it along the
    axis before any of them is; in scratch are the sums so far, 4 bytes each."""
    op, shape = layer.op, layer.input.shape
    left, multiplier = running_sum(layer)
    inner = math.prod(shape[op.axis + 1 :])
    fields: Fields = (
        ("outer", math.prod(shape[: op.axis])),
        ("count", shape[op.axis]),
        ("inner", inner),
        ("in_zero_point", layer.input.zero_point),
        ("start", op.start),
        ("left", left),
        ("exclusive", int(op.exclusive)),
        ("reverse", int(op.reverse)),
        ("factor", factor(multiplier)),
        ("store", store(layer)),
    )
    return Call("nano_cumsum", Struct("nano_cumsum_params", fields), (0,), scratch=4 * inner)
