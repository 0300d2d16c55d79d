"""Dense layers and convolutions: lib/nano/include/nano/ops/mac16.h."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, Conv2D, Dense, Int8Array, Op, Struct
from nanotool.lower.layer import UINT16_MAX, Call, TargetLayer, in_chunks, overlap, store, variant
from nanotool.lower.pooling import window_needs, window_struct
from nanotool.lower.scalar import limbs

TARGET = "mac16"
MOST_TERMS = 2**15  # 255 * 128 times as many fit int32
_TERMS = 4  # of a block
_ORDER = (0, 2, 1, 3)  # of a block's terms
_AHEAD = 4  # weights behind the last that are read
_INPUTS_AHEAD = 2


@variant(TARGET, Dense)
def _dense(layer: TargetLayer[Dense]) -> Call | None:
    """Row by row."""
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // inputs
    packed = _packed(layer)
    if packed is None or max(rows, outputs) > UINT16_MAX:
        return None
    fields = (
        ("weights", _weights(layer, packed, inputs)),
        ("scales", packed.scales_array(layer)),
        ("rows", rows),
        ("in_features", inputs),
        ("out_features", outputs),
        ("wide", int(packed.wide)),
        ("unit", packed.unit),
        ("store", store(layer)),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * inputs, outputs)
    return Call(
        "nano_dense_mac16",
        Struct("nano_dense_mac16_params", fields),
        (overlap(in_chunks(needs, outputs)),),
        scratch=_scratch(inputs),
    )


@variant(TARGET, Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Pixel by pixel; groups are left to the scalar kernels."""
    op = layer.op
    packed = _packed(layer) if op.groups == 1 else None
    if packed is None:
        return None
    outputs, terms = packed.weight.shape
    fields = (
        ("weights", _weights(layer, packed, layer.input.shape[2])),
        ("scales", packed.scales_array(layer)),
        ("window", window_struct(op.window, layer)),
        ("wide", int(packed.wide)),
        ("unit", packed.unit),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    needs = window_needs(op.window, layer, np.zeros(outputs, np.int64))
    return Call(
        "nano_conv2d_mac16",
        Struct("nano_conv2d_mac16_params", fields),
        (overlap(in_chunks(needs, outputs)),),
        scratch=_scratch(terms),
    )


def _packed(layer: TargetLayer[Op]) -> limbs.Packed | None:
    """Weights and scales; None where memory is to be small, or a sum might be wrong."""
    packed = None if layer.optimize == "size" else limbs.packed(layer)
    return None if packed is None or packed.weight.shape[1] > MOST_TERMS else packed


def _weights(layer: TargetLayer[Op], packed: limbs.Packed, together: int) -> Array:
    """``together``: the inputs that stand side by side."""
    words = together % _TERMS == 0
    note = f"weights [out][terms / 4][4{': 0, 2, 1, 3' if words else ''}]"
    return layer.array("weights", rows_of_fours(packed.weight, words=words), note)


def rows_of_fours(rows: Int8Array, *, words: bool) -> NDArray[np.int16]:
    """int16 [out * ceil(terms / 4) * 4 + 4]: ``rows`` [out, terms] as the kernel reads them, those
    of a four in the order of ``_ORDER`` where inputs come as words; what the last four lacks, and
    what is read ahead, is 0."""
    filled = np.pad(rows.astype(np.int16), ((0, 0), (0, -rows.shape[1] % _TERMS)))
    fours = filled.reshape(len(rows), -1, _TERMS)
    ordered = fours[:, :, _ORDER] if words else fours
    return np.concatenate([ordered.reshape(-1), np.zeros(_AHEAD, np.int16)])


def _scratch(terms: int) -> int:
    return 2 * (-(-terms // _TERMS) * _TERMS + _INPUTS_AHEAD)
