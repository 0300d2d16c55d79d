"""Clamps: a fused activation where there is one, else a MAXIMUM and a MINIMUM behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nanotool import unary
from nanotool.backends.tflite.file import Activations, Codes, File
from nanotool.ir import DTYPES, QOp, QTensor, unclamped


def _fused_activation(clamp: tuple[int, int], target: QTensor) -> int | None:
    """The activation that clamps ``target`` to exactly ``clamp``; None if there is none."""
    low, high = (unary.quantized_bound(bound, target) for bound in (-1.0, 1.0))
    zero, six = (unary.quantized_bound(bound, target) for bound in (0.0, 6.0))
    expressible = {
        (low, high): Activations.RELU_N1_TO_1,
        (zero, six): Activations.RELU6,
        (zero, unclamped(target.dtype)[1]): Activations.RELU,
        unclamped(target.dtype): Activations.NONE,  # the plainest one wins
    }
    return expressible.get(clamp)


def clamped(
    file: File,
    op: QOp,
    write: Callable[[int, int], None],
    *,
    fuses: bool = True,
    output: int | None = None,
) -> None:
    """``write`` (output tensor, activation) the operator itself; add its clamp if need be.

    ``fuses``: whether the operator has a fused activation at all. ``output``: the tensor to write
    instead of the op's own, with the same quantization.
    """
    target = file.target(op)
    output = file.index[op.name] if output is None else output
    activation = _fused_activation(op.clamp, target)
    if activation is not None and (fuses or activation == Activations.NONE):
        write(output, activation)
        return
    shape = file.shape(output)
    last = file.activation(f"{op.name}/unclamped", target, shape)
    write(last, Activations.NONE)
    (low, high), (least, most) = op.clamp, unclamped(target.dtype)
    bounds = [(Codes.MAXIMUM, "low", low)] if low > least else []
    bounds += [(Codes.MINIMUM, "high", high)] if high < most else []
    for position, (code, word, bound) in enumerate(bounds):
        limit = file.constant(
            f"{op.name}/{word}",
            np.array([bound], DTYPES[target.dtype]),
            (target.scale,),
            target.zero_point,
        )
        final = position == len(bounds) - 1
        below = output if final else file.activation(f"{op.name}/above", target, shape)
        file.operator(code, (last, limit), below, "MaximumMinimumOptions")
        last = below
