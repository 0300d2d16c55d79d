"""Cross-layer equalization (Nagel et al., 2019): channels of one tensor made alike in size.

A layer with weights yields each channel divided by a factor, and the layers that read it multiply
that channel's weights by it: the output is the same, but a channel of small values no longer loses
its bits to a large one in the same tensor. Between the two only what a positive factor passes
through may stand: ReLUs, pools, zero padding, resizing. A ReLU6 stops it, as its bound would need a
factor for each channel, and so does whatever joins tensors, as a residual.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import (
    AveragePool2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Graph,
    MaxPool2D,
    Mean,
    Node,
    Pad,
    Reshape,
    Resize,
    Shape,
    Unary,
)
from nanotool.ops import OPERATORS, Registry, group_count
from nanotool.quantization.aware.forms import Tensor

LINEAR = (Conv2D, ConvTranspose2D, Dense)
MOST = 2.0**8  # a factor, and its reciprocal
ROUNDS = 2  # of all layers: a factor for one changes the shares that the next one looks at


def equalized(graph: Graph, tensors: Mapping[str, Tensor]) -> Graph | None:
    """``graph`` with equalized channels, the same function; None where no layer has a partner.

    ``tensors``: every tensor's values on typical inputs, [n, *shape], channels last.
    """
    nodes = {node.name: node for node in graph.nodes}
    uses = Counter(_content(node) for node in graph.nodes)
    pairs = [
        (node.name, [reader.name for reader in readers])
        for node in graph.nodes
        if _scales(node)
        and _homogeneous(node)
        and (readers := _readers(graph, node.name))
        # A module that is used twice has its weights once, and shall have.
        and all(uses[_content(one)] == 1 for one in (node, *readers))
    ]
    if not pairs:
        return None
    size = {name: _size(tensors[name]) for name, _ in pairs}
    for _ in range(ROUNDS):
        for name, behind in pairs:
            factors = _factors(size[name], [nodes[reader] for reader in behind])
            size[name] = size[name] / factors
            nodes[name] = _divided(nodes[name], factors)
            for reader in behind:
                nodes[reader] = _multiplied(nodes[reader], factors)
    return replace(graph, nodes=tuple(nodes[node.name] for node in graph.nodes))


def _content(node: Node) -> tuple[tuple[int, ...], bytes]:
    return ((), b"") if node.weight is None else (node.weight.shape, node.weight.tobytes())


def _scales(node: Node) -> bool:
    return isinstance(node.op, LINEAR) and node.weight is not None


def _homogeneous(node: Node) -> bool:
    """Whether the clamp of a positive multiple is the multiple of the clamp."""
    return all(bound == 0 or math.isinf(bound) for bound in node.clamp)


def _passes(graph: Graph, node: Node) -> bool:
    """Whether each channel of ``node``'s output is that of its input, but for a function f of which
    f(a x) = a f(x) for a > 0."""
    return _alike.of(node.op)(node, graph.shape(node.inputs[0])) and _homogeneous(node)


def _never(node: Node, source: Shape) -> bool:
    return False


_alike = Registry[Callable[[Node, Shape], bool]](
    "equalization", default=_never, operators=OPERATORS
)


@_alike(MaxPool2D, AveragePool2D, Resize)
def _always(node: Node, source: Shape) -> bool:
    return True


@_alike(Unary)
def _unary(node: Node, source: Shape) -> bool:
    function: str = cast(Unary, node.op).function
    return function in ("relu", "abs") or function.partition(":")[0] == "leaky_relu"


@_alike(Mean)
def _mean(node: Node, source: Shape) -> bool:
    return len(source) - 1 not in cast(Mean, node.op).axes


@_alike(Pad)
def _pad(node: Node, source: Shape) -> bool:
    op, last = cast(Pad, node.op), len(source) - 1
    return len(node.inputs) == 1 and not (op.before[last] or op.after[last])


@_alike(Reshape)
def _reshape(node: Node, source: Shape) -> bool:
    return node.shape[-1:] == source[-1:]


_alike.complete()


def _readers(graph: Graph, name: str) -> list[Node]:
    """The layers with weights that ``name`` comes to; none if it comes to others as well."""
    if name in graph.results:
        return []
    found: list[Node] = []
    for node in graph.consumers(name):
        more = [node] if _scales(node) else []
        if not more and _passes(graph, node):
            more = _readers(graph, node.name)
        if not more:
            return []
        found += more
    return list({node.name: node for node in found}.values())


def _size(x: Tensor) -> NDArray[np.float64]:
    """The greatest absolute value of each channel."""
    return np.asarray(x.abs().reshape(-1, x.shape[-1]).amax(dim=0).numpy(), np.float64)


def _factors(size: NDArray[np.float64], readers: list[Node]) -> NDArray[np.float64]:
    """What the channels are divided by: sqrt(size / size of the weights that read them), each as a
    share of the largest. Weights of one output channel share a scale: where they read one channel
    only, as a depthwise convolution's, their size does not matter."""
    weights = np.max([_weights(reader, len(size)) for reader in readers], axis=0)
    alone = all(_by_channel(reader) for reader in readers)
    wanted = size / size.max(initial=1e-30) if alone else np.sqrt(size / weights.clip(1e-30))
    used = (size > 0) & (weights > 0)
    if not used.any():
        return np.ones(len(size))
    wanted = np.where(used, wanted, 1.0)
    middle = np.exp(np.log(wanted[used]).mean())
    return np.asarray(np.where(used, (wanted / middle).clip(1 / MOST, MOST), 1.0))


def _by_channel(node: Node) -> bool:
    return group_count(node.op) > 1 and _weight(node).shape[-1] == 1


def _weight(node: Node) -> FloatArray:
    assert node.weight is not None
    return node.weight


def _columns(node: Node) -> NDArray[np.int64]:
    """[outputs, inputs of one]: the input channel that each column of the weights reads."""
    weight = _weight(node)
    groups = group_count(node.op)
    group = np.arange(len(weight)) // (len(weight) // groups)
    return np.asarray(group[:, None] * weight.shape[-1] + np.arange(weight.shape[-1]), np.int64)


def _weights(node: Node, channels: int) -> NDArray[np.float64]:
    """Of each input channel its greatest weight, as a share of the greatest of an output."""
    weight = np.abs(_weight(node).astype(np.float64))
    most = weight.reshape(len(weight), -1, weight.shape[-1]).max(axis=1)
    shares = most / most.max(axis=1, keepdims=True).clip(1e-30)
    found = np.zeros(channels)
    np.maximum.at(found, _columns(node), shares)
    return found


def _divided(node: Node, factors: NDArray[np.float64]) -> Node:
    weight = _weight(node)
    rows = factors.reshape(-1, *(1,) * (weight.ndim - 1))
    bias = None if node.bias is None else (node.bias / factors).astype(np.float32)
    return replace(node, weight=(weight / rows).astype(np.float32), bias=bias)


def _multiplied(node: Node, factors: NDArray[np.float64]) -> Node:
    weight, columns = _weight(node), _columns(node)
    shape = (len(weight), *(1,) * (weight.ndim - 2), weight.shape[-1])
    by = factors[columns].reshape(shape)
    return replace(node, weight=(weight * by).astype(np.float32))
