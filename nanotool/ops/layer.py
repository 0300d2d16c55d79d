"""One op with its tensors: the view that validation, simulation, analysis and lowering share.

Both views are generic over the operator, so that a function registered for `Conv2D` takes a
``Layer[Conv2D]``, whose ``op`` is one. A function for any operator takes a ``Layer[Op]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.errors import InvalidModel
from nanotool.ir import (
    Dense,
    FloatArray,
    Graph,
    Int8Array,
    Int32Array,
    Node,
    Op,
    QGraph,
    QOp,
    QTensor,
    Shape,
)
from nanotool.ops.facts import facts

OpT_co = TypeVar("OpT_co", bound=Op, covariant=True)
_AnOp = TypeVar("_AnOp", bound=Op)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Layer(Generic[OpT_co]):
    """One op of a QGraph."""

    qop: QOp
    inputs: tuple[QTensor, ...]
    output: QTensor
    constants: tuple[Int8Array | None, ...]  # the data of each input that never changes
    more: tuple[QTensor, ...] = field(default=(), kw_only=True)  # what it writes beside the output

    @property
    def op(self) -> OpT_co:
        """The operator."""
        return cast(OpT_co, self.qop.op)

    @property
    def name(self) -> str:
        """Its name, and its output's."""
        return self.qop.name

    @property
    def input(self) -> QTensor:
        """The first input."""
        return self.inputs[0]

    @property
    def clamp(self) -> tuple[int, int]:
        """The fused activation, in units of the output."""
        return self.qop.clamp

    @property
    def is_wide(self) -> bool:
        """Whether its activations are int16: sums have 64 bits then, zero points are 0."""
        return self.input.dtype == self.output.dtype == "int16"

    # --- Sums of products: validated to have weights and their scales ---------------------------

    @property
    def weight(self) -> Int8Array:
        """The weights in their canonical layout."""
        assert self.qop.weight is not None
        return self.qop.weight

    @property
    def weight_scale(self) -> FloatArray:
        """The weights' scales: [1] or [output channels]; those of gates."""
        assert self.qop.weight_scale is not None
        return self.qop.weight_scale

    @property
    def bias(self) -> NDArray[np.int64]:
        """The bias of each output channel, or those of each unit; 0 where there is none."""
        if self.qop.bias is None:
            biases = facts(self.op).biases
            return np.zeros((self.output.shape[-1], *(biases,) * (biases > 0)), np.int64)
        return self.qop.bias.astype(np.int64)

    def multipliers(self) -> tuple[Int32Array, Int8Array]:
        """(multiplier, shift) that make outputs of accumulators: [1] or [output channels]."""
        dense = isinstance(self.op, Dense)
        of = numerics.dense_multipliers if dense else numerics.conv_multipliers
        return of(self.factor_scale, self.weight_scale, self.output.scale)

    def wide_multipliers(self) -> tuple[NDArray[np.int16], Int8Array]:
        """Those of a layer that `is_wide`: multipliers of 15 bits."""
        return numerics.reduced_multipliers(self.multipliers())

    @property
    def factor_scale(self) -> float:
        """The scale of what the weights multiply: the input's, or a norm's own."""
        own = facts(self.qop.op).factor_scale
        return self.input.scale if own is None else own

    # --- Refusing -------------------------------------------------------------------------------

    def refuse(self, what: str, hint: str = "") -> NoReturn:
        """Raise InvalidModel with the layer's name."""
        raise InvalidModel(f"{self.name}: {what}.", hint)

    def computes(self, function: Callable[..., _T], *arguments: object) -> _T:
        """``function(*arguments)``; what it refuses is refused in the layer's name."""
        try:
            return function(*arguments)
        except InvalidModel as error:
            raise InvalidModel(f"{self.name}: {error.message}", error.hint) from None


def layer_of(graph: QGraph, op: QOp) -> Layer[Any]:
    """``op``, one of ``graph``'s, with its tensors."""
    return Layer(
        op,
        tuple(graph.tensors[name] for name in op.inputs),
        graph.tensors[op.name],
        tuple(graph.constants.get(name) for name in op.inputs),
        more=tuple(graph.tensors[name] for name in op.more),
    )


def layers_of(graph: QGraph, operator: type[_AnOp]) -> Iterator[Layer[_AnOp]]:
    """The layers of one operator, in order."""
    return (layer_of(graph, op) for op in graph.ops if isinstance(op.op, operator))


@dataclass(frozen=True, slots=True)
class FloatLayer(Generic[OpT_co]):
    """One node of a Graph: the float twin of a `Layer`."""

    node: Node
    inputs: tuple[Shape, ...]
    channels_last: bool  # H, W, C, as after the layout pass; else C, H, W

    @property
    def op(self) -> OpT_co:
        """The operator."""
        return cast(OpT_co, self.node.op)

    @property
    def name(self) -> str:
        """Its name, and its output's."""
        return self.node.name

    @property
    def shape(self) -> Shape:
        """Of the output."""
        return self.node.shape

    @property
    def weight(self) -> FloatArray:
        """The weights of an operator that has some."""
        assert self.node.weight is not None
        return self.node.weight

    @property
    def bias(self) -> FloatArray:
        """The bias of an operator that has one."""
        assert self.node.bias is not None
        return self.node.bias


def float_layer_of(graph: Graph, node: Node) -> FloatLayer[Any]:
    """``node``, one of ``graph``'s, with its tensors."""
    shapes = tuple(graph.shape(name) for name in node.inputs)
    return FloatLayer(node, shapes, graph.channels_last)


def float_layers_of(graph: Graph, operator: type[_AnOp]) -> Iterator[FloatLayer[_AnOp]]:
    """The layers of one operator, in order."""
    return (float_layer_of(graph, node) for node in graph.nodes if isinstance(node.op, operator))
