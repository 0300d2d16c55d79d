"""Fold y = gain x + offset (batch norm, x / 255, ...): into the layer before it, into the layers
behind it, or to an operator of its own.

Before the layout pass; convolution weights are O, C/groups, KH, KW.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import (
    UNCLAMPED,
    AveragePool2D,
    BatchNorm,
    Binary,
    Clamp,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Graph,
    MaxPool2D,
    Mean,
    Node,
    Op,
    Pad,
    Reshape,
    Resize,
    Shape,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Window,
)
from nanotool.ops import (
    OPERATORS,
    FloatLayer,
    Registry,
    facts,
    float_layer_of,
    float_layers_of,
    group_count,
)
from nanotool.passes.rewrite import frozen, names, producer, rebuilt, sole_consumer, unique


def fold(graph: Graph) -> Graph:
    """``graph`` without BatchNorm nodes.

    y = gain x + offset goes, in this order of preference, into a layer with weights before it that
    nobody else reads; into all layers behind it (no offset into a padded convolution, whose border
    would see the wrong zero); into an operator of its own. Pools and moves may lie between.
    """
    while norms := [layer.node for layer in float_layers_of(graph, BatchNorm)]:
        ways = (way(graph, norm) for norm in norms for way in (_drop, _fold_back, _fold_forward))
        graph = next((way for way in ways if way is not None), None) or _stand_alone(
            graph, norms[0]
        )
    return graph


# --- gain and offset, and how they move past other operators -------------------------------------


@dataclass(frozen=True)
class Affine:
    """gain x + offset for a tensor: arrays that stretch to its shape, of as many axes."""

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]

    def on_each(self, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Affine:
        """Both arrays changed in the same way."""
        return Affine(change(self.gain), change(self.offset))

    def moved(self, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Affine:
        """Both arrays as they stand at another tensor: with one element along each axis that makes
        no difference, so that they stretch to what follows, too."""
        return self.on_each(lambda array: _narrowed(change(array)))

    @property
    def uniform(self) -> bool:
        """Whether it is the same for all elements."""
        return bool(np.ptp(self.gain) == 0 and np.ptp(self.offset) == 0)

    def per_channel(self, shape: Shape, axis: int) -> Affine | None:
        """Vectors, an element each index of ``axis`` of a tensor of ``shape``; None if they differ
        along other axes, too."""

        def vector(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.moveaxis(np.broadcast_to(array, shape), axis, 0).reshape(shape[axis], -1)

        rows = self.on_each(vector)
        if any((array != array[:, :1]).any() for array in (rows.gain, rows.offset)):
            return None
        return rows.on_each(lambda array: array[:, 0])


def _narrowed(array: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if (array == first).all():
            array = first
    return array


def _affine(norm: Node) -> Affine:
    assert norm.weight is not None
    assert norm.bias is not None
    axes = (-1, *(1,) * (len(norm.shape) - 1))
    return Affine(
        norm.weight.astype(np.float64).reshape(axes), norm.bias.astype(np.float64).reshape(axes)
    )


# (layer, affine function) -> the other one, or None where there is none: what in front of the layer
# does the same as ``behind`` it, and what behind it does the same as ``before``.
Passing: TypeAlias = Callable[[FloatLayer[Any], Affine], Affine | None]


def _stops(_layer: FloatLayer[Op], _affine: Affine) -> None:
    return None


_before = Registry[Passing]("passes/fold.py: in front", default=_stops, operators=OPERATORS)
_behind = Registry[Passing]("passes/fold.py: behind", default=_stops, operators=OPERATORS)


@_before(MaxPool2D)
def _before_max_pool(layer: FloatLayer[MaxPool2D], behind: Affine) -> Affine | None:
    return None if (behind.gain < 0).any() else _before_image(layer, behind)


@_before(AveragePool2D, Resize)
def _before_image(
    layer: FloatLayer[MaxPool2D | AveragePool2D | Resize], behind: Affine
) -> Affine | None:
    return behind.per_channel(layer.shape, 0) and behind


@_before(Mean)
def _before_mean(layer: FloatLayer[Mean], behind: Affine) -> Affine:
    gone = () if layer.op.keep_dims else layer.op.axes
    return behind.moved(lambda array: np.expand_dims(array, gone))


@_before(Reshape)
def _before_reshape(layer: FloatLayer[Reshape], behind: Affine) -> Affine:
    return behind.moved(lambda array: _reshaped(array, layer.shape, layer.inputs[0]))


@_before(Transpose)
def _before_transpose(layer: FloatLayer[Transpose], behind: Affine) -> Affine:
    order = np.argsort(layer.op.permutation)
    return behind.moved(lambda array: array.transpose(order))


@_behind(MaxPool2D)
def _behind_max_pool(layer: FloatLayer[MaxPool2D], before: Affine) -> Affine | None:
    return None if (before.gain < 0).any() else _behind_image(layer, before)


@_behind(AveragePool2D, Resize)
def _behind_image(
    layer: FloatLayer[MaxPool2D | AveragePool2D | Resize], before: Affine
) -> Affine | None:
    return before.per_channel(layer.inputs[0], 0) and before


@_behind(Mean)
def _behind_mean(layer: FloatLayer[Mean], before: Affine) -> Affine | None:
    axes = layer.op.axes
    if any(array.shape[axis] != 1 for array in (before.gain, before.offset) for axis in axes):
        return None
    return before if layer.op.keep_dims else before.moved(lambda array: array.squeeze(axes))


@_behind(Reshape)
def _behind_reshape(layer: FloatLayer[Reshape], before: Affine) -> Affine:
    return before.moved(lambda array: _reshaped(array, layer.inputs[0], layer.shape))


@_behind(Transpose)
def _behind_transpose(layer: FloatLayer[Transpose], before: Affine) -> Affine:
    return before.moved(lambda array: array.transpose(layer.op.permutation))


@_behind(Slice)
def _behind_slice(layer: FloatLayer[Slice], before: Affine) -> Affine:
    place = tuple(
        slice(first, first + (count - 1) * step + 1, step)
        for first, step, count in zip(layer.op.begin, layer.op.stride, layer.shape, strict=True)
    )
    return before.moved(lambda array: np.broadcast_to(array, layer.inputs[0])[place])


@_behind(Pad)
def _behind_pad(layer: FloatLayer[Pad], before: Affine) -> Affine | None:
    fine = len(layer.inputs) == 1 and not before.offset.any() and before.uniform
    return before if fine else None


@_behind(Clamp)
def _behind_clamp(layer: FloatLayer[Clamp], before: Affine) -> Affine | None:
    ends = {layer.op.low, layer.op.high}
    fine = ends <= {0.0, np.inf, -np.inf} and bool((before.gain > 0).all())
    return before if fine and not before.offset.any() else None


def _reshaped(array: NDArray[np.float64], old: Shape, new: Shape) -> NDArray[np.float64]:
    if array.size == 1:
        return array.reshape((1,) * len(new))
    return np.broadcast_to(array, old).reshape(new)


# --- Into the layer before ------------------------------------------------------------------------


def _drop(graph: Graph, norm: Node) -> Graph | None:
    """What changes nothing."""
    affine = _affine(norm)
    if (affine.gain == 1).all() and not affine.offset.any():
        kept = (node for node in graph.nodes if node is not norm)
        return rebuilt(graph, kept, {norm.name: norm.inputs[0]})
    return None


def _fold_back(graph: Graph, norm: Node) -> Graph | None:
    """w' = gain w, b' = gain b + offset, in the layer before: a batch norm, too, has w and b."""
    affine: Affine | None = _affine(norm)
    reader, layer = norm, producer(graph, norm.inputs[0])
    while affine is not None and layer is not None:
        if sole_consumer(graph, layer.name) is not reader or layer.clamp != UNCLAMPED:
            return None
        if facts(layer.op).weighted or isinstance(layer.op, BatchNorm):
            folded = _scaled_layer(layer, affine)
            if folded is None:
                return None
            nodes = [folded if node is layer else node for node in graph.nodes if node is not norm]
            return rebuilt(graph, nodes, {norm.name: norm.inputs[0]})
        affine = _before.of(layer.op)(float_layer_of(graph, layer), affine)
        reader, layer = layer, producer(graph, layer.inputs[0])
    return None


def _scaled_layer(layer: Node, affine: Affine) -> Node | None:
    assert layer.weight is not None
    axis = len(layer.shape) - 1 if facts(layer.op).by_rows else 0
    channels = affine.per_channel(layer.shape, axis)
    if isinstance(layer.op, BatchNorm) and len(layer.shape) not in (1, 3):
        channels = affine.on_each(lambda array: array.reshape(-1)[:1]) if affine.uniform else None
    if channels is None:
        return None
    gain, offset = channels.gain, channels.offset
    old = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
    weight = layer.weight * gain.reshape(-1, *[1] * (layer.weight.ndim - 1))
    return replace(layer, weight=frozen(weight), bias=frozen(gain * old + offset))


# --- Into the layers behind -----------------------------------------------------------------------


def _fold_forward(graph: Graph, norm: Node) -> Graph | None:
    """w' = w gain, b' = b + Σ w offset, in every layer behind."""
    changed = _absorbed(graph, norm.name, _affine(norm))
    if changed is None:
        return None
    nodes = [changed.get(node.name, node) for node in graph.nodes if node is not norm]
    return rebuilt(graph, nodes, {norm.name: norm.inputs[0]})


def _absorbed(graph: Graph, tensor: str, affine: Affine) -> dict[str, Node] | None:
    """The layers, by name, that read gain x + offset off x instead of ``tensor``; None if some
    reader cannot."""
    readers = graph.consumers(tensor)
    if tensor in graph.results or not readers:
        return None
    changed: dict[str, Node] = {}
    for reader in readers:
        layer = _absorbs.of(reader.op)(float_layer_of(graph, reader), affine)
        if layer is not None:
            changed[reader.name] = layer
            continue
        if reader.clamp != UNCLAMPED:
            return None
        behind = _behind.of(reader.op)(float_layer_of(graph, reader), affine)
        more = None if behind is None else _absorbed(graph, reader.name, behind)
        if more is None:
            return None
        changed.update(more)
    return changed


# (layer, affine function of its input) -> the layer with that in its weights, or None
Absorbing: TypeAlias = Callable[[FloatLayer[Any], Affine], Node | None]
_absorbs = Registry[Absorbing](
    "passes/fold.py: into the layer", default=_stops, operators=OPERATORS
)


@_absorbs(Conv2D, ConvTranspose2D)
def _into_conv(layer: FloatLayer[Conv2D | ConvTranspose2D], affine: Affine) -> Node | None:
    channels = affine.per_channel(layer.inputs[0], 0)
    padded = any(layer.op.window.padding) or isinstance(layer.op, ConvTranspose2D)
    if channels is None or (padded and channels.offset.any()):
        return None
    return _with_input(layer, *_kernel_channels(layer, channels))


@_absorbs(Dense)
def _into_dense(layer: FloatLayer[Dense], affine: Affine) -> Node | None:
    channels = affine.per_channel(layer.inputs[0], len(layer.inputs[0]) - 1)
    if channels is None:
        return None
    return _with_input(layer, channels.gain[None, :], channels.offset[None, :])


@_absorbs(Softmax)
def _into_softmax(layer: FloatLayer[Softmax], affine: Affine) -> Node | None:
    gain = float(affine.gain.flat[0])
    if not affine.uniform or gain <= 0:
        return None
    return replace(layer.node, op=Softmax(layer.op.beta * gain))


def _kernel_channels(
    layer: FloatLayer[Conv2D | ConvTranspose2D], channels: Affine
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gain and offset for weights O, C/groups, KH, KW: output channel o reads the input channels of
    its own group only."""
    outputs, width = layer.weight.shape[:2]
    groups = group_count(layer.op)
    group = np.arange(outputs) // (outputs // groups)
    channel = group[:, None] * width + np.arange(width)[None, :]
    gains, offsets = channels.gain[channel], channels.offset[channel]
    return gains[:, :, None, None], offsets[:, :, None, None]


def _with_input(
    layer: FloatLayer[Op], gain: NDArray[np.float64], offset: NDArray[np.float64]
) -> Node:
    folded = replace(layer.node, weight=frozen(layer.weight * gain))
    if not offset.any():
        return folded
    bias = (layer.weight * offset).reshape(len(layer.weight), -1).sum(axis=1)
    return replace(folded, bias=frozen(bias if layer.node.bias is None else bias + layer.bias))


@_absorbs(BatchNorm)
def _into_norm(layer: FloatLayer[BatchNorm], affine: Affine) -> Node | None:
    """Two in a row are one."""
    shape = layer.inputs[0]
    if len(shape) in (1, 3):
        channels = affine.per_channel(shape, 0)
    else:
        channels = affine.on_each(lambda array: array.reshape(-1)[:1]) if affine.uniform else None
    if channels is None:
        return None
    weight = layer.weight * channels.gain
    bias = layer.weight * channels.offset + layer.bias
    return replace(layer.node, weight=frozen(weight), bias=frozen(bias))


# --- Alone ----------------------------------------------------------------------------------------


def _stand_alone(graph: Graph, norm: Node) -> Graph:
    """-x is a function, a product, sum or difference with one number an operator; all else is a
    depthwise 1x1 convolution. A vector becomes an image of one pixel for that."""
    affine = _affine(norm)
    gain, offset = float(affine.gain.flat[0]), float(affine.offset.flat[0])
    if affine.uniform and (gain, offset) == (-1.0, 0.0):
        return _replaced(graph, norm, [replace(norm, op=Unary("neg"), weight=None, bias=None)])
    if affine.uniform and (abs(gain) == 1.0 or offset == 0.0 or len(norm.shape) != 3):
        return _with_numbers(graph, norm, gain, offset)
    return _replaced(graph, norm, _depthwise(graph, norm))


def _replaced(graph: Graph, norm: Node, chain: list[Node]) -> Graph:
    nodes = (new for node in graph.nodes for new in (chain if node is norm else [node]))
    return rebuilt(graph, nodes, {})


def _with_numbers(graph: Graph, norm: Node, gain: float, offset: float) -> Graph:
    """A product and a sum with one number each, as far as needed; offset - x is a difference."""
    taken = names(graph)
    constants: dict[str, FloatArray] = dict(graph.constants)

    def constant(word: str, value: float) -> str:
        name = unique(f"{norm.name}.{word}", taken)
        constants[name] = frozen(np.full((1,) * len(norm.shape), value))
        return name

    def node(name: str, function: str, *inputs: str) -> Node:
        return Node(name, Binary(function), inputs, norm.shape)

    source = norm.inputs[0]
    if gain == -1.0:
        chain = [node(norm.name, "sub", constant("minuend", offset), source)]
    elif offset == 0.0:
        chain = [node(norm.name, "mul", source, constant("factor", gain))]
    elif gain == 1.0:
        chain = [node(norm.name, "add", source, constant("offset", offset))]
    else:
        product = node(
            unique(f"{norm.name}.scaled", taken), "mul", source, constant("factor", gain)
        )
        total = node(norm.name, "add", product.name, constant("offset", offset))
        chain = [product, total]
    return _replaced(replace(graph, constants=constants), norm, chain)


def _depthwise(graph: Graph, norm: Node) -> list[Node]:
    assert norm.weight is not None
    assert norm.bias is not None
    channels = norm.shape[0]
    image = norm.shape if len(norm.shape) == 3 else (channels, 1, 1)
    taken = names(graph)
    layer = Node(
        name=norm.name,
        op=Conv2D(Window((1, 1)), groups=channels),
        inputs=norm.inputs,
        shape=image,
        weight=frozen(np.broadcast_to(norm.weight, channels).reshape(channels, 1, 1, 1)),
        bias=frozen(np.broadcast_to(norm.bias, channels)),
    )
    if len(norm.shape) == 3:
        return [layer]
    image_name = unique(f"{norm.name}.image", taken)
    conv_name = unique(f"{norm.name}.conv", taken)
    return [
        Node(image_name, Reshape(image), norm.inputs, image),
        replace(layer, name=conv_name, inputs=(image_name,)),
        Node(norm.name, Reshape(norm.shape), (conv_name,), norm.shape),
    ]
