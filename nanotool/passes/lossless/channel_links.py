"""Which channels go together: for each operator, how those of its inputs and output depend on each
other. `dead_channels` asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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
    Op,
    Pad,
    PRelu,
    QGraph,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Table,
    Transpose,
    Unary,
)
from nanotool.ops import Layer, Registry, group_count, layer_of

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
        self.need(*(self.of(name) for name in (*self.graph.sources, *self.graph.results)))
        for op in self.graph.ops:
            out, inputs = self.of(op.name), [self.of(name) for name in op.inputs]
            if not _links.of(op.op)(self, layer_of(self.graph, op), inputs, out):
                self.need(*inputs, out, *(self.of(name) for name in op.more))

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


# --- One function an operator ---------------------------------------------------------------------

# (links, layer, numbers of each input's channels, of the output's) -> whether all is said; if not,
# all channels are needed.
Linking: TypeAlias = Callable[[Links, Layer[Any], list[Indices], Indices], bool]


def _says_nothing(_links: Links, _layer: Layer[Op], _in: list[Indices], _out: Indices) -> bool:
    return False


_links = Registry[Linking]("passes/lossless/channel_links.py", default=_says_nothing)


@_links(Conv2D, ConvTranspose2D, Dense)
def _weighted(
    links: Links,
    layer: Layer[Conv2D | ConvTranspose2D | Dense],
    inputs: list[Indices],
    out: Indices,
) -> bool:
    """Output channels go as they like. A group, which depthwise is one channel and what is made of
    it, goes as a whole."""
    groups = group_count(layer.op)
    if groups == 1:
        links.need(inputs[0][~foldable(layer, links.found)])
    else:
        heads = out[:: len(out) // groups]
        links.link(inputs[0], np.repeat(heads, len(inputs[0]) // groups))
        links.link(out, np.repeat(heads, len(out) // groups))
    return True


def foldable(layer: Layer[Op], found: Mapping[str, Range]) -> NDArray[np.bool_]:
    """[input channels]: whether an ungrouped sum of products can do without the channel."""
    weight = as_kernel(layer)  # O, KH, KW, C
    unread = np.asarray(~weight.any(axis=(0, 1, 2)))
    known = found[layer.input.name]
    offset = known.low - layer.input.zero_point
    fixed = np.flatnonzero(known.constant)
    taps = np.moveaxis(weight[..., fixed] * offset[fixed], 3, 0)  # fixed, O, KH, KW
    places = summed(taps.reshape(-1, *taps.shape[2:]), tap_masks(layer))
    shares = places.reshape(len(fixed), len(weight), places.shape[1])
    steady = fixed[(shares == shares[:, :, :1]).all(axis=(1, 2))]
    # What may go into the bias of each output channel.
    most = np.abs(shares[:, :, 0]).sum(axis=0) + np.abs(layer.bias)
    if most.max(initial=0) > numerics.INT32_MAX:
        return unread
    unread[steady] = True
    return unread


@_links(Unary, Table, Quantize, MaxPool2D, AveragePool2D, Resize)
def _one_to_one(
    links: Links,
    layer: Layer[Unary | Table | Quantize | MaxPool2D | AveragePool2D | Resize],
    inputs: list[Indices],
    out: Indices,
) -> bool:
    links.link(inputs[0], out)
    return True


@_links(Binary, PRelu)
def _broadcast(
    links: Links, layer: Layer[Binary | PRelu], inputs: list[Indices], out: Indices
) -> bool:
    """A single channel that is stretched never goes: it is its tensor's only one."""
    for one in inputs:
        if len(one) == len(out):
            links.link(one, out)
    return True


@_links(Mean)
def _mean(links: Links, layer: Layer[Mean], inputs: list[Indices], out: Indices) -> bool:
    last = len(layer.input.shape) - 1
    return last not in layer.op.axes and _one_to_one(links, layer, inputs, out)


@_links(Transpose)
def _transpose(links: Links, layer: Layer[Transpose], inputs: list[Indices], out: Indices) -> bool:
    order = layer.op.permutation
    return order[-1:] == (len(order) - 1,) and _one_to_one(links, layer, inputs, out)


@_links(Reshape)
def _reshape(links: Links, layer: Layer[Reshape], inputs: list[Indices], out: Indices) -> bool:
    """Element by element; they come again and again in the same pairs."""
    element = np.arange(math.lcm(len(inputs[0]), len(out)))
    links.link(inputs[0][element % len(inputs[0])], out[element % len(out)])
    return True


@_links(Concat)
def _concat(links: Links, layer: Layer[Concat], inputs: list[Indices], out: Indices) -> bool:
    if layer.op.axis == len(layer.output.shape) - 1:
        links.link(np.concatenate(inputs), out)
    else:
        for one in inputs:
            links.link(one, out)
    return True


@_links(Slice)
def _slice(links: Links, layer: Layer[Slice], inputs: list[Indices], out: Indices) -> bool:
    """What is not taken is not needed. Channels apart from each other are not followed."""
    if layer.op.stride[-1:] != (1,):
        return False
    begin = layer.op.begin[-1]
    links.link(inputs[0][begin : begin + len(out)], out)
    return True


@_links(Pad)
def _pad(links: Links, layer: Layer[Pad], inputs: list[Indices], out: Indices) -> bool:
    if not layer.op.before:
        return False
    before = layer.op.before[-1]
    links.link(inputs[0], out[before : before + len(inputs[0])])
    return True
