"""Dense layers and convolutions: lib/nano/include/nano/ops/linear_mve.h."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nanotool.ir import INT8_MIN, Conv2D, ConvTranspose2D, Dense, Op, Struct
from nanotool.lower import parts
from nanotool.lower.armv81m import blocks
from nanotool.lower.layer import (
    UINT16_MAX,
    Call,
    TargetLayer,
    in_chunks,
    overlap,
    pair_variant,
    store,
    variant,
)
from nanotool.lower.pack import scaled
from nanotool.lower.pooling import window_needs, window_struct

TARGET = "armv81m"
FEW = 4  # outputs of a pixel, fewer than that
PIXELS = 2  # that a convolution computes together
_NOTE = "weights [out / 4][steps of 16 terms][4][16]"


def _kernel(name: str, layer: TargetLayer[Op]) -> str:
    """The kernel's symbol: the shorter one where what is below the zero point saturates."""
    return f"{name}_relu_mve" if layer.output.zero_point == INT8_MIN else f"{name}_mve"


@variant(TARGET, Dense)
def _dense(layer: TargetLayer[Dense]) -> Call | None:
    """Four outputs at a time. A row of inputs is read whole before its outputs are written."""
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    rows, steps = layer.input.size // inputs, blocks.steps(inputs)
    packed = scaled(layer)
    largest = max(steps, rows, outputs)
    many = layer.declines(largest > UINT16_MAX, f"more than {UINT16_MAX:,} rows")
    if packed is None or many:
        return None
    fields = (
        ("weights", layer.array("weights", blocks.weights(packed.weight), _NOTE)),
        ("scales", blocks.scales(layer, packed)),
        ("rows", rows),
        ("steps", steps),
        ("in_features", inputs),
        ("out_features", outputs),
        ("store", store(layer)),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * inputs, outputs)
    return Call(
        _kernel("nano_dense", layer),
        Struct("nano_dense_mve_params", fields),
        (overlap(in_chunks(needs, outputs)),),
        scratch=blocks.STEP * steps,
    )


@variant(TARGET, Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Two pixels at a time; groups one by one."""
    if layer.op.groups == 1:
        call = _plain(layer)
        return call and (_few(layer, call) or call)
    return parts.grouped(layer, _plain)


@variant(TARGET, ConvTranspose2D)
def _conv_transpose2d(layer: TargetLayer[ConvTranspose2D]) -> Call | None:
    """As the convolution of its blocks."""
    return parts.transposed(layer, _plain)


@pair_variant(TARGET)
def _pooled(first: TargetLayer[Any], second: TargetLayer[Any]) -> Call | None:
    """A convolution and the pool behind it."""
    return parts.pooled(first, second, _plain, ("nano_max_pool_mve", "nano_average_pool_mve"))


def _few(layer: TargetLayer[Conv2D], call: Call) -> Call | None:
    """``call`` by the kernel of few outputs whose windows lie in the image as they are; None where
    it does not serve."""
    window, (height, width) = layer.op.window, layer.input.shape[:2]
    (rows, columns), outputs = window.kernel, layer.output.shape[2]
    whole_rows = columns == width and window.dilation[0] == 1
    side_by_side = window.dilation[1] == 1 and (rows == 1 or whole_rows)
    inside = window.padding[:2] == (0, 0) and all(
        (count - 1) * step + taps <= size
        for count, step, taps, size in zip(
            layer.output.shape, window.stride, window.kernel, (height, width), strict=False
        )
    )
    if outputs >= FEW or not side_by_side or not inside:
        return None
    needs = in_chunks(window_needs(window, layer, np.zeros(outputs, np.int64)), outputs)
    return replace(call, kernel="nano_conv2d_few_mve", overlaps=(overlap(needs),), scratch=0)


def _plain(layer: TargetLayer[Conv2D]) -> Call | None:
    """Of one group."""
    op, packed = layer.op, scaled(layer)
    if packed is None:
        return None
    outputs, terms = packed.weight.shape
    steps = blocks.steps(terms)
    if layer.declines(steps > UINT16_MAX, f"{terms:,} terms in a sum"):
        return None
    fields = (
        ("weights", layer.array("weights", blocks.weights(packed.weight), _NOTE)),
        ("scales", blocks.scales(layer, packed)),
        ("window", window_struct(op.window, layer)),
        ("steps", steps),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    needs = window_needs(op.window, layer, np.zeros(outputs, np.int64))
    return Call(
        _kernel("nano_conv2d", layer),
        Struct("nano_conv2d_mve_params", fields),
        (overlap(in_chunks(needs, PIXELS * outputs)),),
        scratch=PIXELS * blocks.STEP * steps + 16,
    )
