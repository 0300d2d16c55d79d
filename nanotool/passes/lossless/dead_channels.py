"""Dead channels: those that nobody needs to be computed.

A channel is a position along a tensor's last axis. Nobody needs it where each reader either can do
without it, as its own channels that depend on it are dead, too, or knows what it contributes:

- It has one value c whatever the input (`nanotool.intervals`), and the reader is a sum of products
  in which w·(c − zero point), summed over the window, is the same at every position. That goes into
  the bias. Where a window sticks out over the border, it is not the same, unless c is the zero
  point or the weights say so.
- Or all weights for it are 0.

Element-wise ops, pools, depthwise convolutions and moves pass channels through: theirs go together
with those of their inputs, or stay (`links`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nanotool.intervals import Range, as_kernel, channels, ranges, summed, tap_masks
from nanotool.ir import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    Int32Array,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Slice,
)
from nanotool.passes.lossless.links import Indices, Links
from nanotool.passes.lossless.rewrite import frozen, rebuilt


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
    ops = [_shrunk(graph, op, found, kept) for op in graph.ops]
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


def _shrunk(graph: QGraph, op: QOp, found: Mapping[str, Range], kept: Mapping[str, Indices]) -> QOp:
    """``op`` on the channels that are ``kept``."""
    source, out = op.inputs[0], kept[op.name]
    match op.op:
        case Conv2D(_, groups) if groups > 1:
            left = groups * len(kept[source]) // channels(graph.tensors[source])
            return _filtered(replace(op, op=replace(op.op, groups=left)), out)
        case Conv2D() | ConvTranspose2D() | Dense():
            return _filtered(_folded(graph, op, found[source], kept[source]), out)
        case Reshape(shape) if shape:
            return replace(op, op=Reshape((*shape[:-1], len(out))))
        case Slice(begin, stride) if begin:
            first = int(np.searchsorted(kept[source], begin[-1]))
            return replace(op, op=Slice((*begin[:-1], first), stride))
        case Pad(before, after, value) if before:
            first, last = before[-1], before[-1] + channels(graph.tensors[source])
            ahead, behind = int((out < first).sum()), int((out >= last).sum())
            return replace(op, op=Pad((*before[:-1], ahead), (*after[:-1], behind), value))
        case _:
            return op


def _folded(graph: QGraph, op: QOp, known: Range, kept: Indices) -> QOp:
    """``op``, a sum of products, without the input channels that are not ``kept``: what they
    contribute is in the bias."""
    assert op.weight is not None
    weight = as_kernel(op)
    gone = np.setdiff1d(np.arange(weight.shape[-1]), kept)
    if not len(gone):
        return op
    # Where a channel is not constant, its weights are all 0.
    offset = known.low - graph.tensors[op.inputs[0]].zero_point
    share = summed(weight[..., gone] @ offset[gone], tap_masks(graph, op))[:, 0]
    bias: Int32Array | None = op.bias
    if share.any():
        bias = frozen((share if bias is None else bias + share).astype(np.int32))
    return replace(op, weight=frozen(op.weight[..., kept]), bias=bias)


def _filtered(op: QOp, kept: Indices) -> QOp:
    """``op``, a sum of products, with the output channels that are ``kept``."""
    assert op.weight is not None
    assert op.weight_scale is not None
    if len(kept) == len(op.weight):
        return op
    scale = op.weight_scale
    return replace(
        op,
        weight=frozen(op.weight[kept]),
        weight_scale=scale if scale.size == 1 else frozen(scale[kept]),
        bias=None if op.bias is None else frozen(op.bias[kept]),
    )
