"""Elements go elsewhere: reshape, transpose, concat, slice, pad, resize."""

from __future__ import annotations

import numpy as np

from nanotool import numerics
from nanotool.ir import Concat, Gather, Int8Array, Pad, Reshape, Resize, Slice, Transpose
from nanotool.ops import Layer
from nanotool.simulate.kernels import kernel


@kernel(Reshape)
def reshape(layer: Layer[Reshape], x: Int8Array) -> Int8Array:
    """The same bytes in the same order."""
    return x.reshape(len(x), *layer.op.shape)


@kernel(Transpose)
def transpose(layer: Layer[Transpose], x: Int8Array) -> Int8Array:
    """Axis i of the output is axis permutation[i] of the input."""
    return np.ascontiguousarray(x.transpose(0, *(1 + axis for axis in layer.op.permutation)))


@kernel(Concat)
def concat(layer: Layer[Concat], *inputs: Int8Array) -> Int8Array:
    """The inputs one behind the other along the axis."""
    return np.concatenate(inputs, axis=1 + layer.op.axis)


@kernel(Slice)
def slice_(layer: Layer[Slice], x: Int8Array) -> Int8Array:
    """out[i0, ..] = in[begin[0] + i0 * stride[0], ..]."""
    shape = layer.output.shape
    index = [slice(None)]
    for begin, stride, count in zip(layer.op.begin, layer.op.stride, shape, strict=True):
        index.append(slice(begin, begin + (count - 1) * stride + 1, stride))
    return np.ascontiguousarray(x[tuple(index)])


@kernel(Gather)
def gather(layer: Layer[Gather], x: Int8Array) -> Int8Array:
    """Along the axis the elements with these numbers."""
    return x.take(np.asarray(layer.op.indices), axis=1 + layer.op.axis)


@kernel(Pad)
def pad(layer: Layer[Pad], x: Int8Array) -> Int8Array:
    """The input with more elements around it: the zero point, or a value."""
    zero_point = layer.output.zero_point
    fill = zero_point if layer.op.value is None else layer.op.value
    widths = ((0, 0), *zip(layer.op.before, layer.op.after, strict=True))
    return np.pad(x, widths, constant_values=fill)


@kernel(Resize)
def resize(layer: Layer[Resize], x: Int8Array) -> Int8Array:
    """Another height and width, by nearest or bilinear interpolation."""
    height, width = layer.output.shape[:2]
    corners, centers = layer.op.align_corners, layer.op.half_pixel_centers
    if layer.op.method == "nearest":
        rows = numerics.nearest_positions(x.shape[1], height, corners, centers)
        columns = numerics.nearest_positions(x.shape[2], width, corners, centers)
        return x[:, rows][:, :, columns]
    down = numerics.bilinear_positions(x.shape[1], height, corners, centers)
    across = numerics.bilinear_positions(x.shape[2], width, corners, centers)
    wide, one = x.astype(np.int64), 1 << numerics.BILINEAR_BITS
    weight = across.weight[:, np.newaxis]
    mixed = wide[:, :, across.lower] * (one - weight) + wide[:, :, across.upper] * weight
    weight = down.weight[:, np.newaxis, np.newaxis]
    total = mixed[:, down.lower] * (one - weight) + mixed[:, down.upper] * weight
    half = np.where(total > 0, one * one // 2, -(one * one // 2))
    return numerics.divide_toward_zero(total + half, one * one).astype(np.int8)
