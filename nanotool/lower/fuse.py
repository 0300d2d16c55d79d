"""Two operators in one call, with no image between them: a convolution and the max pool or the
addition behind it. Byte for byte the same, in less memory; a max pool leaves fewer accumulators to
requantize.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nanotool import numerics
from nanotool.ir import Binary, Conv2D, MaxPool2D, Struct, Window
from nanotool.lower.layer import (
    NOTHING,
    Call,
    Fields,
    IndexArray,
    Layer,
    calls_of,
    factor,
    overlap,
    store,
)
from nanotool.lower.linear import conv2d_needs, conv2d_struct, folded_bias
from nanotool.lower.window import window_struct

_INT32 = 2**31


def pair_up(
    layers: Sequence[Layer], output: str, optimize: str
) -> Iterator[tuple[tuple[Layer, ...], Call | None]]:
    """``layers`` in order, by themselves (None) or two with the call that does both. The first one
    of two is read by the second one alone, right behind it, and is not the graph's ``output``.

    Where code is to be small additions stay by themselves: their kernel is there anyway.
    """
    readers = Counter(name for layer in layers for name in layer.op.inputs)
    readers[output] += 1
    rest = list(layers)
    while rest:
        call = None
        if len(rest) > 1 and rest[0].op.name in rest[1].op.inputs:
            alone = readers[rest[0].op.name] == 1
            call = _fused(rest[0], rest[1], optimize) if alone else None
        count = 1 if call is None else 2
        yield tuple(rest[:count]), call
        del rest[:count]


def _fused(first: Layer, second: Layer, optimize: str) -> Call | None:
    """The call that does both, its ``reads`` counted over the inputs of ``first`` and then of
    ``second``; None if no kernel can, or if the target has a faster one for ``first`` alone."""
    conv = first.op.op
    if not isinstance(conv, Conv2D):
        return None
    # Where memory is to be small, an image less counts more than a faster kernel.
    plain = replace(first, target="portable") if optimize == "size" else first
    if calls_of(plain)[0].kernel != "nano_conv2d":
        return None  # a faster kernel computes it, by itself
    match second.op.op:
        case MaxPool2D(window):
            return _with_max_pool(conv, window, first, second)
        case Binary("add") if optimize != "size":
            return _with_add(conv, first, second)
        case _:
            return None


# --- Max pool -------------------------------------------------------------------------------------


def _with_max_pool(conv: Conv2D, window: Window, first: Layer, second: Layer) -> Call | None:
    """None where windows overlap, as accumulators would be needed twice."""
    sides = zip(window.stride, window.kernel, strict=True)
    if window.dilation != (1, 1) or any(step < size for step, size in sides) or not _rises(first):
        return None
    low, high = second.op.clamp
    clamp = (min(max(first.op.clamp[0], low), high), min(max(first.op.clamp[1], low), high))
    clamped = replace(first, op=replace(first.op, clamp=clamp))
    fields = (("conv", conv2d_struct(conv, clamped)), ("pool", window_struct(window, second)))
    needs = _pooled(conv2d_needs(conv, first), window, second)
    taps = [_inside(window, second, axis).sum() for axis in range(2)]
    assert first.op.weight is not None
    return Call(
        "nano_conv2d_max_pool",
        Struct("nano_conv2d_max_pool_params", fields),
        (overlap(needs),),
        macs=int(taps[0] * taps[1]) * first.op.weight.size,
        scratch=4 * second.output.shape[2],
    )


def _rises(layer: Layer) -> bool:
    """Whether requantization never falls as an accumulator rises: nowhere does acc * 2^left, or the
    zero point added to what becomes of it, leave int32."""
    weight, scale = layer.op.weight, layer.op.weight_scale
    assert weight is not None
    assert scale is not None
    sums = np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(axis=1)
    largest = np.abs(folded_bias(layer)) + 128 * sums
    _, shift = numerics.conv_multipliers(layer.input.scale, scale, layer.output.scale)
    left = np.maximum(shift.astype(np.int64), 0)
    return bool((largest < (_INT32 - 256) >> left).all())


def _inside(window: Window, layer: Layer, axis: int) -> IndexArray:
    """Along one axis: how many of each pool window's taps are inside its input."""
    start = np.arange(layer.output.shape[axis], dtype=np.int64) * window.stride[axis]
    start -= window.padding[axis]
    end = np.minimum(start + window.kernel[axis], layer.input.shape[axis])
    return end - np.maximum(start, 0)


def _pooled(needs: IndexArray, window: Window, layer: Layer) -> IndexArray:
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


def _with_add(conv: Conv2D, first: Layer, second: Layer) -> Call | None:
    number = 1 - second.op.inputs.index(first.op.name)
    other = second.inputs[number]
    if second.constants[number] is not None or other.shape != first.output.shape:
        return None
    factors = numerics.add_parameters(first.output.scale, other.scale, second.output.scale)
    fields: Fields = (
        ("conv", conv2d_struct(conv, first)),
        ("b_zero_point", other.zero_point),
        ("a_factor", factor(factors.input1)),
        ("b_factor", factor(factors.input2)),
        ("out_factor", factor(factors.output)),
        ("store", store(second)),
    )
    channels = first.output.shape[2]
    pixels = conv2d_needs(conv, first).reshape(-1, channels).min(axis=1)
    assert first.op.weight is not None
    return Call(
        "nano_conv2d_add",
        Struct("nano_conv2d_add_params", fields),
        (overlap(_first_of_pixel(pixels, channels)), 0),
        reads=(0, 1 + number),
        macs=first.output.size * first.op.weight[0].size,
        scratch=channels,
    )
