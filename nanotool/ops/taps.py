"""Which taps of a sliding window lie over the input, and how many products that makes."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import ConvTranspose2D, Op, Window
from nanotool.ops.facts import facts
from nanotool.ops.layer import Layer

Masks: TypeAlias = NDArray[np.bool_]


def window_taps(window: Window, size: int, outputs: int, axis: int) -> Masks:
    """[outputs, kernel] along one axis: whether a tap lies over the input, at each position."""
    start = np.arange(outputs)[:, None] * window.stride[axis] - window.padding[axis]
    at = start + np.arange(window.kernel[axis]) * window.dilation[axis]
    return np.asarray((at >= 0) & (at < size))


def transpose_taps(window: Window, size: int, outputs: int, axis: int) -> Masks:
    """The same for a transposed convolution: whether a tap meets an input pixel."""
    place = np.arange(outputs)[:, None] + window.padding[axis] - np.arange(window.kernel[axis])
    at, rest = np.divmod(place, window.stride[axis])
    return np.asarray((rest == 0) & (at >= 0) & (at < size))


def macs(layer: Layer[Op]) -> int:
    """Multiply-accumulates of one inference. Taps over the border count; of a transposed
    convolution only those that meet an input pixel."""
    if layer.qop.weight is None:
        return 0
    if facts(layer.op).recurrent:
        matrices = [one.size for one in layer.constants if one is not None and one.ndim == 2]
        steps = layer.output.size // layer.output.shape[-1]
        return steps * int(layer.weight.size) + sum(matrices)
    if not isinstance(layer.op, ConvTranspose2D):
        return layer.output.size * math.prod(layer.weight.shape[1:])
    source, target, window = layer.input.shape, layer.output.shape, layer.op.window
    taps = (transpose_taps(window, source[axis], target[axis], axis) for axis in (0, 1))
    return math.prod(int(one.sum()) for one in taps) * source[2] * target[2]
