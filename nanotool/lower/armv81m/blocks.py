"""Weights and scales packed for MVE: lib/nano/src/requant_mve.h, lib/nano/include/nano/ops/*_mve.h.

What makes scaling in few instructions exact is proved in `nanotool.lower.pack`; the two kinds of
kernels demand the same.
"""

from __future__ import annotations

import numpy as np

from nanotool.ir import Array, Int8Array, Op
from nanotool.lower.layer import TargetLayer
from nanotool.lower.pack import Scaled

LANES = 4  # outputs of a block
STEP = 16  # terms that are multiplied at once


def steps(terms: int) -> int:
    """How many steps hold ``terms``."""
    return -(-terms // STEP)


def weights(rows: Int8Array) -> Int8Array:
    """int8 [blocks, steps, 4, 16] of ``rows`` [out, terms], zeros where there are none."""
    fill = ((0, -len(rows) % LANES), (0, -rows.shape[1] % STEP))
    padded = np.pad(rows, fill).reshape(-1, LANES, steps(rows.shape[1]), STEP)
    return np.ascontiguousarray(padded.transpose(0, 2, 1, 3))


def scales(layer: TargetLayer[Op], packed: Scaled) -> Array:
    """int32 [blocks, 2, 4]: 256 * bias + (-e modulo 256) of four outputs, then multipliers."""
    words = np.stack([packed.bias * 256 + (-packed.right & 0xFF), packed.multiplier], axis=1)
    words = np.pad(words, ((0, -len(words) % LANES), (0, 0)))
    note = "scales [out / 4][4: 256 bias + (-shift & 255)][4: multiplier]"
    return layer.array("scales", words.reshape(-1, LANES, 2).transpose(0, 2, 1), note)


def scale_triples(layer: TargetLayer[Op], packed: Scaled) -> Array:
    """int32 [out, 3]: bias, multiplier, -e."""
    words = np.stack([packed.bias, packed.multiplier, -packed.right], axis=1)
    return layer.array("scales", words, "scales [c][bias, multiplier, -shift]")
