"""Pools: lib/nano/include/nano/ops/pool.h."""

from __future__ import annotations

import math
from dataclasses import replace

from nanotool.ir import AveragePool2D, MaxPool2D
from nanotool.lower.layer import Call, TargetLayer, portable_calls, variant

TARGET = "armv7em"
CHANNELS = 4  # that are pooled together
_HALF_TAPS = 256  # of a sum that fits 16 bits: 256 * -128 = -2^15


@variant(TARGET, MaxPool2D)
@variant(TARGET, AveragePool2D)
def _pool(layer: TargetLayer[MaxPool2D | AveragePool2D]) -> Call | None:
    """Four channels at a time, with the portable kernel's parameters: a byte needs what it needs
    there, and no byte is written before those in front of it have been computed."""
    op = layer.op
    channels, taps = layer.output.shape[2], math.prod(op.window.kernel)
    if layer.declines(channels < CHANNELS, f"fewer than {CHANNELS} channels: {channels}"):
        return None
    many = isinstance(op, AveragePool2D) and taps > _HALF_TAPS
    if layer.declines(many, f"more than {_HALF_TAPS} elements in a window: {taps}"):
        return None
    (call,) = portable_calls(layer)
    return replace(call, kernel=f"{call.kernel}_dsp")
