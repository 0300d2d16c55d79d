"""A QGraph that grows operator by operator as a .tflite model is read.

TensorFlow Lite's first axis is the batch, here always 1: a shape (1, H, W, C) becomes H, W, C.
`Call` stands for one operator on its way; its methods give what an importer needs, checked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from nanotool import unary
from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.frontends.tflite.content import (
    FULL_INTEGER,
    NO_TENSOR,
    SHOWN,
    Model,
    Operator,
    Tensor,
)
from nanotool.frontends.tflite.flatbuffer import HINT
from nanotool.ir import (
    BiasArray,
    FloatArray,
    Int8Array,
    Op,
    QOp,
    QTensor,
    Reshape,
    Shape,
    unclamped,
)
from nanotool.ops.facts import facts, yields_input

MAX_NAME = 120  # characters of a layer's name
MAX_SCALE = 2.0**100  # of an activation: beyond it, and its inverse, float32 arithmetic ends
MAX_NUMBERS = 1024  # of an operand that is a list of axes, sizes or the like
ACTIVATIONS = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
TYPES = {
    name: name.lower() for name in ("INT8", "UINT8", "INT16", "INT32", "FLOAT32")
}  # of activations
TYPES["BOOL"] = "int8"  # 1 or 0
Options = TypeVar("Options")


def without_batch(shape: Shape) -> Shape:
    """The shape on the device: without a first axis of 1."""
    return shape[1:] if shape and shape[0] == 1 else shape


def _times(op: Op, source: Shape, yields: Shape) -> int:
    """How often a step reads its source: what joins copies, as often as it makes it longer."""
    return math.prod(yields) // math.prod(source) if facts(op).joins_quantizations else 1


@dataclass
class Builder:
    """The parts of a QGraph, by name, and which of the file's tensors they are."""

    model: Model
    tensors: dict[str, QTensor] = field(default_factory=dict)
    constants: dict[str, Int8Array] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)
    activations: dict[int, str] = field(default_factory=dict)  # tensor of the file -> name
    placed: dict[tuple[int, Shape], str] = field(default_factory=dict)  # constants, likewise
    # Variable tensors of the file -> what they hold by now. The first one is in `activations`.
    remembered: dict[int, str] = field(default_factory=dict)
    # INT32 tensors of the file that hold an int8 one's bytes plus a number: (its index, number).
    counted: dict[int, tuple[int, int]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """``name``, or with a number behind it if another tensor has it."""
        candidate, number = name, 1
        while candidate in self.taken:
            number += 1
            candidate = f"{name}_{number}"
        self.taken.add(candidate)
        return candidate

    def activation(self, index: int, fallback: str) -> QTensor:
        """The QTensor of the file's activation ``index``, made when it is first asked for.

        Its name is that of the file, or ``fallback`` if it has none there. Converters join the
        names of all that they fused by ";": the first one says it best.
        """
        if index not in self.activations:
            given = self.model.tensors[index]
            name = self.unique(given.name.split(";")[0][:MAX_NAME] or fallback)
            self.activations[index] = name
            self.tensors[name] = self._quantized(given, name, without_batch(given.shape))
        return self.tensors[self.activations[index]]

    def _quantized(self, given: Tensor, name: str, shape: Shape) -> QTensor:
        dtype = TYPES.get(given.type)
        if dtype is None:
            raise InvalidModel(f"Tensor {name[:SHOWN]}: it is {given.type}.", FULL_INTEGER)
        if dtype in {"float32", "int32"} or given.type == "BOOL":
            return QTensor(name, shape, 1.0, 0, dtype)
        quantization = given.quantization
        if quantization is None or len(quantization.scales) != 1:
            count = 0 if quantization is None else len(quantization.scales)
            raise InvalidModel(
                f"Tensor {name[:SHOWN]}: as an activation it has one scale, not {count}.",
                FULL_INTEGER,
            )
        scale, zero_point = quantization.scales[0], quantization.zero_points[0]
        if not 1 / MAX_SCALE <= scale <= MAX_SCALE:
            raise InvalidModel(
                f"Tensor {name[:SHOWN]}: no real data have the scale {scale:g}.", FULL_INTEGER
            )
        return QTensor(name, shape, scale, zero_point, dtype)

    def constant(self, index: int, shape: Shape, fallback: str) -> str:
        """The name of the file's int8 constant ``index``, seen as ``shape``, in the graph."""
        if (index, shape) in self.placed:
            return self.placed[index, shape]
        given = self.model.tensors[index]
        if given.type not in {"INT8", "INT16", "BOOL"}:
            raise InvalidModel(
                f"Tensor {(given.name or fallback)[:SHOWN]}: the constant is {given.type}.",
                FULL_INTEGER,
            )
        name = self.unique(given.name.split(";")[0][:MAX_NAME] or fallback)
        self.tensors[name] = self._quantized(given, name, shape)
        data = given.array().reshape(shape)
        self.constants[name] = data.astype(np.int8) if given.type == "BOOL" else data
        self.placed[index, shape] = name
        return name


@dataclass(frozen=True)
class Call:
    """One operator of the file on its way into the graph."""

    builder: Builder
    operator: Operator
    position: int
    live: frozenset[int]  # tensors of the file that the model's output depends on

    # --- Errors -------------------------------------------------------------------------------

    @property
    def code(self) -> str:
        """The operator's name in the schema."""
        return self.operator.code.name

    @property
    def node(self) -> str:
        """The operator in a message: its number, kind and output."""
        output = self.builder.model.tensors[self.operator.outputs[0]].name.split(";")[0]
        named = f" {output[:SHOWN]!r}" if output else ""
        return f"Operator {self.position} ({self.code}){named}"

    def unsupported(self, what: str, hint: str) -> NoReturn:
        """Raise UnsupportedOp: the file is right, but there is no such thing here."""
        raise UnsupportedOp(self.node, what, hint)

    def invalid(self, what: str, hint: str = HINT) -> NoReturn:
        """Raise InvalidModel: the file contradicts itself."""
        raise InvalidModel(f"{self.node}: {what}.", hint)

    # --- Operands -----------------------------------------------------------------------------

    def has(self, i: int) -> bool:
        """Whether operand ``i`` is there; those at the end may be left out."""
        inputs = self.operator.inputs
        return i < len(inputs) and inputs[i] != NO_TENSOR

    def index(self, i: int) -> int:
        """The tensor of the file that operand ``i`` is."""
        if not self.has(i):
            self.invalid(f"its input {i} is left out")
        return self.operator.inputs[i]

    def given(self, i: int) -> Tensor:
        """Operand ``i`` as the file has it."""
        return self.builder.model.tensors[self.index(i)]

    def result(self, k: int = 0) -> Tensor:
        """Output ``k`` as the file has it."""
        return self.builder.model.tensors[self.operator.outputs[k]]

    def target(self, k: int = 0) -> QTensor:
        """Output ``k`` as a tensor of the graph."""
        return self.builder.activation(
            self.operator.outputs[k], f"{self.code.lower()}_{self.position}"
        )

    def shape(self, i: int) -> Shape:
        """The shape of operand ``i`` on the device."""
        return without_batch(self.given(i).shape)

    def image(self, i: int) -> tuple[int, int, int]:
        """Height, width and channels of operand ``i``."""
        shape = self.given(i).shape
        if len(shape) != 4 or shape[0] != 1:
            self.unsupported(
                f"{self.code} on shape {shape}",
                "The input has to be 1, height, width, channels: convert the model for a batch "
                "of 1.",
            )
        return shape[1], shape[2], shape[3]

    def source(self, i: int, shape: Shape | None = None) -> str:
        """The name of the tensor that holds operand ``i``; seen as ``shape`` if one is given."""
        index, given = self.index(i), self.given(i)
        wanted = without_batch(given.shape) if shape is None else shape
        if given.data is not None:
            return self.builder.constant(index, wanted, f"{self.target().name}/operand_{i}")
        tensor = self.builder.activation(index, f"tensor_{index}")
        if wanted == tensor.shape:
            return tensor.name
        return self._reshaped(tensor, wanted)

    def recall(self, i: int, shape: Shape | None = None) -> str:
        """The name of the tensor that holds variable ``i`` by now, seen as ``shape`` if one is
        given: operators that have a state update it in the place of an input."""
        index, given = self.index(i), self.given(i)
        if not given.is_variable or given.data is not None:
            self.invalid(f"its state, input {i}, is no variable")
        if shape is not None and math.prod(shape) != given.size:
            self.invalid(f"its state, input {i}, has {given.size} elements, not {math.prod(shape)}")
        first = self.builder.activation(index, f"state_{index}").name
        tensor = self.builder.tensors[self.builder.remembered.setdefault(index, first)]
        if shape is None or tensor.shape == shape:
            return tensor.name
        return self._reshaped(tensor, shape)

    def remember(self, i: int, name: str) -> None:
        """Leave ``name``'s data in variable ``i``."""
        tensor = self.builder.tensors[name]
        first = self.builder.tensors[self.builder.activations[self.index(i)]]
        if tensor.shape != first.shape:
            name = self._reshaped(tensor, first.shape, "state")
        self.builder.remembered[self.index(i)] = name

    def moved(self, source: str, steps: Sequence[tuple[Op, Shape]]) -> None:
        """Emit what ``steps`` make of ``source``, each an operator that keeps its quantization and
        the shape that it yields; those that change nothing are left out."""
        shape = self.builder.tensors[source].shape
        kept: list[tuple[Op, Shape]] = []
        for op, yields in steps:
            if not yields_input(op, shape, yields):
                kept.append((op, yields))
            shape = yields
        for op, yields in kept[:-1]:
            name = self.builder.unique(f"{self.target().name}/step")
            like = self.builder.tensors[source]
            self.builder.tensors[name] = replace(like, name=name, shape=yields)
            reads = _times(op, like.shape, yields)
            self.builder.ops.append(QOp(name, op, (source,) * reads))
            source = name
        op, yields = kept[-1] if kept else (Reshape(shape), shape)
        self.emit(op, [source] * _times(op, self.builder.tensors[source].shape, yields), yields)

    def _reshaped(self, tensor: QTensor, shape: Shape, what: str = "input") -> str:
        """A view of ``tensor`` as another tensor."""
        name = self.builder.unique(f"{self.target().name}/{what}")
        self.builder.tensors[name] = replace(tensor, name=name, shape=shape)
        self.builder.ops.append(QOp(name, Reshape(shape), (tensor.name,)))
        return name

    def integers(self, i: int, what: str) -> tuple[int, ...]:
        """Operand ``i``, a constant list of axes or sizes, all its axes as one."""
        given = self.given(i)
        if given.data is None:
            self.unsupported(
                f"{self.code} with {what} that the model computes",
                "Convert the model with fixed shapes, so that they become constants.",
            )
        if given.type not in {"INT32", "INT64"} or given.size > MAX_NUMBERS:
            self.invalid(f"its {what} are {given.type} {given.shape}")
        return tuple(int(value) for value in given.array().reshape(-1))

    def axis(self, value: int, rank: int) -> int:
        """An axis, which may count from the end, as 0 .. rank - 1."""
        if not -rank <= value < rank:
            self.invalid(f"there is no axis {value} of {rank}")
        return value % rank

    def weights(self, i: int, rank: int, channel_axis: int) -> tuple[Int8Array, FloatArray]:
        """The constant weights in operand ``i`` as the file has them, and their scales."""
        given = self.given(i)
        if given.data is None:
            self.unsupported(
                f"{self.code} with weights that the model computes",
                "Use weights that are constant once the model is trained.",
            )
        if given.type != "INT8" or given.quantization is None:
            self.unsupported(f"{self.code} with weights in {given.type}", FULL_INTEGER)
        if len(given.shape) != rank:
            self.invalid(f"its weights {given.shape} have not {rank} axes")
        quantization = given.quantization
        if any(quantization.zero_points):
            self.unsupported(
                f"{self.code} with weights whose zero point is not 0",
                "Convert the model anew: TensorFlow Lite's converter makes symmetric weights.",
            )
        scales = np.array(quantization.scales, np.float32)
        if len(scales) > 1 and quantization.dimension != channel_axis:
            self.unsupported(
                f"{self.code} with weight scales along axis {quantization.dimension}",
                f"Convert the model anew: they have to be along axis {channel_axis}.",
            )
        return given.array(), scales

    def bias(self, i: int, outputs: int, otherwise: str = "") -> BiasArray | None:
        """The constant bias in operand ``i``; None if it is left out: then ``otherwise`` may say
        the type that its sums would have."""
        wide = self.result().type == "INT16"
        if wide and (self.given(i).type if self.has(i) else otherwise) == "INT32":
            self.unsupported(
                f"{self.code} on INT16 with a bias in INT32",
                "Convert the model anew: TensorFlow Lite's 16x8 scheme has biases in INT64.",
            )
        if not self.has(i):
            return None
        given, wanted = self.given(i), "INT64" if wide else "INT32"
        if given.data is None or given.type != wanted:
            self.unsupported(f"{self.code} with a bias that is not constant {wanted}", FULL_INTEGER)
        if given.size != outputs:
            self.invalid(f"its bias has {given.size} elements for {outputs} outputs")
        bias: BiasArray = given.array().reshape(-1)
        return bias

    # --- Options ------------------------------------------------------------------------------

    def options(self, table: type[Options]) -> Options:
        """The operator's options."""
        options = self.operator.options
        assert isinstance(options, table)
        return options

    def clamp(self, activation: str) -> tuple[int, int]:
        """A fused activation in units of the output."""
        if activation not in ACTIVATIONS:
            self.unsupported(
                f"{self.code} with a fused {activation}", "Use it as a layer of its own."
            )
        low, high = (unary.quantized_bound(b, self.target()) for b in ACTIVATIONS[activation])
        return low, high

    # --- Results ------------------------------------------------------------------------------

    def emit(
        self,
        op: Op,
        inputs: Sequence[str],
        shape: Shape,
        *,
        output: int = 0,
        clamp: tuple[int, int] | None = None,
        weight: NDArray[Any] | None = None,
        weight_scale: FloatArray | None = None,
        bias: BiasArray | None = None,
        more: Sequence[QTensor] = (),
    ) -> str:
        """Add ``op``, which yields ``shape``, for output ``output`` of the operator.

        Where the file has the same elements under another shape, a Reshape follows. ``more``: what
        it writes beside, new tensors of the graph. ``clamp``: None if it has none. Returns the name
        of what ``op`` writes.
        """
        target = self.target(output)
        if weight_scale is not None and not weight_scale.all():
            weight_scale, bias = self._silenced(weight_scale, bias)
        if math.prod(shape) != target.size:
            self.invalid(f"its output should have the shape {shape}, the file has {target.shape}")
        name = target.name
        if shape != target.shape:
            name = self.builder.unique(f"{target.name}/unshaped")
            self.builder.tensors[name] = replace(target, name=name, shape=shape)
        self.builder.tensors.update((tensor.name, tensor) for tensor in more)
        beside = tuple(tensor.name for tensor in more)
        self.builder.ops.append(
            QOp(
                name,
                op,
                tuple(inputs),
                weight,
                weight_scale,
                bias,
                unclamped(target.dtype) if clamp is None else clamp,
                beside,
            )
        )
        if shape != target.shape:
            self.builder.ops.append(QOp(target.name, Reshape(target.shape), (name,)))
        return name

    def _silenced(
        self, scale: FloatArray, bias: BiasArray | None
    ) -> tuple[FloatArray, BiasArray | None]:
        """Scales and bias without scales of 0, whose outputs are 0 whatever the bias is: their
        weights are 0, `file` has seen to that."""
        silent = scale == 0
        like = scale.max() or np.float32(self.target().scale / self._input_scale() / 2)
        if bias is not None:
            bias = bias * ~silent
        return np.where(silent, like, scale).astype(np.float32), bias

    def _input_scale(self) -> float:
        """The scale of the first activation that the operator reads."""
        tensors = [self.builder.model.tensors[i] for i in self.operator.inputs if i != NO_TENSOR]
        given = next(t.quantization for t in tensors if t.data is None and t.quantization)
        return given.scales[0]
