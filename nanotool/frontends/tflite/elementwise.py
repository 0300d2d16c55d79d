"""Functions of one or two elements, and the change of type at a graph's borders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nanotool import unary
from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.builder import Call
from nanotool.frontends.tflite.content import FULL_INTEGER
from nanotool.frontends.tflite.importers import Import, imports
from nanotool.ir import Binary, PRelu, Quantize, Shape, Unary


def _operand_shape(call: Call, i: int) -> Shape:
    """A constant operand loses all leading axes of 1, others the batch alone."""
    shape = call.shape(i)
    if call.given(i).data is not None:
        while shape and shape[0] == 1:
            shape = shape[1:]
    return shape


def _elementwise(call: Call, op: Binary | PRelu, activation: str = "NONE") -> None:
    shapes = [_operand_shape(call, i) for i in range(2)]
    try:
        together = np.broadcast_shapes(*shapes)
    except ValueError:
        call.invalid(f"its inputs {shapes[0]} and {shapes[1]} do not fit together")
    inputs = [call.source(i, shape) for i, shape in enumerate(shapes)]
    call.emit(op, inputs, tuple(together), clamp=call.clamp(activation))


@imports("ADD", Binary, 2, 2)
def _add(call: Call) -> None:
    _elementwise(call, Binary("add"), call.options(schema.AddOptions).fused_activation)


@imports("SUB", Binary, 2, 2)
def _sub(call: Call) -> None:
    _elementwise(call, Binary("sub"), call.options(schema.SubOptions).fused_activation)


@imports("MUL", Binary, 2, 2)
def _mul(call: Call) -> None:
    _elementwise(call, Binary("mul"), call.options(schema.MulOptions).fused_activation)


@imports("DIV", Binary, 2, 2)
def _div(call: Call) -> None:
    _elementwise(call, Binary("div"), call.options(schema.DivOptions).fused_activation)


@imports("MAXIMUM", Binary, 2, 2)
def _maximum(call: Call) -> None:
    _elementwise(call, Binary("maximum"))


@imports("MINIMUM", Binary, 2, 2)
def _minimum(call: Call) -> None:
    _elementwise(call, Binary("minimum"))


@imports("PRELU", PRelu, 2, 2)
def _prelu(call: Call) -> None:
    if call.given(1).data is None:
        call.unsupported("PRELU with slopes that the model computes", "Use constant slopes.")
    _elementwise(call, PRelu())


def _unary(function: str) -> Import:
    def importer(call: Call) -> None:
        call.emit(Unary(function), [call.source(0)], call.shape(0))

    return importer


@imports("LEAKY_RELU", Unary)
def _leaky_relu(call: Call) -> None:
    slope = call.options(schema.LeakyReluOptions).alpha
    _unary(unary.named("leaky_relu", slope))(call)


@imports("GELU", Unary)
def _gelu(call: Call) -> None:
    _unary("gelu_tanh" if call.options(schema.GeluOptions).approximate else "gelu")(call)


@imports("DEQUANTIZE", Quantize, border=True)
@imports("QUANTIZE", Quantize, border=True)
def _quantize(call: Call) -> None:
    """Also DEQUANTIZE: the types of its tensors tell."""
    types = call.given(0).type, call.result().type
    if "INT8" not in types and types not in {("INT16", "INT16"), ("INT16", "INT32")}:
        call.unsupported(f"{call.code} from {types[0]} to {types[1]}", FULL_INTEGER)
    target, scales = call.target(), call.result().quantization
    if target.dtype == "int32" and scales is not None:
        call.builder.tensors[target.name] = replace(target, scale=scales.scales[0])
    call.emit(Quantize(), [call.source(0)], call.shape(0))


for _code, _function in {
    "ABS": "abs",
    "ELU": "elu",
    "EXP": "exp",
    "HARD_SWISH": "hard_swish",
    "LOG": "log",
    "LOGISTIC": "sigmoid",
    "NEG": "neg",
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": "relu_n1_to_1",
    "RSQRT": "rsqrt",
    "SQRT": "sqrt",
    "SQUARE": "square",
    "TANH": "tanh",
}.items():
    imports(_code, Unary)(_unary(_function))
