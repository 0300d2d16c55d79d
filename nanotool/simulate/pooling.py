"""Pools, and the mean over axes."""

from __future__ import annotations

import numpy as np

from nanotool import numerics
from nanotool.errors import InvalidModel
from nanotool.ir import INT8_MIN, AveragePool2D, Int8Array, MaxPool2D, Mean, QGraph, QOp
from nanotool.simulate.registry import kernel
from nanotool.simulate.windows import windows


@kernel(MaxPool2D)
def max_pool(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[y, x, c] = clamp(max over the window); padding never wins."""
    assert isinstance(op.op, MaxPool2D)
    most = windows(x, op.op.window, fill=INT8_MIN).max(axis=(4, 5))
    clipped: Int8Array = np.clip(most, *op.clamp).astype(np.int8)
    return clipped


@kernel(AveragePool2D)
def average_pool(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[y, x, c] = clamp(sum / count), halves away from zero; padding is not counted."""
    assert isinstance(op.op, AveragePool2D)
    total = windows(x, op.op.window, fill=0).sum(axis=(4, 5), dtype=np.int64)
    inside = np.ones((1, *x.shape[1:3], 1), np.int64)
    count = windows(inside, op.op.window, fill=0).sum(axis=(4, 5))
    if not count.all():
        raise InvalidModel(
            f"{op.name}: an average pool window lies wholly in the padding.",
            "Pad by less than the kernel.",
        )
    nudged = total + np.where(total > 0, count // 2, -(count // 2))
    return np.clip(numerics.divide_toward_zero(nudged, count), *op.clamp).astype(np.int8)


@kernel(Mean)
def mean(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out = requantize(sum over the axes of (in - zero point)), the count in the multiplier."""
    assert isinstance(op.op, Mean)
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    count = int(np.prod([source.shape[axis] for axis in op.op.axes], dtype=np.int64))
    multiplier = numerics.mean_multiplier(source.scale, target.scale, count)
    axes = tuple(1 + axis for axis in op.op.axes)
    total = x.sum(axis=axes, dtype=np.int64, keepdims=op.op.keep_dims)
    zero_points = source.zero_point, target.zero_point
    return numerics.mean(total, count, multiplier, zero_points, op.clamp)
