"""Functions of one or two elements, and the change of type at a graph's borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite

from nanotool import numerics, unary
from nanotool.backends.tflite.clamp import clamped
from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import Codes, File, Tensor
from nanotool.errors import UnsupportedOp
from nanotool.ir import DTYPES, INT8_MIN, Binary, PRelu, Quantize, Table, Unary, unclamped
from nanotool.ops import Layer
from nanotool.ops.shape import entries_of

_UNARY: dict[str, tuple[int, str]] = {  # by the name in front of the colon
    "abs": (Codes.ABS, "AbsOptions"),
    "elu": (Codes.ELU, ""),
    "hard_swish": (Codes.HARD_SWISH, "HardSwishOptions"),
    "identity": (Codes.QUANTIZE, "QuantizeOptions"),
    "leaky_relu": (Codes.LEAKY_RELU, "LeakyReluOptions"),
    "relu": (Codes.RELU, ""),
    "relu6": (Codes.RELU6, ""),
    "rsqrt": (Codes.RSQRT, ""),
    "sigmoid": (Codes.LOGISTIC, ""),
    "tanh": (Codes.TANH, ""),
}
_LOOKUP = (Codes.CAST, Codes.ADD, Codes.GATHER)  # of a function that TFLite Micro lacks


# Of a quotient's multiplier: with less, TensorFlow Lite Micro shifts some elements by over 31 bits.
LEAST_DIV_SHIFT = 7


@emits(Unary, writes=(*(code for code, _ in _UNARY.values()), *_LOOKUP))
def _unary(file: File, layer: Layer[Unary]) -> None:
    """TFLite Micro's operator where it has one for int8, else a table."""
    op = layer.qop
    function = layer.op.function
    family = function.partition(":")[0]
    source, target = file.source(op), file.target(op)
    # Of a negative number TFLite Micro's RSQRT makes an error.
    fails = family == "rsqrt" and source.zero_point != INT8_MIN
    if fails or not unary.definition(function).in_tflm:
        _table(file, layer)
        return
    input_index = file.index[op.inputs[0]]
    same = (source.scale, source.zero_point) == (target.scale, target.zero_point)
    if family == "relu6" and unary.quantized_bound(6.0, target) == unclamped(target.dtype)[1]:
        family = "relu"  # no difference, and TFLite Micro's 6 / scale may not fit its int32
    if family == "relu6" and not same:  # RELU6 does not requantize in TFLite Micro, RELU does
        requantized = file.activation(f"{op.name}/relu", target)
        file.operator(Codes.RELU, (input_index,), requantized)
        input_index = requantized
    slope = unary.parameter(function)

    def write(output: int, _activation: int) -> None:
        code, options = _UNARY[family]
        fields = {"Alpha": slope} if slope is not None else {}
        file.operator(code, (input_index,), output, options, **fields)

    clamped(file, op, write, fuses=False)


@emits(Table, writes=_LOOKUP)
def _table(file: File, layer: Layer[Any]) -> None:
    """Any function of int8: look up input + 128 in its 256 values (CAST, ADD, GATHER)."""
    op = layer.qop
    target = file.target(op)
    source = file.index[op.inputs[0]]
    shape = file.tensors[source].shape
    wide = file.integers(f"{op.name}/int32", shape)
    file.operator(
        Codes.CAST,
        (source,),
        wide,
        "CastOptions",
        InDataType=tflite.TensorType.INT8,
        OutDataType=tflite.TensorType.INT32,
    )
    offset = file.numbers(f"{op.name}/offset", -INT8_MIN)
    index = file.integers(f"{op.name}/index", shape)
    file.operator(Codes.ADD, (wide, offset), index, "AddOptions", FusedActivationFunction=0)
    entries = entries_of(layer)
    table = file.constant(f"{op.name}/table", entries, (target.scale,), target.zero_point)
    file.operator(Codes.GATHER, (table, index), file.index[op.name], "GatherOptions", Axis=0)


_BINARY: dict[str, tuple[int, str, bool]] = {  # operator, options, whether it fuses an activation
    "add": (Codes.ADD, "AddOptions", True),
    "sub": (Codes.SUB, "SubOptions", True),
    "mul": (Codes.MUL, "MulOptions", True),
    "div": (Codes.DIV, "DivOptions", True),
    "maximum": (Codes.MAXIMUM, "MaximumMinimumOptions", False),
    "minimum": (Codes.MINIMUM, "MaximumMinimumOptions", False),
    "squared_difference": (Codes.SQUARED_DIFFERENCE, "", False),
    "equal": (Codes.EQUAL, "", False),
    "not_equal": (Codes.NOT_EQUAL, "", False),
    "greater": (Codes.GREATER, "", False),
    "greater_equal": (Codes.GREATER_EQUAL, "", False),
}


@emits(Binary, writes=(*(code for code, *_ in _BINARY.values()), Codes.CAST))
def _binary(file: File, layer: Layer[Binary]) -> None:
    op = layer.qop
    code, options, fuses = _BINARY[layer.op.function]
    scales = (*(tensor.scale for tensor in layer.inputs), layer.output.scale)
    if layer.op.function in numerics.COMPARISONS and max(scales[:2]) >= 1:
        raise UnsupportedOp(
            op.name,
            "a comparison of scales of 1 and more in a .tflite file",
            "TensorFlow Lite Micro ends there: export C source.",
        )
    if layer.op.function == "div" and numerics.div_multiplier(*scales)[1] < LEAST_DIV_SHIFT:
        raise UnsupportedOp(
            op.name,
            "a quotient of so coarse a scale in a .tflite file",
            "TensorFlow Lite Micro would shift by more than 31 bits: export C source.",
        )

    def write(output: int, activation: int) -> None:
        fields = {"FusedActivationFunction": activation} if fuses else {}
        if layer.op.function not in numerics.COMPARISONS:
            file.operator(code, file.inputs(op), output, options, **fields)
            return
        truth = file.add(Tensor(f"{op.name}/truth", file.tensors[output].shape, np.dtype(np.bool_)))
        file.operator(code, file.inputs(op), truth)
        types = {"InDataType": tflite.TensorType.BOOL, "OutDataType": tflite.TensorType.INT8}
        file.operator(Codes.CAST, (truth,), output, "CastOptions", **types)

    clamped(file, op, write, fuses=fuses)


@emits(PRelu, writes=(Codes.PRELU,))
def _prelu(file: File, layer: Layer[PRelu]) -> None:
    op = layer.qop

    def write(output: int, _activation: int) -> None:
        file.operator(Codes.PRELU, file.inputs(op), output)

    clamped(file, op, write, fuses=False)


@emits(Quantize, writes=(Codes.QUANTIZE, Codes.DEQUANTIZE))
def _quantize(file: File, layer: Layer[Quantize]) -> None:
    op = layer.qop
    back = DTYPES[file.target(op).dtype] == np.float32
    code, options = (
        (Codes.DEQUANTIZE, "DequantizeOptions") if back else (Codes.QUANTIZE, "QuantizeOptions")
    )
    file.operator(code, file.inputs(op), file.index[op.name], options)
