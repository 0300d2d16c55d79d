"""Dense layers and convolutions: lib/nano/include/nano/ops/scalar.h."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanotool.ir import Array, Conv2D, ConvTranspose2D, Dense, Op, Struct
from nanotool.lower import parts
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
from nanotool.lower.pooling import window_needs, window_struct
from nanotool.lower.scalar import limbs

TARGET = "scalar"
WINDOWS = 2  # that are read before the outputs of any of them are written
FEW = 3  # outputs of rows that nano_dense_few_scalar takes
POOLS = ("nano_max_pool", "nano_average_pool")  # that go with convolutions: the portable ones
WORTH = 1024  # MACs for which that is brought in: 1.2 KB of code
MOST_TERMS = 2**15  # 255 * 255 times as many fit int32


def _weights(layer: TargetLayer[Op], packed: limbs.Packed, terms: str) -> Array:
    note = f"weights + 128: [out / 4][{terms}][4], [rest][{terms}]"
    return layer.array("weights", limbs.fours(packed.weight), note)


def _too_long(layer: TargetLayer[Op], terms: int) -> bool:
    """Whether sums of so many terms leave int32, which ``layer`` then says."""
    return layer.declines(terms > MOST_TERMS, f"more than {MOST_TERMS:,} terms in a sum: {terms:,}")


@variant(TARGET, Dense)
def _dense(layer: TargetLayer[Dense]) -> Call | None:
    """One or two rows by four outputs at a time."""
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // inputs
    if layer.refuses_memory:
        return None
    if (few := _few(layer)) is not None:
        return few
    packed = limbs.packed(layer) or limbs.long(layer)
    long = _too_long(layer, inputs)
    many = layer.declines(max(rows, outputs) > UINT16_MAX, f"more than {UINT16_MAX:,} rows")
    if packed is None or long or many:
        return None
    return dense_call(
        layer,
        packed,
        "nano_dense_long_scalar" if packed.long else "nano_dense_scalar",
        _weights(layer, packed, "in_features"),
        windows=WINDOWS,
        scratch=min(rows, WINDOWS) * inputs,
    )


def _few(layer: TargetLayer[Dense] | TargetLayer[Conv2D]) -> Call | None:
    """The call of a layer of rows with so few outputs that inputs are read where they are; None for
    another layer."""
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // inputs
    if outputs > FEW or rows * inputs * outputs < WORTH or inputs > MOST_TERMS or rows > UINT16_MAX:
        return None
    packed = limbs.packed(layer, 0) or limbs.long(layer, 0)
    if packed is None:
        return None
    kernel = "nano_dense_few_long_scalar" if packed.long else "nano_dense_few_scalar"
    turned = np.ascontiguousarray(packed.weight.T).view(np.uint8)
    weights = layer.array("weights", turned, "weights, int8 as bytes: [in_features][out_features]")
    return dense_call(layer, packed, kernel, weights, windows=WINDOWS, scratch=0)


def dense_call(
    layer: TargetLayer[Dense] | TargetLayer[Conv2D],
    packed: limbs.Packed,
    kernel: str,
    weights: Array,
    *,
    windows: int,
    scratch: int,
) -> Call:
    """The call of a ``kernel`` like nano_dense_scalar, which reads ``windows`` rows before it
    writes their outputs."""
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // inputs
    fields = (
        ("weights", weights),
        ("scales", packed.scales_array(layer)),
        ("rows", rows),
        ("in_features", inputs),
        ("out_features", outputs),
        ("wide", int(packed.wide)),
        ("unit", packed.unit),
        ("store", store(layer)),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * inputs, outputs)
    struct = Struct(params_of(kernel), fields)
    return Call(kernel, struct, (overlap(in_chunks(needs, windows * outputs)),), scratch=scratch)


def params_of(kernel: str) -> str:
    """The struct that ``kernel`` takes; kernels of long rows and of few outputs take that of the
    others, MAC16's of bytes the scalar ones'."""
    plain = kernel.replace("_long", "").replace("_few", "").replace("_bytes_mac16", "_scalar")
    return f"{plain}_params"


@variant(TARGET, Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Two pixels by four outputs at a time; groups one by one."""
    packed = None if layer.refuses_memory else limbs.packed(layer) or limbs.long(layer)
    if packed is None:
        return None
    if layer.op.groups == 1:
        return (_few(layer) if _of_rows(layer) else None) or _plain(layer, packed)
    if packed.long:  # limbs.packed() has said why
        return None
    each = iter(packed.split(layer.op.groups))
    return parts.grouped(layer, lambda part: _plain(part, next(each)))


@pair_variant(TARGET)
def _pooled(first: TargetLayer[Any], second: TargetLayer[Any]) -> Call | None:
    """A convolution and the pool behind it."""

    def plain(layer: TargetLayer[Conv2D]) -> Call | None:
        packed = limbs.packed(layer) or limbs.long(layer)
        return None if packed is None else _plain(layer, packed)

    return parts.pooled(first, second, plain, POOLS)


@variant(TARGET, ConvTranspose2D)
def _conv_transpose2d(layer: TargetLayer[ConvTranspose2D]) -> Call | None:
    """As the convolution of its blocks."""

    def plain(blocks: TargetLayer[Conv2D]) -> Call | None:
        packed = limbs.packed(blocks)
        return None if packed is None else _plain(blocks, packed)

    return parts.transposed(layer, plain)


def _of_rows(layer: TargetLayer[Conv2D]) -> bool:
    """Whether an output pixel is its input pixel's alone."""
    window = layer.op.window
    plain = window.kernel == window.stride == (1, 1) and not any(window.padding)
    return plain and layer.input.shape[:2] == layer.output.shape[:2]


def _plain(layer: TargetLayer[Conv2D], packed: limbs.Packed) -> Call | None:
    """Of one group."""
    if _too_long(layer, packed.weight.shape[1]):
        return None
    return conv2d_call(
        layer,
        packed,
        "nano_conv2d_long_scalar" if packed.long else "nano_conv2d_scalar",
        _weights(layer, packed, "kernel_h kernel_w in_c"),
        windows=WINDOWS,
        scratch=WINDOWS * packed.weight.shape[1],
    )


def conv2d_call(
    layer: TargetLayer[Conv2D],
    packed: limbs.Packed,
    kernel: str,
    weights: Array,
    *,
    windows: int,
    scratch: int,
) -> Call:
    """The call of a ``kernel`` like nano_conv2d_scalar, which reads the windows of ``windows``
    pixels before it writes them."""
    window, outputs = layer.op.window, len(packed.weight)
    fields = (
        ("weights", weights),
        ("scales", packed.scales_array(layer)),
        ("window", window_struct(window, layer)),
        ("wide", int(packed.wide)),
        ("unit", packed.unit),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    needs = window_needs(window, layer, np.zeros(outputs, np.int64))
    struct = Struct(params_of(kernel), fields)
    return Call(kernel, struct, (overlap(in_chunks(needs, windows * outputs)),), scratch=scratch)
