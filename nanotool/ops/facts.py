"""The nature of every operator: one entry each, of which the rooms ask what they need.

Some of it depends on an operator's attributes (a maximum chooses among its inputs, a sum does not),
so `facts` is asked about an operator, not about its class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from nanotool import unary
from nanotool.ir import (
    ArgMax,
    AveragePool2D,
    BatchNorm,
    Binary,
    Clamp,
    Concat,
    Conv2D,
    ConvTranspose2D,
    CumSum,
    Custom,
    Dense,
    Function,
    Gather,
    GroupNorm,
    Gru,
    LayerNorm,
    LogSoftmax,
    Lstm,
    MatMul,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    PRelu,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Rnn,
    Shape,
    Slice,
    Softmax,
    Svdf,
    Table,
    Transpose,
    Unary,
    Window,
)
from nanotool.numerics import (
    COMPARISONS,
    LOG_SOFTMAX_SCALE,
    LOG_SOFTMAX_ZERO_POINT,
    NORMALIZED_SCALE,
    SOFTMAX_SCALE,
    SOFTMAX_ZERO_POINT,
    UNIT_OUTPUT,
)
from nanotool.ops import custom

MANY = 65535  # inputs of a concat
TRUTH = (1.0, 0)  # scale and zero point of what is 1 where it is true, else 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What an operator is."""

    tag: str  # its name in a .nano file, for good
    inputs: tuple[int, int] = (1, 1)  # in a QGraph: at least, at most
    more: int = 0  # tensors that it writes beside its first one
    int8: bool = True  # whether it has an int8 form; the others are gone before the quantizer
    clamps: bool = False  # a clamp may be fused into it
    types: bool = False  # its tensors may be of other types than int8
    # It has a form for activations in int16 (TensorFlow Lite's 16x8): all of them, zero point 0.
    int16: bool = False
    int8_constants: bool = False  # its constants are int8 there, too
    by_rows: bool = False  # its channels are the last axis, in a Graph as captured, too
    # The scale of what weights multiply, where it is not the input itself.
    factor_scale: float | None = None
    weighted: bool = False  # a sum of products with weights, their scales, and perhaps a bias
    # It reads states beside its input, computes in steps, and has weights of its own kind.
    recurrent: bool = False
    gates: int = 0  # of a recurrent operator: matrices of weights a unit, for its input and state
    biases: int = 0  # a unit, where there are gates
    # How far beyond what was seen the state goes that it keeps in 16 bits.
    rises: float = 1.0
    elementwise: bool = False  # each output is a function of the element(s) in its place
    moves: bool = False  # it computes nothing: elements go elsewhere, some may come or go
    # It works along its ``axis``, alike wherever the others lie.
    along_axis: bool = False
    indices: bool = False  # it yields numbers of elements, which have no scale
    # Its output, in an int8 graph, has its first input's scale and zero point.
    keeps_quantization: bool = False
    # All inputs and the output have one scale and zero point.
    joins_quantizations: bool = False
    # The scale and zero point that its output must have.
    prescribed_output: tuple[float, int] | None = None
    prescribed_int16: tuple[float, int] | None = None  # likewise, of one in int16
    # Each output is one of the inputs, by an order or a place: a clamp of all inputs is then a
    # clamp of the outputs.
    chooses: bool = False
    # It chooses, but for real 0 or, from a second input in a Graph, a value of its own.
    fills: bool = False
    # What it sees of its inputs: outside, their values make no difference to it.
    useful_input: tuple[float, float] = (-math.inf, math.inf)
    # A function of one element that is rounded from real numbers in any case: TensorFlow Lite Micro
    # has no int8 form of it.
    rounded: bool = False
    # It makes values beyond those that it reads, and stores them with a scale of its own.
    scales_output: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it is a function of one element: 256 entries are all of it."""
        return self.elementwise and self.inputs == (1, 1)

    @property
    def shares_quantization(self) -> bool:
        """Whether input and output have one scale and zero point."""
        return self.keeps_quantization or self.joins_quantizations


_MOVE = Facts("", moves=True, keeps_quantization=True, chooses=True, int16=True)
_SUM = Facts("", clamps=True, scales_output=True)
_NORM = replace(_SUM, weighted=True, factor_scale=NORMALIZED_SCALE)
_GATED = Facts("", types=True, recurrent=True)

# What holds for every operator of a class; `facts` knows what depends on its attributes.
FACTS: Mapping[type[Op], Facts] = {
    # Sums of products
    Conv2D: replace(_SUM, tag="Conv2D", weighted=True, int16=True),
    ConvTranspose2D: replace(_SUM, tag="ConvTranspose2D", weighted=True, int16=True),
    Dense: replace(_SUM, tag="Dense", weighted=True, by_rows=True, int16=True),
    MatMul: replace(_SUM, tag="MatMul", inputs=(2, 2)),
    # Norms: of the normalized elements
    LayerNorm: replace(
        _SUM, tag="LayerNorm", weighted=True, by_rows=True, factor_scale=NORMALIZED_SCALE
    ),
    GroupNorm: replace(_SUM, tag="GroupNorm", weighted=True, factor_scale=NORMALIZED_SCALE),
    # Pools
    MaxPool2D: Facts("MaxPool2D", clamps=True, keeps_quantization=True, chooses=True, int16=True),
    AveragePool2D: Facts("AveragePool2D", clamps=True, keeps_quantization=True, int16=True),
    Mean: replace(_SUM, tag="Mean", int16=True),
    Reduce: replace(_SUM, tag="Reduce"),
    # Element by element
    Unary: Facts("Unary", clamps=True, elementwise=True),
    Table: Facts("Table", clamps=True, elementwise=True, rounded=True),
    Binary: replace(_SUM, tag="Binary", inputs=(2, 2), elementwise=True),
    PRelu: replace(
        _SUM, tag="PRelu", inputs=(2, 2), elementwise=True, int16=True, int8_constants=True
    ),
    Quantize: Facts("Quantize", types=True, elementwise=True),
    # Along an axis
    Softmax: Facts(
        "Softmax",
        types=True,
        int16=True,
        prescribed_output=(SOFTMAX_SCALE, SOFTMAX_ZERO_POINT),
        prescribed_int16=UNIT_OUTPUT,
    ),
    LogSoftmax: Facts("LogSoftmax", prescribed_output=(LOG_SOFTMAX_SCALE, LOG_SOFTMAX_ZERO_POINT)),
    ArgMax: Facts("ArgMax", types=True, along_axis=True, indices=True),
    CumSum: replace(_SUM, tag="CumSum", along_axis=True),
    # What packages bring: `facts` asks for the rest
    Custom: replace(_SUM, tag="Custom", inputs=(1, custom.MOST_INPUTS)),
    # Along a sequence
    Lstm: replace(_GATED, tag="Lstm", inputs=(3, 3), more=1, gates=4, biases=4, rises=2.0),
    Gru: replace(_GATED, tag="Gru", inputs=(2, 2), more=1, gates=3, biases=4),
    Rnn: replace(_GATED, tag="Rnn", inputs=(2, 2), gates=1, biases=1),
    Svdf: Facts("Svdf", inputs=(3, 3), more=1, types=True, recurrent=True),
    # Elements go elsewhere
    Reshape: replace(_MOVE, tag="Reshape", types=True),
    Transpose: replace(_MOVE, tag="Transpose"),
    Slice: replace(_MOVE, tag="Slice"),
    Gather: replace(_MOVE, tag="Gather", int16=False, along_axis=True),
    Pad: replace(_MOVE, tag="Pad", chooses=False, fills=True),
    Concat: Facts(
        "Concat", (1, MANY), moves=True, joins_quantizations=True, chooses=True, int16=True
    ),
    Resize: Facts("Resize", keeps_quantization=True),
    # In float graphs only
    Clamp: Facts("Clamp", int8=False, elementwise=True),
    Function: Facts("Function", int8=False, clamps=True, elementwise=True, rounded=True),
    BatchNorm: Facts("BatchNorm", int8=False),
}


def facts(op: Op) -> Facts:
    """What ``op`` is. InvalidModel for a unary function that does not exist."""
    more: dict[str, Any] = {}
    match op:
        case Unary(function):
            more = {
                "prescribed_output": unary.fixed_output(function),
                "rounded": not unary.definition(function).in_tflm,
                "int16": unary.in_int16(function),
                "prescribed_int16": UNIT_OUTPUT if function in unary.UNIT_IN_INT16 else None,
            }
            if function in unary.USEFUL_INPUT:
                more["useful_input"] = unary.USEFUL_INPUT[function]
        case Binary("maximum" | "minimum"):
            more = {
                **{"scales_output": False, "joins_quantizations": True, "chooses": True},
                "int16": True,
            }
        case Binary(function) if function in COMPARISONS:
            more = {"scales_output": False, "prescribed_output": TRUTH}
        case Reduce("max" | "min"):
            more = {"scales_output": False, "keeps_quantization": True, "chooses": True}
        case Binary("add" | "sub" | "mul") | Reduce("sum"):
            more = {"int16": True}
        case Custom(function):
            known = custom.definition(function)
            more = {
                "inputs": (known.inputs, known.inputs),
                "clamps": known.clamps,
                "scales_output": known.fixed_output is None,
                "prescribed_output": known.fixed_output,
            }
        case Resize("nearest"):
            more = {"chooses": True, "int16": True}
    return replace(FACTS[type(op)], **more)


OPERATORS: tuple[type[Op], ...] = get_args(Op)
INT8_OPERATORS = tuple(operator for operator in OPERATORS if FACTS[operator].int8)
# Those that have a form for int16, at least with some function or method.
INT16_OPERATORS = tuple(
    operator
    for operator in INT8_OPERATORS
    if FACTS[operator].int16 or operator in {Unary, Binary, Reduce, Resize}
)


def is_single_element(op: Op) -> bool:
    """Whether ``op`` is a pool over single elements: but for its clamp it does nothing."""
    return isinstance(op, (MaxPool2D, AveragePool2D)) and op.window == Window((1, 1))


def group_count(op: Op) -> int:
    """Of channels, of which a sum of products keeps each to itself: 1 is all of them."""
    return op.groups if isinstance(op, Conv2D) else 1


def together(first: Op, second: Op) -> Op | None:
    """The one move that is ``first`` and then ``second``; None if there is none of their kind."""
    match first, second:
        case Reshape(), Reshape():
            return second
        case Transpose(inner), Transpose(outer):
            return Transpose(tuple(inner[axis] for axis in outer))
        case Slice(begin, stride), Slice(offset, step):
            starts = zip(begin, stride, offset, strict=True)
            return Slice(
                tuple(first + gap * more for first, gap, more in starts),
                tuple(gap * more for gap, more in zip(stride, step, strict=True)),
            )
        case _:
            return None


# --- What depends on shapes, too ------------------------------------------------------------------


def moves_nothing(shape: Shape, permutation: tuple[int, ...]) -> bool:
    """Whether a transpose leaves every element in its place: only axes of one element move."""
    order = [axis for axis in permutation if shape[axis] != 1]
    return order == sorted(order)


def keeps_bytes(op: Op, source: Shape, target: Shape) -> bool:
    """Whether the output is the first input's bytes in their order, perhaps in another shape."""
    match op:
        case Reshape():
            return True
        case Transpose(permutation):
            return moves_nothing(source, permutation)
        case Slice() | Pad():
            return source == target
        case _:
            return False


def yields_input(op: Op, source: Shape, target: Shape) -> bool:
    """Whether the output is the first input as it is, in the same shape, but for a clamp."""
    match op:
        case Transpose(permutation):
            return permutation == tuple(range(len(permutation)))
        case Reshape() | Slice() | Pad() | Concat():
            return source == target
        case _:
            return is_single_element(op)
