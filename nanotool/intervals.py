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

from nanotool import numerics, unary
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
    Pad,
    PRelu,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Transpose,
    Unary,
    Window,
)
from nanotool.numerics import Int64Array
from nanotool.simulate import run_op

Masks: TypeAlias = NDArray[np.bool_]


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
    found[graph.input] = whole(graph.input_tensor)
    for op in graph.ops:
        target = graph.tensors[op.name]
        function = _RULES.get(type(op.op))
        if function is None or target.dtype not in ZERO_POINTS:
            found[op.name] = whole(target, op.clamp)
        else:
            found[op.name] = function(graph, op, *(found[name] for name in op.inputs))
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


# --- Rules ----------------------------------------------------------------------------------------

Rule: TypeAlias = Callable[..., Range]  # (graph, op, *ranges of the inputs)
_RULES: dict[type, Rule] = {}


def _rule(*operators: type) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(operators, function))
        return function

    return register


def _clipped(source: Range, clamp: tuple[int, int]) -> Range:
    return Range(np.clip(source.low, *clamp), np.clip(source.high, *clamp))


def _spread(source: Range, count: int) -> Range:
    """The hull of ``source`` for ``count`` channels."""
    low, high = source.hull
    return Range(np.full(count, low, np.int64), np.full(count, high, np.int64))


# Sums of products


def tap_masks(graph: QGraph, op: QOp) -> tuple[Masks, Masks]:
    """([m, KH], [n, KW]): every choice of kernel rows, and of columns, that lies over the input at
    some output position of a convolution; a dense layer is 1x1."""
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    match op.op:
        case Conv2D(window):
            rows, columns = (
                window_taps(window, source.shape[a], target.shape[a], a) for a in (0, 1)
            )
        case ConvTranspose2D(window):
            rows, columns = (
                transpose_taps(window, source.shape[a], target.shape[a], a) for a in (0, 1)
            )
        case _:
            rows = columns = np.ones((1, 1), np.bool_)
    return np.unique(rows, axis=0), np.unique(columns, axis=0)


def window_taps(window: Window, size: int, outputs: int, axis: int) -> Masks:
    """[outputs, kernel] along one axis: whether a tap lies over the input, at each position."""
    start = np.arange(outputs)[:, None] * window.stride[axis] - window.padding[axis]
    at = start + np.arange(window.kernel[axis]) * window.dilation[axis]
    return np.asarray((at >= 0) & (at < size))


def transpose_taps(window: Window, size: int, outputs: int, axis: int) -> Masks:
    """The same for a transposed convolution: whether a tap meets an input pixel."""
    place = np.arange(outputs)[:, None] + window.padding[axis] - np.arange(window.kernel[axis])
    at, rest = np.divmod(place, window.stride[axis])
    return np.asarray((rest == 0) & (at >= 0) & (at < size))


def as_kernel(op: QOp) -> Int64Array:
    """The weights as int64 O, KH, KW, C; a dense layer is 1x1."""
    assert op.weight is not None
    weight = op.weight.astype(np.int64)
    return weight[:, None, None, :] if isinstance(op.op, Dense) else weight


def accumulator_range(graph: QGraph, op: QOp, source: Range) -> tuple[Int64Array, Int64Array]:
    """The least and the greatest accumulator of each output channel, bias included."""
    weight = as_kernel(op)
    outputs, depth = len(weight), weight.shape[-1]
    groups = op.op.groups if isinstance(op.op, Conv2D) else 1
    first = np.arange(outputs) // (outputs // groups) * depth
    channel = first[:, None] + np.arange(depth)
    zero_point = graph.tensors[op.inputs[0]].zero_point
    bottom, top = ((end - zero_point)[channel] for end in (source.low, source.high))
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    least, most = (
        np.einsum("oijc,oc->oij", positive, up) + np.einsum("oijc,oc->oij", negative, down)
        for up, down in ((bottom, top), (top, bottom))
    )
    masks = tap_masks(graph, op)
    bias = np.zeros(outputs, np.int64) if op.bias is None else op.bias.astype(np.int64)
    low = bias + summed(least, masks).min(axis=1)
    high = bias + summed(most, masks).max(axis=1)
    return low, high


def summed(taps: Int64Array, masks: tuple[Masks, Masks]) -> Int64Array:
    """[o, positions]: the sum over ``taps`` [o, KH, KW] for each choice of rows and columns."""
    rows, columns = (mask.astype(np.int64) for mask in masks)
    sums: Int64Array = np.einsum("oij,ai,bj->oab", taps, rows, columns, optimize=True)
    return sums.reshape(len(taps), len(rows) * len(columns))


@_rule(Conv2D, ConvTranspose2D, Dense)
def _weighted(graph: QGraph, op: QOp, source: Range) -> Range:
    assert op.weight_scale is not None
    given, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    of = numerics.dense_multipliers if isinstance(op.op, Dense) else numerics.conv_multipliers
    multiplier = of(given.scale, op.weight_scale, target.scale)
    total = accumulator_range(graph, op, source)
    return _requantized(total, multiplier, target.zero_point, op.clamp)


# Element by element, and pools


@_rule(MaxPool2D, AveragePool2D)
def _pool(_graph: QGraph, op: QOp, source: Range) -> Range:
    """A maximum or a mean, padding left out, lies between the least and the greatest element."""
    return _clipped(source, op.clamp)


@_rule(Resize)
def _resize(_graph: QGraph, _op: QOp, source: Range) -> Range:
    """So does what is interpolated."""
    return source


@_rule(Mean)
def _mean(graph: QGraph, op: QOp, source: Range) -> Range:
    assert isinstance(op.op, Mean)
    given, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    if len(given.shape) - 1 in op.op.axes:
        source = _spread(source, channels(target))
    count = int(np.prod([given.shape[axis] for axis in op.op.axes], dtype=np.int64))
    multiplier = numerics.mean_multiplier(given.scale, target.scale, count)
    total = (
        count * (source.low - given.zero_point),
        count * (source.high - given.zero_point),
    )
    return _requantized(total, multiplier, target.zero_point, op.clamp)


@_rule(Unary)
def _unary(graph: QGraph, op: QOp, source: Range) -> Range:
    assert isinstance(op.op, Unary)
    given, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    entries = unary.table(op.op.function, given, target, op.clamp).astype(np.int64)
    ends, which = np.unique(np.stack([source.low, source.high]), axis=1, return_inverse=True)
    looked_up = [entries[low - INT8_MIN : high - INT8_MIN + 1] for low, high in ends.T]
    least = np.array([part.min() for part in looked_up])
    most = np.array([part.max() for part in looked_up])
    which = which.reshape(-1)
    return Range(least[which], most[which])


@_rule(Quantize)
def _quantize(graph: QGraph, op: QOp, source: Range) -> Range:
    given, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
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


@_rule(Binary)
def _binary(graph: QGraph, op: QOp, a: Range, b: Range) -> Range:
    """Each function is monotone in one operand if the other is fixed: extremes are in corners."""
    assert isinstance(op.op, Binary)
    first, second, target = (graph.tensors[name] for name in (*op.inputs, op.name))
    if op.op.function == "mul":
        multiplier = numerics.mul_multiplier(first.scale, second.scale, target.scale)
        product = np.array(255 * 255)
        if not stays_int32(-product, product, *multiplier):
            return whole(target, op.clamp)
    operands = replace(op, inputs=(f"{op.name}/a", f"{op.name}/b"))
    shapes = {
        operands.inputs[0]: (first, len(a.low)),
        operands.inputs[1]: (second, len(b.low)),
        op.name: (target, channels(target)),
    }
    tensors = {name: replace(tensor, name=name, shape=(n,)) for name, (tensor, n) in shapes.items()}
    corners = [(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    x, y = (np.stack(ends).astype(np.int8) for ends in zip(*corners, strict=True))
    found = run_op(replace(graph, tensors=tensors), operands, x, y).astype(np.int64)
    return Range(found.min(axis=0), found.max(axis=0))


@_rule(PRelu)
def _prelu(graph: QGraph, op: QOp, source: Range, slopes: Range) -> Range:
    """Value by value of the input; for each the ends of the slopes."""
    given, alpha = (graph.tensors[name] for name in op.inputs)
    target = graph.tensors[op.name]
    parameters = numerics.prelu_parameters(given.scale, alpha.scale, target.scale)
    ends = [end - alpha.zero_point for end in (slopes.low, slopes.high)]
    farthest = np.array(255 * 255)
    if not all(
        stays_int32(-farthest, farthest, *multiplier)
        for multiplier in (parameters.positive, parameters.negative)
    ):
        return whole(target, op.clamp)
    low = np.full(channels(target), INT8_MAX, np.int64)
    high = np.full(channels(target), INT8_MIN, np.int64)
    for value in range(source.hull[0], source.hull[1] + 1):
        reached = (source.low <= value) & (value <= source.high)
        for end in ends:
            x = np.array(value - given.zero_point)
            y = numerics.prelu(x, end, parameters, target.zero_point, op.clamp)
            low = np.where(reached & (y < low), y, low)
            high = np.where(reached & (y > high), y, high)
    return Range(low, high)


# Elements go elsewhere


@_rule(Reshape)
def _reshape(graph: QGraph, op: QOp, source: Range) -> Range:
    count = channels(graph.tensors[op.name])
    period = math.lcm(len(source.low), count)  # of elements, of which there are a multiple
    low, high = (np.resize(end, period).reshape(-1, count) for end in (source.low, source.high))
    return Range(low.min(axis=0), high.max(axis=0))


@_rule(Transpose)
def _transpose(graph: QGraph, op: QOp, source: Range) -> Range:
    assert isinstance(op.op, Transpose)
    order = op.op.permutation
    if not order or order[-1] == len(order) - 1:
        return source
    return _spread(source, channels(graph.tensors[op.name]))


@_rule(Concat)
def _concat(graph: QGraph, op: QOp, *sources: Range) -> Range:
    assert isinstance(op.op, Concat)
    lows, highs = [one.low for one in sources], [one.high for one in sources]
    if op.op.axis == len(graph.tensors[op.name].shape) - 1:
        return Range(np.concatenate(lows), np.concatenate(highs))
    return Range(np.min(lows, axis=0), np.max(highs, axis=0))


@_rule(Slice)
def _slice(graph: QGraph, op: QOp, source: Range) -> Range:
    assert isinstance(op.op, Slice)
    target = graph.tensors[op.name]
    if not target.shape:
        return source
    begin, stride = op.op.begin[-1], op.op.stride[-1]
    taken = slice(begin, begin + (target.shape[-1] - 1) * stride + 1, stride)
    return Range(source.low[taken], source.high[taken])


@_rule(Pad)
def _pad(graph: QGraph, op: QOp, source: Range) -> Range:
    assert isinstance(op.op, Pad)
    value = pad_value(graph, op)
    if any(op.op.before[:-1]) or any(op.op.after[:-1]):
        source = Range(np.minimum(source.low, value), np.maximum(source.high, value))
    if not op.op.before:
        return source
    around = (op.op.before[-1], op.op.after[-1])
    low, high = (np.pad(end, around, constant_values=value) for end in (source.low, source.high))
    return Range(low, high)


def pad_value(graph: QGraph, op: QOp) -> int:
    """What a Pad puts around its input."""
    assert isinstance(op.op, Pad)
    return graph.tensors[op.name].zero_point if op.op.value is None else op.op.value


def reachable(found: Mapping[str, Range], tensor: str) -> slice:
    """The entries of a table that an int8 ``tensor`` can look up."""
    low, high = found[tensor].hull
    return slice(low - INT8_MIN, high - INT8_MIN + 1)
