"""Depthwise convolutions: nano_depthwise_conv2d_pie of lib/nano/include/nano/ops/pie.h."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, Conv2D, Int8Array, Struct
from nanotool.lower.layer import NOTHING, Call, TargetLayer, overlap, store, variant
from nanotool.lower.linear import is_depthwise
from nanotool.lower.pack import power
from nanotool.lower.pooling import window_struct
from nanotool.ops import macs

TARGET = "pie"
_LANES = 16  # outputs at a time
_ROOM = 12 + 64 + 2 * _LANES  # bytes of scratch before the line of outputs, at most
_ADDRESS = 8  # bytes, at most
_MOST_SUM = 2**19
_MOST = 2**31
_OTHERS = 4  # instructions a MAC of the kernels that go before it where it does not pay

_Int64 = NDArray[np.int64]


@variant(TARGET, Conv2D)
def _depthwise_conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Sixteen channels at a time. What fills too little of that to pay is left to other kernels;
    so is all where there is to be no ring of lines."""
    if not is_depthwise(layer) or layer.refuses_memory:
        return None
    worth = _cost(layer) < _OTHERS * macs(layer)
    if layer.declines(not worth, "channels fill too little of vectors of 16"):
        return None
    lanes = _lanes(layer)
    if lanes is None:
        return None
    scales, bias = lanes
    note = "[out / 16][bias, 48 bytes; int8 [kernel_h][kernel_w][16]]"
    fields = (
        ("weights", layer.array("weights", _weights(layer, bias), note)),
        ("scales", _scales(layer, scales)),
        ("window", window_struct(layer.op.window, layer)),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    return Call(
        "nano_depthwise_conv2d_pie",
        Struct("nano_depthwise_conv2d_pie_params", fields),
        (_overlap(layer),),
        scratch=_scratch(layer),
        cost=_cost(layer),
    )


def _whole(outputs: int) -> int:
    """The channels of whole blocks."""
    return -(-outputs // _LANES) * _LANES


def _lanes(layer: TargetLayer[Conv2D]) -> tuple[_Int64, _Int64] | None:
    """The three words a channel of lib/nano/src/pie_lanes.h, [outputs, 3], and biases; None where
    sums or words do not hold what they would have to."""
    weight = layer.weight.reshape(len(layer.weight), -1).astype(np.int64)
    bias = layer.bias - layer.input.zero_point * weight.sum(axis=1)
    multiplier, shift = (
        np.broadcast_to(one, bias.shape).astype(np.int64) for one in layer.multipliers()
    )
    right = np.where(multiplier == 0, 1, -shift)
    sums = np.abs(bias) + 128 * np.abs(weight).sum(axis=1)  # in any order of the products
    if layer.declines(sums.max() >= _MOST_SUM, f"sums reach {power(sums)}"):
        return None
    if layer.declines(right.min() < 1 or right.max() > 20, "scaling is no shift by 1 to 20"):
        return None
    added = (1 + (2 * layer.output.zero_point + 1) * 2**right) * 2**10
    most = (sums * multiplier >> 20) + np.abs(added) + 2**12
    if layer.declines(most.max() >= _MOST, f"scaled sums reach {power(most)}"):
        return None
    return np.stack([multiplier, added, 2 ** (21 - right)], axis=1), bias


def _scales(layer: TargetLayer[Conv2D], scales: _Int64) -> Array:
    outputs = len(scales)
    filled = np.pad(scales, ((0, _whole(outputs) - outputs), (0, 0))).astype(np.int32)
    return layer.array("scales", filled, "multiplier, zero point and half, 2^(21 - e): [out][3]")


def _weights(layer: TargetLayer[Conv2D], bias: _Int64) -> Int8Array:
    """int8 [blocks, 48 + 16 * taps], and sixteen more that are read."""
    outputs = len(layer.weight)
    blocks, missing = _whole(outputs) // _LANES, _whole(outputs) - outputs
    rows = np.pad(layer.weight.reshape(outputs, -1), ((0, missing), (0, 0)))
    taps = rows.reshape(blocks, _LANES, -1).transpose(0, 2, 1).reshape(blocks, -1)
    begin = np.stack([_qacc(one) for one in np.pad(bias, (0, missing)).reshape(blocks, _LANES)])
    blocks_of = np.concatenate([begin, taps], axis=1)
    return np.concatenate([blocks_of.reshape(-1), np.zeros(_LANES, np.int8)])


def _qacc(sums: _Int64) -> Int8Array:
    """QACC with sixteen ``sums`` of 20 bits: 16 bytes of its low half, 16 of its high one, 4 more
    of each, 8 that are not read."""
    halves = [
        sum((int(one) & 2**20 - 1) << 20 * k for k, one in enumerate(half)).to_bytes(20, "little")
        for half in sums.reshape(2, -1)
    ]
    data = b"".join([*(half[:16] for half in halves), *(half[16:] for half in halves), bytes(8)])
    return np.frombuffer(data, np.int8)


def _scratch(layer: TargetLayer[Conv2D]) -> int:
    window = layer.op.window
    lines, width = _extent(layer)
    line = _LANES * layer.output.shape[1]
    ring = lines * width * _whole(layer.output.shape[2])
    return _ROOM + line + ring + _ADDRESS * window.kernel[0]


def _extent(layer: TargetLayer[Conv2D]) -> tuple[int, int]:
    """Lines of the ring and pixels of each."""
    window = layer.op.window
    high, wide = (
        (taps - 1) * apart + 1 for taps, apart in zip(window.kernel, window.dilation, strict=True)
    )
    return high, (layer.output.shape[1] - 1) * window.stride[1] + wide


def _overlap(layer: TargetLayer[Conv2D]) -> int | None:
    """A line of outputs is written when the lines of inputs that it needs have been brought in."""
    window, (lines, _) = layer.op.window, _extent(layer)
    height, width, channels = layer.output.shape
    needs = np.full(layer.output.size, NOTHING)
    for y in range(height):
        first = max((y - 1) * window.stride[0] + lines, y * window.stride[0]) if y else 0
        line = max(first - window.padding[0], 0)
        if line < layer.input.shape[0]:
            needs[y * width * channels] = line * layer.input.shape[1] * layer.input.shape[2]
    return overlap(needs)


def _cost(layer: TargetLayer[Conv2D]) -> int:
    """Instructions, about: of a block's sums, of eight of its outputs; of a byte to bring in and
    out where channels are no whole blocks."""
    rows, taps = layer.op.window.kernel
    height, width, channels = layer.output.shape
    blocks, eights = -(-channels // _LANES), -(-channels // (_LANES // 2))
    each = blocks * (50 + rows * (5 + 2 * taps)) + eights * 89
    lines = height * (blocks * (100 + width * 4) + 150)
    moved = (
        layer.input.size if channels % _LANES == 0 else 3 * (layer.input.size + layer.output.size)
    )
    return height * width * each + lines + moved
