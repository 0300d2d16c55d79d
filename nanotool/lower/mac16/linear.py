"""Dense layers and convolutions: lib/nano/include/nano/ops/mac16.h."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, Conv2D, Dense, Int8Array, Op
from nanotool.lower.layer import UINT16_MAX, Call, TargetLayer, variant
from nanotool.lower.scalar import limbs
from nanotool.lower.scalar.linear import MOST_TERMS, conv2d_call, dense_call

TARGET = "mac16"
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
    weights = _weights(layer, packed, inputs)
    scratch = _scratch(inputs)
    return dense_call(layer, packed, "nano_dense_mac16", weights, windows=1, scratch=scratch)


@variant(TARGET, Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Pixel by pixel; groups are left to the scalar kernels."""
    packed = _packed(layer) if layer.op.groups == 1 else None
    if packed is None:
        return None
    weights = _weights(layer, packed, layer.input.shape[2])
    scratch = _scratch(packed.weight.shape[1])
    return conv2d_call(layer, packed, "nano_conv2d_mac16", weights, windows=1, scratch=scratch)


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
