"""What is read of the .tflite schema: its tables, as `flatbuffer` wants them declared.

Names, slots and defaults are the schema's; the enumerations come from the PyPI package `tflite`.
Left out: what describes a file without changing what it computes (metadata, signatures, the
minimum and maximum seen in training), and the options of operators that have no int8 form here.
"""

# ruff: noqa: RUF009 - `slot` makes a dataclass field, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import tflite

from nanotool.frontends.tflite.flatbuffer import (
    Boolean,
    Bulk,
    Enum,
    Number,
    Numbers,
    Place,
    Table,
    Tables,
    Text,
    slot,
)

FILE_IDENTIFIER = b"TFL3"
VERSION = 3


def _names(enumeration: type) -> dict[int, str]:
    """Value -> name of an enumeration of the schema package."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATORS = _names(tflite.BuiltinOperator)
TYPES = _names(tflite.TensorType)
UNIONS = _names(tflite.BuiltinOptions)
DETAILS = _names(tflite.QuantizationDetails)

INT, UINT, FLOAT, UINT64 = Number("i"), Number("I"), Number("f"), Number("Q")
INTS, LONGS, FLOATS = Numbers("i"), Numbers("q"), Numbers("f")
BOOL, TEXT, BULK = Boolean(), Text(), Bulk()
PADDING = Enum(_names(tflite.Padding))
MIRROR = Enum(_names(tflite.MirrorPadMode))
FORMAT = Enum(_names(tflite.FullyConnectedOptionsWeightsFormat))
# As bytes: the schema's enumerations have 8 bits, and none of them is negative.
ACTIVATION = Enum(_names(tflite.ActivationFunctionType))
TYPE = Enum(TYPES)


# --- The file -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quantization:
    """real = scale (q - zero_point), for the whole tensor or per index of one dimension."""

    scale: tuple[float, ...] = slot(2, FLOATS, ())
    zero_point: tuple[int, ...] = slot(3, LONGS, ())
    details_type: str = slot(4, Enum(DETAILS), "NONE")
    quantized_dimension: int = slot(6, INT, 0)


@dataclass(frozen=True, slots=True)
class Sparsity:
    """Only whether there is one."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An activation, or a constant if its buffer holds data."""

    shape: tuple[int, ...] = slot(0, INTS, ())
    type: str = slot(1, TYPE, "FLOAT32")
    buffer: int = slot(2, UINT, 0)
    name: str = slot(3, TEXT, "")
    quantization: Quantization | None = slot(4, Table(Quantization))
    is_variable: bool = slot(5, BOOL, False)
    sparsity: Sparsity | None = slot(6, Table(Sparsity))
    shape_signature: tuple[int, ...] | None = slot(7, INTS)


@dataclass(frozen=True, slots=True)
class OperatorCode:
    """A kind of operator. Codes from 127 on do not fit the older, deprecated field."""

    deprecated_builtin_code: int = slot(0, Number("b"), 0)
    custom_code: str = slot(1, TEXT, "")
    version: int = slot(2, INT, 1)
    builtin_code: int = slot(3, INT, 0)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operation; the indices are those of `Subgraph.tensors`, -1 an input left out."""

    opcode_index: int = slot(0, UINT, 0)
    inputs: tuple[int, ...] = slot(1, INTS, ())
    outputs: tuple[int, ...] = slot(2, INTS, ())
    builtin_options_type: str = slot(3, Enum(UNIONS), "NONE")
    builtin_options: int | None = slot(4, Place())


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Tensors, and the operators in the order in which they run."""

    tensors: tuple[Tensor, ...] = slot(0, Tables(Tensor), ())
    inputs: tuple[int, ...] = slot(1, INTS, ())
    outputs: tuple[int, ...] = slot(2, INTS, ())
    operators: tuple[Operator, ...] = slot(3, Tables(Operator), ())
    name: str = slot(4, TEXT, "")


@dataclass(frozen=True, slots=True)
class Buffer:
    """The data of a constant; ``offset`` and ``size`` are for data behind the flatbuffer."""

    data: memoryview | None = slot(0, BULK)
    offset: int = slot(1, UINT64, 0)
    size: int = slot(2, UINT64, 0)


@dataclass(frozen=True, slots=True)
class File:
    """The root table, `Model` in the schema."""

    version: int = slot(0, UINT, 0)
    operator_codes: tuple[OperatorCode, ...] = slot(1, Tables(OperatorCode), ())
    subgraphs: tuple[Subgraph, ...] = slot(2, Tables(Subgraph), ())
    description: str = slot(3, TEXT, "")
    buffers: tuple[Buffer, ...] = slot(4, Tables(Buffer), ())


@dataclass(frozen=True, slots=True)
class Signature:
    """`SignatureDef`: a way into the model."""

    key: str = slot(2, TEXT, "")
    subgraph: int = slot(4, UINT, 0)


@dataclass(frozen=True, slots=True)
class Entries:
    """The ways into a model, of the root table."""

    signatures: tuple[Signature, ...] = slot(7, Tables(Signature), ())


# --- Options of operators -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VarHandleOptions:
    """Of VAR_HANDLE: what tells a variable from others."""

    container: str = slot(0, TEXT, "")
    shared_name: str = slot(1, TEXT, "")


@dataclass(frozen=True, slots=True)
class CallOnceOptions:
    """Of CALL_ONCE."""

    init_subgraph_index: int = slot(0, INT, 0)


@dataclass(frozen=True, slots=True)
class AddOptions:
    """Of ADD."""

    fused_activation: str = slot(0, ACTIVATION, "NONE")


@dataclass(frozen=True, slots=True)
class SubOptions:
    """Of SUB."""

    fused_activation: str = slot(0, ACTIVATION, "NONE")


@dataclass(frozen=True, slots=True)
class DivOptions:
    """Of DIV."""

    fused_activation: str = slot(0, ACTIVATION, "NONE")


@dataclass(frozen=True, slots=True)
class MulOptions:
    """Of MUL."""

    fused_activation: str = slot(0, ACTIVATION, "NONE")


@dataclass(frozen=True, slots=True)
class Conv2DOptions:
    """Of CONV_2D."""

    padding: str = slot(0, PADDING, "SAME")
    stride_w: int = slot(1, INT, 0)
    stride_h: int = slot(2, INT, 0)
    fused_activation: str = slot(3, ACTIVATION, "NONE")
    dilation_w: int = slot(4, INT, 1)
    dilation_h: int = slot(5, INT, 1)
    quantized_bias_type: str = slot(6, TYPE, "FLOAT32")


@dataclass(frozen=True, slots=True)
class DepthwiseConv2DOptions:
    """Of DEPTHWISE_CONV_2D. TensorFlow Lite itself takes the multiplier from the shapes."""

    padding: str = slot(0, PADDING, "SAME")
    stride_w: int = slot(1, INT, 0)
    stride_h: int = slot(2, INT, 0)
    depth_multiplier: int = slot(3, INT, 0)
    fused_activation: str = slot(4, ACTIVATION, "NONE")
    dilation_w: int = slot(5, INT, 1)
    dilation_h: int = slot(6, INT, 1)


@dataclass(frozen=True, slots=True)
class TransposeConvOptions:
    """Of TRANSPOSE_CONV."""

    padding: str = slot(0, PADDING, "SAME")
    stride_w: int = slot(1, INT, 0)
    stride_h: int = slot(2, INT, 0)
    fused_activation: str = slot(3, ACTIVATION, "NONE")


@dataclass(frozen=True, slots=True)
class Pool2DOptions:
    """Of AVERAGE_POOL_2D and MAX_POOL_2D."""

    padding: str = slot(0, PADDING, "SAME")
    stride_w: int = slot(1, INT, 0)
    stride_h: int = slot(2, INT, 0)
    filter_width: int = slot(3, INT, 0)
    filter_height: int = slot(4, INT, 0)
    fused_activation: str = slot(5, ACTIVATION, "NONE")


@dataclass(frozen=True, slots=True)
class FullyConnectedOptions:
    """Of FULLY_CONNECTED."""

    fused_activation: str = slot(0, ACTIVATION, "NONE")
    weights_format: str = slot(1, FORMAT, "DEFAULT")
    keep_num_dims: bool = slot(2, BOOL, False)
    quantized_bias_type: str = slot(4, TYPE, "FLOAT32")


@dataclass(frozen=True, slots=True)
class SoftmaxOptions:
    """Of SOFTMAX."""

    beta: float = slot(0, FLOAT, 0.0)


@dataclass(frozen=True, slots=True)
class ReshapeOptions:
    """Of RESHAPE, where no second input gives the shape."""

    new_shape: tuple[int, ...] = slot(0, INTS, ())


@dataclass(frozen=True, slots=True)
class SqueezeOptions:
    """Of SQUEEZE; none: every axis of size 1."""

    squeeze_dims: tuple[int, ...] = slot(0, INTS, ())


@dataclass(frozen=True, slots=True)
class ConcatenationOptions:
    """Of CONCATENATION."""

    axis: int = slot(0, INT, 0)
    fused_activation: str = slot(1, ACTIVATION, "NONE")


@dataclass(frozen=True, slots=True)
class PackOptions:
    """Of PACK."""

    values_count: int = slot(0, INT, 0)
    axis: int = slot(1, INT, 0)


@dataclass(frozen=True, slots=True)
class UnpackOptions:
    """Of UNPACK."""

    num: int = slot(0, INT, 0)
    axis: int = slot(1, INT, 0)


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Of SPLIT."""

    num_splits: int = slot(0, INT, 0)


@dataclass(frozen=True, slots=True)
class SplitVOptions:
    """Of SPLIT_V."""

    num_splits: int = slot(0, INT, 0)


@dataclass(frozen=True, slots=True)
class StridedSliceOptions:
    """Of STRIDED_SLICE: bit i of a mask is for axis i."""

    begin_mask: int = slot(0, INT, 0)
    end_mask: int = slot(1, INT, 0)
    ellipsis_mask: int = slot(2, INT, 0)
    new_axis_mask: int = slot(3, INT, 0)
    shrink_axis_mask: int = slot(4, INT, 0)
    offset: bool = slot(5, BOOL, False)


@dataclass(frozen=True, slots=True)
class BatchMatMulOptions:
    """Of BATCH_MATMUL."""

    adj_x: bool = slot(0, BOOL, False)
    adj_y: bool = slot(1, BOOL, False)


@dataclass(frozen=True, slots=True)
class GatherOptions:
    """Of GATHER."""

    axis: int = slot(0, INT, 0)
    batch_dims: int = slot(1, INT, 0)


@dataclass(frozen=True, slots=True)
class SpaceToDepthOptions:
    """Of SPACE_TO_DEPTH."""

    block_size: int = slot(0, INT, 0)


@dataclass(frozen=True, slots=True)
class DepthToSpaceOptions:
    """Of DEPTH_TO_SPACE."""

    block_size: int = slot(0, INT, 0)


@dataclass(frozen=True, slots=True)
class MirrorPadOptions:
    """Of MIRROR_PAD."""

    mode: str = slot(0, MIRROR, "REFLECT")


@dataclass(frozen=True, slots=True)
class ReducerOptions:
    """Of MEAN and its like."""

    keep_dims: bool = slot(0, BOOL, False)


@dataclass(frozen=True, slots=True)
class ArgMaxOptions:
    """Of ARG_MAX."""

    output_type: str = slot(0, TYPE, "FLOAT32")


@dataclass(frozen=True, slots=True)
class ArgMinOptions:
    """Of ARG_MIN."""

    output_type: str = slot(0, TYPE, "FLOAT32")


@dataclass(frozen=True, slots=True)
class CumsumOptions:
    """Of CUMSUM."""

    exclusive: bool = slot(0, BOOL, False)
    reverse: bool = slot(1, BOOL, False)


@dataclass(frozen=True, slots=True)
class UnidirectionalSequenceLSTMOptions:
    """Of UNIDIRECTIONAL_SEQUENCE_LSTM."""

    fused_activation: str = slot(0, ACTIVATION, "NONE")
    cell_clip: float = slot(1, FLOAT, 0.0)
    time_major: bool = slot(3, BOOL, False)


@dataclass(frozen=True, slots=True)
class SVDFOptions:
    """Of SVDF. Its activation is none of int8's: TensorFlow Lite Micro does not look at it."""

    rank: int = slot(0, INT, 0)


@dataclass(frozen=True, slots=True)
class ResizeBilinearOptions:
    """Of RESIZE_BILINEAR."""

    align_corners: bool = slot(2, BOOL, False)
    half_pixel_centers: bool = slot(3, BOOL, False)


@dataclass(frozen=True, slots=True)
class ResizeNearestNeighborOptions:
    """Of RESIZE_NEAREST_NEIGHBOR."""

    align_corners: bool = slot(0, BOOL, False)
    half_pixel_centers: bool = slot(1, BOOL, False)


@dataclass(frozen=True, slots=True)
class LeakyReluOptions:
    """Of LEAKY_RELU: the slope below 0."""

    alpha: float = slot(0, FLOAT, 0.0)


@dataclass(frozen=True, slots=True)
class GeluOptions:
    """Of GELU: whether by tanh."""

    approximate: bool = slot(0, BOOL, False)


Options: TypeAlias = (
    AddOptions
    | ArgMaxOptions
    | ArgMinOptions
    | BatchMatMulOptions
    | CallOnceOptions
    | ConcatenationOptions
    | Conv2DOptions
    | CumsumOptions
    | DepthToSpaceOptions
    | DepthwiseConv2DOptions
    | DivOptions
    | FullyConnectedOptions
    | GatherOptions
    | GeluOptions
    | LeakyReluOptions
    | MirrorPadOptions
    | MulOptions
    | PackOptions
    | Pool2DOptions
    | ReducerOptions
    | ReshapeOptions
    | ResizeBilinearOptions
    | ResizeNearestNeighborOptions
    | SoftmaxOptions
    | SVDFOptions
    | SpaceToDepthOptions
    | SplitOptions
    | SplitVOptions
    | SqueezeOptions
    | StridedSliceOptions
    | SubOptions
    | TransposeConvOptions
    | UnidirectionalSequenceLSTMOptions
    | UnpackOptions
    | VarHandleOptions
)

# The options of each operator that has any; the table's name is the schema's.
OPTIONS: dict[str, type[Options]] = {
    "ADD": AddOptions,
    "ARG_MAX": ArgMaxOptions,
    "ARG_MIN": ArgMinOptions,
    "AVERAGE_POOL_2D": Pool2DOptions,
    "BATCH_MATMUL": BatchMatMulOptions,
    "CALL_ONCE": CallOnceOptions,
    "CONCATENATION": ConcatenationOptions,
    "CONV_2D": Conv2DOptions,
    "CUMSUM": CumsumOptions,
    "DEPTH_TO_SPACE": DepthToSpaceOptions,
    "DEPTHWISE_CONV_2D": DepthwiseConv2DOptions,
    "DIV": DivOptions,
    "FULLY_CONNECTED": FullyConnectedOptions,
    "GATHER": GatherOptions,
    "GELU": GeluOptions,
    "LEAKY_RELU": LeakyReluOptions,
    "MAX_POOL_2D": Pool2DOptions,
    "MEAN": ReducerOptions,
    "MIRROR_PAD": MirrorPadOptions,
    "MUL": MulOptions,
    "PACK": PackOptions,
    "REDUCE_MAX": ReducerOptions,
    "REDUCE_MIN": ReducerOptions,
    "RESHAPE": ReshapeOptions,
    "RESIZE_BILINEAR": ResizeBilinearOptions,
    "RESIZE_NEAREST_NEIGHBOR": ResizeNearestNeighborOptions,
    "SOFTMAX": SoftmaxOptions,
    "SPACE_TO_DEPTH": SpaceToDepthOptions,
    "SPLIT": SplitOptions,
    "SPLIT_V": SplitVOptions,
    "SQUEEZE": SqueezeOptions,
    "STRIDED_SLICE": StridedSliceOptions,
    "SUB": SubOptions,
    "SUM": ReducerOptions,
    "SVDF": SVDFOptions,
    "TRANSPOSE_CONV": TransposeConvOptions,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": UnidirectionalSequenceLSTMOptions,
    "UNPACK": UnpackOptions,
    "VAR_HANDLE": VarHandleOptions,
}
