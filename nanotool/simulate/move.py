"""Elements go elsewhere: reshape, transpose, concat, slice, pad, resize."""

from __future__ import annotations

import numpy as np

from nanotool import numerics
from nanotool.ir import Concat, Int8Array, Pad, QGraph, QOp, Reshape, Resize, Slice, Transpose
from nanotool.simulate.registry import kernel


@kernel(Reshape)
def reshape(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """The same bytes in the same order."""
    assert isinstance(op.op, Reshape)
    return x.reshape(len(x), *op.op.shape)


@kernel(Transpose)
def transpose(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """Axis i of the output is axis permutation[i] of the input."""
    assert isinstance(op.op, Transpose)
    return np.ascontiguousarray(x.transpose(0, *(1 + axis for axis in op.op.permutation)))


@kernel(Concat)
def concat(_graph: QGraph, op: QOp, *inputs: Int8Array) -> Int8Array:
    """The inputs one behind the other along the axis."""
    assert isinstance(op.op, Concat)
    return np.concatenate(inputs, axis=1 + op.op.axis)


@kernel(Slice)
def slice_(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[i0, ..] = in[begin[0] + i0 * stride[0], ..]."""
    assert isinstance(op.op, Slice)
    shape = graph.tensors[op.name].shape
    index = [slice(None)]
    for begin, stride, count in zip(op.op.begin, op.op.stride, shape, strict=True):
        index.append(slice(begin, begin + (count - 1) * stride + 1, stride))
    return np.ascontiguousarray(x[tuple(index)])


@kernel(Pad)
def pad(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """The input with more elements around it: the zero point, or a value."""
    assert isinstance(op.op, Pad)
    zero_point = graph.tensors[op.name].zero_point
    fill = zero_point if op.op.value is None else op.op.value
    widths = ((0, 0), *zip(op.op.before, op.op.after, strict=True))
    return np.pad(x, widths, constant_values=fill)


@kernel(Resize)
def resize(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """Another height and width, by nearest or bilinear interpolation."""
    assert isinstance(op.op, Resize)
    height, width = graph.tensors[op.name].shape[:2]
    corners, centers = op.op.align_corners, op.op.half_pixel_centers
    if op.op.method == "nearest":
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
