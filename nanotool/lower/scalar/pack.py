"""Weights and scales for kernels without SIMD: lib/nano/src/requant_scalar.h states the layouts.

As in `nanotool.lower.pack` each precondition is proved here, from the numbers of the layer at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, Int8Array
from nanotool.lower.layer import Layer
from nanotool.lower.pack import reach, scaled

# Forms of the scaling: bits of an accumulator, bits of its product with Q31 that are dropped.
_NARROW = (20, 22)
_WIDE = (23, 24)
_OFFSET = 128  # the kernels see inputs that are so much larger
_HALF_LIMIT = 2**23  # of a packed bias
_INT32_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class Packed:
    """A layer's weights, rows of which may be 0 (see `nanotool.lower.pack.Scaled`), and scales."""

    weight: Int8Array  # [out, terms]
    scales: NDArray[np.int32]  # [out, 2]
    wide: bool  # an accumulator may reach 2^20: four limbs

    def scales_array(self, layer: Layer) -> Array:
        """The scales as an array in flash."""
        note = "scales [out][256 bias + shift - 1, multiplier]"
        return layer.array("scales", self.scales, note)


def packed(layer: Layer) -> Packed | None:
    """``layer``'s weights and scales; None if the scaling would be wrong for some channel."""
    common = scaled(layer)
    if common is None:
        return None
    low, high = (end + common.bias for end in reach(common.weight))
    largest = int(np.maximum(np.abs(low), np.abs(high)).max())
    right, zero_point = int(common.right.max()), layer.output.zero_point
    bias = common.bias - _OFFSET * common.weight.sum(axis=1, dtype=np.int64)
    if np.abs(bias).max() >= _HALF_LIMIT or not _fits(_WIDE, largest, right, zero_point):
        return None
    scales = np.stack([bias * 256 + common.right - 1, common.multiplier], axis=1)
    wide = not _fits(_NARROW, largest, right, zero_point)
    return Packed(common.weight, scales.astype(np.int32), wide)


def _fits(form: tuple[int, int], largest: int, right: int, zero_point: int) -> bool:
    """Whether nothing in that ``form`` leaves int32, so that it is exact."""
    bits, dropped = form
    unit = 2 ** (31 - dropped)  # one, in what is summed up
    rounding = abs(2 * zero_point + 1) * 2 ** (right - 1) + 2
    return bool(largest < 2**bits and (largest + rounding) * unit < _INT32_LIMIT)


def fours(rows: Int8Array) -> NDArray[np.uint8]:
    """uint8 [ceil(out / 4), terms, 4]: four rows side by side, term by term, each weight 128
    larger; the rows that the last four lack are 0."""
    filled = np.pad(rows.astype(np.int16), ((0, -len(rows) % 4), (0, 0))) + 128
    blocks = filled.astype(np.uint8).reshape(-1, 4, rows.shape[1])
    return np.ascontiguousarray(blocks.transpose(0, 2, 1))
