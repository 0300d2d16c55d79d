"""Sums of products: dense layers and convolutions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    GroupNorm,
    Int8Array,
    LayerNorm,
    MatMul,
)
from nanotool.ops import Layer
from nanotool.ops.shape import matmul_multiplier, normalized_elements
from nanotool.simulate.kernels import kernel
from nanotool.simulate.windows import exact_float, padded, windows


def _requantize(layer: Layer[Any], sums: NDArray[Any]) -> NDArray[Any]:
    """Add the bias to a convolution's or dense layer's sums and bring them to the output."""
    if layer.is_wide:
        return numerics.requantize_wide(sums + layer.bias, *layer.wide_multipliers(), layer.clamp)
    multiplier, shift = layer.multipliers()
    acc = numerics.wrap_int32(sums + layer.bias)
    return numerics.requantize(acc, multiplier, shift, layer.output.zero_point, *layer.clamp)


@kernel(Dense)
def dense(layer: Layer[Dense], x: Int8Array) -> Int8Array:
    """out[.., o] = requantize(bias[o] + sum_i (in[.., i] - zero point) * w[o, i])."""
    real = exact_float(layer.weight.shape[1], wide=layer.is_wide)
    centered = x.astype(real) - real(layer.input.zero_point)
    sums = (centered @ layer.weight.astype(real).T).astype(np.int64)
    return _requantize(layer, sums)


@kernel(Conv2D)
def conv2d(layer: Layer[Conv2D], x: Int8Array) -> Int8Array:
    """out[y, x, o] = requantize(bias[o] + sum_{i,j,c} (in[y*sh + i*dh - pt, x*sw + j*dw - pl, c]
    - zero point) * w[o, i, j, c]), c over the channels of o's group; nothing outside the input.
    """
    real = exact_float(layer.weight[0].size, wide=layer.is_wide)
    centered = x.astype(real) - real(layer.input.zero_point)
    sums = (_depthwise_sums if layer.op.groups == x.shape[3] else _grouped_sums)(layer, centered)
    return _requantize(layer, sums.astype(np.int64))


def _grouped_sums(layer: Layer[Conv2D], centered: NDArray[Any]) -> NDArray[Any]:
    """Group by group: a matrix of patches times a matrix of weights."""
    outputs, kernel_h, kernel_w, depth = layer.weight.shape
    terms, per_group = kernel_h * kernel_w * depth, outputs // layer.op.groups
    patches = windows(centered, layer.op.window, fill=0)  # n, y, x, c, i, j
    sums = np.empty((*patches.shape[:3], outputs), centered.dtype)
    weight = layer.weight.transpose(0, 3, 1, 2).reshape(outputs, terms).astype(centered.dtype)
    for group in range(layer.op.groups):
        rows = patches[:, :, :, group * depth : (group + 1) * depth].reshape(-1, terms)
        chosen = slice(group * per_group, (group + 1) * per_group)
        sums[..., chosen] = (rows @ weight[chosen].T).reshape(*patches.shape[:3], per_group)
    return sums


def _depthwise_sums(layer: Layer[Conv2D], centered: NDArray[Any]) -> NDArray[Any]:
    """One input channel a group: tap by tap, channels side by side."""
    window = layer.op.window
    rows, columns = window.output_size(*centered.shape[1:3])
    image = padded(centered, window, fill=0)[..., np.newaxis]  # n, y, x, c, 1
    depth = centered.shape[3]
    weight = layer.weight[..., 0].astype(centered.dtype).reshape(depth, -1, *window.kernel)
    sums = np.zeros((len(centered), rows, columns, *weight.shape[:2]), centered.dtype)
    for i, j in np.ndindex(*window.kernel):
        top, left = i * window.dilation[0], j * window.dilation[1]
        bottom = top + (rows - 1) * window.stride[0] + 1
        right = left + (columns - 1) * window.stride[1] + 1
        taps = image[:, top : bottom : window.stride[0], left : right : window.stride[1]]
        sums += taps * weight[:, :, i, j]
    return sums.reshape(*sums.shape[:3], -1)


@kernel(ConvTranspose2D)
def conv_transpose2d(layer: Layer[ConvTranspose2D], x: Int8Array) -> Int8Array:
    """out[y, x, o] = requantize(bias[o] + sum (in[v, u, c] - zero point) * w[o, i, j, c]) over all
    v, u, i, j, c with v*sh + i = y + pt and u*sw + j = x + pl."""
    stride, padding = layer.op.window.stride, layer.op.window.padding
    rows, columns, outputs = layer.output.shape
    real = exact_float(layer.weight[0].size, wide=layer.is_wide)
    centered = x.astype(real) - real(layer.input.zero_point)
    n, height, width = x.shape[:3]
    spans = [
        max((size - 1) * step + taps, before + out)
        for size, step, taps, before, out in zip(
            (height, width),
            stride,
            layer.op.window.kernel,
            padding[:2],
            (rows, columns),
            strict=True,
        )
    ]
    sums = np.zeros((n, *spans, outputs), np.int64)
    for i, j in np.ndindex(*layer.op.window.kernel):
        product = (centered @ layer.weight[:, i, j].astype(real).T).astype(np.int64)
        bottom, right = i + (height - 1) * stride[0] + 1, j + (width - 1) * stride[1] + 1
        sums[:, i : bottom : stride[0], j : right : stride[1]] += product
    top, left = padding[:2]
    inside = sums[:, top : top + rows, left : left + columns]
    return _requantize(layer, inside)


@kernel(MatMul)
def matmul(layer: Layer[MatMul], a: Int8Array, b: Int8Array) -> Int8Array:
    """out[.., m, n] = requantize(sum_k (a[.., m, k] - zero point) * (b[.., k, n] - zero point))."""
    x, y = (
        one.astype(np.float64) - tensor.zero_point
        for one, tensor in zip((a, b), layer.inputs, strict=True)
    )
    x = np.swapaxes(x, -1, -2) if layer.op.adj_x else x
    y = np.swapaxes(y, -1, -2) if layer.op.adj_y else y
    sums = np.matmul(x, y).astype(np.int64)
    return numerics.requantize(
        sums, *matmul_multiplier(layer), layer.output.zero_point, *layer.clamp
    )


@kernel(LayerNorm, GroupNorm)
def norm(layer: Layer[LayerNorm | GroupNorm], x: Int8Array) -> Int8Array:
    """out[c] = requantize(bias[c] + normalized[c] * w[c]), normalized with 12 bits behind the
    point; see numerics.normalization."""
    op, count = layer.op, normalized_elements(layer)
    groups = op.groups if isinstance(op, GroupNorm) else 1
    positions = math.prod(x.shape[1:-1]) if isinstance(op, GroupNorm) else 1
    q = x.astype(np.int64).reshape(-1, positions, groups, x.shape[-1] // groups)
    uncentered = isinstance(op, LayerNorm) and not op.centered
    q = q - layer.input.zero_point if uncentered else q
    total = np.int64(0) if uncentered else q.sum(axis=(1, 3), keepdims=True)
    squares = count * (q * q).sum(axis=(1, 3), keepdims=True) - total * total
    epsilon = numerics.normalization_epsilon(op.epsilon, layer.input.scale, count)
    normalized = numerics.normalize(count * q - total, squares + epsilon).reshape(x.shape)
    return _requantize(layer, normalized * layer.weight.astype(np.int64))
