"""What a .tflite file holds, as plain values: its first subgraph, with variables as states."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.frontends.tflite.flatbuffer import HINT
from nanotool.frontends.tflite.schema import Options

MAX_RANK = 8
SHOWN = 60  # characters of a name in a message
NO_TENSOR = -1

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

QUANTIZED = frozenset({"INT8", "UINT8", "INT16"})  # the types whose scales somebody reads

FIXED_SHAPES = "Convert the model with an input of fixed shape and a batch of 1."
CONSTANT = "Here only a constant will do: convert the model so that it is folded."
FULL_INTEGER = (
    "Quantize it when you convert it: with a representative dataset, "
    "target_spec.supported_ops = [TFLITE_BUILTINS_INT8], and inference types int8."
)
SMALL_INTEGER = "Convert the model with 4 or 8 bits for each weight, and 8 or 16 for activations."


def refuse(where: str, what: str, hint: str = HINT) -> NoReturn:
    """InvalidModel: ``where`` ("Tensor 3") and what is wrong with it."""
    raise InvalidModel(f"{where}: {what}.", hint)


@dataclass(frozen=True, slots=True)
class Quantization:
    """real = scale · (q − zero point), with one scale, or one per index of ``dimension``."""

    scales: tuple[float, ...]  # one or more, positive; 0 for a constant's index that holds 0 alone
    zero_points: tuple[int, ...]  # as many; within the tensor's type
    dimension: int  # an axis of the tensor if there are several scales


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor. The batch, if there is one, is the first axis."""

    name: str  # printable; may be empty, and is not unique
    shape: tuple[int, ...]  # at most MAX_RANK sizes, each at least 1
    shape_signature: tuple[int, ...]  # the same, but for a first -1: any batch, here 1
    type: str  # "INT8": a key of DTYPES
    quantization: Quantization | None  # of INT8, UINT8 and INT16: no others' is read
    data: memoryview | None  # a constant's bytes, little-endian: a view into the file
    is_variable: bool  # state that outlives an inference

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    def array(self) -> NDArray[Any]:
        """The constant, read-only, in native byte order; InvalidModel if it is an activation."""
        if self.data is None:
            refuse(f"Tensor {self.name[:SHOWN]!r}", "it is not a constant", CONSTANT)
        array = np.frombuffer(self.data, DTYPES[self.type]).reshape(self.shape)
        return array.astype(array.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True, slots=True)
class OperatorCode:
    """A kind of operator that the file says it uses."""

    name: str  # "CONV_2D"; "CUSTOM" with a name of its own
    version: int
    custom: str = ""


@dataclass(frozen=True, slots=True)
class Dilated:
    """What the operators around a convolution make of it."""

    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]  # top, left, bottom, right
    shape: tuple[int, ...]  # of the input, as an image 1, H, W, C


@dataclass(frozen=True, slots=True)
class Operator:
    """One operation."""

    code: OperatorCode
    inputs: tuple[int, ...]  # indices of tensors; NO_TENSOR: left out
    outputs: tuple[int, ...]  # at least one
    options: Options | None  # None: the operator has none, or none that we know
    # Of a convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, which are gone.
    dilated: Dilated | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: tensors of the first subgraph, and the bytes that the first step reads."""

    name: str
    read: int
    next: int
    initial: bytes | None  # None: the tensor's zero point, everywhere


@dataclass(frozen=True, slots=True)
class Model:
    """The first subgraph of a file, and what the file says about itself."""

    version: int
    description: str
    operator_codes: tuple[OperatorCode, ...]
    name: str  # of the subgraph; often empty
    tensors: tuple[Tensor, ...]  # those that nobody uses may be anything
    operators: tuple[Operator, ...]  # in the order in which they run
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    variables: tuple[Variable, ...] = ()  # whose operators are gone

    @property
    def results(self) -> tuple[int, ...]:
        """The tensors for which it runs: outputs, then what variables become."""
        return (*self.outputs, *(variable.next for variable in self.variables))

    def describe(self, index: int) -> str:
        """A tensor in a message: its number, and its name if it has one."""
        name = self.tensors[index].name
        return f"tensor {index} {name[:SHOWN]!r}" if name else f"tensor {index}"
