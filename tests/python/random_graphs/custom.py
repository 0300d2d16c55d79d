"""Operators that installed packages bring."""

from __future__ import annotations

import numpy as np

from nanotool.ir import QOp
from nanotool.ops import custom, facts
from random_graphs.builder import Builder


def custom_operator(b: Builder) -> bool:
    """One of those that say what they take; a second input is a constant."""
    known = [one for one in custom.installed().values() if one.random is not None]
    if not known or b.tflite or b.tensor.dtype != "int8":
        return False
    operator = known[b.between(0, len(known) - 1)]
    assert operator.random is not None
    drawn = operator.random(b.rng, b.tensor.shape)
    if drawn is None:
        return False
    numbers, others = drawn
    op = operator.made(numbers)
    shapes = (b.tensor.shape, *others)
    names = (b.end, *(b.constant(shape, b.scale(), b.zero_point()) for shape in others))
    real = np.asarray(operator.real(op, *map(b.real, names)), np.float64)
    target = b.fitting(real, custom.output_shape(op, shapes), "int8")
    clamp = b.clamp(target) if facts(op).clamps else b.full
    return b.append(QOp(target.name, op, names, clamp=clamp), target)
