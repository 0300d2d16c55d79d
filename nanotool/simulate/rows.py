"""Functions of all elements along an axis."""

from __future__ import annotations

import numpy as np

from nanotool import numerics
from nanotool.ir import ArgMax, Int8Array, Int32Array, LogSoftmax, QGraph, QOp, Softmax
from nanotool.simulate.registry import kernel


@kernel(Softmax)
def softmax(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """exp(beta x) / sum exp(beta x) over the last axis, in fixed point."""
    assert isinstance(op.op, Softmax)
    source = graph.tensors[op.inputs[0]]
    return numerics.softmax(x, *numerics.softmax_parameters(op.op.beta, source.scale))


@kernel(LogSoftmax)
def log_softmax(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """x - log sum exp(x) over the last axis, in fixed point."""
    source = graph.tensors[op.inputs[0]]
    return numerics.log_softmax(x, numerics.log_softmax_parameters(source.scale))


@kernel(ArgMax)
def argmax(_graph: QGraph, op: QOp, x: Int8Array) -> Int32Array:
    """The index of the largest element along the axis, the first of equal ones."""
    assert isinstance(op.op, ArgMax)
    return np.asarray(np.argmax(x, axis=1 + op.op.axis), np.int32)
