"""A `File` as bytes. Flatbuffers are written leaves first."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

from nanotool.backends.tflite.file import NO_TENSOR, TYPES, File, Operator, Tensor

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16  # of a tensor's data in the file, as the schema asks


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


def _write_tensor(builder: flatbuffers.Builder, tensor: Tensor, buffer: int) -> int:
    quantization = None
    if tensor.scales:
        zero_points = np.full(len(tensor.scales), tensor.zero_point, np.int64)
        scale = _vector(builder, np.array(tensor.scales, np.float32))
        zero_point = _vector(builder, zero_points)
        quantization = _table(
            builder,
            "QuantizationParameters",
            {"Scale": scale, "ZeroPoint": zero_point, "QuantizedDimension": tensor.axis},
        )
    name = builder.CreateString(tensor.name)
    shape = _vector(builder, np.array(tensor.shape, np.int32))
    return _table(
        builder,
        "Tensor",
        {
            "Shape": shape,
            "Type": tflite.TensorType.INT4 if tensor.packed else TYPES[tensor.dtype],
            "Buffer": buffer,
            "Name": name,
            "Quantization": quantization,
            "IsVariable": tensor.is_variable or None,
        },
    )


def _write_operator(builder: flatbuffers.Builder, operator: Operator, opcode: int) -> int:
    options, kind = None, None
    if operator.options:
        fields = {
            key: builder.CreateString(value) if isinstance(value, str) else value
            for key, value in operator.fields.items()
        }
        options = _table(builder, operator.options, fields)
        kind = getattr(tflite.BuiltinOptions, operator.options)
    inputs = _vector(builder, np.array(operator.inputs, np.int32))
    written = [] if operator.output == NO_TENSOR else [operator.output]
    outputs = _vector(builder, np.array(written, np.int32))
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
    builder: flatbuffers.Builder,
    file: File,
    name: str,
    codes: list[tuple[int, int]],
    buffers: list[bytes],
) -> int:
    """The subgraph; the data that its tensors refer to go behind ``buffers``, of which number 0 is
    the empty one."""
    tensors = []
    for tensor in file.tensors:
        if tensor.data:
            buffers.append(tensor.data)
        tensors.append(_write_tensor(builder, tensor, len(buffers) - 1 if tensor.data else 0))
    operators = [
        _write_operator(builder, operator, codes.index((operator.code, operator.version)))
        for operator in file.operators
    ]
    ends = ((), ()) if not file.index else (file.graph.inputs, file.graph.outputs)
    inputs, outputs = (np.array([file.index[one] for one in names], np.int32) for names in ends)
    fields = {
        "Tensors": _offsets(builder, tensors),
        "Inputs": _vector(builder, inputs),
        "Outputs": _vector(builder, outputs),
        "Operators": _offsets(builder, operators),
        "Name": builder.CreateString(name),
    }
    return _table(builder, "SubGraph", fields)


def _write_code(builder: flatbuffers.Builder, code: int, version: int) -> int:
    # Codes that the old field, a byte, cannot hold stand in the new one alone.
    old = min(code, tflite.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    fields = {"DeprecatedBuiltinCode": old, "BuiltinCode": code, "Version": version}
    return _table(builder, "OperatorCode", fields)


def serialize(file: File) -> bytes:
    """The content of the .tflite file."""
    builder = flatbuffers.Builder(1024)
    parts = [(file, file.graph.name)] + ([] if file.once is None else [(file.once, "first")])
    codes = sorted({(one.code, one.version) for part, _ in parts for one in part.operators})
    buffers = [b""]
    subgraphs = [_write_subgraph(builder, part, name, codes, buffers) for part, name in parts]
    fields = {
        "Version": SCHEMA_VERSION,
        "OperatorCodes": _offsets(builder, [_write_code(builder, *code) for code in codes]),
        "Subgraphs": _offsets(builder, subgraphs),
        "Description": builder.CreateString("nanotool"),
        "Buffers": _offsets(builder, [_write_buffer(builder, data) for data in buffers]),
    }
    builder.Finish(_table(builder, "Model", fields), FILE_IDENTIFIER)
    return bytes(builder.Output())
