"""Weights, their scales, biases, and how far accumulators reach."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanotool.ir import INT8_MAX, INT8_MIN, Op
from nanotool.ops import Layer, facts
from nanotool.ops.shape import weight_shape

ACCUMULATOR_LIMIT = 2**31  # |Σ w (q - zero point) + bias| stays below


def check_weights(layer: Layer[Any]) -> None:
    """Weights for those operators that have some, and for no others."""
    weight, scale, bias = layer.qop.weight, layer.qop.weight_scale, layer.qop.bias
    if not facts(layer.op).weighted:
        if not (weight is None and scale is None and bias is None):
            layer.refuse(f"{type(layer.op).__name__} takes no weights")
        return
    outputs, expected = layer.output.shape[-1], weight_shape(layer)
    if weight is None or weight.dtype != np.int8 or weight.shape != expected:
        layer.refuse(f"its weights are not int8 {expected}")
    if scale is None or scale.dtype != np.float32 or scale.shape not in ((1,), (outputs,)):
        layer.refuse(f"its weight scales are not float32 (1,) or ({outputs},)")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        layer.refuse("a weight scale is not positive and finite")
    if bias is not None and (bias.dtype != np.int32 or bias.shape != (outputs,)):
        layer.refuse(f"its bias is not int32 ({outputs},)")
    with np.errstate(over="ignore", under="ignore"):
        layer.computes(layer.multipliers)
    _check_accumulator(layer)


def _check_accumulator(layer: Layer[Op]) -> None:
    """No partial sum of bias + Σ w (q - zero_point), zero point folded into the bias or not, in
    whatever order, leaves int32."""
    zero_point, bias = layer.input.zero_point, layer.bias
    rows = layer.weight.reshape(len(layer.weight), -1).astype(np.int64)
    size = np.abs(rows).sum(axis=1)
    farthest = max(INT8_MAX - zero_point, zero_point - INT8_MIN)
    plain = np.abs(bias) + farthest * size
    folded = np.abs(bias - zero_point * rows.sum(axis=1)) + -INT8_MIN * size
    worst = np.maximum(plain, folded)
    channel = int(worst.argmax()) if worst.size else 0
    if worst.size and worst[channel] >= ACCUMULATOR_LIMIT:
        layer.refuse(
            f"the sum for output channel {channel} can reach {int(worst[channel]):,}, beyond int32",
            "Its bias is far too large for its scales, or it sums too many products: calibrate it "
            "on real data, or split the layer.",
        )
