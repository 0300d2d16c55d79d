"""Dead channels: those that nobody needs to be computed.

A channel is a position along a tensor's last axis. Nobody needs it where each reader either can do
without it, as its own channels that depend on it are dead, too, or knows what it contributes:

- It has one value c whatever the input (`nanotool.intervals`), and the reader is a sum of products
  in which w·(c − zero point), summed over the window, is the same at every position. That goes into
  the bias. Where a window sticks out over the border, it is not the same, unless c is the zero
  point or the weights say so.
- Or all weights for it are 0.

Element-wise ops, pools, depthwise convolutions and moves pass channels through: theirs go together
with those of their inputs, or stay (`channel_links`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from nanotool.graphs import frozen
from nanotool.intervals import Range, as_kernel, channels, ranges, summed, tap_masks
from nanotool.ir import (
    BiasArray,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Op,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Slice,
)
from nanotool.ops import Layer, Registry, layer_of
from nanotool.passes.lossless.channel_links import Indices, Links
from nanotool.passes.lossless.rewrite import rebuilt


def drop_dead_channels(graph: QGraph) -> QGraph:
    """``graph`` without channels that nobody needs; what they contributed is in biases."""
    found = ranges(graph)
    kept = _live(graph, found)
    if all(len(kept[name]) == channels(tensor) for name, tensor in graph.tensors.items()):
        return graph
    tensors = [_narrowed(tensor, len(kept[name])) for name, tensor in graph.tensors.items()]
    constants = {
        name: frozen(data[..., kept[name]]) if data.ndim else data
        for name, data in graph.constants.items()
    }
    ops = [
        _shrunk.of(op.op)(
            layer_of(graph, op), found[op.inputs[0]], kept[op.inputs[0]], kept[op.name]
        )
        for op in graph.ops
    ]
    return rebuilt(graph, ops, tensors=tensors, constants=constants)


def live_channels(graph: QGraph) -> dict[str, Indices]:
    """For each tensor the channels that `drop_dead_channels` keeps, ascending; at least one."""
    return _live(graph, ranges(graph))


def _live(graph: QGraph, found: Mapping[str, Range]) -> dict[str, Indices]:
    links = Links(graph, found)
    links.connect()
    label = links.classes()
    while True:
        alive = np.zeros(len(label), np.bool_)
        alive[label[links.needed]] = True
        alive = alive[label]
        empty = [name for name in graph.tensors if not alive[links.of(name)].any()]
        if not empty:
            return {name: np.flatnonzero(alive[links.of(name)]) for name in graph.tensors}
        for name in empty:  # a tensor has at least one channel
            links.need(links.of(name)[:1])


def _narrowed(tensor: QTensor, count: int) -> QTensor:
    return replace(tensor, shape=(*tensor.shape[:-1], count)) if tensor.shape else tensor


# (layer, range of its first input, which channels of that are kept, which of the output) -> the op
Shrinking: TypeAlias = Callable[[Layer[Any], Range, Indices, Indices], QOp]


def _as_it_is(layer: Layer[Op], _known: Range, _source: Indices, _out: Indices) -> QOp:
    return layer.qop


_shrunk = Registry[Shrinking]("passes/lossless/dead_channels.py", default=_as_it_is)


@_shrunk(ConvTranspose2D, Dense)
def _weighted(layer: Layer[Op], known: Range, source: Indices, out: Indices) -> QOp:
    return _filtered(_folded(layer, known, source), out)


@_shrunk(Conv2D)
def _conv2d(layer: Layer[Conv2D], known: Range, source: Indices, out: Indices) -> QOp:
    if layer.op.groups == 1:
        return _weighted(layer, known, source, out)
    left = layer.op.groups * len(source) // channels(layer.input)
    return _filtered(replace(layer.qop, op=replace(layer.op, groups=left)), out)


@_shrunk(Reshape)
def _reshape(layer: Layer[Reshape], _known: Range, _source: Indices, out: Indices) -> QOp:
    shape = layer.op.shape
    return replace(layer.qop, op=Reshape((*shape[:-1], len(out)))) if shape else layer.qop


@_shrunk(Slice)
def _slice(layer: Layer[Slice], _known: Range, source: Indices, _out: Indices) -> QOp:
    begin, stride = layer.op.begin, layer.op.stride
    if not begin:
        return layer.qop
    first = int(np.searchsorted(source, begin[-1]))
    return replace(layer.qop, op=Slice((*begin[:-1], first), stride))


@_shrunk(Pad)
def _pad(layer: Layer[Pad], _known: Range, _source: Indices, out: Indices) -> QOp:
    op = layer.op
    if not op.before:
        return layer.qop
    first, last = op.before[-1], op.before[-1] + channels(layer.input)
    ahead, behind = int((out < first).sum()), int((out >= last).sum())
    sides = (*op.before[:-1], ahead), (*op.after[:-1], behind)
    return replace(layer.qop, op=Pad(*sides, op.value))


def _folded(layer: Layer[Op], known: Range, kept: Indices) -> QOp:
    """``layer``, a sum of products over all channels, without the input channels that are not
    ``kept``: what they contribute is in the bias."""
    op, weight = layer.qop, as_kernel(layer)
    gone = np.setdiff1d(np.arange(weight.shape[-1]), kept)
    if not len(gone):
        return op
    # Where a channel is not constant, its weights are all 0.
    offset = known.low - layer.input.zero_point
    share = summed(weight[..., gone] @ offset[gone], tap_masks(layer))[:, 0]
    bias: BiasArray | None = op.bias
    if share.any():
        bias = frozen((layer.bias + share).astype(np.int64 if layer.is_wide else np.int32))
    return replace(op, weight=frozen(layer.weight[..., kept]), bias=bias)


def _filtered(op: QOp, kept: Indices) -> QOp:
    """``op``, a sum of products, with the output channels that are ``kept``."""
    assert op.weight is not None
    assert op.weight_scale is not None
    if len(kept) == len(op.weight):
        return op
    scale = op.weight_scale
    bias: Any = None if op.bias is None else frozen(op.bias[kept])
    return replace(
        op,
        weight=frozen(op.weight[kept]),
        weight_scale=scale if scale.size == 1 else frozen(scale[kept]),
        bias=bias,
    )
