"""Weights, their scales, biases, and how far accumulators reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import INT8_MAX, INT8_MIN, ZERO_POINTS, QTensor
from nanotool.ops import Layer, facts
from nanotool.ops.shape import gate_biases, recurrent_factors, weight_shapes

ACCUMULATOR_LIMIT = 2**31  # |Σ w (q - zero point) + bias| stays below

# Sums over one tensor: (the tensor, weights [sums, terms], bias [sums]).
Sums: TypeAlias = tuple[QTensor, NDArray[Any], NDArray[np.int64]]


def check_weights(layer: Layer[Any]) -> None:
    """Weights for those operators that have some, and for no others."""
    weight, scale, bias = layer.qop.weight, layer.qop.weight_scale, layer.qop.bias
    what = facts(layer.op)
    if not (what.weighted or what.recurrent):
        if not (weight is None and scale is None and bias is None):
            layer.refuse(f"{type(layer.op).__name__} takes no weights")
        return
    expected, scales, biases = weight_shapes(layer)
    if weight is None or weight.dtype != np.int8 or weight.shape != expected:
        layer.refuse(f"its weights are not int8 {expected}")
    if scale is None or scale.dtype != np.float32 or scale.shape not in scales:
        layer.refuse(f"its weight scales are not float32 {' or '.join(map(str, scales))}")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        layer.refuse("a weight scale is not positive and finite")
    number = np.dtype(np.int64 if layer.is_wide else np.int32)
    if bias is not None and (bias.dtype != number or bias.shape != biases):
        layer.refuse(f"its bias is not {number} {biases}")
    with np.errstate(over="ignore", under="ignore"):
        if layer.is_wide:
            layer.computes(layer.wide_multipliers)
        else:
            layer.computes(layer.multipliers) if what.weighted else recurrent_factors(layer)
    for sums in _sums(layer):
        if layer.is_wide:
            _check_wide_accumulator(layer, sums)
        else:
            _check_accumulator(layer, *sums)


def _sums(layer: Layer[Any]) -> Iterator[Sums]:
    """All sums of products of ``layer``."""
    rows = layer.weight.reshape(len(layer.weight), -1)
    if not facts(layer.op).recurrent:
        yield layer.input, rows, layer.bias
        return
    features = layer.input.shape[-1]
    gates = layer.weight.reshape(-1, layer.weight.shape[-1])
    if not facts(layer.op).gates:
        yield layer.input, gates, np.zeros(len(gates), np.int64)
        return
    biases = gate_biases(layer).reshape(-1, 2)
    yield layer.input, gates[:, :features], biases[:, 0]
    yield layer.output, gates[:, features:], biases[:, 1]  # h has its scale and zero point


def _check_wide_accumulator(layer: Layer[Any], sums: Sums) -> None:
    """No sum over int16 leaves 47 bits."""
    _, weight, bias = sums
    size = np.abs(weight.astype(np.int64)).sum(axis=1)
    limit = numerics.WIDE_LIMIT
    beyond = np.abs(bias.astype(np.float64)) + -ZERO_POINTS["int16"][0] * size >= limit
    if beyond.any():
        layer.refuse(
            f"the sum for output channel {int(beyond.argmax())} can reach 2^47",
            "Its bias is far too large for its scales: calibrate it on real data.",
        )


def _check_accumulator(
    layer: Layer[Any], source: QTensor, weight: NDArray[Any], bias: NDArray[np.int64]
) -> None:
    """No partial sum of bias + Σ w (q - zero_point), zero point folded into the bias or not, in
    whatever order, leaves int32."""
    rows = weight.astype(np.int64)
    size = np.abs(rows).sum(axis=1)
    farthest = max(INT8_MAX - source.zero_point, source.zero_point - INT8_MIN)
    plain = np.abs(bias) + farthest * size
    folded = np.abs(bias - source.zero_point * rows.sum(axis=1)) + -INT8_MIN * size
    worst = np.maximum(plain, folded)
    channel = int(worst.argmax()) if worst.size else 0
    if worst.size and worst[channel] >= ACCUMULATOR_LIMIT:
        layer.refuse(
            f"the sum for output channel {channel} can reach {int(worst[channel]):,}, beyond int32",
            "Its bias is far too large for its scales, or it sums too many products: calibrate it "
            "on real data, or split the layer.",
        )
