"""Write a QGraph as an int8 .tflite file.

Each operator becomes the TensorFlow Lite operators that compute the same bytes in TFLite Micro's
reference kernels; the batch dimension is 1. What TensorFlow Lite cannot say in one operator is
said in several: padding that is neither SAME nor VALID is a PAD in front, a clamp that is no
activation of its is a MAXIMUM and a MINIMUM behind.

The bytes are the same for the same graph. Nothing but weights, shapes and scales is written: no
class names and no input permutation, so feed the file H, W, C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

from nanotool import unary
from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    AveragePool2D,
    Conv2D,
    Dense,
    MaxPool2D,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Softmax,
    Transpose,
    Unary,
    Window,
)

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16  # of a tensor's data in the file, as the schema asks
NO_TENSOR = -1

_Codes = tflite.BuiltinOperator
_Activations = tflite.ActivationFunctionType
_TYPES = {
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.int32): tflite.TensorType.INT32,
}

# The lowest version of each operator that knows int8; `_version` raises it where needed.
_VERSIONS = {
    _Codes.AVERAGE_POOL_2D: 2,
    _Codes.CONV_2D: 3,
    _Codes.FULLY_CONNECTED: 4,
    _Codes.LOGISTIC: 2,
    _Codes.MAXIMUM: 2,
    _Codes.MAX_POOL_2D: 2,
    _Codes.MINIMUM: 2,
    _Codes.PAD: 2,
    _Codes.PADV2: 2,
    _Codes.QUANTIZE: 2,
    _Codes.RELU: 2,
    _Codes.RELU6: 2,
    _Codes.RESHAPE: 1,
    _Codes.SOFTMAX: 2,
    _Codes.TANH: 2,
    _Codes.TRANSPOSE: 2,
}


# --- The file's parts, before they are serialized -------------------------------------------------


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: Shape  # batch included
    dtype: np.dtype[Any]
    scales: tuple[float, ...] = ()  # one, or one per index of axis 0
    zero_point: int = 0
    data: bytes = b""  # empty: an activation


@dataclass(frozen=True)
class _Operator:
    code: int
    version: int
    inputs: tuple[int, ...]
    output: int
    options: str  # table name in the schema; "" for none
    fields: dict[str, int | float | bool]


@dataclass
class _File:
    """Tensors and operators in the order in which they were added."""

    graph: QGraph
    tensors: list[_Tensor] = field(default_factory=list)
    operators: list[_Operator] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)  # QTensor name -> tensor

    def add(self, tensor: _Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def activation(self, name: str, like: QTensor, shape: Shape | None = None) -> int:
        """An int8 tensor with the quantization of ``like``, without data."""
        full = (1, *(like.shape if shape is None else shape))
        return self.add(_Tensor(name, full, np.dtype(np.int8), (like.scale,), like.zero_point))

    def constant(
        self, name: str, data: NDArray[Any], scales: tuple[float, ...] = (), zero_point: int = 0
    ) -> int:
        little_endian = data.astype(data.dtype.newbyteorder("<")).tobytes()
        return self.add(_Tensor(name, data.shape, data.dtype, scales, zero_point, little_endian))

    def operator(
        self,
        code: int,
        inputs: tuple[int, ...],
        output: int,
        options: str = "",
        **fields: int | float | bool,
    ) -> None:
        version = _version(code, [self.tensors[i] for i in inputs if i != NO_TENSOR], inputs)
        self.operators.append(_Operator(code, version, inputs, output, options, fields))

    def source(self, op: QOp) -> QTensor:
        return self.graph.tensors[op.inputs[0]]

    def target(self, op: QOp) -> QTensor:
        return self.graph.tensors[op.name]


def _version(code: int, tensors: list[_Tensor], inputs: tuple[int, ...]) -> int:
    """The operator version that readers need, by TensorFlow Lite's rules."""
    version = _VERSIONS[code]
    rank = len(tensors[0].shape)
    if code == _Codes.CONV_2D and tensors[0].shape[-1] != tensors[1].shape[-1]:
        return 6  # groups
    if code == _Codes.FULLY_CONNECTED:
        if len(tensors[1].scales) > 1:
            return 12
        if NO_TENSOR in inputs:
            return 6
        return 5 if rank > 2 else version
    if code == _Codes.TRANSPOSE and rank > 4:
        return 4
    return version


# --- Clamps and padding ---------------------------------------------------------------------------


def _fused_activation(clamp: tuple[int, int], target: QTensor) -> int | None:
    """The activation that clamps ``target`` to exactly ``clamp``; None if there is none."""
    low, high = (unary.quantized_bound(bound, target) for bound in (-1.0, 1.0))
    zero, six = (unary.quantized_bound(bound, target) for bound in (0.0, 6.0))
    expressible = {
        (low, high): _Activations.RELU_N1_TO_1,
        (zero, six): _Activations.RELU6,
        (zero, INT8_MAX): _Activations.RELU,
        (INT8_MIN, INT8_MAX): _Activations.NONE,  # the plainest one wins
    }
    return expressible.get(clamp)


def _clamped(
    file: _File, op: QOp, write: Callable[[int, int], None], *, fuses: bool = True
) -> None:
    """``write`` (output tensor, activation) the operator itself; add its clamp if need be.

    ``fuses``: whether the operator has a fused activation at all.
    """
    target = file.target(op)
    output = file.index[op.name]
    activation = _fused_activation(op.clamp, target)
    if activation is not None and (fuses or activation == _Activations.NONE):
        write(output, activation)
        return
    last = file.activation(f"{op.name}/unclamped", target)
    write(last, _Activations.NONE)
    low, high = op.clamp
    bounds = [(_Codes.MAXIMUM, "low", low)] if low > INT8_MIN else []
    bounds += [(_Codes.MINIMUM, "high", high)] if high < INT8_MAX else []
    for position, (code, word, bound) in enumerate(bounds):
        limit = file.constant(
            f"{op.name}/{word}",
            np.array([bound], np.int8),
            (target.scale,),
            target.zero_point,
        )
        final = position == len(bounds) - 1
        clamped = output if final else file.activation(f"{op.name}/above", target)
        file.operator(code, (last, limit), clamped, "MaximumMinimumOptions")
        last = clamped


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """(output size, elements before the input) of SAME along one axis."""
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - size)
    return out, total // 2


def _padding(window: Window, shape: Shape) -> int | None:
    """SAME or VALID if one of them places ``window`` as it is; else None."""
    height, width = shape[0], shape[1]
    output = window.output_size(height, width)
    before = window.padding[:2]
    bare = Window(window.kernel, window.stride, dilation=window.dilation)
    if before == (0, 0) and output == bare.output_size(height, width):
        return int(tflite.Padding.VALID)
    rows, columns = (
        _same_padding(*axis)
        for axis in zip((height, width), window.kernel, window.stride, window.dilation, strict=True)
    )
    if (output, before) == ((rows[0], columns[0]), (rows[1], columns[1])):
        return int(tflite.Padding.SAME)
    return None


def _padded(file: _File, op: QOp, window: Window, fill: int) -> tuple[int, int]:
    """(input tensor, SAME or VALID) for ``op``, with a PAD in front if neither fits."""
    source = file.source(op)
    input_index = file.index[op.inputs[0]]
    padding = _padding(window, source.shape)
    if padding is not None:
        return input_index, padding
    top, left, bottom, right = window.padding
    height, width, depth = source.shape
    amounts = np.array([(0, 0), (top, bottom), (left, right), (0, 0)], np.int32)
    shape = (height + top + bottom, width + left + right, depth)
    output = file.activation(f"{op.name}/padded", source, shape)
    paddings = file.constant(f"{op.name}/paddings", amounts)
    if fill == source.zero_point:
        file.operator(_Codes.PAD, (input_index, paddings), output, "PadOptions")
    else:
        value = file.constant(
            f"{op.name}/fill", np.array([fill], np.int8), (source.scale,), source.zero_point
        )
        file.operator(_Codes.PADV2, (input_index, paddings, value), output, "PadV2Options")
    return output, int(tflite.Padding.VALID)


# --- One function per operator --------------------------------------------------------------------


def _weights(file: _File, op: QOp) -> tuple[int, int]:
    """The weight and bias tensors; the bias may be NO_TENSOR."""
    assert op.weight is not None
    assert op.weight_scale is not None
    scales = np.asarray(op.weight_scale, np.float32).reshape(-1)
    weight = file.constant(f"{op.name}/weight", op.weight, tuple(scales.tolist()))
    if op.bias is None:
        return weight, NO_TENSOR
    bias_scales = (np.float32(file.source(op).scale) * scales).tolist()
    bias = np.asarray(op.bias, np.int32)
    return weight, file.constant(f"{op.name}/bias", bias, tuple(bias_scales))


def _dense(file: _File, op: QOp) -> None:
    weight, bias = _weights(file, op)
    inputs = (file.index[op.inputs[0]], weight, bias)
    keep = len(file.source(op).shape) > 1

    def write(output: int, activation: int) -> None:
        file.operator(
            _Codes.FULLY_CONNECTED,
            inputs,
            output,
            "FullyConnectedOptions",
            FusedActivationFunction=activation,
            KeepNumDims=keep,
        )

    _clamped(file, op, write)


def _conv2d(file: _File, op: QOp) -> None:
    assert isinstance(op.op, Conv2D)
    window = op.op.window
    padded, padding = _padded(file, op, window, fill=file.source(op).zero_point)
    weight, bias = _weights(file, op)
    inputs = (padded, weight) if bias == NO_TENSOR else (padded, weight, bias)

    def write(output: int, activation: int) -> None:
        file.operator(
            _Codes.CONV_2D,
            inputs,
            output,
            "Conv2DOptions",
            Padding=padding,
            StrideH=window.stride[0],
            StrideW=window.stride[1],
            DilationHFactor=window.dilation[0],
            DilationWFactor=window.dilation[1],
            FusedActivationFunction=activation,
        )

    _clamped(file, op, write)


def _pool(file: _File, op: QOp, code: int, window: Window, source: tuple[int, int]) -> None:
    padded, padding = source

    def write(output: int, activation: int) -> None:
        file.operator(
            code,
            (padded,),
            output,
            "Pool2DOptions",
            Padding=padding,
            StrideH=window.stride[0],
            StrideW=window.stride[1],
            FilterHeight=window.kernel[0],
            FilterWidth=window.kernel[1],
            FusedActivationFunction=activation,
        )

    _clamped(file, op, write)


def _undilated(op: QOp, window: Window) -> Window:
    """The same window; UnsupportedOp if its taps are apart, which no pool of TFLite can be."""
    if any(d > 1 and k > 1 for d, k in zip(window.dilation, window.kernel, strict=True)):
        raise UnsupportedOp(
            op.name,
            "a dilated pool in a .tflite file",
            "TensorFlow Lite's pools have no dilation: use dilation=1, or export C source.",
        )
    return Window(window.kernel, window.stride, window.padding)


def _max_pool(file: _File, op: QOp) -> None:
    assert isinstance(op.op, MaxPool2D)
    window = _undilated(op, op.op.window)
    _pool(file, op, _Codes.MAX_POOL_2D, window, _padded(file, op, window, fill=INT8_MIN))


def _average_pool(file: _File, op: QOp) -> None:
    assert isinstance(op.op, AveragePool2D)
    window = _undilated(op, op.op.window)
    padding = _padding(window, file.source(op).shape)
    if padding is None:
        raise UnsupportedOp(
            op.name,
            f"an average pool with padding {window.padding} in a .tflite file",
            "TensorFlow Lite's average pool knows only SAME and VALID padding: use padding=0, "
            "or export C source.",
        )
    source = file.index[op.inputs[0]], padding
    _pool(file, op, _Codes.AVERAGE_POOL_2D, window, source)


def _unary(file: _File, op: QOp) -> None:
    assert isinstance(op.op, Unary)
    source, target = file.source(op), file.target(op)
    function = op.op.function
    input_index = file.index[op.inputs[0]]
    same = (source.scale, source.zero_point) == (target.scale, target.zero_point)
    if function == "relu6" and unary.quantized_bound(6.0, target) == INT8_MAX:
        function = "relu"  # no difference, and TFLite Micro's 6 / scale may not fit its int32
    if function == "relu6" and not same:  # RELU6 does not requantize in TFLite Micro, RELU does
        requantized = file.activation(f"{op.name}/relu", target)
        file.operator(_Codes.RELU, (input_index,), requantized)
        input_index = requantized

    def write(output: int, _activation: int) -> None:
        code, options = _UNARY[function]
        file.operator(code, (input_index,), output, options)

    _clamped(file, op, write, fuses=False)


_UNARY: dict[str, tuple[int, str]] = {
    "sigmoid": (_Codes.LOGISTIC, ""),
    "tanh": (_Codes.TANH, ""),
    "relu": (_Codes.RELU, ""),
    "relu6": (_Codes.RELU6, ""),
    "identity": (_Codes.QUANTIZE, "QuantizeOptions"),
}


def _softmax(file: _File, op: QOp) -> None:
    assert isinstance(op.op, Softmax)
    source, target = file.index[op.inputs[0]], file.index[op.name]
    file.operator(_Codes.SOFTMAX, (source,), target, "SoftmaxOptions", Beta=op.op.beta)


def _reshape(file: _File, op: QOp) -> None:
    assert isinstance(op.op, Reshape)
    shape = file.constant(f"{op.name}/shape", np.array([1, *op.op.shape], np.int32))
    inputs = (file.index[op.inputs[0]], shape)
    file.operator(_Codes.RESHAPE, inputs, file.index[op.name], "ReshapeOptions")


def _transpose(file: _File, op: QOp) -> None:
    assert isinstance(op.op, Transpose)
    axes = np.array([0, *(1 + axis for axis in op.op.permutation)], np.int32)
    permutation = file.constant(f"{op.name}/permutation", axes)
    inputs = (file.index[op.inputs[0]], permutation)
    file.operator(_Codes.TRANSPOSE, inputs, file.index[op.name], "TransposeOptions")


Emitter: TypeAlias = Callable[[_File, QOp], None]
EMITTERS: dict[type, Emitter] = {
    AveragePool2D: _average_pool,
    Conv2D: _conv2d,
    Dense: _dense,
    MaxPool2D: _max_pool,
    Reshape: _reshape,
    Softmax: _softmax,
    Transpose: _transpose,
    Unary: _unary,
}


# --- Serialization: flatbuffers are written leaves first ------------------------------------------


def _vector(builder: flatbuffers.Builder, items: NDArray[Any]) -> int:
    return int(builder.CreateNumpyVector(items))


def _offsets(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _table(builder: flatbuffers.Builder, name: str, fields: dict[str, Any]) -> int:
    """A table of the schema; fields that are None keep their default."""
    getattr(tflite, f"{name}Start")(builder)
    for key, value in fields.items():
        if value is not None:
            getattr(tflite, f"{name}Add{key}")(builder, value)
    return int(getattr(tflite, f"{name}End")(builder))


def _write_buffer(builder: flatbuffers.Builder, data: bytes) -> int:
    if not data:
        return _table(builder, "Buffer", {})
    builder.Prep(BUFFER_ALIGNMENT, len(data))
    return _table(builder, "Buffer", {"Data": builder.CreateByteVector(data)})


def _write_tensor(builder: flatbuffers.Builder, tensor: _Tensor, buffer: int) -> int:
    quantization = None
    if tensor.scales:
        zero_points = np.full(len(tensor.scales), tensor.zero_point, np.int64)
        scale = _vector(builder, np.array(tensor.scales, np.float32))
        zero_point = _vector(builder, zero_points)
        quantization = _table(
            builder, "QuantizationParameters", {"Scale": scale, "ZeroPoint": zero_point}
        )
    name = builder.CreateString(tensor.name)
    shape = _vector(builder, np.array(tensor.shape, np.int32))
    return _table(
        builder,
        "Tensor",
        {
            "Shape": shape,
            "Type": _TYPES[tensor.dtype],
            "Buffer": buffer,
            "Name": name,
            "Quantization": quantization,
        },
    )


def _write_operator(builder: flatbuffers.Builder, operator: _Operator, opcode: int) -> int:
    options, kind = None, None
    if operator.options:
        options = _table(builder, operator.options, dict(operator.fields))
        kind = getattr(tflite.BuiltinOptions, operator.options)
    inputs = _vector(builder, np.array(operator.inputs, np.int32))
    outputs = _vector(builder, np.array([operator.output], np.int32))
    return _table(
        builder,
        "Operator",
        {
            "OpcodeIndex": opcode,
            "Inputs": inputs,
            "Outputs": outputs,
            "BuiltinOptionsType": kind,
            "BuiltinOptions": options,
        },
    )


def _write_subgraph(
    builder: flatbuffers.Builder, file: _File, codes: list[tuple[int, int]]
) -> tuple[int, list[bytes]]:
    """The subgraph, and the buffers that its tensors refer to; buffer 0 is the empty one."""
    buffers = [b""]
    tensors = []
    for tensor in file.tensors:
        if tensor.data:
            buffers.append(tensor.data)
        tensors.append(_write_tensor(builder, tensor, len(buffers) - 1 if tensor.data else 0))
    operators = [
        _write_operator(builder, operator, codes.index((operator.code, operator.version)))
        for operator in file.operators
    ]
    fields = {
        "Tensors": _offsets(builder, tensors),
        "Inputs": _vector(builder, np.array([file.index[file.graph.input]], np.int32)),
        "Outputs": _vector(builder, np.array([file.index[file.graph.output]], np.int32)),
        "Operators": _offsets(builder, operators),
        "Name": builder.CreateString(file.graph.name),
    }
    return _table(builder, "SubGraph", fields), buffers


def _write_code(builder: flatbuffers.Builder, code: int, version: int) -> int:
    fields = {"DeprecatedBuiltinCode": code, "BuiltinCode": code, "Version": version}
    return _table(builder, "OperatorCode", fields)


def _serialize(file: _File) -> bytes:
    builder = flatbuffers.Builder(1024)
    codes = sorted({(operator.code, operator.version) for operator in file.operators})
    subgraph, buffers = _write_subgraph(builder, file, codes)
    fields = {
        "Version": SCHEMA_VERSION,
        "OperatorCodes": _offsets(builder, [_write_code(builder, *code) for code in codes]),
        "Subgraphs": _offsets(builder, [subgraph]),
        "Description": builder.CreateString("nanotool"),
        "Buffers": _offsets(builder, [_write_buffer(builder, data) for data in buffers]),
    }
    builder.Finish(_table(builder, "Model", fields), FILE_IDENTIFIER)
    return bytes(builder.Output())


def write(graph: QGraph) -> bytes:
    """``graph`` as the bytes of a .tflite file, its input and output with a batch of 1 in front.

    Raises UnsupportedOp for what TensorFlow Lite cannot express: a dilated pool, an average pool
    whose padding is neither SAME nor VALID.
    """
    file = _File(graph)
    for name, tensor in graph.tensors.items():
        file.index[name] = file.activation(name, tensor)
    for op in graph.ops:
        emit = EMITTERS.get(type(op.op))
        if emit is None:
            raise InvalidModel(f"{op.name}: {type(op.op).__name__} has no int8 form.")
        emit(file, op)
    return _serialize(file)
