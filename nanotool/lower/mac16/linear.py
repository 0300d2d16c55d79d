"""Dense layers and convolutions: lib/nano/include/nano/ops/mac16.h."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, Conv2D, Dense, Int8Array, Op
from nanotool.lower import parts
from nanotool.lower.layer import UINT16_MAX, Call, TargetLayer, pair_variant, variant
from nanotool.lower.scalar import limbs
from nanotool.lower.scalar.linear import MOST_TERMS, POOLS, conv2d_call, dense_call

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
    return dense_call(
        layer, packed, _kernel(layer, "dense"), weights, windows=1, scratch=_scratch(inputs)
    )


@variant(TARGET, Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Pixel by pixel; groups are left to the scalar kernels."""
    return _plain(layer) if layer.op.groups == 1 else None


@pair_variant(TARGET)
def _pooled(first: TargetLayer[Any], second: TargetLayer[Any]) -> Call | None:
    """A convolution and the pool behind it; there is none with weights that are bytes."""
    return parts.pooled(replace(first, optimize="speed"), second, _plain, POOLS)


def _plain(layer: TargetLayer[Conv2D]) -> Call | None:
    """Of one group."""
    packed = _packed(layer)
    if packed is None:
        return None
    weights = _weights(layer, packed, layer.input.shape[2])
    scratch = _scratch(packed.weight.shape[1])
    return conv2d_call(layer, packed, _kernel(layer, "conv2d"), weights, windows=1, scratch=scratch)


def _kernel(layer: TargetLayer[Op], name: str) -> str:
    """The kernel of that name: where memory is to be small, of weights that are bytes."""
    return f"nano_{name}{'_bytes' if layer.optimize == 'size' else ''}_mac16"


def _packed(layer: TargetLayer[Op]) -> limbs.Packed | None:
    """Weights and scales; None where a sum might be wrong."""
    packed = limbs.packed(layer)
    terms = 0 if packed is None else packed.weight.shape[1]
    many = layer.declines(terms > MOST_TERMS, f"more than {MOST_TERMS:,} terms in a sum: {terms:,}")
    return None if many else packed


def _weights(layer: TargetLayer[Op], packed: limbs.Packed, together: int) -> Array:
    """``together``: the inputs that stand side by side."""
    words, small = together % _TERMS == 0, layer.optimize == "size"
    note = f"weights{' + 128' if small else ''} [out][terms / 4][4"
    note += ": 0, 2, 1, 3]" if words != small else "]"
    pack = bytes_of_rows if small else rows_of_fours
    return layer.array("weights", pack(packed.weight, words=words), note)


def rows_of_fours(rows: Int8Array, *, words: bool) -> NDArray[np.int16]:
    """int16 [out * ceil(terms / 4) * 4 + 4]: ``rows`` [out, terms] as the kernel reads them, those
    of a four in the order of ``_ORDER`` where inputs come as words; what the last four lacks, and
    what is read ahead, is 0."""
    filled = np.pad(rows.astype(np.int16), ((0, 0), (0, -rows.shape[1] % _TERMS)))
    fours = filled.reshape(len(rows), -1, _TERMS)
    ordered = fours[:, :, _ORDER] if words else fours
    return np.concatenate([ordered.reshape(-1), np.zeros(_AHEAD, np.int16)])


def bytes_of_rows(rows: Int8Array, *, words: bool) -> NDArray[np.uint8]:
    """uint8 [out * ceil(terms / 4) * 4]: ``rows`` [out, terms], 128 larger, as the kernel of bytes
    reads them: those of a four in their own order where inputs come as words, else in that of
    ``_ORDER``; what the last four lacks is 0."""
    filled = np.pad(rows.astype(np.int16) + 128, ((0, 0), (0, -rows.shape[1] % _TERMS)))
    fours = filled.astype(np.uint8).reshape(len(rows), -1, _TERMS)
    return np.ascontiguousarray(fours if words else fours[:, :, _ORDER])


def _scratch(terms: int) -> int:
    return 2 * (-(-terms // _TERMS) * _TERMS + _INPUTS_AHEAD)
