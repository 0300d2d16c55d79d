"""A .tflite file as plain values, every one of them checked: `read`.

What `read` returns is whole and consistent: every index leads to a tensor, constants have exactly
the bytes of their shape, scales fit their tensors, operators run in an order in which everything
is written once and before it is read. Whether each operator is one that we can compute is left
to `convert`. What cannot be read is an `InvalidModel`: with truncated, damaged or hostile bytes
too, in a time and a memory that the file's size bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel, NanoError
from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.flatbuffer import HINT, Reader
from nanotool.frontends.tflite.schema import Options

MAX_FILE = 64 * 2**20  # bytes
MAX_ELEMENTS = 2**24  # of one tensor
MAX_RANK = 8
SHOWN = 60  # characters of a name in a message
NO_TENSOR = -1
CUSTOM = 32  # the operator code of all operators that are not built in

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "FLOAT16": np.dtype("<f2"),
    "FLOAT32": np.dtype("<f4"),
    "FLOAT64": np.dtype("<f8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
}

FIXED_SHAPES = "Convert the model with an input of fixed shape and a batch of 1."
CONSTANT = "Here only a constant will do: convert the model so that it is folded."
FULL_INTEGER = (
    "Quantize it when you convert it: with a representative dataset, "
    "target_spec.supported_ops = [TFLITE_BUILTINS_INT8], and inference types int8."
)


# --- The model ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quantization:
    """real = scale · (q − zero point), with one scale, or one per index of ``dimension``."""

    scales: tuple[float, ...]  # one or more, positive unless the tensor is INT32
    zero_points: tuple[int, ...]  # as many; within the tensor's type
    dimension: int  # an axis of the tensor if there are several scales


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor. The batch, if there is one, is the first axis."""

    name: str  # printable; may be empty, and is not unique
    shape: tuple[int, ...]  # at most MAX_RANK sizes, each at least 1
    shape_signature: tuple[int, ...]  # the same, but for a first -1: any batch, here 1
    type: str  # "INT8": a key of DTYPES
    quantization: Quantization | None
    data: memoryview | None  # a constant's bytes, little-endian: a view into the file
    is_variable: bool  # state that outlives an inference

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    def array(self) -> NDArray[Any]:
        """The constant, read-only, in native byte order; InvalidModel if it is an activation."""
        if self.data is None:
            _refuse(f"Tensor {self.name[:SHOWN]!r}", "it is not a constant", CONSTANT)
        array = np.frombuffer(self.data, DTYPES[self.type]).reshape(self.shape)
        return array.astype(array.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True, slots=True)
class OperatorCode:
    """A kind of operator that the file says it uses."""

    name: str  # "CONV_2D"; "CUSTOM" with a name of its own
    version: int
    custom: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operation."""

    code: OperatorCode
    inputs: tuple[int, ...]  # indices of tensors; NO_TENSOR: left out
    outputs: tuple[int, ...]  # at least one
    options: Options | None  # None: the operator has none, or none that we know


@dataclass(frozen=True, slots=True)
class Model:
    """The one subgraph of a file, and what the file says about itself."""

    version: int
    description: str
    operator_codes: tuple[OperatorCode, ...]
    name: str  # of the subgraph; often empty
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]  # in the order in which they run
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def describe(self, index: int) -> str:
        """A tensor in a message: its number, and its name if it has one."""
        name = self.tensors[index].name
        return f"tensor {index} {name[:SHOWN]!r}" if name else f"tensor {index}"


# --- Reading --------------------------------------------------------------------------------------


def load(path: Path | str) -> Model:
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
        return read(content)
    except InvalidModel as error:
        raise InvalidModel(f"{file}: {error.message}", error.hint) from error


def read(data: bytes) -> Model:
    """The model in the bytes of a .tflite file; InvalidModel, and nothing else, if it has none."""
    reader = Reader(data)
    file = reader.root(schema.File, schema.FILE_IDENTIFIER, "model")
    if file.version != schema.VERSION:
        _refuse("The file", f"its schema has version {file.version}, not {schema.VERSION}")
    if len(file.subgraphs) != 1:
        _refuse(
            "The file",
            f"it has {len(file.subgraphs)} subgraphs, not 1",
            "Models with control flow (if, while) or several entry points cannot be used: "
            "convert the one function that infers.",
        )
    graph = file.subgraphs[0]
    codes = tuple(_operator_code(i, code) for i, code in enumerate(file.operator_codes))
    tensors = tuple(_tensor(file, i, tensor) for i, tensor in enumerate(graph.tensors))
    model = Model(
        version=file.version,
        description=file.description,
        operator_codes=codes,
        name=graph.name,
        tensors=tensors,
        operators=tuple(
            _operator(reader, codes, i, operator) for i, operator in enumerate(graph.operators)
        ),
        inputs=graph.inputs,
        outputs=graph.outputs,
    )
    _check_indices(model)
    _check_order(model)
    _check_integer(model)
    return model


def _refuse(where: str, what: str, hint: str = HINT) -> NoReturn:
    raise InvalidModel(f"{where}: {what}.", hint)


def _operator_code(index: int, code: schema.OperatorCode) -> OperatorCode:
    number = max(code.deprecated_builtin_code, code.builtin_code)
    if code.deprecated_builtin_code < 0 or number not in schema.OPERATORS:
        _refuse(
            f"Operator code {index}",
            f"{number} is no operator of the schema",
            f"{HINT} If TensorFlow made it newly, update the Python package tflite.",
        )
    custom = code.custom_code if number == CUSTOM else ""
    return OperatorCode(schema.OPERATORS[number], code.version, custom)


def _operator(
    reader: Reader, codes: tuple[OperatorCode, ...], index: int, operator: schema.Operator
) -> Operator:
    if operator.opcode_index >= len(codes):
        _refuse(
            f"Operator {index}",
            f"its operator code {operator.opcode_index} is not one of {len(codes)}",
        )
    code = codes[operator.opcode_index]
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
        _refuse(where, f"its options are {kind}, not {table.__name__}")
    return reader.table(table, place, f"{where}.options")


# --- Tensors --------------------------------------------------------------------------------------


def _tensor(file: schema.File, index: int, raw: schema.Tensor) -> Tensor:
    where = f"Tensor {index} {raw.name[:SHOWN]!r}" if raw.name else f"Tensor {index}"
    if raw.type not in DTYPES:
        _refuse(where, f"type {raw.type} is not supported", FULL_INTEGER)
    if raw.sparsity is not None:
        _refuse(where, "it is sparse", "Convert the model without sparsity: with dense weights.")
    signature = _shape(where, raw)
    tensor = Tensor(
        name=raw.name,
        shape=raw.shape,
        shape_signature=signature,
        type=raw.type,
        quantization=_quantization(where, raw),
        data=_data(file, where, raw),
        is_variable=raw.is_variable,
    )
    expected = tensor.size * DTYPES[tensor.type].itemsize
    if tensor.data is not None and len(tensor.data) != expected:
        _refuse(
            where,
            f"{tensor.type} {tensor.shape} takes {expected} bytes, its buffer has "
            f"{len(tensor.data)}",
        )
    return tensor


def _shape(where: str, raw: schema.Tensor) -> tuple[int, ...]:
    """The shape's signature, after a look at both."""
    shape = raw.shape
    signature = shape if raw.shape_signature is None else raw.shape_signature
    if len(shape) > MAX_RANK:
        _refuse(where, f"it has {len(shape)} axes, more than {MAX_RANK}")
    if -1 in shape:
        _refuse(where, f"its shape {shape} is not fixed", FIXED_SHAPES)
    if min(shape, default=1) < 1:
        _refuse(where, f"its shape {shape} has a size below 1")
    if math.prod(shape) > MAX_ELEMENTS:
        _refuse(where, f"its shape {shape} has more than {MAX_ELEMENTS:,} elements")
    if not signature:  # some writers leave it empty, which means "as the shape"
        return shape
    if signature != shape:
        if len(signature) != len(shape) or any(
            given not in {size, -1} for given, size in zip(signature, shape, strict=True)
        ):
            _refuse(where, f"its shape {shape} does not fit its signature {signature[:MAX_RANK]}")
        if -1 in signature[1:] or shape[0] != 1:
            _refuse(where, f"its shape {signature} is not fixed", FIXED_SHAPES)
    return signature


def _quantization(where: str, raw: schema.Tensor) -> Quantization | None:
    given = raw.quantization
    if given is None or (not given.scale and not given.zero_point):
        return None
    if given.details_type != "NONE":
        _refuse(where, f"its quantization is a {given.details_type}", FULL_INTEGER)
    count, axis = len(given.scale), given.quantized_dimension
    if len(given.zero_point) != count:
        _refuse(where, f"it has {count} scales and {len(given.zero_point)} zero points")
    if count > 1 and not (0 <= axis < len(raw.shape) and raw.shape[axis] == count):
        _refuse(where, f"{count} scales do not fit axis {axis} of its shape {raw.shape}")
    # A bias's scale is not used, and may be too small for float32.
    if raw.type != "INT32" and not all(scale > 0 for scale in given.scale):
        _refuse(where, "a scale is not positive")
    dtype = DTYPES[raw.type]
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.iinfo(np.int64)
    if not all(limits.min <= zero <= limits.max for zero in given.zero_point):
        _refuse(where, f"a zero point is outside {raw.type}")
    return Quantization(given.scale, given.zero_point, axis)


def _data(file: schema.File, where: str, raw: schema.Tensor) -> memoryview | None:
    """The bytes of a constant; None: there are none, it is an activation."""
    if raw.buffer >= len(file.buffers):
        _refuse(where, f"its buffer {raw.buffer} is not one of {len(file.buffers)}")
    buffer = file.buffers[raw.buffer]
    if buffer.offset > 1 or buffer.size > 1:  # TensorFlow Lite takes 0 and 1 for "none"
        _refuse(
            where,
            "its data lie behind the flatbuffer",
            "Only models above 2 GB need that: convert it without external buffers.",
        )
    return buffer.data if buffer.data else None


# --- The whole ------------------------------------------------------------------------------------


def _check_indices(model: Model) -> None:
    """Every index leads to a tensor; only an operator's inputs may be left out."""
    count = len(model.tensors)
    for what, indices in (("inputs", model.inputs), ("outputs", model.outputs)):
        if not indices:
            _refuse("The graph", f"it has no {what}")
        if len(set(indices)) != len(indices):
            _refuse("The graph", f"one of its {what} is listed twice")
        _check_range("The graph", what, indices, 0, count)
    for i, operator in enumerate(model.operators):
        where = f"Operator {i} ({operator.code.name})"
        if not operator.outputs:
            _refuse(where, "it has no outputs")
        _check_range(where, "inputs", operator.inputs, NO_TENSOR, count)
        _check_range(where, "outputs", operator.outputs, 0, count)


def _check_range(where: str, what: str, indices: tuple[int, ...], low: int, count: int) -> None:
    for index in indices:
        if not low <= index < count:
            _refuse(where, f"its {what} name tensor {index} of {count}")


def _check_order(model: Model) -> None:
    """Activations are written once, before they are read; nobody writes constants or inputs."""
    tensors = model.tensors
    written = {i for i, t in enumerate(tensors) if t.data is not None or t.is_variable}
    for index in model.inputs:
        if index in written:
            _refuse("The graph", f"its input, {model.describe(index)}, is no activation")
        written.add(index)
    for i, operator in enumerate(model.operators):
        where = f"Operator {i} ({operator.code.name})"
        for index in operator.inputs:
            if index != NO_TENSOR and index not in written:
                _refuse(where, f"it reads {model.describe(index)} before it is written")
        for index in operator.outputs:
            if index in written:
                _refuse(where, f"it writes {model.describe(index)}, which holds something already")
            written.add(index)
    for index in model.outputs:
        if index not in written:
            _refuse("The graph", f"nothing writes its output, {model.describe(index)}")


def _check_integer(model: Model) -> None:
    """Some activation is int8, and every int8 activation that is used has a scale."""
    used = {*model.inputs, *model.outputs}
    for operator in model.operators:
        used.update(operator.outputs, (i for i in operator.inputs if i != NO_TENSOR))
    activations = [i for i in sorted(used) if model.tensors[i].data is None]
    types = {model.tensors[i].type for i in activations}
    if "INT8" not in types:
        _refuse(
            "The model", f"it computes in {', '.join(sorted(types))}, not in INT8", FULL_INTEGER
        )
    for index in activations:
        tensor = model.tensors[index]
        if tensor.type == "INT8" and tensor.quantization is None:
            _refuse(f"T{model.describe(index)[1:]}", "it is INT8 without a scale", FULL_INTEGER)
