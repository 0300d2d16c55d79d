"""Turn every image from PyTorch's C, H, W to the device's H, W, C, once.

Tensors of rank 3 are images; all others stay as they are. Where the order of elements meets the
user's view of them (a flatten, a reshape, a dense layer over an image's rows) the pass keeps the
meaning: it permutes a dense layer's columns, or puts an explicit Transpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import (
    AveragePool2D,
    Conv2D,
    Dense,
    Graph,
    MaxPool2D,
    Node,
    Reshape,
    Shape,
    Softmax,
    Transpose,
    Unary,
)
from nanotool.passes.drop import moves_nothing
from nanotool.passes.rewrite import frozen, names, rebuilt, unique

TO_DEVICE = (1, 2, 0)  # device axis i is user axis TO_DEVICE[i]: C, H, W to H, W, C
TO_USER = (2, 0, 1)


def layout(graph: Graph) -> Graph:
    """``graph`` with channels last; the same function of an input turned by input_permutation.

    A rank-3 output is H, W, C afterwards, too.
    """
    if graph.channels_last:
        return graph
    turner = _Turner(graph, names(graph))
    for node in graph.nodes:
        turner.turn(node)
    image = len(graph.input_shape) == 3
    result = rebuilt(graph, turner.nodes, {})
    return replace(
        result,
        channels_last=True,
        input_shape=permuted(graph.input_shape, TO_DEVICE) if image else graph.input_shape,
        input_permutation=TO_DEVICE if image else (),
    )


def permuted(shape: Shape, permutation: tuple[int, ...]) -> Shape:
    """The shape after a transpose."""
    return tuple(shape[axis] for axis in permutation)


def on_device(shape: Shape) -> Shape:
    """The device's shape for a user's shape."""
    return permuted(shape, TO_DEVICE) if len(shape) == 3 else shape


@dataclass
class _Turner:
    """The nodes turned so far."""

    graph: Graph
    taken: set[str]
    nodes: list[Node] = field(default_factory=list)
    # Vectors whose elements stand in device order: element j is the user's order[j].
    orders: dict[str, NDArray[np.intp]] = field(default_factory=dict)

    def turn(self, node: Node) -> None:
        """Append what computes ``node`` on device tensors."""
        match node.op:
            case Conv2D():
                assert node.weight is not None
                weight = frozen(node.weight.transpose(0, 2, 3, 1))
                self.nodes.append(replace(node, weight=weight, shape=on_device(node.shape)))
            case MaxPool2D() | AveragePool2D():
                self.nodes.append(replace(node, shape=on_device(node.shape)))
            case Unary():
                self.nodes.append(replace(node, shape=on_device(node.shape)))
                if node.inputs[0] in self.orders:
                    self.orders[node.name] = self.orders[node.inputs[0]]
            case Dense() | Softmax():
                self._along_last_axis(node)
            case Reshape():
                self._reshape(node)
            case Transpose(permutation):
                self._move(node, permutation, node.shape)
            case _:
                raise AssertionError(f"{node.name}: {node.op} must be gone before the layout pass")

    def _move(self, node: Node, permutation: tuple[int, ...], shape: Shape) -> None:
        """A user's transpose, between device tensors."""
        if len(shape) == 3:
            # device out i = user TO_DEVICE[i] = user in p[...] = device in TO_DEVICE^-1[...]
            inverse = [TO_DEVICE.index(axis) for axis in range(3)]
            permutation = tuple(inverse[permutation[axis]] for axis in TO_DEVICE)
        moved = replace(node, op=Transpose(permutation), shape=on_device(shape))
        self.nodes.append(moved)

    def _along_last_axis(self, node: Node) -> None:
        """Dense and softmax work on the user's last axis: turn an image back for them."""
        source = node.inputs[0]
        if source in self.orders:
            assert node.weight is not None
            weight = frozen(node.weight[:, self.orders[source]])
            self.nodes.append(replace(node, weight=weight))
        elif len(node.shape) != 3:
            self.nodes.append(node)
        else:
            name = unique(f"{node.name}.rows", self.taken)
            result = unique(f"{node.name}.result", self.taken)
            self.nodes += [
                Node(name, Transpose(TO_USER), (source,), self.graph.shape(source)),
                replace(node, name=result, inputs=(name,)),
                Node(node.name, Transpose(TO_DEVICE), (result,), on_device(node.shape)),
            ]

    def _reshape(self, node: Node) -> None:
        """Keep the user's order: in the columns of dense layers if only they read the elements."""
        source = node.inputs[0]
        shape = self.graph.shape(source)
        if len(shape) == 3 and len(node.shape) == 1 and self._only_dense_reads(node.name):
            elements = np.arange(int(np.prod(shape))).reshape(shape)
            order = elements.transpose(TO_DEVICE).reshape(-1)
            if not np.array_equal(order, np.sort(order)):
                self.orders[node.name] = order
            self.nodes.append(node)
            return
        if len(shape) == 3 and not moves_nothing(on_device(shape), TO_USER):
            name = unique(f"{node.name}.order", self.taken)
            self.nodes.append(Node(name, Transpose(TO_USER), (source,), shape))
            source = name
        if len(node.shape) != 3 or moves_nothing(node.shape, TO_DEVICE):
            target = on_device(node.shape)
            self.nodes.append(replace(node, op=Reshape(target), inputs=(source,), shape=target))
            return
        flat = unique(f"{node.name}.user", self.taken)
        self.nodes += [
            Node(flat, Reshape(node.shape), (source,), node.shape),
            Node(node.name, Transpose(TO_DEVICE), (flat,), on_device(node.shape)),
        ]

    def _only_dense_reads(self, tensor: str) -> bool:
        """Whether every path from ``tensor`` leads through element-wise ops to dense layers."""
        if tensor == self.graph.output:
            return False
        return all(
            isinstance(reader.op, Dense)
            or (isinstance(reader.op, Unary) and self._only_dense_reads(reader.name))
            for reader in self.graph.consumers(tensor)
        )
