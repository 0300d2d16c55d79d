"""Sums of products: dense layers and convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    Int8Array,
)
from nanotool.ops import Layer
from nanotool.simulate.kernels import kernel
from nanotool.simulate.windows import exact_float, padded, windows


def _requantize(layer: Layer[Any], sums: NDArray[Any]) -> Int8Array:
    """Add the bias to a convolution's or dense layer's sums and bring them to the output."""
    multiplier, shift = layer.multipliers()
    acc = numerics.wrap_int32(sums + layer.bias)
    return numerics.requantize(acc, multiplier, shift, layer.output.zero_point, *layer.clamp)


@kernel(Dense)
def dense(layer: Layer[Dense], x: Int8Array) -> Int8Array:
    """out[.., o] = requantize(bias[o] + sum_i (in[.., i] - zero point) * w[o, i])."""
    real = exact_float(layer.weight.shape[1])
    centered = x.astype(real) - real(layer.input.zero_point)
    sums = (centered @ layer.weight.astype(real).T).astype(np.int64)
    return _requantize(layer, sums)


@kernel(Conv2D)
def conv2d(layer: Layer[Conv2D], x: Int8Array) -> Int8Array:
    """out[y, x, o] = requantize(bias[o] + sum_{i,j,c} (in[y*sh + i*dh - pt, x*sw + j*dw - pl, c]
    - zero point) * w[o, i, j, c]), c over the channels of o's group; nothing outside the input.
    """
    real = exact_float(layer.weight[0].size)
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
    real = exact_float(layer.weight[0].size)
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
