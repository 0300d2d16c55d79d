""".tflite files made to measure, right or wrong, by the schema package's own functions.

A table is ("Name in the schema", {"Field": value}); a str, bytes or array is a string or vector, a
list is a vector of tables, anything else is a number.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import flatbuffers
import numpy as np
import tflite

Spec: TypeAlias = Any


def _put(builder: flatbuffers.Builder, value: Spec) -> Any:
    """Write what ``value`` refers to; what its parent stores is the answer."""
    match value:
        case str():
            return builder.CreateString(value)
        case bytes():
            return builder.CreateByteVector(value)
        case np.ndarray():
            return builder.CreateNumpyVector(value)
        case list():
            items = [_put(builder, item) for item in value]
            builder.StartVector(4, len(items), 4)
            for item in reversed(items):
                builder.PrependUOffsetTRelative(item)
            return builder.EndVector()
        case (str(name), dict(content)):
            stored = {key: _put(builder, item) for key, item in content.items()}
            getattr(tflite, f"{name}Start")(builder)
            for key, item in stored.items():
                getattr(tflite, f"{name}Add{key}")(builder, item)
            return getattr(tflite, f"{name}End")(builder)
    return value


def serialize(model: Spec, identifier: bytes = b"TFL3") -> bytes:
    builder = flatbuffers.Builder(256)
    builder.Finish(_put(builder, model), identifier)
    return bytes(builder.Output())


def ints(*values: int) -> Any:
    return np.array(values, np.int32)


def quantization(*scales: float, zero_points: tuple[int, ...] = (0,), **more: Any) -> Spec:
    content = {
        "Scale": np.array(scales, np.float32),
        "ZeroPoint": np.array(zero_points, np.int64),
    }
    return ("QuantizationParameters", content | more)


def tensor(name: str, shape: tuple[int, ...], kind: str = "INT8", **more: Any) -> Spec:
    content = {
        "Name": name,
        "Shape": ints(*shape),
        "Type": getattr(tflite.TensorType, kind),
        "Quantization": quantization(0.5),
    }
    return ("Tensor", content | more)


def operator(inputs: Any, outputs: Any, opcode: int = 0, **more: Any) -> Spec:
    return ("Operator", {"OpcodeIndex": opcode, "Inputs": inputs, "Outputs": outputs} | more)


def code(number: int, **more: Any) -> Spec:
    content = {"DeprecatedBuiltinCode": min(number, 127), "BuiltinCode": number, "Version": 1}
    return ("OperatorCode", content | more)
