"""Sliding windows, pools, and the mean over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nanotool.errors import InvalidModel
from nanotool.ir import AveragePool2D, MaxPool2D, Mean, Op, Reduce, Struct, Window
from nanotool.lower.layer import (
    INT32_MAX,
    NOTHING,
    Call,
    Fields,
    IndexArray,
    TargetLayer,
    factor,
    lowers,
    merge_axes,
    overlap,
    positions,
    row_major,
    store,
)
from nanotool.ops.shape import averaged, reduced_multiplier

MAX_TAPS = INT32_MAX // 256  # of a pool's window: their sum fits int32


def window_struct(window: Window, layer: TargetLayer[Op]) -> Struct:
    """nano_window; the padding below and to the right follows from the output's size."""
    in_h, in_w, in_c = layer.input.shape
    out_h, out_w, out_c = layer.output.shape
    fields = (
        *(("in_h", in_h), ("in_w", in_w), ("in_c", in_c)),
        *(("out_h", out_h), ("out_w", out_w), ("out_c", out_c)),
        *(("kernel_h", window.kernel[0]), ("kernel_w", window.kernel[1])),
        *(("stride_h", window.stride[0]), ("stride_w", window.stride[1])),
        *(("pad_top", window.padding[0]), ("pad_left", window.padding[1])),
        *(("dilation_h", window.dilation[0]), ("dilation_w", window.dilation[1])),
    )
    return Struct("nano_window", tuple((name, layer.uint16(name, n)) for name, n in fields))


def window_needs(window: Window, layer: TargetLayer[Op], first_channel: IndexArray) -> IndexArray:
    """For each output byte the first input byte that it needs, given the first input channel of
    each output channel; NOTHING for a window in the padding alone."""
    in_h, in_w, in_c = layer.input.shape
    rows, columns = _first_taps(window, layer, 0)[:, None], _first_taps(window, layer, 1)[None, :]
    pixels = (rows * in_w + columns)[:, :, None] * in_c + first_channel
    outside = (rows == in_h) | (columns == in_w)
    return np.where(outside[:, :, None], NOTHING, pixels).reshape(-1)


def _first_taps(window: Window, layer: TargetLayer[Op], axis: int) -> IndexArray:
    """Along one axis: for each output position the first input index that its window reads, or
    the input's size where it lies in the padding alone."""
    size, count = layer.input.shape[axis], layer.output.shape[axis]
    start = np.arange(count, dtype=np.int64) * window.stride[axis] - window.padding[axis]
    skipped = np.maximum(-(start // window.dilation[axis]), 0)  # taps before the input begins
    first = start + skipped * window.dilation[axis]
    return np.where((skipped < window.kernel[axis]) & (first < size), first, size)


@lowers(MaxPool2D)
def _max_pool(layer: TargetLayer[MaxPool2D]) -> Call:
    return _pool("nano_max_pool", layer.op.window, layer)


@lowers(AveragePool2D)
def _average_pool(layer: TargetLayer[AveragePool2D]) -> Call:
    return _pool("nano_average_pool", layer.op.window, layer)


def _pool(kernel: str, window: Window, layer: TargetLayer[Op]) -> Call:
    """Pooling: an output needs its window, of its own channel only."""
    taps = math.prod(window.kernel)
    if taps > MAX_TAPS:
        raise InvalidModel(
            f"{layer.name}: a window of {taps:,} elements is too large.",
            "Their sum has to fit int32: pool in two steps.",
        )
    low, high = layer.clamp
    fields = (("window", window_struct(window, layer)), ("min", low), ("max", high))
    needs = window_needs(window, layer, np.arange(layer.input.shape[2]))
    return Call(kernel, Struct("nano_pool_params", fields), (overlap(needs),))


@lowers(Reduce)
def _reduce(layer: TargetLayer[Reduce]) -> Call:
    """A sum is a mean whose multiplier does not divide."""
    op = layer.op
    if op.function == "sum":
        return _sum(layer)
    low, high = layer.clamp
    fields: Fields = (*_axes_of(layer), ("min", low), ("max", high))
    params = Struct("nano_reduce_params", fields)
    return Call(f"nano_reduce_{op.function}", params, (_reduced_overlap(layer),))


def _axes_of(layer: TargetLayer[Mean | Reduce]) -> Fields:
    """The axes that are kept and those that are not, with their strides."""
    op, shape = layer.op, layer.input.shape
    steps = row_major(shape)
    kept = [axis for axis in range(len(shape)) if axis not in op.axes]
    return (
        *_two("kept", [shape[axis] for axis in kept], [steps[axis] for axis in kept]),
        *_two("reduced", [shape[axis] for axis in op.axes], [steps[axis] for axis in op.axes]),
    )


def _reduced_overlap(layer: TargetLayer[Mean | Reduce]) -> int | None:
    """An output needs the elements that it is made of."""
    first = positions(layer.input).min(axis=layer.op.axes)
    return overlap(np.asarray(first).reshape(-1))


@lowers(Mean)
def _mean(layer: TargetLayer[Mean]) -> Call:
    return _sum(layer)


def _sum(layer: TargetLayer[Mean] | TargetLayer[Reduce]) -> Call:
    """A mean, or a sum."""
    params = Struct("nano_mean_params", mean_fields(layer))
    return Call("nano_mean", params, (_reduced_overlap(layer),))


def mean_fields(layer: TargetLayer[Any]) -> Fields:
    """nano_mean_params."""
    return (
        *_axes_of(layer),
        ("offset", -layer.input.zero_point * averaged(layer)),
        ("scale", factor(reduced_multiplier(layer))),
        ("store", store(layer)),
    )


def _two(
    name: str, sizes: list[int], strides: list[int]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Sizes and strides over two axes, which at most four axes always merge to."""
    shape, (stride,) = merge_axes(sizes, strides)
    missing = 2 - len(shape)
    return (
        (name, (*(1,) * missing, *shape)),
        (f"{name}_stride", (*(0,) * missing, *stride)),
    )


def pooled_needs(needs: IndexArray, window: Window, layer: TargetLayer[Op]) -> IndexArray:
    """``needs`` of the pool's output, given those of its input. All of a pixel is read before any
    of it is written, so only the first channel needs something."""
    in_h, in_w, channels = layer.input.shape
    out_h, out_w, _ = layer.output.shape
    top, left, bottom, right = window.padding
    (step_h, step_w), (size_h, size_w) = window.stride, window.kernel
    pixels = needs.reshape(in_h, in_w, channels).min(axis=2)
    room = ((top, bottom + size_h), (left, right + size_w))
    padded = np.pad(pixels, room, constant_values=NOTHING)
    pooled = np.full((out_h, out_w), NOTHING)
    for i, j in np.ndindex(size_h, size_w):
        rows, columns = slice(i, i + out_h * step_h, step_h), slice(j, j + out_w * step_w, step_w)
        pooled = np.minimum(pooled, padded[rows, columns][:out_h, :out_w])
    return first_of_pixel(pooled, channels)


def first_of_pixel(needs: IndexArray, channels: int) -> IndexArray:
    """``needs`` of pixels as those of bytes: the first channel's, NOTHING for the others."""
    result = np.full((needs.size, channels), NOTHING)
    result[:, 0] = needs.reshape(-1)
    return result.reshape(-1)
