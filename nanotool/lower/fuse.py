"""Layers in groups that are computed together or by themselves, and the ways there are for each.

Two operators in one call have no image between them: a convolution and the pool or the addition
behind it; a recurrent layer and the cut that leaves its last step. Byte for byte the same, in less
memory; the portable kernel of a max pool leaves fewer accumulators to requantize.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from nanotool import numerics
from nanotool.ir import AveragePool2D, Binary, Conv2D, MaxPool2D, Op, Slice, Struct, Window
from nanotool.lower.cost import estimate, fastest
from nanotool.lower.layer import (
    Call,
    Fields,
    IndexArray,
    TargetLayer,
    declined_calls,
    factor,
    faster_calls,
    faster_pair,
    overlap,
    store,
)
from nanotool.lower.linear import conv2d_needs, conv2d_struct, folded_bias, is_depthwise
from nanotool.lower.pooling import first_of_pixel, pooled_needs, window_struct
from nanotool.ops import facts, keeps_bytes, macs
from nanotool.targets import GOALS

_INT32 = 2**31
_BEHIND = (MaxPool2D, AveragePool2D, Binary)  # operators that one call may compute, too
Layers = tuple[TargetLayer[Any], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """What computes ``layers``: several calls for one layer, or one for two. No calls: the layer's
    output is its input's bytes."""

    layers: Layers
    calls: tuple[Call, ...]

    @property
    def cost(self) -> int:
        """Instructions, about."""
        return sum(call.cost or 0 for call in self.calls)


Way = tuple[Unit, ...]  # computes all layers of a group


@dataclass(frozen=True, slots=True)
class Group:
    """One layer; or two that one call may compute, the second of which alone reads the first; or
    (``cut``) a layer that goes through a sequence and what leaves its last step."""

    layers: Layers
    cut: bool = False

    @property
    def moves_nothing(self) -> bool:
        """Whether the output is the input's bytes: nothing is to be done."""
        first = self.layers[0]
        return not self.cut and keeps_bytes(first.op, first.input.shape, first.output.shape)

    def way(self, goal: str) -> Way:
        """How it is computed where ``goal`` alone counts, for all layers."""
        first = replace(self.layers[0], optimize=goal)
        if self.cut:
            return (Unit(self.layers, best_calls(replace(first, output=self.layers[1].output))),)
        if self.moves_nothing:
            return (Unit(self.layers, ()),)
        if len(self.layers) == 1:
            return (Unit(self.layers, best_calls(first)),)
        second = replace(self.layers[1], optimize=goal)
        # A faster kernel computes the first one by itself; but where memory is to be small, an
        # image less counts more.
        faster = None if goal == "size" else faster_calls(first)
        both = None if faster is not None else _fused(first, second)
        if both is not None:
            return (Unit((first, second), (both,)),)
        return tuple(Unit((layer,), best_calls(layer)) for layer in (first, second))

    def ways(self) -> tuple[Way, ...]:
        """All there are, each once; the first one is that of speed."""
        found = [self.way("speed")]
        if len(self.layers) == 1 or self.cut:
            found += [self.way(goal) for goal in GOALS if goal != "speed"]
            if found[0][0].calls:
                found.append((_portable(found[0][0]),))
        else:
            found += self._pairs()
        different: dict[object, Way] = {}
        for way in found:
            kernels = [(c.kernel, c.scratch, c.overlaps) for unit in way for c in unit.calls]
            different.setdefault(tuple(kernels), way)
        return tuple(different.values())

    def _pairs(self) -> Iterator[Way]:
        """Both in one call, by each kernel that does it; and each as any goal has it."""
        first, second = ([replace(one, optimize=goal) for goal in GOALS] for one in self.layers)
        for pair in zip(first, second, strict=True):
            for both in (faster_pair(*pair), _fused(*pair)):
                if both is not None:
                    yield (Unit(pair, (both,)),)
        alone = [[Unit((one,), best_calls(one)) for one in each] for each in (first, second)]
        yield from product(
            *((*units, _portable(units[0])) for units in alone),
        )


def _portable(unit: Unit) -> Unit:
    """The portable kernel, where memory is to be small."""
    layer = replace(unit.layers[0], output=unit.layers[-1].output, optimize="size", declined=[])
    return Unit(unit.layers, _priced(layer, declined_calls(layer)))


def best_calls(layer: TargetLayer[Any]) -> tuple[Call, ...]:
    """Those of the target's own kernel, or of the portable one with the reason why."""
    asked = replace(layer, declined=[])
    return _priced(layer, faster_calls(asked) or declined_calls(asked))


def _priced(layer: TargetLayer[Any], calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """``calls`` with what each takes, where it does not say so itself: its part of the layer."""
    priced = []
    for call in calls:
        cost, saved = call.cost, 0
        if cost is None:
            cost = estimate(layer.target, call.kernel, layer) // len(calls)
        if call.declined:
            saved = max(cost - fastest(layer.target, call.kernel, layer), 0)
        priced.append(replace(call, cost=cost, saved=saved))
    return tuple(priced)


def groups_of(layers: Sequence[TargetLayer[Any]], results: Sequence[str]) -> Iterator[Group]:
    """``layers`` in order. The first one of two is none of the graph's ``results``."""
    readers = Counter(name for layer in layers for name in layer.qop.inputs)
    readers.update(results)
    rest = list(layers)
    while rest:
        first = rest.pop(0)
        last = _last_row(first, rest) if readers[first.name] == 1 else None
        if last is not None:
            rest = [layer for layer in rest if layer is not last]
            yield Group((first, last), cut=True)
            continue
        reader = rest[0] if rest and first.name in rest[0].qop.inputs else None
        fits = isinstance(first.op, Conv2D) and readers[first.name] == 1
        if fits and reader is not None and isinstance(reader.op, _BEHIND):
            yield Group((first, rest.pop(0)))
            continue
        yield Group((first,))


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


def _fused(first: TargetLayer[Conv2D], second: TargetLayer[Any]) -> Call | None:
    """The portable kernel's call that does both, its ``reads`` counted over the inputs of ``first``
    and then of ``second``; None if there is none.

    Where code is to be small additions stay by themselves: their kernel is there anyway.
    """
    if is_depthwise(first) or first.is_wide:
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
    needs = pooled_needs(conv2d_needs(first), window, second)
    taps = [_inside(window, second, axis).sum() for axis in range(2)]
    return Call(
        "nano_conv2d_max_pool",
        Struct("nano_conv2d_max_pool_params", fields),
        (overlap(needs),),
        macs=(done := int(taps[0] * taps[1]) * first.weight.size),
        cost=estimate(first.target, "nano_conv2d", first) * done // max(macs(first), 1),
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
        (overlap(first_of_pixel(pixels, channels)), 0),
        reads=(0, 1 + number),
        cost=estimate(first.target, "nano_conv2d", first)
        + estimate(second.target, "nano_add", second)
        - 2 * second.output.size,  # what is between them is neither stored nor loaded
        scratch=channels,
    )
