"""Interval analysis: which int8 values each channel of a QGraph can have, whatever the input.

A tensor's channels are the positions along its last axis. `ranges` goes forward over the graph:
the input has its type's whole range; sums of products get the exact interval that their weights
allow, for each way in which a window can lie over the border; requantization and clamps are
monotone, so that interval ends go through them; tables are looked up. What is claimed always
holds, but not every claim that holds is found: channels are taken for independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    ZERO_POINTS,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    PRelu,
    QGraph,
    QTensor,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Table,
    Transpose,
    Unary,
)
from nanotool.numerics import Int64Array
from nanotool.ops import Layer, Registry, facts, group_count, layer_of
from nanotool.ops.shape import averaged, entries_of
from nanotool.ops.taps import Masks, transpose_taps, window_taps
from nanotool.simulate import run_layer


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """The least and the greatest value of each channel, both included: int64 [channels]."""

    low: Int64Array
    high: Int64Array

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which channels have one value only."""
        return np.asarray(self.low == self.high)

    @property
    def hull(self) -> tuple[int, int]:
        """The least and the greatest value of all channels."""
        return int(self.low.min()), int(self.high.max())


def channels(tensor: QTensor) -> int:
    """Positions along the last axis; 1 for a tensor without axes."""
    return tensor.shape[-1] if tensor.shape else 1


def ranges(graph: QGraph) -> dict[str, Range]:
    """The range of every tensor of ``graph``, by name."""
    found = {name: _of_data(data) for name, data in graph.constants.items()}
    for name in graph.sources:
        found[name] = whole(graph.tensors[name])
    for op in graph.ops:
        target, layer = graph.tensors[op.name], layer_of(graph, op)
        if target.dtype not in ZERO_POINTS or (layer.is_wide and not facts(op.op).moves):
            found[op.name] = whole(target)
        else:
            found[op.name] = _interval.of(op.op)(layer, *(found[name] for name in op.inputs))
        for name in op.more:
            found[name] = whole(graph.tensors[name])
    return found


def whole(tensor: QTensor, clamp: tuple[int, int] = (INT8_MIN, INT8_MAX)) -> Range:
    """All that ``tensor`` can hold; int8 is limited by ``clamp``."""
    limits = {"int8": clamp, **{k: v for k, v in ZERO_POINTS.items() if k != "int8"}}
    low, high = limits.get(tensor.dtype, (numerics.INT32_MIN, numerics.INT32_MAX))
    count = channels(tensor)
    return Range(np.full(count, low, np.int64), np.full(count, high, np.int64))


def _of_data(data: NDArray[Any]) -> Range:
    rows = data.reshape(-1, data.shape[-1] if data.shape else 1).astype(np.int64)
    return Range(rows.min(axis=0), rows.max(axis=0))


# --- Requantization -------------------------------------------------------------------------------


def stays_int32(
    low: NDArray[Any], high: NDArray[Any], multiplier: NDArray[Any] | int, shift: NDArray[Any] | int
) -> NDArray[np.bool_]:
    """Where accumulators from ``low`` to ``high`` are requantized without leaving int32: only then
    is requantization monotone."""
    limit = numerics.INT32_MAX - 512  # room for a zero point
    farthest = np.maximum(np.abs(low), np.abs(high))
    left = np.maximum(np.asarray(shift, np.int64), 0)
    exact = (farthest <= numerics.INT32_MAX) & (farthest <= numerics.INT32_MAX >> left)
    inside = np.where(exact, farthest, 0)
    scaled = numerics.multiply_by_quantized_multiplier(inside, multiplier, shift)
    return np.asarray(exact & (scaled <= limit))


def _requantized(
    total: tuple[NDArray[Any], NDArray[Any]],
    multiplier: tuple[NDArray[Any] | int, NDArray[Any] | int],
    zero_point: int,
    clamp: tuple[int, int],
) -> Range:
    """The range of requantized accumulators from ``total[0]`` to ``total[1]``."""
    exact = stays_int32(*total, *multiplier)
    ends = (
        numerics.requantize(end, *multiplier, zero_point, *clamp).astype(np.int64) for end in total
    )
    low, high = (np.where(exact, end, edge) for end, edge in zip(ends, clamp, strict=True))
    return Range(low, high)


# --- One function an operator ---------------------------------------------------------------------


def _anything(layer: Layer[Op], *_sources: Range) -> Range:
    return whole(layer.output, layer.clamp)


Interval: TypeAlias = Callable[..., Range]  # (layer, *ranges of its inputs) -> of its output
_interval = Registry[Interval]("intervals.py", default=_anything)


def _clipped(source: Range, clamp: tuple[int, int]) -> Range:
    return Range(np.clip(source.low, *clamp), np.clip(source.high, *clamp))


def _spread(source: Range, count: int) -> Range:
    """The hull of ``source`` for ``count`` channels."""
    low, high = source.hull
    return Range(np.full(count, low, np.int64), np.full(count, high, np.int64))


# Sums of products


def tap_masks(layer: Layer[Op]) -> tuple[Masks, Masks]:
    """([m, KH], [n, KW]): every choice of kernel rows, and of columns, that lies over the input at
    some output position of a convolution; a dense layer is 1x1."""
    if isinstance(layer.op, (Conv2D, ConvTranspose2D)):
        taps = window_taps if isinstance(layer.op, Conv2D) else transpose_taps
        source, target = layer.input.shape, layer.output.shape
        rows, columns = (taps(layer.op.window, source[a], target[a], a) for a in (0, 1))
    else:
        rows = columns = np.ones((1, 1), np.bool_)
    return np.unique(rows, axis=0), np.unique(columns, axis=0)


def as_kernel(layer: Layer[Op]) -> Int64Array:
    """The weights as int64 O, KH, KW, C; a dense layer is 1x1."""
    weight = layer.weight.astype(np.int64)
    return weight if weight.ndim == 4 else weight[:, None, None, :]


def accumulator_range(layer: Layer[Op], source: Range) -> tuple[Int64Array, Int64Array]:
    """The least and the greatest accumulator of each output channel, bias included."""
    weight = as_kernel(layer)
    outputs, depth = len(weight), weight.shape[-1]
    groups = group_count(layer.op)
    first = np.arange(outputs) // (outputs // groups) * depth
    channel = first[:, None] + np.arange(depth)
    zero_point = layer.input.zero_point
    bottom, top = ((end - zero_point)[channel] for end in (source.low, source.high))
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    least, most = (
        np.einsum("oijc,oc->oij", positive, up) + np.einsum("oijc,oc->oij", negative, down)
        for up, down in ((bottom, top), (top, bottom))
    )
    masks = tap_masks(layer)
    low = layer.bias + summed(least, masks).min(axis=1)
    high = layer.bias + summed(most, masks).max(axis=1)
    return low, high


def summed(taps: Int64Array, masks: tuple[Masks, Masks]) -> Int64Array:
    """[o, positions]: the sum over ``taps`` [o, KH, KW] for each choice of rows and columns."""
    rows, columns = (mask.astype(np.int64) for mask in masks)
    sums: Int64Array = np.einsum("oij,ai,bj->oab", taps, rows, columns, optimize=True)
    return sums.reshape(len(taps), len(rows) * len(columns))


@_interval(Conv2D, ConvTranspose2D, Dense)
def _weighted(layer: Layer[Op], source: Range) -> Range:
    total = accumulator_range(layer, source)
    return _requantized(total, layer.multipliers(), layer.output.zero_point, layer.clamp)


# Element by element, and pools


@_interval(MaxPool2D, AveragePool2D)
def _pool(layer: Layer[MaxPool2D | AveragePool2D], source: Range) -> Range:
    """A maximum or a mean, padding left out, lies between the least and the greatest element."""
    return _clipped(source, layer.clamp)


@_interval(Resize)
def _resize(layer: Layer[Resize], source: Range) -> Range:
    """So does what is interpolated."""
    return source


@_interval(Mean)
def _mean(layer: Layer[Mean], source: Range) -> Range:
    given, target = layer.input, layer.output
    if len(given.shape) - 1 in layer.op.axes:
        source = _spread(source, channels(target))
    count = averaged(layer)
    multiplier = numerics.mean_multiplier(given.scale, target.scale, count)
    total = (
        count * (source.low - given.zero_point),
        count * (source.high - given.zero_point),
    )
    return _requantized(total, multiplier, target.zero_point, layer.clamp)


@_interval(Unary, Table)
def _table(layer: Layer[Unary | Table], source: Range) -> Range:
    entries = entries_of(layer).astype(np.int64)
    ends, which = np.unique(np.stack([source.low, source.high]), axis=1, return_inverse=True)
    looked_up = [entries[low - INT8_MIN : high - INT8_MIN + 1] for low, high in ends.T]
    least = np.array([part.min() for part in looked_up])
    most = np.array([part.max() for part in looked_up])
    which = which.reshape(-1)
    return Range(least[which], most[which])


@_interval(Quantize)
def _quantize(layer: Layer[Quantize], source: Range) -> Range:
    given, target = layer.input, layer.output
    if given.dtype not in ZERO_POINTS:
        return whole(target)
    multiplier = numerics.quantize_multiplier(given.scale / target.scale)
    total = (source.low - given.zero_point, source.high - given.zero_point)
    low, high = ZERO_POINTS[target.dtype]
    ends = [
        np.clip(
            numerics.multiply_by_quantized_multiplier(end, *multiplier) + target.zero_point,
            low,
            high,
        )
        for end in total
    ]
    exact = stays_int32(*total, *multiplier)
    return Range(np.where(exact, ends[0], low), np.where(exact, ends[1], high))


@_interval(Binary)
def _binary(layer: Layer[Binary], a: Range, b: Range) -> Range:
    """Most functions are monotone in one operand if the other is fixed: extremes are in corners."""
    (first, second), target = layer.inputs, layer.output
    if layer.op.function in numerics.COMPARISONS:
        low, high = np.clip((0, 1), *layer.clamp)
        return Range(np.full(channels(target), low), np.full(channels(target), high))
    if layer.op.function in ("div", "squared_difference"):
        return whole(target, layer.clamp)
    if layer.op.function == "mul":
        multiplier = numerics.mul_multiplier(first.scale, second.scale, target.scale)
        product = np.array(255 * 255)
        if not stays_int32(-product, product, *multiplier):
            return whole(target, layer.clamp)
    channel = [
        replace(tensor, shape=(count,))
        for tensor, count in ((first, len(a.low)), (second, len(b.low)), (target, channels(target)))
    ]
    row = replace(layer, inputs=tuple(channel[:2]), output=channel[2])
    corners = [(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    x, y = (np.stack(ends).astype(np.int8) for ends in zip(*corners, strict=True))
    found = run_layer(row, x, y).astype(np.int64)
    return Range(found.min(axis=0), found.max(axis=0))


@_interval(PRelu)
def _prelu(layer: Layer[PRelu], source: Range, slopes: Range) -> Range:
    """Value by value of the input; for each the ends of the slopes."""
    given, alpha = layer.inputs
    target = layer.output
    parameters = numerics.prelu_parameters(given.scale, alpha.scale, target.scale)
    ends = [end - alpha.zero_point for end in (slopes.low, slopes.high)]
    farthest = np.array(255 * 255)
    if not all(
        stays_int32(-farthest, farthest, *multiplier)
        for multiplier in (parameters.positive, parameters.negative)
    ):
        return whole(target, layer.clamp)
    low = np.full(channels(target), INT8_MAX, np.int64)
    high = np.full(channels(target), INT8_MIN, np.int64)
    for value in range(source.hull[0], source.hull[1] + 1):
        reached = (source.low <= value) & (value <= source.high)
        for end in ends:
            x = np.array(value - given.zero_point)
            y = numerics.prelu(x, end, parameters, target.zero_point, layer.clamp)
            low = np.where(reached & (y < low), y, low)
            high = np.where(reached & (y > high), y, high)
    return Range(low, high)


# Elements go elsewhere


@_interval(Reshape)
def _reshape(layer: Layer[Reshape], source: Range) -> Range:
    count = channels(layer.output)
    period = math.lcm(len(source.low), count)  # of elements, of which there are a multiple
    low, high = (np.resize(end, period).reshape(-1, count) for end in (source.low, source.high))
    return Range(low.min(axis=0), high.max(axis=0))


@_interval(Transpose)
def _transpose(layer: Layer[Transpose], source: Range) -> Range:
    order = layer.op.permutation
    if not order or order[-1] == len(order) - 1:
        return source
    return _spread(source, channels(layer.output))


@_interval(Concat)
def _concat(layer: Layer[Concat], *sources: Range) -> Range:
    lows, highs = [one.low for one in sources], [one.high for one in sources]
    if layer.op.axis == len(layer.output.shape) - 1:
        return Range(np.concatenate(lows), np.concatenate(highs))
    return Range(np.min(lows, axis=0), np.max(highs, axis=0))


@_interval(Slice)
def _slice(layer: Layer[Slice], source: Range) -> Range:
    target = layer.output
    if not target.shape:
        return source
    begin, stride = layer.op.begin[-1], layer.op.stride[-1]
    taken = slice(begin, begin + (target.shape[-1] - 1) * stride + 1, stride)
    return Range(source.low[taken], source.high[taken])


@_interval(Pad)
def _pad(layer: Layer[Pad], source: Range) -> Range:
    value = pad_value(layer)
    if any(layer.op.before[:-1]) or any(layer.op.after[:-1]):
        source = Range(np.minimum(source.low, value), np.maximum(source.high, value))
    if not layer.op.before:
        return source
    around = (layer.op.before[-1], layer.op.after[-1])
    low, high = (np.pad(end, around, constant_values=value) for end in (source.low, source.high))
    return Range(low, high)


def pad_value(layer: Layer[Pad]) -> int:
    """What a Pad puts around its input."""
    return layer.output.zero_point if layer.op.value is None else layer.op.value


def reachable(found: Mapping[str, Range], tensor: str) -> slice:
    """The entries of a table that an int8 ``tensor`` can look up."""
    low, high = found[tensor].hull
    return slice(low - INT8_MIN, high - INT8_MIN + 1)
