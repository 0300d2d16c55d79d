"""How an op stores its results, and whether it can store those of a table behind it instead.

A store is requantization to the output's scale and zero point, then a clamp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from nanotool import numerics
from nanotool.intervals import Range, accumulator_range, stays_int32
from nanotool.ir import INT8_MIN, Conv2D, ConvTranspose2D, Dense, Int8Array, Mean, Op
from nanotool.numerics import Int64Array
from nanotool.ops import Layer, Registry
from nanotool.ops.shape import averaged
from nanotool.passes.lossless.tables import INPUTS
from nanotool.simulate import run_layer

Step: TypeAlias = Callable[[Int64Array], Int8Array]  # monotone: accumulators -> outputs
Interval: TypeAlias = tuple[Int64Array, Int64Array]  # [channels] each, both included


def look_up(table: Int8Array, q: Int8Array) -> Int8Array:
    """The entries of a ``table`` [256] for the bytes ``q``."""
    entries: Int8Array = table[q.astype(np.intp) - INT8_MIN]
    return entries


# --- One accumulator a result ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """The store of a sum of products or of a mean; multiplier and shift are [channels] or [1]."""

    multiplier: Int64Array
    shift: Int64Array
    zero_point: int
    clamp: tuple[int, int]

    def __call__(self, acc: Int64Array) -> Int8Array:
        """The outputs for the accumulators [.., channels]."""
        return numerics.requantize(acc, self.multiplier, self.shift, self.zero_point, *self.clamp)

    def is_monotone(self, span: Interval) -> bool:
        """Whether no requantization of an accumulator in ``span`` leaves int32."""
        return bool(stays_int32(*span, self.multiplier, self.shift).all())


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What an operator with one accumulator a result stores."""

    store: Store
    accumulators: Interval  # the least and the greatest, a channel each


def _none(_found: Mapping[str, Range], _layer: Layer[Op]) -> Stored | None:
    return None


Storing: TypeAlias = Callable[[Mapping[str, Range], Layer[Any]], Stored | None]
_stored = Registry[Storing]("passes/lossless/requantization.py", default=_none)


@_stored(Conv2D, ConvTranspose2D, Dense)
def _weighted(found: Mapping[str, Range], layer: Layer[Op]) -> Stored:
    with np.errstate(over="ignore", under="ignore"):
        multiplier, shift = (one.astype(np.int64) for one in layer.multipliers())
    store = Store(multiplier, shift, layer.output.zero_point, layer.clamp)
    return Stored(store, accumulator_range(layer, found[layer.input.name]))


@_stored(Mean)
def _mean(found: Mapping[str, Range], layer: Layer[Mean]) -> Stored:
    count, source = averaged(layer), layer.input
    pair = numerics.mean_multiplier(source.scale, layer.output.scale, count)
    multiplier, shift = np.array(pair[:1], np.int64), np.array(pair[1:], np.int64)
    low, high = (count * (np.array([end]) - source.zero_point) for end in found[source.name].hull)
    return Stored(Store(multiplier, shift, layer.output.zero_point, layer.clamp), (low, high))


def same_steps(first: Step, second: Step, span: Interval) -> bool:
    """Whether two monotone functions give the same for every accumulator in ``span``."""
    probes = np.linspace(*span, 33).astype(np.int64).clip(*span)
    if not np.array_equal(first(probes), second(probes)):
        return False  # nearly always it ends here
    return np.array_equal(_steps(first, span), _steps(second, span))


def _steps(step: Step, span: Interval) -> Int64Array:
    """[255, channels]: for each output -127..127 the least accumulator in ``span`` that gives at
    least it, or the end of ``span`` plus 1. By bisection."""
    low, high = span
    outputs = INPUTS[1:, None]
    least = np.broadcast_to(low, (len(outputs), len(low))).copy()
    most = np.broadcast_to(high + 1, least.shape).copy()
    while (searching := least < most).any():
        middle = (least + most) // 2  # high + 1 at most where the search is over
        reached = step(np.minimum(middle, high)) >= outputs
        most = np.where(searching & reached, middle, most)
        least = np.where(searching & ~reached, middle + 1, least)
    return np.asarray(least, np.int64)


def same_store(
    found: Mapping[str, Range], producer: Layer[Op], fused: Layer[Op], table: Int8Array
) -> bool:
    """Whether ``fused`` stores every accumulator as ``producer`` and a rising ``table`` do."""
    before, after = (_stored.of(one.op)(found, one) for one in (producer, fused))
    if before is None or after is None:
        return False
    span, first, second = before.accumulators, before.store, after.store
    if not (first.is_monotone(span) and second.is_monotone(span)):
        return False
    return same_steps(lambda acc: look_up(table, first(acc)), second, span)


# --- Two operands a result ------------------------------------------------------------------------


def same_pairs(
    found: Mapping[str, Range], producer: Layer[Op], fused: Layer[Op], table: Int8Array
) -> bool:
    """Whether ``fused`` yields for every pair of bytes what ``producer`` and ``table`` do."""
    spans = [
        np.arange(low, high + 1).astype(np.int8)
        for low, high in (found[tensor.name].hull for tensor in producer.inputs)
    ]
    operands = spans[0].reshape(1, -1, 1), spans[1].reshape(1, 1, -1)
    first, second = (_of_pairs(layer, operands) for layer in (producer, fused))
    return np.array_equal(look_up(table, run_layer(first, *operands)), run_layer(second, *operands))


def _of_pairs(layer: Layer[Op], operands: tuple[Int8Array, Int8Array]) -> Layer[Op]:
    """``layer`` between tensors for all pairs of ``operands``."""
    inputs = tuple(
        replace(tensor, shape=x.shape[1:]) for tensor, x in zip(layer.inputs, operands, strict=True)
    )
    shape = (operands[0].size, operands[1].size)
    return replace(layer, inputs=inputs, output=replace(layer.output, shape=shape))
