"""Where the pixels of a resized image come from, along one axis, by TensorFlow Lite's rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanotool.numerics.rounding import Int64Array, divide_toward_zero

BILINEAR_BITS = 10  # behind the point of a position


def nearest_positions(
    size: int, output: int, align_corners: bool, half_pixel_centers: bool
) -> Int64Array:
    """The input index [output] of each output index, 0..``size`` - 1, computed in float32.

    floor((i + offset) · scale), or rounded (halves up) where corners are aligned.
    """
    aligned = align_corners and output > 1
    scale = np.float32(size - 1 if aligned else size) / np.float32(
        output - 1 if aligned else output
    )
    offset = np.float32(0.5 if half_pixel_centers else 0)
    position = ((np.arange(output, dtype=np.float32) + offset) * scale).astype(np.float64)
    nearest = np.floor(position + 0.5 if align_corners else position)
    return np.asarray(np.clip(nearest, 0, size - 1), np.int64)


@dataclass(frozen=True, slots=True)
class BilinearPositions:
    """Per output index along one axis: two neighbours, and how much the second one weighs."""

    lower: Int64Array  # 0..size - 1
    upper: Int64Array
    weight: Int64Array  # of `upper`, in 1/1024; `lower` weighs 1024 - weight


def bilinear_scale(size: int, output: int, align_corners: bool) -> int:
    """Input pixels per output pixel, in 1/1024, rounded half up."""
    if align_corners and output > 1:
        size, output = size - 1, output - 1
    return ((size << BILINEAR_BITS) + output // 2) // output


def bilinear_positions(
    size: int, output: int, align_corners: bool, half_pixel_centers: bool
) -> BilinearPositions:
    """Neighbours and weights [output] for each output index.

    The rounded scale may lead beyond the last pixel (from 1 to 55 pixels it does), where TFLite
    Micro reads behind its input. Here the last pixel goes on: both neighbours are the last one.
    """
    scale = bilinear_scale(size, output, align_corners)
    position = np.arange(output, dtype=np.int64) * scale
    if half_pixel_centers:
        position += scale // 2 - (1 << (BILINEAR_BITS - 1))
    one = 1 << BILINEAR_BITS
    lower = np.clip(divide_toward_zero(position, one), 0, size - 1)
    upper = np.minimum(divide_toward_zero(position + one - 1, one), size - 1)
    return BilinearPositions(lower, upper, position - lower * one)
