"""Random graphs with things in them that a lossless pass can take out again.

    salted(seed)              a valid graph: `random_graph` with several of `SALTS` strewn in
    salted_graphs()           the same as a hypothesis strategy

A salt makes another graph, not an equal one: dead filters, weights that read nothing, pads of
their own, pairs of transposes, requantizations to and fro, branches that never change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_graphs import ALL, random_graph

from nanotool.errors import InvalidModel
from nanotool.ir import (
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Int8Array,
    MaxPool2D,
    Op,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reshape,
    Shape,
    Slice,
    Transpose,
    Unary,
    Window,
)
from nanotool.validate import validate

WEIGHTED = (Conv2D, ConvTranspose2D, Dense)


@dataclass
class Salting:
    """A graph being changed. Each method is a salt: it returns the new graph, or None if it finds
    no place for itself; the result may be invalid and is then thrown away."""

    graph: QGraph
    rng: np.random.Generator

    # --- Tools ------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_of(self, things: Sequence[Any]) -> Any:
        return things[self.between(0, len(things) - 1)]

    def some(self, count: int) -> NDArray[np.intp]:
        """Some of ``count`` things, seldom all."""
        share = self.one_of([0.2, 0.5, 0.8, 1.0])
        return np.flatnonzero(self.rng.random(count) < share)

    def name(self, taken: Sequence[QTensor] = ()) -> str:
        number = len(self.graph.tensors) + len(taken)
        while f"salt.{number}" in self.graph.tensors:
            number += 1
        return f"salt.{number}"

    def replaced(self, new: QOp) -> QGraph:
        ops = tuple(new if op.name == new.name else op for op in self.graph.ops)
        return replace(self.graph, ops=ops)

    def weighted(self, *types: type) -> QOp | None:
        ops = [op for op in self.graph.ops if isinstance(op.op, types or WEIGHTED)]
        return self.one_of(ops) if ops else None

    def place(self) -> str | None:
        """A tensor behind which something can be inserted: int8, and somebody reads it."""
        read = [
            name
            for name in dict.fromkeys(name for op in self.graph.ops for name in op.inputs)
            if self.graph.tensors[name].dtype == "int8" and name not in self.graph.constants
        ]
        return self.one_of(read) if read else None

    def insert(
        self,
        source: str,
        chain: Sequence[tuple[Op, QTensor, tuple[int, int]]],
        operands: Sequence[tuple[str, QTensor, Int8Array]] = (),
    ) -> QGraph:
        """``chain`` behind ``source``: whoever reads that, or one of them, reads the chain's end.
        A Binary in the chain reads the next of the ``operands``, constants, too."""
        left = list(operands)
        ops: list[QOp] = []
        end = source
        for op, target, clamp in chain:
            inputs = (end, left.pop(0)[0]) if isinstance(op, Binary) else (end,)
            ops.append(QOp(target.name, op, inputs, clamp=clamp))
            end = target.name
        readers = [op.name for op in self.graph.ops if source in op.inputs]
        chosen = {self.one_of(readers)} if self.chance(0.3) else set(readers)
        rest = [
            replace(op, inputs=tuple(end if name == source else name for name in op.inputs))
            if op.name in chosen
            else op
            for op in self.graph.ops
        ]
        names = [op.name for op in self.graph.ops]
        at = names.index(source) + 1 if source in names else 0
        tensors = {target.name: target for _, target, _ in chain}
        tensors.update((name, tensor) for name, tensor, _ in operands)
        return replace(
            self.graph,
            ops=(*rest[:at], *ops, *rest[at:]),
            tensors={**self.graph.tensors, **tensors},
            constants={**self.graph.constants, **{name: data for name, _, data in operands}},
        )

    def through(self, ops: Sequence[tuple[Op, Shape]]) -> QGraph | None:
        """Insert ``ops`` that keep the quantization."""
        source = self.place()
        return None if source is None else self._through(source, ops)

    def _through(self, source: str, ops: Sequence[tuple[Op, Shape]]) -> QGraph:
        tensors: list[QTensor] = []
        for _, shape in ops:
            like = self.graph.tensors[source]
            tensors.append(replace(like, name=self.name(tensors), shape=shape))
        full = (-128, 127)
        return self.insert(source, [(op, t, full) for (op, _), t in zip(ops, tensors, strict=True)])

    # --- Salts ------------------------------------------------------------------------------------

    def dead_filters(self) -> QGraph | None:
        """Filters whose output never changes: their weights are 0, or their bias drowns them."""
        op = self.weighted()
        if op is None or op.weight is None:
            return None
        weight, outputs = op.weight.copy(), len(op.weight)
        bias = np.zeros(outputs, np.int32) if op.bias is None else op.bias.copy()
        for channel in self.some(outputs):
            most = 2 * 255 * int(np.abs(weight[channel].astype(np.int64)).sum()) + 1000
            match self.between(0, 3):
                case 0:
                    weight[channel], bias[channel] = 0, 0
                case 1:
                    weight[channel] = 0
                case 2:
                    bias[channel] = -min(most, 2**27)
                case _:
                    bias[channel] = min(most, 2**27)
        return self.replaced(replace(op, weight=weight, bias=bias))

    def unread_channels(self) -> QGraph | None:
        """Input channels whose weights are all 0."""
        op = self.weighted()
        if op is None or op.weight is None:
            return None
        weight = op.weight.copy()
        weight[..., self.some(weight.shape[-1])] = 0
        return self.replaced(replace(op, weight=weight))

    def dead_depthwise(self) -> QGraph | None:
        """Depthwise filters of all zeros."""
        op = self.weighted(Conv2D)
        if op is None or op.weight is None or op.weight.shape[-1] != 1:
            return None
        weight = op.weight.copy()
        weight[self.some(len(weight))] = 0
        return self.replaced(replace(op, weight=weight))

    def own_pad(self) -> QGraph | None:
        """What a window pads by is a Pad in front of it, with a value that need not be right."""
        op = self.weighted(Conv2D, MaxPool2D, AveragePool2D)
        if op is None or not isinstance(op.op, (Conv2D, MaxPool2D, AveragePool2D)):
            return None
        window, source = op.op.window, self.graph.tensors[op.inputs[0]]
        top, left, bottom, right = window.padding
        before, after = (top, left, 0), (bottom, right, 0)
        value = None
        if not isinstance(op.op, Conv2D) or self.chance(0.2):
            value = self.one_of([-128, -128, -120, self.between(-128, 127)])
        height, width, depth = source.shape
        target = QTensor(
            self.name(),
            (height + top + bottom, width + left + right, depth),
            source.scale,
            source.zero_point,
        )
        plain = replace(op, op=replace(op.op, window=replace(window, padding=(0, 0, 0, 0))))
        pad = QOp(target.name, Pad(before, after, value), op.inputs)
        at = self.graph.ops.index(op)
        ops = (
            *self.graph.ops[:at],
            pad,
            replace(plain, inputs=(pad.name,)),
            *self.graph.ops[at + 1 :],
        )
        return replace(self.graph, ops=ops, tensors={**self.graph.tensors, target.name: target})

    def clamp_behind(self) -> QGraph | None:
        """A stand-alone activation that keeps scale and zero point."""
        source = self.place()
        if source is None:
            return None
        function = self.one_of(["relu", "relu6", "identity", "abs"])
        target = replace(self.graph.tensors[source], name=self.name())
        low, high = sorted((self.between(-128, 127), self.between(-128, 127)))
        clamp = (low, high) if self.chance(0.3) else (-128, 127)
        if self.chance(0.2):
            scalar = replace(target, name=f"{target.name}.scalar", shape=())
            value = np.array(self.between(-128, 127), np.int8)
            binary = Binary(self.one_of(["maximum", "minimum"]))
            return self.insert(
                source, [(binary, target, (-128, 127))], [(scalar.name, scalar, value)]
            )
        return self.insert(source, [(Unary(function), target, clamp)])

    def to_and_fro(self) -> QGraph | None:
        """Another scale and zero point, and back again."""
        source = self.place()
        if source is None:
            return None
        given = self.graph.tensors[source]
        factor = self.one_of([1.0, 1.0, 0.5, 0.25, 2.0, float(2 ** self.rng.uniform(-2, 2))])
        zero_point = self.one_of([given.zero_point, self.between(-128, 127)])
        first = QTensor(self.name(), given.shape, given.scale * factor, zero_point)
        second = replace(given, name=self.name([first]))
        kinds: list[Op] = [Quantize(), Unary("identity")]
        full = (-128, 127)
        return self.insert(
            source, [(self.one_of(kinds), first, full), (self.one_of(kinds), second, full)]
        )

    def other_quantization(self) -> QGraph | None:
        """A sum of products, and what brings it to the scale that it had."""
        op = self.weighted(*WEIGHTED, Binary)
        if op is None or (isinstance(op.op, Binary) and op.op.function in ("maximum", "minimum")):
            return None
        target = self.graph.tensors[op.name]
        inner = QTensor(
            self.name(),
            target.shape,
            target.scale * self.one_of([1.0, 1.0, 2.0, 0.5]),
            self.one_of([target.zero_point, self.between(-128, 127)]),
        )
        at = self.graph.ops.index(op)
        pair = (
            replace(op, name=inner.name, clamp=(-128, 127)),
            QOp(op.name, Quantize(), (inner.name,)),
        )
        ops = (*self.graph.ops[:at], *pair, *self.graph.ops[at + 1 :])
        return replace(self.graph, ops=ops, tensors={**self.graph.tensors, inner.name: inner})

    def reshapes(self) -> QGraph | None:
        """Flat, and back."""
        source = self.place()
        if source is None:
            return None
        given = self.graph.tensors[source]
        first = (given.size,) if self.chance(0.7) else (1, given.size)
        return self._through(source, [(Reshape(first), first), (Reshape(given.shape), given.shape)])

    def transposes(self) -> QGraph | None:
        """Turned, something element-wise (maybe with a constant), and turned back."""
        source = self.place()
        if source is None or len(self.graph.tensors[source].shape) < 2:
            return None
        given = self.graph.tensors[source]
        order = tuple(int(axis) for axis in self.rng.permutation(len(given.shape)))
        back = order if self.chance(0.1) else tuple(int(axis) for axis in np.argsort(order))
        shape = tuple(given.shape[axis] for axis in order)
        turned = replace(given, name=self.name(), shape=shape)
        chain: list[tuple[Op, QTensor, tuple[int, int]]] = [(Transpose(order), turned, (-128, 127))]
        operands: list[tuple[str, QTensor, Int8Array]] = []
        for _ in range(self.between(0, 2)):
            name = self.name([t for _, t, _ in chain])
            target = replace(turned, name=name)
            if self.chance(0.5):
                wanted: Shape = self.one_of(
                    [(), shape[-1:], shape, (shape[0], *(1,) * (len(shape) - 1))]
                )
                constant = replace(given, name=f"{name}.constant", shape=wanted)
                data = self.rng.integers(-128, 128, wanted).astype(np.int8)
                operands.append((constant.name, constant, np.asarray(data, np.int8)))
                function = self.one_of(["add", "sub", "mul", "maximum"])
                chain.append((Binary(function), target, (-128, 127)))
            else:
                chain.append((Unary(self.one_of(["relu", "abs", "neg"])), target, (-128, 127)))
        last = replace(
            given,
            name=self.name([t for _, t, _ in chain]),
            shape=tuple(shape[axis] for axis in back),
        )
        chain.append((Transpose(back), last, (-128, 127)))
        return self.insert(source, chain, operands)

    def idle(self) -> QGraph | None:
        """A move, or a pool, that does nothing."""
        source = self.place()
        if source is None:
            return None
        shape = self.graph.tensors[source].shape
        zeros = (0,) * len(shape)
        ops: list[Op] = [Reshape(shape), Slice(zeros, (1,) * len(shape)), Pad(zeros, zeros)]
        if shape:
            ops += [Concat(0), Transpose(tuple(range(len(shape))))]
        if len(shape) == 3:
            ops += [MaxPool2D(Window((1, 1))), AveragePool2D(Window((1, 1)))]
        return self._through(source, [(self.one_of(ops), shape)])

    def pad_and_cut(self) -> QGraph | None:
        """Padded twice, and cut to size; also along the channels."""
        source = self.place()
        if source is None or not self.graph.tensors[source].shape:
            return None
        shape = self.graph.tensors[source].shape
        before, after, more = (tuple(self.between(0, 2) for _ in shape) for _ in range(3))
        value = self.one_of([None, None, self.between(-128, 127)])
        first = tuple(a + b + c for a, b, c in zip(shape, before, after, strict=True))
        second = tuple(a + b for a, b in zip(first, more, strict=True))
        begin = before if self.chance(0.7) else tuple(self.between(0, b) for b in before)
        return self._through(
            source,
            [
                (Pad(before, after, value), first),
                (Pad((0,) * len(shape), more, value), second),
                (Slice(begin, (1,) * len(shape)), shape),
            ],
        )

    def frozen_branch(self) -> QGraph | None:
        """A sum with a tensor of the same shape whose filters are all dead."""
        op = self.weighted()
        if op is None or op.weight is None:
            return None
        target = self.graph.tensors[op.name]
        weight = np.zeros_like(op.weight)
        bias = self.rng.integers(-1000, 1000, len(weight)).astype(np.int32)
        branch = replace(target, name=self.name())
        result = replace(target, name=self.name([branch]))
        readers = [other for other in self.graph.ops if op.name in other.inputs]
        if not readers:
            return None
        reader = self.one_of(readers)
        order = (op.name, branch.name) if self.chance(0.5) else (branch.name, op.name)
        new = (
            replace(op, name=branch.name, weight=weight, bias=bias),
            QOp(result.name, Binary(self.one_of(["add", "sub", "mul"])), order),
        )
        at = self.graph.ops.index(reader)
        inputs = tuple(result.name if name == op.name else name for name in reader.inputs)
        ops = (
            *self.graph.ops[:at],
            *new,
            replace(reader, inputs=inputs),
            *self.graph.ops[at + 1 :],
        )
        tensors = {**self.graph.tensors, branch.name: branch, result.name: result}
        return replace(self.graph, ops=ops, tensors=tensors)

    def dead_end(self) -> QGraph | None:
        """An op, or a constant, that nobody reads."""
        source = self.place()
        if source is None:
            return None
        given = replace(self.graph.tensors[source], name=self.name())
        tensors = {**self.graph.tensors, given.name: given}
        if self.chance(0.5):
            data = self.rng.integers(-128, 128, given.shape).astype(np.int8)
            constants = {**self.graph.constants, given.name: np.asarray(data, np.int8)}
            return replace(self.graph, tensors=tensors, constants=constants)
        op = QOp(given.name, Unary("relu"), (source,))
        return replace(self.graph, tensors=tensors, ops=(*self.graph.ops, op))


SALTS: tuple[Callable[[Salting], QGraph | None], ...] = (
    *(Salting.dead_filters,) * 4,
    *(Salting.unread_channels,) * 2,
    *(Salting.own_pad,) * 2,
    Salting.dead_depthwise,
    Salting.clamp_behind,
    Salting.to_and_fro,
    Salting.other_quantization,
    Salting.reshapes,
    Salting.transposes,
    Salting.idle,
    Salting.pad_and_cut,
    Salting.frozen_branch,
    Salting.dead_end,
)


def salted(seed: int, layers: int | None = None, salts: int = 6) -> QGraph:
    """A random graph of ``layers`` operators of every kind with up to ``salts`` salts."""
    rng = np.random.default_rng([seed, 7])
    graph = random_graph(seed, layers, ALL, borders=bool(rng.random() < 0.2))
    for _ in range(salts):
        salt = SALTS[int(rng.integers(len(SALTS)))]
        new = salt(Salting(graph, rng))
        if new is None:
            continue
        new = replace(new, samples=())
        try:
            validate(new)
        except InvalidModel:
            continue
        graph = new
    return graph


def salted_graphs(max_layers: int = 8) -> st.SearchStrategy[QGraph]:
    """`salted` as a hypothesis strategy; it shrinks to fewer layers and salts."""
    return st.builds(
        lambda layers, salts, seed: salted(seed, layers, salts),
        st.integers(1, max_layers),
        st.integers(0, 8),
        st.integers(0, 2**32 - 1),
    )
