"""A .tflite file's parts, before they are serialized."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from nanotool.ir import (
    DTYPES,
    INT4_MAX,
    INT4_MIN,
    ZERO_POINTS,
    Int8Array,
    QGraph,
    QOp,
    QTensor,
    Shape,
)

NO_TENSOR = -1
Codes = tflite.BuiltinOperator
Activations = tflite.ActivationFunctionType
TYPES = {
    np.dtype(np.void): tflite.TensorType.RESOURCE,  # the handle of a variable
    np.dtype(np.bool_): tflite.TensorType.BOOL,
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.int16): tflite.TensorType.INT16,
    np.dtype(np.uint8): tflite.TensorType.UINT8,
    np.dtype(np.int32): tflite.TensorType.INT32,
    np.dtype(np.int64): tflite.TensorType.INT64,
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
}

# The lowest version of each operator that knows int16, where that is another than for int8.
INT16_VERSIONS = {
    Codes.ABS: 3,
    Codes.ADD: 4,
    Codes.AVERAGE_POOL_2D: 3,
    Codes.CONCATENATION: 3,
    Codes.CONV_2D: 4,
    Codes.DEPTHWISE_CONV_2D: 5,
    Codes.DEQUANTIZE: 3,
    Codes.FULLY_CONNECTED: 7,
    Codes.LEAKY_RELU: 2,
    Codes.LOGISTIC: 3,
    Codes.MAXIMUM: 4,
    Codes.MAX_POOL_2D: 3,
    Codes.MEAN: 3,
    Codes.MINIMUM: 4,
    Codes.MUL: 4,
    Codes.PAD: 3,
    Codes.PADV2: 3,
    Codes.QUANTIZE: 3,
    Codes.RELU: 3,
    Codes.RELU6: 3,
    Codes.RESIZE_NEAREST_NEIGHBOR: 4,
    Codes.SLICE: 4,
    Codes.SOFTMAX: 3,
    Codes.STRIDED_SLICE: 4,
    Codes.SUB: 5,
    Codes.SUM: 3,
    Codes.TANH: 3,
    Codes.TRANSPOSE: 4,
    Codes.TRANSPOSE_CONV: 3,
}
INT4_VERSIONS = {Codes.CONV_2D: 7, Codes.DEPTHWISE_CONV_2D: 7, Codes.FULLY_CONNECTED: 10}  # weights

# The lowest version of each operator that knows int8, where it is not 1; `_version` raises it where
# needed.
VERSIONS = {
    Codes.ABS: 2,
    Codes.ADD: 2,
    Codes.ARG_MAX: 2,
    Codes.AVERAGE_POOL_2D: 2,
    Codes.CAST: 3,
    Codes.CONCATENATION: 2,
    Codes.CONV_2D: 3,
    Codes.DEPTHWISE_CONV_2D: 3,
    Codes.DEQUANTIZE: 2,
    Codes.EQUAL: 2,
    Codes.FULLY_CONNECTED: 4,
    Codes.GATHER: 2,
    Codes.GREATER: 2,
    Codes.GREATER_EQUAL: 2,
    Codes.LOGISTIC: 2,
    Codes.LOG_SOFTMAX: 2,
    Codes.MAXIMUM: 2,
    Codes.MAX_POOL_2D: 2,
    Codes.MEAN: 2,
    Codes.MINIMUM: 2,
    Codes.MUL: 2,
    Codes.NOT_EQUAL: 2,
    Codes.PAD: 2,
    Codes.PADV2: 2,
    Codes.QUANTIZE: 2,
    Codes.RELU: 2,
    Codes.RELU6: 2,
    Codes.RESIZE_BILINEAR: 2,
    Codes.RESIZE_NEAREST_NEIGHBOR: 2,
    Codes.RSQRT: 2,
    Codes.SLICE: 2,
    Codes.SOFTMAX: 2,
    Codes.STRIDED_SLICE: 2,
    Codes.SUB: 2,
    Codes.SVDF: 3,
    Codes.TANH: 2,
    Codes.TRANSPOSE: 2,
    Codes.TRANSPOSE_CONV: 2,
}


@dataclass(frozen=True)
class Tensor:
    """One tensor: an activation, or a constant."""

    name: str
    shape: Shape  # batch included
    dtype: np.dtype[Any]
    scales: tuple[float, ...] = ()  # one, or one per index of `axis`
    zero_point: int = 0
    data: bytes = b""  # empty: an activation
    axis: int = 0  # of `scales`, if there are several
    is_variable: bool = False  # an operator's own state
    packed: bool = False  # INT4: two elements a byte, the first one in its lower half


@dataclass(frozen=True)
class Operator:
    """One operator, with one output or none."""

    code: int
    version: int
    inputs: tuple[int, ...]
    output: int  # NO_TENSOR: none
    options: str  # table name in the schema; "" for none
    fields: dict[str, int | float | bool | str]


@dataclass
class File:
    """Tensors and operators in the order in which they were added."""

    graph: QGraph
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)  # QTensor name -> tensor
    # (op, number of an input) -> the variable tensor that takes its place
    variables: dict[tuple[str, int], int] = field(default_factory=dict)
    once: File | None = None  # a subgraph that CALL_ONCE runs

    def add(self, tensor: Tensor) -> int:
        """Its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def activation(self, name: str, like: QTensor, shape: Shape | None = None) -> int:
        """A tensor with the type and quantization of ``like``, without data; a batch of 1 goes
        in front of ``shape``."""
        full = (1, *(like.shape if shape is None else shape))
        quantized = like.dtype in ZERO_POINTS or (like.dtype == "int32" and like.scale != 1)
        scales = (like.scale,) if quantized else ()
        return self.add(Tensor(name, full, DTYPES[like.dtype], scales, like.zero_point))

    def variable(self, name: str, like: QTensor) -> int:
        """A variable tensor 1, elements."""
        index = self.activation(name, like, (like.size,))
        self.tensors[index] = replace(self.tensors[index], is_variable=True)
        return index

    def handle(self, name: str) -> int:
        """The tensor that stands for a variable."""
        return self.add(Tensor(name, (), np.dtype(np.void)))

    def unbatched(self, name: str, tensor: int) -> int:
        """A tensor like ``tensor``, without its batch and its data."""
        like = self.tensors[tensor]
        return self.add(replace(like, name=name, shape=like.shape[1:], data=b""))

    def integers(self, name: str, shape: Shape) -> int:
        """An int32 tensor without quantization and without data, batch included in ``shape``."""
        return self.add(Tensor(name, shape, DTYPES["int32"]))

    def constant(
        self,
        name: str,
        data: NDArray[Any],
        scales: tuple[float, ...] = (),
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """A tensor with ``data``."""
        little_endian = data.astype(data.dtype.newbyteorder("<")).tobytes()
        return self.add(
            Tensor(name, data.shape, data.dtype, scales, zero_point, little_endian, axis)
        )

    def narrow(
        self,
        name: str,
        data: Int8Array,
        scales: tuple[float, ...],
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """As `constant`; in INT4 where 4 bits hold all elements."""
        index = self.constant(name, data, scales, zero_point, axis)
        if data.min() >= INT4_MIN and data.max() <= INT4_MAX:
            halves = data.reshape(-1).view(np.uint8) & 15
            pairs = np.pad(halves, (0, halves.size % 2)).reshape(-1, 2)
            packed = (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8).tobytes()
            self.tensors[index] = replace(self.tensors[index], data=packed, packed=True)
        return index

    def numbers(self, name: str, *values: int) -> int:
        """A constant int32 vector."""
        return self.constant(name, np.array(values, np.int32))

    def operator(
        self,
        code: int,
        inputs: tuple[int, ...],
        output: int,
        options: str = "",
        **fields: int | float | bool | str,
    ) -> None:
        """Add an operator."""
        tensors = [self.tensors[i] for i in inputs if i != NO_TENSOR]
        version = _version(code, tensors, inputs, fields)
        self.operators.append(Operator(code, version, inputs, output, options, fields))

    def shape(self, tensor: int) -> Shape:
        """The shape of a tensor, without its batch."""
        return self.tensors[tensor].shape[1:]

    def source(self, op: QOp) -> QTensor:
        """The first input of ``op``."""
        return self.graph.tensors[op.inputs[0]]

    def target(self, op: QOp) -> QTensor:
        """The output of ``op``."""
        return self.graph.tensors[op.name]

    def inputs(self, op: QOp) -> tuple[int, ...]:
        """The tensors that ``op`` reads."""
        return tuple(self.index[name] for name in op.inputs)


def _version(
    code: int,
    tensors: list[Tensor],
    inputs: tuple[int, ...],
    fields: dict[str, int | float | bool | str],
) -> int:
    """The operator version that readers need, by TensorFlow Lite's rules."""
    version = VERSIONS.get(code, 1)
    if not tensors:
        return version
    if np.dtype(np.int16) in {tensor.dtype for tensor in tensors} and code in INT16_VERSIONS:
        version = INT16_VERSIONS[code]
    if any(tensor.packed for tensor in tensors) and code in INT4_VERSIONS:
        version = INT4_VERSIONS[code]
    rank = len(tensors[0].shape)
    if code == Codes.FULLY_CONNECTED:
        if len(tensors[1].scales) > 1:
            return 12
        without_bias = NO_TENSOR in inputs
        return max(version, 6 if without_bias else 5 if rank > 2 else version)
    if code == Codes.TRANSPOSE_CONV:
        version = max(version, 3) if len(inputs) == 4 else version
        return version if fields["FusedActivationFunction"] == Activations.NONE else 4
    centers, corners = fields.get("HalfPixelCenters"), fields.get("AlignCorners")
    higher = {
        Codes.CONV_2D: (6, code == Codes.CONV_2D and _depth(tensors[0]) != _depth(tensors[1])),
        Codes.ADD: (1, tensors[0].dtype == np.int32),
        Codes.PAD: (4, rank > 4),
        Codes.PADV2: (4, rank > 4),
        Codes.RESIZE_BILINEAR: (3, centers),
        Codes.RESIZE_NEAREST_NEIGHBOR: (3, centers or corners),
        Codes.SLICE: (5, rank > 4),
        Codes.TRANSPOSE: (4, rank > 4),
    }
    other, applies = higher.get(code, (version, False))
    return max(other, version) if applies and other > 1 else other if applies else version


def _depth(tensor: Tensor) -> int:
    return tensor.shape[-1]
