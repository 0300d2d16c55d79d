"""What a package needs that brings an operator of its own: docs/own-operator.md shows one.

CustomOperator   the operator: its name, its functions, its C files
Custom           one use of it, with the values of its numbers
Layer            what integer() gets: the tensors' scales, zero points and shapes, the clamp
TargetLayer      what lower() gets: likewise, and array() for what lies in flash
Call, Struct     what lower() answers: a kernel and its parameters
store, factor    structs that kernels share: the end of an int8 result, a real factor
overlap, ...     how far an output may lie over an input
    check            random trials of an operator: for its package's tests
numerics         the C library's fixed-point arithmetic in NumPy
"""

from nanotool import numerics
from nanotool.ir import Custom, Struct
from nanotool.lower.layer import (
    Call,
    TargetLayer,
    factor,
    in_chunks,
    overlap,
    positions,
    store,
)
from nanotool.ops import Layer
from nanotool.ops.custom import CustomOperator
from nanotool.trials import Trials, check

__all__ = [
    "Call",
    "Custom",
    "CustomOperator",
    "Layer",
    "Struct",
    "TargetLayer",
    "Trials",
    "check",
    "factor",
    "in_chunks",
    "numerics",
    "overlap",
    "positions",
    "store",
]
