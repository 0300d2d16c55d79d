"""Weights, their scales, biases, and how far accumulators reach."""

from __future__ import annotations

import numpy as np

from nanotool.ir import INT8_MAX, INT8_MIN, Conv2D, ConvTranspose2D, Dense, Shape
from nanotool.numerics import conv_multipliers, dense_multipliers
from nanotool.validate.layer import Layer

ACCUMULATOR_LIMIT = 2**31  # |Σ w (q - zero point) + bias| stays below
WEIGHTED = (Conv2D, ConvTranspose2D, Dense)


def check_weights(layer: Layer) -> None:
    """Weights for those operators that have some, and for no others."""
    op = layer.op
    if not isinstance(op.op, WEIGHTED):
        if not (op.weight is None and op.weight_scale is None and op.bias is None):
            layer.refuse(f"{type(op.op).__name__} takes no weights")
        return
    outputs = layer.output.shape[-1]
    expected = _weight_shape(layer)
    weight, scale, bias = op.weight, op.weight_scale, op.bias
    if weight is None or weight.dtype != np.int8 or weight.shape != expected:
        layer.refuse(f"its weights are not int8 {expected}")
    if scale is None or scale.dtype != np.float32 or scale.shape not in ((1,), (outputs,)):
        layer.refuse(f"its weight scales are not float32 (1,) or ({outputs},)")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        layer.refuse("a weight scale is not positive and finite")
    if bias is not None and (bias.dtype != np.int32 or bias.shape != (outputs,)):
        layer.refuse(f"its bias is not int32 ({outputs},)")
    multipliers = dense_multipliers if isinstance(op.op, Dense) else conv_multipliers
    with np.errstate(over="ignore", under="ignore"):
        layer.computes(multipliers, layer.input.scale, scale, layer.output.scale)
    _check_accumulator(layer)


def _weight_shape(layer: Layer) -> Shape:
    outputs, source = layer.output.shape[-1], layer.input.shape
    match layer.op.op:
        case Conv2D(window, groups):
            return (outputs, *window.kernel, source[2] // groups)
        case ConvTranspose2D(window):
            return (outputs, *window.kernel, source[2])
        case _:
            return (outputs, source[-1])


def _check_accumulator(layer: Layer) -> None:
    """No partial sum of bias + Σ w (q - zero_point), zero point folded into the bias or not, in
    whatever order, leaves int32."""
    op, zero_point = layer.op, layer.input.zero_point
    assert op.weight is not None
    rows = op.weight.reshape(len(op.weight), -1).astype(np.int64)
    bias = np.zeros(len(rows), np.int64) if op.bias is None else op.bias.astype(np.int64)
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
