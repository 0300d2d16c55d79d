"""What operators that only move elements do to an array, whatever its elements are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Concat, Gather, Op, Reshape, Shape, Slice, Transpose
from nanotool.ops.facts import facts


def only_moves(op: Op) -> bool:
    """Whether each element of the output is one of the inputs', by its place."""
    what = facts(op)
    return what.moves and what.chooses


def moved(op: Op, inputs: Sequence[NDArray[Any]], shape: Shape) -> NDArray[Any] | None:
    """The output, of ``shape`` without a batch; None of an operator that does more than to move."""
    result: NDArray[Any]
    match op:
        case Reshape():
            result = inputs[0].reshape(shape)
        case Transpose(permutation):
            result = inputs[0].transpose(permutation)
        case Slice(begin, stride):
            ends = zip(begin, stride, shape, strict=True)
            result = inputs[0][tuple(slice(b, b + s * n, s) for b, s, n in ends)]
        case Concat(axis):
            result = np.concatenate(inputs, axis)
        case Gather(axis, indices):
            result = inputs[0].take(indices, axis)
        case _:
            return None
    return result
