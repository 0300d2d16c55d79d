"""Sums of products: dense layers and convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Int8Array,
    Int32Array,
    QGraph,
    QOp,
)
from nanotool.simulate.registry import kernel
from nanotool.simulate.windows import exact_float, padded, windows

Multipliers: TypeAlias = Callable[[float, FloatArray, float], tuple[Int32Array, Int8Array]]


def _requantize(graph: QGraph, op: QOp, sums: NDArray[Any], multipliers: Multipliers) -> Int8Array:
    """Add the bias to a convolution's or dense layer's sums and bring them to the output."""
    assert op.weight_scale is not None
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    multiplier, shift = multipliers(source.scale, op.weight_scale, target.scale)
    acc = numerics.wrap_int32(sums if op.bias is None else sums + op.bias)
    return numerics.requantize(acc, multiplier, shift, target.zero_point, *op.clamp)


@kernel(Dense)
def dense(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[.., o] = requantize(bias[o] + sum_i (in[.., i] - zero point) * w[o, i])."""
    assert op.weight is not None
    real = exact_float(op.weight.shape[1])
    centered = x.astype(real) - real(graph.tensors[op.inputs[0]].zero_point)
    sums = (centered @ op.weight.astype(real).T).astype(np.int64)
    return _requantize(graph, op, sums, numerics.dense_multipliers)


@kernel(Conv2D)
def conv2d(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[y, x, o] = requantize(bias[o] + sum_{i,j,c} (in[y*sh + i*dh - pt, x*sw + j*dw - pl, c]
    - zero point) * w[o, i, j, c]), c over the channels of o's group; nothing outside the input.
    """
    assert isinstance(op.op, Conv2D)
    assert op.weight is not None
    real = exact_float(op.weight[0].size)
    centered = x.astype(real) - real(graph.tensors[op.inputs[0]].zero_point)
    sums = (_depthwise_sums if op.op.groups == x.shape[3] else _grouped_sums)(op, op.op, centered)
    return _requantize(graph, op, sums.astype(np.int64), numerics.conv_multipliers)


def _grouped_sums(op: QOp, conv: Conv2D, centered: NDArray[Any]) -> NDArray[Any]:
    """Group by group: a matrix of patches times a matrix of weights."""
    assert op.weight is not None
    outputs, kernel_h, kernel_w, depth = op.weight.shape
    terms, per_group = kernel_h * kernel_w * depth, outputs // conv.groups
    patches = windows(centered, conv.window, fill=0)  # n, y, x, c, i, j
    sums = np.empty((*patches.shape[:3], outputs), centered.dtype)
    weight = op.weight.transpose(0, 3, 1, 2).reshape(outputs, terms).astype(centered.dtype)
    for group in range(conv.groups):
        rows = patches[:, :, :, group * depth : (group + 1) * depth].reshape(-1, terms)
        chosen = slice(group * per_group, (group + 1) * per_group)
        sums[..., chosen] = (rows @ weight[chosen].T).reshape(*patches.shape[:3], per_group)
    return sums


def _depthwise_sums(op: QOp, conv: Conv2D, centered: NDArray[Any]) -> NDArray[Any]:
    """One input channel a group: tap by tap, channels side by side."""
    assert op.weight is not None
    window = conv.window
    rows, columns = window.output_size(*centered.shape[1:3])
    image = padded(centered, window, fill=0)[..., np.newaxis]  # n, y, x, c, 1
    depth = centered.shape[3]
    weight = op.weight[..., 0].astype(centered.dtype).reshape(depth, -1, *window.kernel)
    sums = np.zeros((len(centered), rows, columns, *weight.shape[:2]), centered.dtype)
    for i, j in np.ndindex(*window.kernel):
        top, left = i * window.dilation[0], j * window.dilation[1]
        bottom = top + (rows - 1) * window.stride[0] + 1
        right = left + (columns - 1) * window.stride[1] + 1
        taps = image[:, top : bottom : window.stride[0], left : right : window.stride[1]]
        sums += taps * weight[:, :, i, j]
    return sums.reshape(*sums.shape[:3], -1)


@kernel(ConvTranspose2D)
def conv_transpose2d(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[y, x, o] = requantize(bias[o] + sum (in[v, u, c] - zero point) * w[o, i, j, c]) over all
    v, u, i, j, c with v*sh + i = y + pt and u*sw + j = x + pl."""
    assert isinstance(op.op, ConvTranspose2D)
    assert op.weight is not None
    stride, padding = op.op.window.stride, op.op.window.padding
    rows, columns, outputs = graph.tensors[op.name].shape
    real = exact_float(op.weight[0].size)
    centered = x.astype(real) - real(graph.tensors[op.inputs[0]].zero_point)
    n, height, width = x.shape[:3]
    spans = [
        max((size - 1) * step + taps, before + out)
        for size, step, taps, before, out in zip(
            (height, width), stride, op.op.window.kernel, padding[:2], (rows, columns), strict=True
        )
    ]
    sums = np.zeros((n, *spans, outputs), np.int64)
    for i, j in np.ndindex(*op.op.window.kernel):
        product = (centered @ op.weight[:, i, j].astype(real).T).astype(np.int64)
        bottom, right = i + (height - 1) * stride[0] + 1, j + (width - 1) * stride[1] + 1
        sums[:, i : bottom : stride[0], j : right : stride[1]] += product
    top, left = padding[:2]
    inside = sums[:, top : top + rows, left : left + columns]
    return _requantize(graph, op, inside, numerics.conv_multipliers)
