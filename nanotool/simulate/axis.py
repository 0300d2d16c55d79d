"""Functions of all elements along an axis."""

from __future__ import annotations

import numpy as np

from nanotool import numerics
from nanotool.ir import ArgMax, Int8Array, Int32Array, LogSoftmax, Softmax
from nanotool.ops import Layer
from nanotool.simulate.kernels import kernel


@kernel(Softmax)
def softmax(layer: Layer[Softmax], x: Int8Array) -> Int8Array:
    """exp(beta x) / sum exp(beta x) over the last axis, in fixed point."""
    source = layer.input
    return numerics.softmax(x, *numerics.softmax_parameters(layer.op.beta, source.scale))


@kernel(LogSoftmax)
def log_softmax(layer: Layer[LogSoftmax], x: Int8Array) -> Int8Array:
    """x - log sum exp(x) over the last axis, in fixed point."""
    source = layer.input
    return numerics.log_softmax(x, numerics.log_softmax_parameters(source.scale))


@kernel(ArgMax)
def argmax(layer: Layer[ArgMax], x: Int8Array) -> Int32Array:
    """The index of the largest element along the axis, the first of equal ones."""
    return np.asarray(np.argmax(x, axis=1 + layer.op.axis), np.int32)
