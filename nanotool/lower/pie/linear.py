"""Dense layers and convolutions: lib/nano/include/nano/ops/pie.h."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nanotool.ir import Array, Conv2D, Dense, Int8Array, Op
from nanotool.lower import parts
from nanotool.lower.layer import UINT16_MAX, Call, TargetLayer, pair_variant, variant
from nanotool.lower.pack import power, reach
from nanotool.lower.scalar.limbs import Packed
from nanotool.lower.scalar.linear import POOLS, conv2d_call, dense_call

TARGET = "pie"
_TERMS = 16  # of a block
_ALIGN = 12  # bytes of scratch before a multiple of 16, at most
_MOST_BIAS, _MOST_SUM = 2**24, 2**29
_HELD = 5  # blocks of inputs that registers hold


@variant(TARGET, Dense)
def _dense(layer: TargetLayer[Dense]) -> Call | None:
    """Row by row."""
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    packed = scaled(layer)
    if packed is None or max(layer.input.size // inputs, outputs) > UINT16_MAX:
        return None
    weights, scratch = _weights(layer, packed), _scratch(inputs)
    call = dense_call(layer, packed, "nano_dense_pie", weights, windows=1, scratch=scratch)
    return _of_pie(call, layer, packed)


@variant(TARGET, Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Pixel by pixel; groups are left to the other kernels."""
    return _plain(layer) if layer.op.groups == 1 else None


@pair_variant(TARGET)
def _pooled(first: TargetLayer[Any], second: TargetLayer[Any]) -> Call | None:
    """A convolution and the pool behind it."""
    return parts.pooled(first, second, _plain, POOLS)


def _plain(layer: TargetLayer[Conv2D]) -> Call | None:
    """Of one group."""
    packed = scaled(layer)
    if packed is None:
        return None
    weights, scratch = _weights(layer, packed), _scratch(packed.weight.shape[1])
    call = conv2d_call(layer, packed, "nano_conv2d_pie", weights, windows=1, scratch=scratch)
    return _of_pie(call, layer, packed)


def scaled(layer: TargetLayer[Op]) -> Packed | None:
    """Weights, and the two words a channel that lib/nano/src/pie.h scales by; None where they hold
    no such numbers. Their scaling is exact, so nothing else is to be proved."""
    weight = layer.weight.reshape(len(layer.weight), -1)
    bias = layer.bias - layer.input.zero_point * weight.sum(axis=1, dtype=np.int64)
    multiplier, shift = (
        np.broadcast_to(one, bias.shape).astype(np.int64) for one in layer.multipliers()
    )
    right = np.where(multiplier == 0, 1, -shift)
    sums = np.maximum(*(np.abs(end + bias) for end in reach(weight)))
    if layer.declines(right.min() < 1 or right.max() > 31, "sums are made larger"):
        return None
    if layer.declines(np.abs(bias).max() >= _MOST_BIAS, f"biases reach {power(bias)}"):
        return None
    if layer.declines(sums.max() >= _MOST_SUM, f"sums reach {power(sums)}"):
        return None
    scales = np.stack([bias * 128 + right, multiplier], axis=1).astype(np.int32)
    return Packed(weight, scales, wide=False, unit=0, form="128 bias + e, multiplier")


def _of_pie(call: Call, layer: TargetLayer[Op], packed: Packed) -> Call:
    """``call`` with what is known of it, without the fields of other scalings."""
    fields = tuple(one for one in call.params.fields if one[0] not in {"wide", "unit"})
    return replace(call, params=replace(call.params, fields=fields), cost=_cost(layer, packed))


def _weights(layer: TargetLayer[Op], packed: Packed) -> Array:
    return layer.array("weights", sixteens(packed.weight), "weights [out][terms / 16][16]")


def sixteens(rows: Int8Array) -> Int8Array:
    """int8: ``rows`` [out, terms] in whole sixteens; what the last one of each lacks, and sixteen
    more that are read, is 0."""
    filled = np.pad(rows, ((0, 0), (0, -rows.shape[1] % _TERMS)))
    return np.concatenate([filled.reshape(-1), np.zeros(_TERMS, np.int8)])


def _scratch(terms: int) -> int:
    return -(-terms // _TERMS) * _TERMS + _ALIGN


def _cost(layer: TargetLayer[Op], packed: Packed) -> int:
    """Instructions, about: of a window, to bring it in; of an output, its products and scaling."""
    outputs, terms = map(int, packed.weight.shape)
    blocks = -(-terms // _TERMS)
    each = 18 + blocks if blocks <= _HELD else 20 + 2 * blocks
    return layer.output.size // outputs * (150 + 2 * terms + outputs * each)
