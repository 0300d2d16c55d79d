"""Pools, and the mean over axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.errors import InvalidModel
from nanotool.ir import AveragePool2D, Int8Array, MaxPool2D, Mean, Reduce, unclamped
from nanotool.ops import Layer
from nanotool.ops.shape import averaged, reduced_multiplier
from nanotool.simulate.kernels import kernel
from nanotool.simulate.windows import windows


@kernel(MaxPool2D)
def max_pool(layer: Layer[MaxPool2D], x: NDArray[Any]) -> NDArray[Any]:
    """out[y, x, c] = clamp(max over the window); padding never wins."""
    most = windows(x, layer.op.window, fill=unclamped(layer.input.dtype)[0]).max(axis=(4, 5))
    return np.asarray(np.clip(most, *layer.clamp), x.dtype)


@kernel(AveragePool2D)
def average_pool(layer: Layer[AveragePool2D], x: NDArray[Any]) -> NDArray[Any]:
    """out[y, x, c] = clamp(sum / count), halves away from zero; padding is not counted."""
    total = windows(x, layer.op.window, fill=0).sum(axis=(4, 5), dtype=np.int64)
    inside = np.ones((1, *x.shape[1:3], 1), np.int64)
    count = windows(inside, layer.op.window, fill=0).sum(axis=(4, 5))
    if not count.all():
        raise InvalidModel(
            f"{layer.name}: an average pool window lies wholly in the padding.",
            "Pad by less than the kernel.",
        )
    nudged = total + np.where(total > 0, count // 2, -(count // 2))
    return np.clip(numerics.divide_toward_zero(nudged, count), *layer.clamp).astype(x.dtype)


@kernel(Reduce)
def reduce(layer: Layer[Reduce], x: Int8Array) -> Int8Array:
    """The largest, the smallest, or requantize(sum of (in - zero point)), over the axes."""
    op = layer.op
    axes = tuple(1 + axis for axis in op.axes)
    if op.function != "sum":
        most = (np.max if op.function == "max" else np.min)(x, axis=axes, keepdims=op.keep_dims)
        clipped: Int8Array = np.clip(most, *layer.clamp).astype(np.int8)
        return clipped
    total = x.sum(axis=axes, dtype=np.int64, keepdims=op.keep_dims)
    zero_points = layer.input.zero_point, layer.output.zero_point
    return numerics.mean(
        total, averaged(layer), reduced_multiplier(layer), zero_points, layer.clamp
    )


@kernel(Mean)
def mean(layer: Layer[Mean], x: Int8Array) -> Int8Array:
    """out = requantize(sum over the axes of (in - zero point)), the count in the multiplier."""
    source, target = layer.input, layer.output
    count = averaged(layer)
    multiplier = numerics.mean_multiplier(source.scale, target.scale, count)
    axes = tuple(1 + axis for axis in layer.op.axes)
    total = x.sum(axis=axes, dtype=np.int64, keepdims=layer.op.keep_dims)
    zero_points = source.zero_point, target.zero_point
    return numerics.mean(total, count, multiplier, zero_points, layer.clamp)
