"""Which channels go together: for each operator, how those of its inputs and output depend on each
other. `dead_channels` asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.intervals import Range, as_kernel, channels, summed, tap_masks
from nanotool.ir import (
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    MaxPool2D,
    Mean,
    Pad,
    PRelu,
    QGraph,
    QOp,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Transpose,
    Unary,
)

Indices = NDArray[np.intp]


@dataclass
class Links:
    """The channels of all tensors, numbered through; which ones go together, which are needed."""

    graph: QGraph
    found: Mapping[str, Range]
    first: dict[str, int] = field(init=False)  # of each tensor: the number of its first channel
    needed: NDArray[np.bool_] = field(init=False)
    pairs: list[tuple[Indices, Indices]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        counts = [channels(tensor) for tensor in self.graph.tensors.values()]
        starts = np.cumsum([0, *counts])
        self.first = dict(zip(self.graph.tensors, starts[:-1].tolist(), strict=True))
        self.needed = np.zeros(int(starts[-1]), np.bool_)

    def of(self, tensor: str) -> Indices:
        """The numbers of the channels of ``tensor``."""
        return self.first[tensor] + np.arange(channels(self.graph.tensors[tensor]))

    def link(self, a: Indices, b: Indices) -> None:
        """Channels ``a`` and ``b`` live or die together, pair by pair."""
        self.pairs.append((a, b))

    def need(self, *numbers: Indices) -> None:
        """These channels have to live."""
        for some in numbers:
            self.needed[some] = True

    def connect(self) -> None:
        """Link, and need, what the graph's ops and borders want."""
        self.need(self.of(self.graph.input), self.of(self.graph.output))
        for op in self.graph.ops:
            out, inputs = self.of(op.name), [self.of(name) for name in op.inputs]
            rule = _RULES.get(type(op.op))
            linked = rule is not None and rule(self, op, inputs, out)
            if not linked:
                self.need(*inputs, out)

    def classes(self) -> Indices:
        """For each channel the least number among those that go together with it."""
        a, b = (
            np.concatenate([np.zeros(0, np.intp), *(pair[side] for pair in self.pairs)])
            for side in (0, 1)
        )
        label = np.arange(len(self.needed))
        while True:
            least = label.copy()
            np.minimum.at(least, label[a], label[b])
            np.minimum.at(least, label[b], label[a])
            least = least[least]
            if np.array_equal(least, label):
                return label
            label = least


# --- Rules ----------------------------------------------------------------------------------------

# (links, op, numbers of each input's channels, of the output's) -> whether all is said; otherwise
# all channels are needed.
Rule: TypeAlias = Callable[[Links, QOp, list[Indices], Indices], bool]
_RULES: dict[type, Rule] = {}


def _rule(*operators: type) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(operators, function))
        return function

    return register


@_rule(Conv2D, ConvTranspose2D, Dense)
def _weighted(links: Links, op: QOp, inputs: list[Indices], out: Indices) -> bool:
    """Output channels go as they like. A group, which depthwise is one channel and what is made of
    it, goes as a whole."""
    groups = op.op.groups if isinstance(op.op, Conv2D) else 1
    if groups == 1:
        links.need(inputs[0][~foldable(links.graph, op, links.found)])
    else:
        heads = out[:: len(out) // groups]
        links.link(inputs[0], np.repeat(heads, len(inputs[0]) // groups))
        links.link(out, np.repeat(heads, len(out) // groups))
    return True


def foldable(graph: QGraph, op: QOp, found: Mapping[str, Range]) -> NDArray[np.bool_]:
    """[input channels]: whether an ungrouped sum of products can do without the channel."""
    weight = as_kernel(op)  # O, KH, KW, C
    unread = np.asarray(~weight.any(axis=(0, 1, 2)))
    known = found[op.inputs[0]]
    offset = known.low - graph.tensors[op.inputs[0]].zero_point
    fixed = np.flatnonzero(known.constant)
    taps = np.moveaxis(weight[..., fixed] * offset[fixed], 3, 0)  # fixed, O, KH, KW
    places = summed(taps.reshape(-1, *taps.shape[2:]), tap_masks(graph, op))
    shares = places.reshape(len(fixed), len(weight), places.shape[1])
    steady = fixed[(shares == shares[:, :, :1]).all(axis=(1, 2))]
    # What may go into the bias of each output channel.
    most = np.abs(shares[:, :, 0]).sum(axis=0)
    if op.bias is not None:
        most = most + np.abs(op.bias.astype(np.int64))
    if most.max(initial=0) > numerics.INT32_MAX:
        return unread
    unread[steady] = True
    return unread


@_rule(Unary, Quantize, MaxPool2D, AveragePool2D, Resize)
def _one_to_one(links: Links, _op: QOp, inputs: list[Indices], out: Indices) -> bool:
    links.link(inputs[0], out)
    return True


@_rule(Binary, PRelu)
def _broadcast(links: Links, _op: QOp, inputs: list[Indices], out: Indices) -> bool:
    """A single channel that is stretched never goes: it is its tensor's only one."""
    for one in inputs:
        if len(one) == len(out):
            links.link(one, out)
    return True


@_rule(Mean)
def _mean(links: Links, op: QOp, inputs: list[Indices], out: Indices) -> bool:
    assert isinstance(op.op, Mean)
    last = len(links.graph.tensors[op.inputs[0]].shape) - 1
    return last not in op.op.axes and _one_to_one(links, op, inputs, out)


@_rule(Transpose)
def _transpose(links: Links, op: QOp, inputs: list[Indices], out: Indices) -> bool:
    assert isinstance(op.op, Transpose)
    order = op.op.permutation
    return order[-1:] == (len(order) - 1,) and _one_to_one(links, op, inputs, out)


@_rule(Reshape)
def _reshape(links: Links, _op: QOp, inputs: list[Indices], out: Indices) -> bool:
    """Element by element; they come again and again in the same pairs."""
    element = np.arange(math.lcm(len(inputs[0]), len(out)))
    links.link(inputs[0][element % len(inputs[0])], out[element % len(out)])
    return True


@_rule(Concat)
def _concat(links: Links, op: QOp, inputs: list[Indices], out: Indices) -> bool:
    assert isinstance(op.op, Concat)
    if op.op.axis == len(links.graph.tensors[op.name].shape) - 1:
        links.link(np.concatenate(inputs), out)
    else:
        for one in inputs:
            links.link(one, out)
    return True


@_rule(Slice)
def _slice(links: Links, op: QOp, inputs: list[Indices], out: Indices) -> bool:
    """What is not taken is not needed. Channels apart from each other are not followed."""
    assert isinstance(op.op, Slice)
    if op.op.stride[-1:] != (1,):
        return False
    begin = op.op.begin[-1]
    links.link(inputs[0][begin : begin + len(out)], out)
    return True


@_rule(Pad)
def _pad(links: Links, op: QOp, inputs: list[Indices], out: Indices) -> bool:
    assert isinstance(op.op, Pad)
    if not op.op.before:
        return False
    before = op.op.before[-1]
    links.link(inputs[0], out[before : before + len(inputs[0])])
    return True
