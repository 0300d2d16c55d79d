"""Two operators in one call, with no image between them: a convolution and the max pool or the
addition behind it; a recurrent layer and the cut that leaves its last step. Byte for byte the same,
in less memory; a max pool leaves fewer accumulators to requantize.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nanotool import numerics
from nanotool.ir import Binary, Conv2D, MaxPool2D, Op, Slice, Struct, Window
from nanotool.lower.layer import (
    NOTHING,
    Call,
    Fields,
    IndexArray,
    TargetLayer,
    factor,
    faster_calls,
    overlap,
    portable_calls,
    store,
)
from nanotool.lower.linear import conv2d_needs, conv2d_struct, folded_bias, is_depthwise
from nanotool.lower.pooling import window_struct
from nanotool.ops import facts, keeps_bytes

_INT32 = 2**31


def calls_of(
    layers: Sequence[TargetLayer[Any]], results: Sequence[str]
) -> Iterator[tuple[tuple[TargetLayer[Any], ...], tuple[Call, ...]]]:
    """``layers`` in order with the calls that compute them: by themselves, or two with the one that
    does both. The first one of two is read by the second one alone, right behind it, and is none of
    the graph's ``results``. No calls: the layer's output is its input's bytes.
    """
    readers = Counter(name for layer in layers for name in layer.qop.inputs)
    readers.update(results)
    rest = list(layers)
    while rest:
        first = rest.pop(0)
        if keeps_bytes(first.op, first.input.shape, first.output.shape):
            yield (first,), ()
            continue
        last = _last_row(first, rest) if readers[first.name] == 1 else None
        if last is not None:
            rest = [layer for layer in rest if layer is not last]
            alone = replace(first, output=last.output)
            yield (first, last), faster_calls(alone) or portable_calls(alone)
            continue
        reader = rest[0] if rest and first.name in rest[0].qop.inputs else None
        if readers[first.name] > 1:
            reader = None
        # A faster kernel computes the first one by itself; but where memory is to be small, an
        # image less counts more.
        faster = None if first.optimize == "size" else faster_calls(first)
        both = None if faster is not None or reader is None else _fused(first, reader)
        if both is not None and reader is not None:
            yield (first, rest.pop(0)), (both,)
            continue
        if first.optimize == "size":
            faster = faster_calls(first)
        yield (first,), faster or portable_calls(first)


def _last_row(first: TargetLayer[Any], rest: Sequence[TargetLayer[Any]]) -> TargetLayer[Any] | None:
    """Which of ``rest`` takes from ``first``, a layer with gates, h after the last step alone."""
    if not facts(first.op).gates or len(first.output.shape) != 2:
        return None
    row = 0 if first.op.reverse else first.output.shape[0] - 1
    wanted, shape = Slice((row, 0), (1, 1)), (1, first.output.shape[1])
    return next(
        (
            layer
            for layer in rest
            if first.name in layer.qop.inputs and layer.op == wanted and layer.output.shape == shape
        ),
        None,
    )


def _fused(first: TargetLayer[Any], second: TargetLayer[Any]) -> Call | None:
    """The call that does both, its ``reads`` counted over the inputs of ``first`` and then of
    ``second``; None if no kernel can.

    Where code is to be small additions stay by themselves: their kernel is there anyway.
    """
    if not isinstance(first.op, Conv2D) or is_depthwise(first) or first.is_wide:
        return None
    match second.op:
        case MaxPool2D():
            return _with_max_pool(first, second)
        case Binary("add") if first.optimize != "size":
            return _with_add(first, second)
        case _:
            return None


# --- Max pool -------------------------------------------------------------------------------------


def _with_max_pool(first: TargetLayer[Conv2D], second: TargetLayer[MaxPool2D]) -> Call | None:
    """None where windows overlap, as accumulators would be needed twice."""
    window = second.op.window
    sides = zip(window.stride, window.kernel, strict=True)
    if window.dilation != (1, 1) or any(step < size for step, size in sides) or not _rises(first):
        return None
    low, high = second.clamp
    clamp = (min(max(first.clamp[0], low), high), min(max(first.clamp[1], low), high))
    clamped = replace(first, qop=replace(first.qop, clamp=clamp))
    fields = (("conv", conv2d_struct(clamped)), ("pool", window_struct(window, second)))
    needs = _pooled(conv2d_needs(first), window, second)
    taps = [_inside(window, second, axis).sum() for axis in range(2)]
    return Call(
        "nano_conv2d_max_pool",
        Struct("nano_conv2d_max_pool_params", fields),
        (overlap(needs),),
        macs=int(taps[0] * taps[1]) * first.weight.size,
        scratch=4 * second.output.shape[2],
    )


def _rises(layer: TargetLayer[Conv2D]) -> bool:
    """Whether requantization never falls as an accumulator rises: nowhere does acc * 2^left, or the
    zero point added to what becomes of it, leave int32."""
    sums = np.abs(layer.weight.reshape(len(layer.weight), -1).astype(np.int64)).sum(axis=1)
    largest = np.abs(folded_bias(layer)) + 128 * sums
    _, shift = layer.multipliers()
    left = np.maximum(shift.astype(np.int64), 0)
    return bool((largest < (_INT32 - 256) >> left).all())


def _inside(window: Window, layer: TargetLayer[Op], axis: int) -> IndexArray:
    """Along one axis: how many of each pool window's taps are inside its input."""
    start = np.arange(layer.output.shape[axis], dtype=np.int64) * window.stride[axis]
    start -= window.padding[axis]
    end = np.minimum(start + window.kernel[axis], layer.input.shape[axis])
    return end - np.maximum(start, 0)


def _pooled(needs: IndexArray, window: Window, layer: TargetLayer[Op]) -> IndexArray:
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
    return _first_of_pixel(pooled, channels)


def _first_of_pixel(needs: IndexArray, channels: int) -> IndexArray:
    """``needs`` of pixels as those of bytes: the first channel's, NOTHING for the others."""
    result = np.full((needs.size, channels), NOTHING)
    result[:, 0] = needs.reshape(-1)
    return result.reshape(-1)


# --- Add ------------------------------------------------------------------------------------------


def _with_add(first: TargetLayer[Conv2D], second: TargetLayer[Binary]) -> Call | None:
    number = 1 - second.qop.inputs.index(first.name)
    other = second.inputs[number]
    if second.constants[number] is not None or other.shape != first.output.shape:
        return None
    factors = numerics.add_parameters(first.output.scale, other.scale, second.output.scale)
    fields: Fields = (
        ("conv", conv2d_struct(first)),
        ("b_zero_point", other.zero_point),
        ("a_factor", factor(factors.input1)),
        ("b_factor", factor(factors.input2)),
        ("out_factor", factor(factors.output)),
        ("store", store(second)),
    )
    channels = first.output.shape[2]
    pixels = conv2d_needs(first).reshape(-1, channels).min(axis=1)
    return Call(
        "nano_conv2d_add",
        Struct("nano_conv2d_add_params", fields),
        (overlap(_first_of_pixel(pixels, channels)), 0),
        reads=(0, 1 + number),
        scratch=channels,
    )
