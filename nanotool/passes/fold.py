"""Fold batch norm: into the layer before it, into the layer behind it, or to a 1x1 convolution.

Before the layout pass; convolution weights are O, C/groups, KH, KW.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nanotool.ir import (
    UNCLAMPED,
    BatchNorm,
    Conv2D,
    Dense,
    FloatArray,
    Graph,
    Node,
    Reshape,
    Window,
)
from nanotool.passes.rewrite import frozen, names, producer, rebuilt, sole_consumer, unique


def fold(graph: Graph) -> Graph:
    """``graph`` without BatchNorm nodes.

    y = gain x + offset per channel goes, in this order of preference, into a convolution or dense
    layer before it that nobody else reads; into one behind it (not behind a padded convolution,
    whose border would see the wrong zero); into a depthwise 1x1 convolution of its own.
    """
    while norms := [node for node in graph.nodes if isinstance(node.op, BatchNorm)]:
        ways = (way(graph, norm) for norm in norms for way in (_fold_back, _fold_forward))
        graph = next((way for way in ways if way is not None), None) or _stand_alone(
            graph, norms[0]
        )
    return graph


def _parameters(node: Node) -> tuple[FloatArray, FloatArray]:
    assert node.weight is not None
    assert node.bias is not None
    return node.weight, node.bias


def _fold_back(graph: Graph, norm: Node) -> Graph | None:
    """w' = gain w, b' = gain b + offset, in the layer before: a batch norm, too, has w and b."""
    layer = producer(graph, norm.inputs[0])
    if (
        layer is None
        or not isinstance(layer.op, (Conv2D, Dense, BatchNorm))
        or (isinstance(layer.op, Dense) and len(layer.shape) != 1)
        or layer.clamp != UNCLAMPED
        or sole_consumer(graph, layer.name) is not norm
    ):
        return None
    gain, offset = (array.astype(np.float64) for array in _parameters(norm))
    assert layer.weight is not None
    weight = layer.weight * gain.reshape(-1, *[1] * (layer.weight.ndim - 1))
    bias = offset if layer.bias is None else gain * layer.bias + offset
    folded = replace(layer, weight=frozen(weight), bias=frozen(bias))
    nodes = [folded if node is layer else node for node in graph.nodes if node is not norm]
    return rebuilt(graph, nodes, {norm.name: layer.name})


def _fold_forward(graph: Graph, norm: Node) -> Graph | None:
    """w' = w gain, b' = b + Σ w offset, in the layer behind."""
    layer = sole_consumer(graph, norm.name)
    if layer is None or not isinstance(layer.op, (Conv2D, Dense)):
        return None
    gain, offset = (array.astype(np.float64) for array in _parameters(norm))
    assert layer.weight is not None
    if isinstance(layer.op, Conv2D):
        if any(layer.op.window.padding):
            return None
        # Output channel o reads the input channels of its own group only.
        outputs, width = layer.weight.shape[:2]
        group = np.arange(outputs) // (outputs // layer.op.groups)
        channel = group[:, None] * width + np.arange(width)[None, :]
        gains, offsets = gain[channel][:, :, None, None], offset[channel][:, :, None, None]
    elif len(norm.shape) == 1:
        gains, offsets = gain[None, :], offset[None, :]
    else:
        return None
    weight = layer.weight * gains
    bias = (layer.weight * offsets).reshape(len(weight), -1).sum(axis=1)
    if layer.bias is not None:
        bias = bias + layer.bias
    folded = replace(layer, weight=frozen(weight), bias=frozen(bias))
    nodes = [folded if node is layer else node for node in graph.nodes if node is not norm]
    return rebuilt(graph, nodes, {norm.name: norm.inputs[0]})


def _stand_alone(graph: Graph, norm: Node) -> Graph:
    """A depthwise 1x1 convolution; a vector becomes an image of one pixel for it."""
    gain, offset = _parameters(norm)
    channels = len(gain)
    image = norm.shape if len(norm.shape) == 3 else (channels, 1, 1)
    taken = names(graph)
    layer = Node(
        name=norm.name,
        op=Conv2D(Window((1, 1)), groups=channels),
        inputs=norm.inputs,
        shape=image,
        weight=frozen(gain.reshape(channels, 1, 1, 1)),
        bias=offset,
    )
    if len(norm.shape) == 3:
        chain = [layer]
    else:
        image_name = unique(f"{norm.name}.image", taken)
        conv_name = unique(f"{norm.name}.conv", taken)
        chain = [
            Node(image_name, Reshape(image), norm.inputs, image),
            replace(layer, name=conv_name, inputs=(image_name,)),
            Node(norm.name, Reshape(norm.shape), (conv_name,), norm.shape),
        ]
    nodes = [new for node in graph.nodes for new in (chain if node is norm else [node])]
    return rebuilt(graph, nodes, {})
