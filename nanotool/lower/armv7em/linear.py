"""Dense layers and convolutions: lib/nano/include/nano/ops/linear_dsp.h."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import INT8_MIN, Array, Conv2D, ConvTranspose2D, Dense, Int8Array, Op, Struct
from nanotool.lower import pack, parts
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

TARGET = "armv7em"
TILE = 3  # pixels that a convolution computes together
_MULTIPLY_QUAD = 17  # instructions for a quad of terms, a pair of outputs and three pixels
_COPY_WINDOW, _COPY_ROW = 120, 30  # instructions to copy a window: once, and a short row


def _kernel(name: str, layer: TargetLayer[Op], long: bool) -> str:
    """The kernel's symbol: the shorter one where what is below the zero point saturates, the one
    that parts its sums where rows are ``long``."""
    if long:
        return f"{name}_long_dsp"
    return f"{name}_relu_dsp" if layer.output.zero_point == INT8_MIN else f"{name}_dsp"


def _pairs(rows: Int8Array, block: int) -> tuple[NDArray[np.int16] | None, bool]:
    """``rows`` in pairs, and whether these need the kernel of long rows, whose loop takes eight
    times ``block`` terms a round."""
    pairs = pack.row_pairs(rows)
    if pairs is not None:
        return pairs, False
    return pack.row_pairs(rows, pack.part_ends(rows.shape[1], block)), True


def _scales(layer: TargetLayer[Op], packed: pack.Scaled, outputs: int = 0) -> Array:
    """Those of ``outputs`` at least, the last ones 0."""
    words = np.pad(packed.scales, ((0, max(outputs - len(packed.scales), 0)), (0, 0)))
    return layer.array("scales", words, "scales [out][256 bias + shift - 1, multiplier]")


@variant(TARGET, Dense)
def _dense(layer: TargetLayer[Dense]) -> Call | None:
    """Four outputs at a time. A row of inputs is read whole before its outputs are written.

    Where memory is to be small the portable kernel serves: no scratch, a third of the code.
    """
    if layer.refuses_memory:
        return None
    rows = layer.input.size // layer.input.shape[-1]
    return _rows(layer, rows, layer.input.shape[-1])


def _rows(layer: TargetLayer[Dense | Conv2D], rows: int, inputs: int) -> Call | None:
    """``rows`` times the outputs of ``inputs`` that lie one behind the other."""
    outputs = layer.output.shape[-1]
    scaled = pack.scaled(layer)
    packed = scaled and replace(scaled, weight=scaled.weight.reshape(outputs, inputs))
    pairs, long = (None, False) if packed is None else _pairs(packed.weight, 8)
    octets = -(-inputs // 8)
    scratch = 16 + 16 * octets
    largest = max(octets, rows, outputs)
    if packed is None or layer.declines(pairs is None, pack.NO_PAIRS) or pairs is None:
        return None
    if layer.declines(largest > UINT16_MAX, f"more than {UINT16_MAX:,} elements in a row"):
        return None
    fours = (outputs + 1) // 4  # three outputs are computed as four
    weights = pack.blocks(pack.quads(pairs, 2), fours)
    note = (
        "weights, 256 odd + even row: [out / 4][quads of inputs][2][4: 0 2 1 3], then single pairs"
    )
    fields = (
        ("weights", layer.array("weights", weights, note)),
        ("scales", _scales(layer, packed, 4 * fours)),
        ("rows", rows),
        ("octets", octets),
        ("in_features", inputs),
        ("out_features", outputs),
        ("store", store(layer)),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * inputs, outputs)
    return Call(
        _kernel("nano_dense", layer, long),
        Struct("nano_dense_dsp_params", fields),
        (overlap(in_chunks(needs, outputs)),),
        scratch=scratch,
    )


@variant(TARGET, Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Three pixels at a time; groups one by one. One pixel of all of the input is a dense layer,
    and goes its way: where memory is to be small to the portable kernel."""
    if layer.op.groups != 1:
        return parts.grouped(layer, _plain)
    if _sees_all(layer):
        return None if layer.refuses_memory else _rows(layer, 1, layer.input.size)
    return _plain(layer)


@variant(TARGET, ConvTranspose2D)
def _conv_transpose2d(layer: TargetLayer[ConvTranspose2D]) -> Call | None:
    """As the convolution of its blocks."""
    return parts.transposed(layer, lambda blocks: _plain(blocks, pad=False))


@pair_variant(TARGET)
def _pooled(first: TargetLayer[Any], second: TargetLayer[Any]) -> Call | None:
    """A convolution and the pool behind it."""
    pools = ("nano_max_pool_dsp", "nano_average_pool_dsp")
    call = parts.pooled(first, second, lambda layer: _plain(layer, pad=False), pools)
    if call is None or call.cost is None or not any(first.op.window.padding):
        return call
    copies = first.output.shape[0] * (_COPY_WINDOW + _COPY_ROW * first.op.window.kernel[0])
    return replace(call, cost=call.cost + 2 * TILE * copies)  # of windows at both ends of a row


def _plain(layer: TargetLayer[Conv2D], pad: bool = True) -> Call | None:
    """Of one group; ``pad``: an image with its padding may be made."""
    op = layer.op
    packed = pack.scaled_wide(layer)
    pitch = _pitch(layer)
    terms = op.window.kernel[0] * pitch
    many = layer.declines(terms > UINT16_MAX, f"more than {UINT16_MAX:,} terms in a sum")
    if packed is None or many:
        return None
    rows = packed.weight.reshape(len(packed.weight), op.window.kernel[0], -1)
    rows = np.pad(rows, ((0, 0), (0, 0), (0, pitch - rows.shape[2])))
    pairs, long = _pairs(rows.reshape(len(rows), terms), 4)
    if layer.declines(pairs is None, pack.NO_PAIRS) or pairs is None:
        return None
    paired = pack.quads(pairs)
    quads = paired.shape[1]
    weights = pack.with_scales(paired, pack.ready_scales(packed, layer.output.zero_point))
    outputs = layer.output.shape[2]
    padded = _padded_bytes(layer, pitch) if pad else 0
    note = (
        "[out / 2]: weights, 256 odd + even row [quads of kernel_h kernel_w in_c][4: 0 2 1 3],"
        " then [2 outputs][shift - 1, multiplier, 2 bias, rounding] in words"
    )
    fields = (
        ("weights", layer.array("weights", weights, note)),
        ("window", window_struct(op.window, layer)),
        ("quads", quads),
        ("pitch", pitch),
        ("padded", int(bool(padded))),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    needs = window_needs(op.window, layer, np.zeros(outputs, np.int64))
    chunk = layer.output.size if padded else TILE * outputs
    return Call(
        _kernel("nano_conv2d", layer, long),
        Struct("nano_conv2d_dsp_params", fields),
        (overlap(in_chunks(needs, chunk)),),
        scratch=24 + 24 * quads + (padded or TILE * 4 * quads),
    )


def _sees_all(layer: TargetLayer[Conv2D]) -> bool:
    """Whether its one output pixel is made of all of the input, in order: a dense layer's row."""
    window = layer.op.window
    whole = window.kernel == layer.input.shape[:2] and not any(window.padding)
    return whole and window.dilation == (1, 1) and layer.output.shape[:2] == (1, 1)


def _pitch(layer: TargetLayer[Conv2D]) -> int:
    """Terms that a row of a window takes: whole quads, unless copying windows costs less than
    multiplying the terms that fill them."""
    op = layer.op
    row = op.window.kernel[1] * layer.input.shape[2]
    whole = -(-row // 4) * 4
    filling = op.window.kernel[0] * whole // 4 - -(-op.window.kernel[0] * row // 4)
    copying = TILE * (_COPY_WINDOW + _COPY_ROW * op.window.kernel[0])
    pairs = -(-layer.output.shape[2] // 2)
    return row if filling * _MULTIPLY_QUAD * pairs > copying else whole


def _padded_bytes(layer: TargetLayer[Conv2D], pitch: int) -> int:
    """Bytes of a copy of the image with its padding, which spares copies of the windows that leave
    the image; 0 where none do, where they are copied anyway, or where it is large."""
    height, width, channels = layer.input.shape
    window = layer.op.window
    if not any(window.padding) or pitch % 4 or window.dilation[1] != 1:
        return 0
    rows, columns = (
        (layer.output.shape[axis] - 1) * window.stride[axis]
        + (window.kernel[axis] - 1) * window.dilation[axis]
        + 1
        for axis in range(2)
    )
    beyond = window.padding[0] + height < rows or window.padding[1] + width < columns
    if not beyond and not any(window.padding[:2]):
        return 0
    size = -(-(rows * columns * channels + 3) // 4) * 4
    most = 0 if layer.optimize == "size" else (layer.input.size + layer.output.size) // 2
    return size if size <= most else 0
