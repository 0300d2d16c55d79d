"""A .tflite file as plain values, every one of them checked: `read`.

What `read` returns is whole and consistent: every index leads to a tensor, constants have exactly
the bytes of their shape, scales fit their tensors, operators run in an order in which everything
is written once and before it is read. Not judged is what nobody uses: tensors and operators on
which no output depends, quantization that no operator reads, subgraphs that none calls. Whether
each operator is one that we can compute is left to `convert`, which may look at the operators
(``screen``) before their tensors are judged. What cannot be read is an `InvalidModel`: with
truncated, damaged or hostile bytes too, in a time and a memory that the file's size bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from nanotool.errors import InvalidModel, NanoError
from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.checks import (
    check_float,
    check_indices,
    check_integer,
    check_order,
    check_results,
    used_tensors,
)
from nanotool.frontends.tflite.content import (
    DTYPES,
    FIXED_SHAPES,
    FULL_INTEGER,
    MAX_RANK,
    QUANTIZED,
    SHOWN,
    SMALL_INTEGER,
    Model,
    Operator,
    OperatorCode,
    Quantization,
    Tensor,
    Variable,
    refuse,
)
from nanotool.frontends.tflite.flatbuffer import HINT, Reader
from nanotool.frontends.tflite.schema import Options
from nanotool.frontends.tflite.variables import Key, first_values, without_variables

MAX_FILE = 64 * 2**20  # bytes
MAX_ELEMENTS = 2**24  # of one tensor
CUSTOM = 32  # the operator code of all operators that are not built in

Screen: TypeAlias = Callable[[Model], None]  # it raises for operators that nobody can compute


# --- Reading --------------------------------------------------------------------------------------


def load(path: Path | str, screen: Screen | None = None) -> Model:
    """Read the .tflite file at ``path``: NanoError without one, InvalidModel if it is unsound."""
    file = Path(path)
    try:
        if file.stat().st_size > MAX_FILE:
            raise InvalidModel(
                f"{file} is larger than {MAX_FILE >> 20} MB.", "No microcontroller can hold it."
            )
        content = file.read_bytes()
    except OSError as error:
        raise NanoError(f"Cannot read {file}: {error.strerror or error}.", "Check path.") from error
    try:
        return read(content, screen)
    except InvalidModel as error:
        raise InvalidModel(f"{file}: {error.message}", error.hint) from error


def read(data: bytes, screen: Screen | None = None) -> Model:
    """The model in the bytes of a .tflite file; InvalidModel, and nothing else, if it has none.

    ``screen`` is given the model with its tensors as the file describes them, not yet judged and
    without data: only indices and types are right. What it raises goes through.
    """
    reader = Reader(data)
    file = reader.root(schema.File, schema.FILE_IDENTIFIER, "model")
    if file.version != schema.VERSION:
        refuse("The file", f"its schema has version {file.version}, not {schema.VERSION}")
    if not file.subgraphs:
        refuse("The file", "it has no subgraph")
    _check_entries(reader, file)
    graph = file.subgraphs[0]
    codes = tuple(map(_operator_code, file.operator_codes))
    rough = Model(
        version=file.version,
        description=file.description,
        operator_codes=codes,
        name=graph.name,
        tensors=tuple(map(_described, graph.tensors)),
        operators=tuple(
            _operator(reader, codes, i, operator) for i, operator in enumerate(graph.operators)
        ),
        inputs=graph.inputs,
        outputs=graph.outputs,
    )
    check_indices(rough)
    rough = _as_steps(reader, file, rough)
    check_float(rough)
    if screen is not None:
        screen(rough)
    check_results(rough)
    used = used_tensors(rough)
    tensors = tuple(
        _tensor(file, i, raw) if i in used else given
        for i, (raw, given) in enumerate(zip(graph.tensors, rough.tensors, strict=True))
    )
    model = replace(rough, tensors=tensors)
    check_order(model)
    check_integer(model)
    return model


def _check_entries(reader: Reader, file: schema.File) -> None:
    """Of several subgraphs the first one counts, as for TensorFlow Lite Micro; unless the file
    names several entry points to choose from. Those that operators call are theirs to refuse."""
    if len(file.subgraphs) == 1:
        return
    entries = reader.root(schema.Entries, schema.FILE_IDENTIFIER, "model").signatures
    if len({entry.subgraph for entry in entries}) > 1:
        names = ", ".join(repr(entry.key[:SHOWN]) for entry in entries[:8])
        refuse(
            "The file",
            f"it has several entry points: {names}",
            "Convert the one function that infers.",
        )


def _as_steps(reader: Reader, file: schema.File, model: Model) -> Model:
    """``model`` with variables in the place of the operators that read and assign them."""
    operators, variables, same, once = without_variables(model.operators)
    if operators == model.operators:
        return model
    values: dict[Key, bytes] = {}
    for number in once:
        if not 0 < number < len(file.subgraphs):
            refuse("CALL_ONCE", f"there is no subgraph {number} to begin with")
        graph = file.subgraphs[number]
        listed = tuple(
            _operator(reader, model.operator_codes, i, operator)
            for i, operator in enumerate(graph.operators)
        )
        for key, index in first_values(listed).items():
            if not 0 <= index < len(graph.tensors):
                refuse("CALL_ONCE", f"it assigns tensor {index} of {len(graph.tensors)}")
            data = _data(file, "CALL_ONCE", graph.tensors[index])
            if data is None:
                refuse("CALL_ONCE", "it begins with a tensor without data")
            values[key] = bytes(data)
    states = tuple(
        Variable(key[1] or key[0] or f"variable_{number}", read, following, values.get(key))
        for number, (key, (read, following)) in enumerate(variables.items())
    )
    outputs = tuple(same.get(index, index) for index in model.outputs)
    return replace(model, operators=operators, outputs=outputs, variables=states)


def _described(raw: schema.Tensor) -> Tensor:
    """A tensor as the file describes it, not judged."""
    return Tensor(raw.name, raw.shape, raw.shape, raw.type, None, None, raw.is_variable)


def _operator_code(code: schema.OperatorCode) -> OperatorCode:
    """A code that no schema has matters only where it is used: its name is "", its version it."""
    number = max(code.deprecated_builtin_code, code.builtin_code)
    if code.deprecated_builtin_code < 0 or number not in schema.OPERATORS:
        return OperatorCode("", number)
    custom = code.custom_code if number == CUSTOM else ""
    return OperatorCode(schema.OPERATORS[number], code.version, custom)


def _operator(
    reader: Reader, codes: tuple[OperatorCode, ...], index: int, operator: schema.Operator
) -> Operator:
    if operator.opcode_index >= len(codes):
        refuse(
            f"Operator {index}",
            f"its operator code {operator.opcode_index} is not one of {len(codes)}",
        )
    code = codes[operator.opcode_index]
    if not code.name:
        refuse(
            f"Operator {index}",
            f"its code {code.version} is no operator of the schema",
            f"{HINT} If TensorFlow made it newly, update the Python package tflite.",
        )
    return Operator(
        code, operator.inputs, operator.outputs, _options(reader, code, index, operator)
    )


def _options(
    reader: Reader, code: OperatorCode, index: int, operator: schema.Operator
) -> Options | None:
    """The operator's options; all of them defaults if the file leaves them out."""
    table = schema.OPTIONS.get(code.name)
    if table is None:
        return None
    kind, place = operator.builtin_options_type, operator.builtin_options
    if place is None:
        return table()
    where = f"Operator {index} ({code.name})"
    if kind != table.__name__:
        refuse(where, f"its options are {kind}, not {table.__name__}")
    return reader.table(table, place, f"{where}.options")


# --- Tensors --------------------------------------------------------------------------------------


def _tensor(file: schema.File, index: int, raw: schema.Tensor) -> Tensor:
    where = f"Tensor {index} {raw.name[:SHOWN]!r}" if raw.name else f"Tensor {index}"
    if raw.type == "INT4" and (packed := _data(file, where, raw)) is not None:
        return _unpacked(where, raw, _shape(where, raw), packed)
    if raw.type not in DTYPES:
        hint = SMALL_INTEGER if raw.type in {"INT4", "UINT4", "INT2"} else FULL_INTEGER
        refuse(where, f"type {raw.type} is not supported", hint)
    if raw.sparsity is not None:
        refuse(where, "it is sparse", "Convert the model without sparsity: with dense weights.")
    signature = _shape(where, raw)
    data = _data(file, where, raw)
    tensor = Tensor(
        name=raw.name,
        shape=raw.shape,
        shape_signature=signature,
        type=raw.type,
        quantization=_quantization(where, raw, data) if _is_scaled(raw, data) else None,
        data=data,
        is_variable=raw.is_variable,
    )
    expected = tensor.size * DTYPES[tensor.type].itemsize
    if tensor.data is not None and len(tensor.data) != expected:
        refuse(
            where,
            f"{tensor.type} {tensor.shape} takes {expected} bytes, its buffer has "
            f"{len(tensor.data)}",
        )
    return tensor


def _unpacked(
    where: str, raw: schema.Tensor, signature: tuple[int, ...], packed: memoryview
) -> Tensor:
    """A constant in INT4, two elements to a byte, the first one in its lower half: as INT8."""
    size = math.prod(raw.shape)
    if len(packed) != -(-size // 2):
        refuse(
            where,
            f"{raw.type} {raw.shape} takes {-(-size // 2)} bytes, its buffer has {len(packed)}",
        )
    pairs = np.frombuffer(packed, np.uint8)
    halves = np.stack([pairs & 15, pairs >> 4], axis=1).reshape(-1)[:size].astype(np.int8)
    data = memoryview(np.where(halves < 8, halves, halves - 16).astype(np.int8).tobytes())
    plain = replace(raw, type="INT8")
    quantization = _quantization(where, plain, data)
    return Tensor(raw.name, raw.shape, signature, "INT8", quantization, data, raw.is_variable)


def _shape(where: str, raw: schema.Tensor) -> tuple[int, ...]:
    """The shape's signature, after a look at both."""
    shape = raw.shape
    signature = shape if raw.shape_signature is None else raw.shape_signature
    if len(shape) > MAX_RANK:
        refuse(where, f"it has {len(shape)} axes, more than {MAX_RANK}")
    if -1 in shape:
        refuse(where, f"its shape {shape} is not fixed", FIXED_SHAPES)
    if min(shape, default=1) < 1:
        refuse(where, f"its shape {shape} has a size below 1")
    if math.prod(shape) > MAX_ELEMENTS:
        refuse(where, f"its shape {shape} has more than {MAX_ELEMENTS:,} elements")
    if -1 not in signature:  # it says nothing; some writers leave it empty, or an old one
        return shape
    if len(signature) != len(shape) or any(
        given not in {size, -1} for given, size in zip(signature, shape, strict=True)
    ):
        refuse(where, f"its shape {shape} does not fit its signature {signature[:MAX_RANK]}")
    if -1 in signature[1:] or shape[0] != 1:
        refuse(where, f"its shape {signature} is not fixed", FIXED_SHAPES)
    return signature


def _is_scaled(raw: schema.Tensor, data: memoryview | None) -> bool:
    """Whether somebody reads its scales; those of an INT32 activation where they are sound."""
    if raw.type in QUANTIZED:
        return True
    given = raw.quantization
    one = given is not None and len(given.scale) == 1 and given.zero_point in {(), (0,)}
    sound = given is not None and one and math.isfinite(given.scale[0]) and given.scale[0] > 0
    return raw.type == "INT32" and data is None and sound


def _quantization(where: str, raw: schema.Tensor, data: memoryview | None) -> Quantization | None:
    given = raw.quantization
    if given is None or not given.scale:
        return None
    if given.details_type != "NONE":
        refuse(where, f"its quantization is a {given.details_type}", FULL_INTEGER)
    count, axis = len(given.scale), given.quantized_dimension
    zero_points = given.zero_point
    if len(zero_points) in {0, 1} and data is not None:  # of a constant: 0, or one for all
        zero_points = (zero_points or (0,)) * count
    if len(zero_points) != count:
        refuse(where, f"it has {count} scales and {len(zero_points)} zero points")
    if count > 1 and not (0 <= axis < len(raw.shape) and raw.shape[axis] == count):
        refuse(where, f"{count} scales do not fit axis {axis} of its shape {raw.shape}")
    if not all(map(math.isfinite, given.scale)):
        refuse(where, "a scale is not finite")
    limits = np.iinfo(DTYPES[raw.type])
    if not all(limits.min <= zero <= limits.max for zero in zero_points):
        refuse(where, f"a zero point is outside {raw.type}")
    if not all(scale > 0 or _is_zero(raw, data, i) for i, scale in enumerate(given.scale)):
        refuse(where, "a scale is not positive")
    return Quantization(given.scale, zero_points, axis)


def _is_zero(raw: schema.Tensor, data: memoryview | None, index: int) -> bool:
    """Whether scale ``index`` is 0, and all the constant's elements that it is for are 0."""
    given = raw.quantization
    if given is None or given.scale[index] != 0 or data is None or raw.type != "INT8":
        return False
    if len(data) != math.prod(raw.shape):
        return False
    array = np.frombuffer(data, np.int8).reshape(raw.shape)
    part = array if len(given.scale) == 1 else array.take(index, given.quantized_dimension)
    return not part.any()


def _data(file: schema.File, where: str, raw: schema.Tensor) -> memoryview | None:
    """The bytes of a constant; None: there are none, it is an activation."""
    if raw.buffer >= len(file.buffers):
        refuse(where, f"its buffer {raw.buffer} is not one of {len(file.buffers)}")
    buffer = file.buffers[raw.buffer]
    if buffer.offset > 1 or buffer.size > 1:  # TensorFlow Lite takes 0 and 1 for "none"
        refuse(
            where,
            "its data lie behind the flatbuffer",
            "Only models above 2 GB need that: convert it without external buffers.",
        )
    return buffer.data if buffer.data else None
