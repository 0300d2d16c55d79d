"""Functions of one or two elements, and the change of type at a graph's borders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nanotool import unary
from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.builder import Call
from nanotool.frontends.tflite.content import FULL_INTEGER
from nanotool.frontends.tflite.importers import Import, imports
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    Binary,
    PRelu,
    QOp,
    Quantize,
    Reshape,
    Shape,
    Table,
    Unary,
)


def operand_shape(call: Call, i: int) -> Shape:
    """A constant operand loses all leading axes of 1, others the batch alone."""
    shape = call.shape(i)
    if call.given(i).data is not None:
        while shape and shape[0] == 1:
            shape = shape[1:]
    return shape


def _elementwise(call: Call, op: Binary | PRelu, activation: str = "NONE") -> None:
    shapes = [operand_shape(call, i) for i in range(2)]
    try:
        together = np.broadcast_shapes(*shapes)
    except ValueError:
        call.invalid(f"its inputs {shapes[0]} and {shapes[1]} do not fit together")
    inputs = [call.source(i, shape) for i, shape in enumerate(shapes)]
    call.emit(op, inputs, tuple(together), clamp=call.clamp(activation))


@imports("ADD", Binary, 2, 2, types=frozenset({"INT8", "INT32"}))
def _add(call: Call) -> None:
    """Of INT32 only an int8's bytes plus a number, which looks up a table (`move`)."""
    if call.result().type == "INT32":
        _counted(call)
        return
    types = [*(call.given(i).type for i in range(2)), call.result().type]
    if len(set(types)) > 1:
        call.invalid(f"it adds {types[0]} and {types[1]} to {types[2]}")
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


@imports("SQUARED_DIFFERENCE", Binary, 2, 2)
def _squared_difference(call: Call) -> None:
    _elementwise(call, Binary("squared_difference"))


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


def _counted(call: Call) -> None:
    for one, other in ((0, 1), (1, 0)):
        offset = call.given(other)
        if call.index(one) in call.builder.counted and offset.data is not None:
            if offset.type != "INT32" or offset.size != 1:
                call.unsupported(f"ADD of INT32 {offset.shape}", FULL_INTEGER)
            source, start = call.builder.counted[call.index(one)]
            number = start + int(offset.array().reshape(()))
            call.builder.counted[call.operator.outputs[0]] = (source, number)
            return
    call.unsupported("ADD on INT32", FULL_INTEGER)


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


# Of a QUANTIZE or DEQUANTIZE that neither reads nor writes INT8.
OF_INT16 = {
    *(("INT16", "INT16"), ("INT16", "INT32")),
    *(("FLOAT32", "INT16"), ("INT16", "FLOAT32")),
}


@imports("DEQUANTIZE", Quantize, border=True)
@imports("QUANTIZE", Quantize, border=True)
def _quantize(call: Call) -> None:
    """Also DEQUANTIZE: the types of its tensors tell."""
    types = call.given(0).type, call.result().type
    if "INT8" not in types and types not in OF_INT16:
        call.unsupported(f"{call.code} from {types[0]} to {types[1]}", FULL_INTEGER)
    target, scales = call.target(), call.result().quantization
    if target.dtype == "int32" and scales is not None:
        call.builder.tensors[target.name] = replace(target, scale=scales.scales[0])
    call.emit(Quantize(), [call.source(0)], call.shape(0))


AS_IT_IS = Table("as_it_is", tuple(range(INT8_MIN, INT8_MAX + 1)))
TRUE = Table("is_true", tuple(int(q != 0) for q in range(INT8_MIN, INT8_MAX + 1)))
BYTES = frozenset({"INT8", "BOOL"})


@imports("CAST", (Table, Reshape, Quantize), border=True)
def _cast(call: Call) -> None:
    """Numbers as they are, whatever their scales: of bytes, to bytes or at the model's border; to
    INT32 also as what looks up a table."""
    source, target = call.given(0), call.result()
    index = call.operator.outputs[0]
    if source.type not in BYTES or source.data is not None:
        call.unsupported(f"CAST of {source.type} to {target.type}", FULL_INTEGER)
    if target.type == "INT32" and index not in call.builder.model.outputs:
        call.builder.counted[index] = (call.index(0), 0)
        return
    name, tensors = call.source(0), call.builder.tensors
    if target.type in BYTES:
        given, wanted = tensors[name], call.target()
        truth = target.type == "BOOL" and source.type != "BOOL"
        same = (given.scale, given.zero_point) == (wanted.scale, wanted.zero_point)
        op = TRUE if truth else Reshape(given.shape) if same else AS_IT_IS
        call.emit(op, [name], given.shape)
    elif target.type in {"INT32", "FLOAT32"}:
        if source.type != "BOOL":
            plain = call.builder.unique(f"{call.target().name}/plain")
            tensors[plain] = replace(tensors[name], name=plain, scale=1.0, zero_point=0)
            call.builder.ops.append(QOp(plain, AS_IT_IS, (name,)))
            name = plain
        call.emit(Quantize(), [name], call.shape(0))
    else:
        call.unsupported(f"CAST of {source.type} to {target.type}", FULL_INTEGER)


for _code, _function in {
    "ABS": "abs",
    "CEIL": "ceil",
    "COS": "cos",
    "ELU": "elu",
    "EXP": "exp",
    "FLOOR": "floor",
    "HARD_SWISH": "hard_swish",
    "LOG": "log",
    "LOGISTIC": "sigmoid",
    "NEG": "neg",
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": "relu_n1_to_1",
    "ROUND": "round",
    "RSQRT": "rsqrt",
    "SIGN": "sign",
    "SIN": "sin",
    "SQRT": "sqrt",
    "SQUARE": "square",
    "TANH": "tanh",
}.items():
    imports(_code, Unary)(_unary(_function))
