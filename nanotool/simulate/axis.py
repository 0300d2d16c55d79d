"""Functions of all elements along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import ArgMax, CumSum, Int8Array, Int32Array, LogSoftmax, Softmax
from nanotool.ops import Layer
from nanotool.ops.shape import running_sum
from nanotool.simulate.kernels import kernel


@kernel(Softmax)
def softmax(layer: Layer[Softmax], x: Int8Array) -> NDArray[Any]:
    """exp(beta x) / sum exp(beta x) over the last axis, in fixed point."""
    source = layer.input
    if layer.is_wide:
        multiplier = numerics.wide_softmax_multiplier(layer.op.beta, source.scale)
        return numerics.wide_softmax(x, multiplier)
    bits = 8 if layer.output.dtype == "int8" else 16
    return numerics.softmax(x, *numerics.softmax_parameters(layer.op.beta, source.scale), bits)


@kernel(LogSoftmax)
def log_softmax(layer: Layer[LogSoftmax], x: Int8Array) -> Int8Array:
    """x - log sum exp(x) over the last axis, in fixed point."""
    source = layer.input
    return numerics.log_softmax(x, numerics.log_softmax_parameters(source.scale))


@kernel(ArgMax)
def argmax(layer: Layer[ArgMax], x: Int8Array) -> Int32Array:
    """The index of the largest element along the axis, the first of equal ones."""
    return np.asarray(np.argmax(x, axis=1 + layer.op.axis), np.int32)


@kernel(CumSum)
def cumsum(layer: Layer[CumSum], x: Int8Array) -> Int8Array:
    """out[k] = clamp(zero point + (start + sum of in[j] - zero point over j <= k) * scale), j < k
    if exclusive, j >= k or j > k if reverse."""
    op, axis = layer.op, 1 + layer.op.axis
    centered = x.astype(np.int64) - layer.input.zero_point
    ordered = np.flip(centered, axis) if op.reverse else centered
    sums = np.asarray(ordered.cumsum(axis), np.int64)
    if op.exclusive:
        sums -= ordered
    if op.reverse:
        sums = np.flip(sums, axis)
    left, multiplier = running_sum(layer)
    shifted = (sums + op.start) << left
    return numerics.requantize(shifted, *multiplier, layer.output.zero_point, *layer.clamp)
