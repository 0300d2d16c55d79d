"""Dense layers and convolutions on int16: lib/nano/include/nano/ops/int16_dsp.h."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import ZERO_POINTS, Conv2D, Dense, Int8Array, Struct
from nanotool.lower.int16 import limits, reach
from nanotool.lower.layer import UINT16_MAX, Call, Fields, TargetLayer, in_chunks, variant
from nanotool.lower.linear import conv2d_needs, is_depthwise
from nanotool.lower.pooling import window_struct
from nanotool.ops import Layer

TARGET = "armv7em"
TILE = 3  # pixels that a convolution computes together
_LARGEST = -ZERO_POINTS["int16"][0]  # of an input
_MOST_SHIFT = 16  # that a multiplier of 15 bits is shifted left at most
_ORDER = [0, 2, 1, 3]  # of what SXTB16 takes out of a word
_NOTE = "[out / 2]: weights [terms / 2][even odd even odd], then [2][ready, multiplier, shift]"


@dataclass(frozen=True, slots=True)
class _Channel:
    """How a sum of products becomes an output (requant_int16_dsp.h)."""

    ready: int  # bias and rounding
    multiplier: int
    shift: int  # of the upper word of the total

    @property
    def words(self) -> tuple[int, int, int, int]:
        """As int32, the lower half of ``ready`` first."""
        low = self.ready & 0xFFFFFFFF
        return low - (low >> 31 << 32), self.ready >> 32, self.multiplier, self.shift


def _channel(multiplier: int, right: int, bias: int, largest: int) -> _Channel | None:
    """Of sums up to ``largest``, which are scaled by multiplier / 2^right: the product shifted left
    as far as 64 bits hold all that adds up; None where that is not to its upper half, or where the
    reference's 32 bits do not hold the result."""
    if (largest * multiplier >> right) + 1 >= 2**31:
        return None
    for left in range(_MOST_SHIFT, max(32 - right, 0) - 1, -1):
        factor, rounding = multiplier << left, 1 << (right + left - 1)
        if largest * factor + rounding < 2**63 and factor < 2**31 and right + left < 64:
            return _Channel(bias * factor + rounding, factor, right + left - 32)
    return None


def scales(layer: Layer[Conv2D | Dense]) -> NDArray[np.int32] | None:
    """int32 [out, 4], the layout of requant_int16_dsp.h; None where that would be wrong for some
    channel."""
    outputs = len(layer.weight)
    multipliers, shifts = (np.broadcast_to(one, outputs) for one in layer.wide_multipliers())
    sums = np.abs(layer.weight.reshape(outputs, -1).astype(np.int64)).sum(axis=1)
    rows = []
    for multiplier, shift, bias, total in zip(
        multipliers.tolist(), shifts.tolist(), layer.bias.tolist(), sums.tolist(), strict=True
    ):
        largest = total * _LARGEST + abs(bias)
        channel = _channel(multiplier, 15 - shift, bias, largest)
        if channel is None:
            return None
        rows.append(channel.words)
    return np.array(rows, np.int64).astype(np.int32)


def _part(rows: Int8Array) -> int:
    """Words of two terms that sums of ``rows`` may have without leaving int32."""
    weights = np.abs(rows.astype(np.int64)).reshape(len(rows), -1, 2).sum(axis=2)
    words = int(weights.shape[1])
    ends = np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))
    for parts in range(1, words + 1):
        part = -(-words // parts)
        edges = [*range(0, words, part), words]
        if (np.diff(ends[:, edges], axis=1) * _LARGEST).max() < 2**31:
            return part
    return 1


def _packed(rows: Int8Array, ready: NDArray[np.int32]) -> NDArray[np.int8]:
    """[out / 2]: the words of two rows, then the scales of both."""
    odd = len(rows) % 2
    pairs = np.pad(rows, ((0, odd), (0, 0))).reshape(-1, 2, rows.shape[1])
    both = np.pad(ready, ((0, odd), (0, 0))).astype("<i4").reshape(len(pairs), -1).view(np.int8)
    words = np.ascontiguousarray(pairs.transpose(0, 2, 1)).reshape(len(pairs), -1)
    return np.concatenate([words, both], axis=1)


def _rows(
    layer: TargetLayer[Conv2D | Dense], runs: Int8Array, groups: int = 1
) -> tuple[Struct, bool] | None:
    """nano_rows_int16 of weights [out, runs, terms side by side], and whether its sums have several
    parts; outputs of each group in pairs."""
    ready = scales(layer)
    runs = np.pad(runs, ((0, 0), (0, 0), (0, runs.shape[2] % 2)))
    rows = runs.reshape(len(runs), -1)
    words = rows.shape[1] // 2
    if ready is None or words > UINT16_MAX:
        return None
    each = len(rows) // groups
    packed = [
        _packed(rows[begin : begin + each], ready[begin : begin + each])
        for begin in range(0, len(rows), each)
    ]
    part = _part(rows)
    fields: Fields = (
        ("weights", layer.array("weights", np.concatenate(packed), _NOTE)),
        ("words", words),
        ("part", part),
        *limits(layer),
    )
    return Struct("nano_rows_int16", fields), part < words


@variant(TARGET, Dense, int16=True)
def _dense(layer: TargetLayer[Dense]) -> Call | None:
    """Where memory is to be small the portable kernel serves, as in int8."""
    if layer.refuses_memory:
        return None
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // inputs
    packed = _rows(layer, layer.weight[:, None, :])
    if packed is None or max(rows, outputs) > UINT16_MAX:
        return None
    fields: Fields = (
        ("outputs", packed[0]),
        ("rows", rows),
        ("in_features", inputs),
        ("out_features", outputs),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * inputs, outputs)
    return Call(
        "nano_dense_int16_dsp",
        Struct("nano_dense_int16_dsp_params", fields),
        (reach(in_chunks(needs, outputs)),),
        scratch=4 * -(-inputs // 2),
    )


@variant(TARGET, Conv2D, int16=True)
def _depthwise_conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Pixel by pixel, in order, as the portable kernel."""
    channels, outputs = layer.input.shape[2], layer.output.shape[2]
    ready = scales(layer) if is_depthwise(layer) and outputs >= 4 else None
    taps = layer.weight.reshape(outputs, -1)
    if ready is None or _part(np.repeat(taps, 2, axis=1)) < taps.shape[1]:
        return None
    fours = np.pad(taps, ((0, -outputs % 4), (0, 0))).reshape(-1, 4, taps.shape[1])
    weights = fours[:, _ORDER].transpose(0, 2, 1)
    fields: Fields = (
        ("weights", layer.array("weights", weights, "weights [out / 4][taps][4: 0 2 1 3]")),
        ("scales", layer.array("scales", ready, "scales [out][ready, multiplier, shift]")),
        ("window", window_struct(layer.op.window, layer)),
        ("multiplier", outputs // channels),
        *limits(layer),
    )
    params = Struct("nano_depthwise_conv2d_int16_dsp_params", fields)
    return Call("nano_depthwise_conv2d_int16_dsp", params, (reach(conv2d_needs(layer)),))


@variant(TARGET, Conv2D, int16=True)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Three pixels at a time; groups one behind the other."""
    op, weight = layer.op, layer.weight
    together = op.groups == 1 and op.window.dilation[1] == 1
    runs = math.prod(op.window.kernel[:1] if together else op.window.kernel)
    packed = _rows(layer, weight.reshape(len(weight), runs, -1), op.groups)
    if packed is None:
        return None
    rows, long = packed
    fields: Fields = (
        ("outputs", rows),
        ("window", window_struct(op.window, layer)),
        ("groups", op.groups),
    )
    relu = layer.clamp == (0, ZERO_POINTS["int16"][1])
    kind = "_long" if long else "_relu" if relu else ""
    needs = in_chunks(conv2d_needs(layer), TILE * layer.output.shape[2])
    words = dict(rows.fields)["words"]
    assert isinstance(words, int)
    return Call(
        f"nano_conv2d_int16{kind}_dsp",
        Struct("nano_conv2d_int16_dsp_params", fields),
        (reach(needs) if op.groups == 1 else None,),
        scratch=24 + 12 * words,
    )
