"""Turn every image from PyTorch's C, H, W to the device's H, W, C, and fold transposes away.

Each of the user's tensors is tracked as a `View` of a device's tensor. Reshapes and transposes only
change the view. An operator then asks for the order that it needs: a convolution for H, W, C, a
dense layer for its axis last (in any order: it permutes its columns), an element-wise one for none.
Only where that is not how the tensor lies a Transpose is put, once for all readers that ask for
the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np

from nanotool.ir import (
    ArgMax,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Custom,
    Dense,
    FloatArray,
    Function,
    Graph,
    GroupNorm,
    Gru,
    LayerNorm,
    LogSoftmax,
    Lstm,
    MatMul,
    MaxPool2D,
    Mean,
    Node,
    Op,
    Pad,
    PRelu,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Rnn,
    Shape,
    Slice,
    Softmax,
    Svdf,
    Table,
    Transpose,
)
from nanotool.ops import INT8_OPERATORS, FloatLayer, Registry, custom, facts, float_layer_of
from nanotool.passes.rewrite import frozen, names, rebuilt, unique
from nanotool.passes.views import (
    Atom,
    Axes,
    Axis,
    View,
    common,
    flat,
    fresh,
    fresh_axes,
    runs,
    shape_of,
    size_of,
)

TO_DEVICE = (1, 2, 0)  # device axis i is user axis TO_DEVICE[i]: C, H, W to H, W, C
MAX_RUNS = 4  # axes of one transpose

# A device's tensor, the sizes of its atoms, their new order, the new shape.
Place: TypeAlias = tuple[str, Shape, tuple[int, ...], Shape]


def layout(graph: Graph) -> Graph:
    """``graph`` with channels last; the same function of inputs turned by input_permutations.

    A rank-3 output is H, W, C afterwards, too; one of another rank keeps the user's order. Inputs
    and states are H, W, C (a signal C, L stays so), unless another order saves transposes.
    """
    if graph.channels_last:
        return graph
    orders = {name: canonical_order(len(graph.shape(name))) for name in graph.sources}
    best = _turned(graph, orders)
    for source, usual in orders.items():
        for order in permutations(range(len(usual))):
            if best.moved == 0:
                break
            turner = _turned(graph, {**best.orders, source: order})
            if turner.nodes and turner.moved < best.moved:
                best = turner
    turned = [best.orders[name] for name in graph.inputs]
    result = replace(
        graph,
        outputs=tuple(best.results[: len(graph.outputs)]),
        constants=best.constants,
        states=tuple(
            replace(state, next=following, initial=state.initial.transpose(best.orders[state.read]))
            for state, following in zip(
                graph.states, best.results[len(graph.outputs) :], strict=True
            )
        ),
    )
    return replace(
        rebuilt(result, best.nodes, {}),
        channels_last=True,
        input_shapes=tuple(map(permuted, graph.input_shapes, turned)),
        input_permutations=tuple(
            () if order == tuple(range(len(order))) else order for order in turned
        )
        if any(order != tuple(range(len(order))) for order in turned)
        else (),
    )


def permuted(shape: Shape, permutation: tuple[int, ...]) -> Shape:
    """The shape after a transpose."""
    return tuple(shape[axis] for axis in permutation)


def canonical_order(rank: int) -> tuple[int, ...]:
    """The order of a graph's output: H, W, C for an image, else the user's."""
    return TO_DEVICE if rank == 3 else tuple(range(rank))


def canonical(axes: Axes) -> Axes:
    """``axes`` in the order of a graph's output."""
    return tuple(axes[i] for i in canonical_order(len(axes)))


def _turned(graph: Graph, orders: Mapping[str, tuple[int, ...]]) -> _Turner:
    """All of ``graph`` with device axis i of each input and state being user axis ``orders[i]``."""
    turner = _Turner(graph, orders, names(graph))
    for source, order in orders.items():
        axes = fresh_axes(graph.shape(source))
        turner.views[source] = View(source, tuple(axes[i] for i in order), axes)
    for name, data in graph.constants.items():
        axes = fresh_axes(data.shape)
        turner.views[name] = View(name, axes, axes)
    for node in graph.nodes:
        layer = float_layer_of(graph, node)
        turner.views[node.name] = _turns.of(node.op)(turner, layer)
    for name in graph.outputs:
        view = turner.views[name]
        turner.results.append(turner.placed(view, canonical(view.axes), name))
    for state in graph.states:
        view, order = turner.views[state.next], orders[state.read]
        dims = tuple(view.axes[i] for i in order)
        turner.results.append(turner.placed(view, dims, state.next))
    return turner


@dataclass
class _Turner:
    """The nodes turned so far."""

    graph: Graph
    orders: Mapping[str, tuple[int, ...]]  # of the sources' axes
    taken: set[str]
    nodes: list[Node] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)  # by the user's tensor
    constants: dict[str, FloatArray] = field(default_factory=dict)  # as the device has them
    places: dict[Place, str] = field(default_factory=dict)  # tensors brought into order
    results: list[str] = field(default_factory=list)  # outputs, then the next states
    moved: int = 0  # elements that transposes move

    def view(self, layer: FloatLayer[Op]) -> View:
        """Of the first input."""
        return self.views[layer.node.inputs[0]]

    def emit(
        self, layer: FloatLayer[Op], inputs: Sequence[str], dims: Axes, **changes: Any
    ) -> None:
        """Append ``layer`` on device tensors."""
        shape = shape_of(dims)
        self.nodes.append(replace(layer.node, inputs=tuple(inputs), shape=shape, **changes))

    # --- Bringing a tensor into an order -------------------------------------------------------

    def placed(self, view: View, dims: Axes, reader: str) -> str:
        """The device's tensor of ``view`` with axes ``dims``, for the node named ``reader``."""
        if view.tensor in self.graph.constants:
            return self._placed_constant(view, dims)
        source = flat(view.dims)
        order = tuple(source.index(atom) for atom in flat(dims))
        key = (view.tensor, tuple(atom.size for atom in source), order, shape_of(dims))
        if order == tuple(range(len(order))) and shape_of(dims) == shape_of(view.dims):
            return view.tensor
        if key not in self.places:
            self.places[key] = self._moved(view, dims, self._name(view, reader))
        return self.places[key]

    def _name(self, view: View, reader: str) -> str:
        """The user's, if a reshape or transpose of theirs is done here for the first time."""
        if view.label and view.label not in {node.name for node in self.nodes}:
            return view.label
        return unique(f"{reader}.order", self.taken)

    def _placed_constant(self, view: View, dims: Axes) -> str:
        """Turned at once; under a name of its own if it is already there in another order."""
        data = self.graph.constants[view.tensor]
        atoms = flat(view.dims)
        order = [atoms.index(atom) for atom in flat(dims)]
        turned = data.reshape([atom.size for atom in atoms]).transpose(order)
        turned = turned.reshape(shape_of(dims))
        name = view.tensor
        if name in self.constants and not np.array_equal(self.constants[name], turned):
            name = unique(f"{view.tensor}.order", self.taken)
        self.constants[name] = frozen(turned)
        return name

    def _moved(self, view: View, dims: Axes, name: str) -> str:
        """Emit Reshape and Transpose nodes, the last one named ``name``; a Transpose of at most
        MAX_RUNS axes at a time."""
        steps: list[tuple[Op, Axes]] = []
        now, target = view.dims, flat(dims)
        while flat(now) != target:
            goal = target if len(runs(flat(now), target)) <= MAX_RUNS else closer(flat(now), target)
            units = _units(now, goal)
            if shape_of(units) != shape_of(now):
                steps.append((Reshape(shape_of(units)), units))
            order = sorted(range(len(units)), key=lambda i: goal.index(units[i][0]))
            now = tuple(units[i] for i in order)
            steps.append((Transpose(tuple(order)), now))
            self.moved += size_of(goal)
        if shape_of(now) != shape_of(dims):
            steps.append((Reshape(shape_of(dims)), dims))
        tensor = view.tensor
        for i, (op, axes) in enumerate(steps, 1):
            result = name if i == len(steps) else unique(f"{name}.step", self.taken)
            self.nodes.append(Node(result, op, (tensor,), shape_of(axes)))
            tensor = result
        return tensor

    def per_axis(self, view: View, reader: str) -> tuple[str, tuple[int, ...]]:
        """The device's tensor of ``view`` with one axis for each of the user's, and which: device
        axis i is user axis order[i]."""
        axes, usual = view.axes, canonical_order(len(view.axes))
        orders = [usual, *permutations(range(len(axes)))]
        same = [o for o in orders if flat(axes[i] for i in o) == flat(view.dims)]
        exact = [o for o in same if tuple(axes[i] for i in o) == view.dims]
        order = (*exact, *same, usual)[0]
        return self.placed(view, tuple(axes[i] for i in order), reader), order

    def rows(self, view: View, reader: str) -> tuple[str, Axes]:
        """The device's tensor of ``view`` with the user's last axis last, its atoms in any order,
        and the device's axes."""
        last = set(view.axes[-1])
        stored = flat(view.dims)
        tail = tuple(atom for atom in stored if atom in last)
        rest = tuple(atom for atom in stored if atom not in last)
        others = (tuple(a for a in axis if a not in last) for axis in view.dims)
        groupings = (view.dims[:-1], view.axes[:-1], tuple(axis for axis in others if axis))
        fitting = (g for g in groupings if flat(g) == rest and len(g) == len(view.axes) - 1)
        dims = (*next(fitting, (rest,) if rest else ()), tail)
        return self.placed(view, dims, reader), dims

    def solid(self, view: View, reader: str) -> View:
        """``view`` in the usual order, each axis one atom."""
        axes = fresh_axes(view.shape)
        usual = canonical_order(len(axes))
        tensor = self.placed(view, tuple(view.axes[i] for i in usual), reader)
        return View(tensor, tuple(axes[i] for i in usual), axes)


def closer(source: Axis, target: Axis) -> Axis:
    """``source`` with the first run that is out of place moved there: a transpose of four axes."""
    same = next(i for i, atom in enumerate(target) if source[i] is not atom)
    begin = end = source.index(target[same])
    while end < len(source) and source[end] is target[same + end - begin]:
        end += 1
    return source[:same] + source[begin:end] + source[same:begin] + source[end:]


def _units(dims: Axes, goal: Axis) -> Axes:
    """The pieces that a transpose of ``dims`` to ``goal`` moves: whole axes where that is fine."""
    pieces = runs(flat(dims), goal)
    borders = {id(axis[0]) for axis in dims if axis}
    units: list[Axis] = []
    for piece in pieces:
        starts = [i for i, atom in enumerate(piece) if i == 0 or id(atom) in borders]
        ends = [*starts[1:], len(piece)]
        units += [piece[i:j] for i, j in zip(starts, ends, strict=True)]
    return tuple(units) if len(units) <= MAX_RUNS else tuple(pieces)


# --- One function an operator ---------------------------------------------------------------------

Turn: TypeAlias = Callable[[_Turner, FloatLayer[Any]], View]  # -> the view of its output
# Batch norms and clamps are gone before the layout pass; the quantizer is what brings a Quantize.
# So is a table, of a function.
_turns = Registry[Turn](
    "passes/layout.py", operators=(*INT8_OPERATORS, Function), without=(Quantize, Table)
)


@_turns(Conv2D, ConvTranspose2D, MaxPool2D, AveragePool2D, Resize)
def _image(
    turner: _Turner,
    layer: FloatLayer[Conv2D | ConvTranspose2D | MaxPool2D | AveragePool2D | Resize],
) -> View:
    """H, W, C in and out."""
    view = turner.view(layer)
    source = turner.placed(view, canonical(view.axes), layer.name)
    axes = fresh_axes(layer.shape)
    weight = None if layer.node.weight is None else frozen(layer.weight.transpose(0, 2, 3, 1))
    turner.emit(layer, [source], canonical(axes), weight=weight)
    return View(layer.name, canonical(axes), axes)


@_turns.where(lambda what: what.is_table)
def _in_any_order(turner: _Turner, layer: FloatLayer[Op]) -> View:
    view = turner.view(layer)
    turner.emit(layer, [view.tensor], view.dims)
    return replace(view, tensor=layer.name, label="")


@_turns(Reshape)
def _reshape(turner: _Turner, layer: FloatLayer[Reshape]) -> View:
    view = turner.view(layer)
    result = view.reshaped(layer.shape)
    if result is None:  # the new axes cut through the old ones: bring the elements in order
        tensor = turner.placed(view, (flat(view.axes),), layer.name)
        axes = fresh_axes(layer.shape)
        result = View(tensor, (flat(axes),), axes)
    return replace(result, label=layer.name)


@_turns(Transpose)
def _transpose(turner: _Turner, layer: FloatLayer[Transpose]) -> View:
    view = turner.view(layer)
    axes = tuple(view.axes[axis] for axis in layer.op.permutation)
    return replace(view, axes=axes, label=layer.name)


@_turns(Dense)
def _dense(turner: _Turner, layer: FloatLayer[Dense]) -> View:
    """Columns of the weights in the order in which the last axis lies."""
    view = turner.view(layer)
    source, dims = turner.rows(view, layer.name)
    last, stored = view.axes[-1], dims[-1]
    weight = layer.weight
    if stored != last:
        columns = weight.reshape(len(weight), *(atom.size for atom in last))
        order = (0, *(1 + last.index(atom) for atom in stored))
        weight = frozen(columns.transpose(order).reshape(weight.shape))
    outputs = fresh(len(weight))
    turner.emit(layer, [source], (*dims[:-1], outputs), weight=weight)
    return View(layer.name, (*dims[:-1], outputs), (*view.axes[:-1], outputs))


@_turns(LayerNorm)
def _layer_norm(turner: _Turner, layer: FloatLayer[LayerNorm]) -> View:
    """Weights and biases in the order in which the last axis lies."""
    view = turner.view(layer)
    source, dims = turner.rows(view, layer.name)
    changes = {}
    if dims[-1] != view.axes[-1]:
        sizes = tuple(atom.size for atom in view.axes[-1])
        order = [view.axes[-1].index(atom) for atom in dims[-1]]
        for name, data in (("weight", layer.weight), ("bias", layer.node.bias)):
            if data is not None:
                changes[name] = frozen(data.reshape(sizes).transpose(order).reshape(data.shape))
    turner.emit(layer, [source], dims, **changes)
    return View(layer.name, dims, view.axes)


@_turns(GroupNorm)
def _group_norm(turner: _Turner, layer: FloatLayer[GroupNorm]) -> View:
    """H, W, C in and out."""
    view = turner.view(layer)
    source = turner.placed(view, canonical(view.axes), layer.name)
    turner.emit(layer, [source], canonical(view.axes))
    return View(layer.name, canonical(view.axes), view.axes)


@_turns(MatMul)
def _matmul(turner: _Turner, layer: FloatLayer[MatMul]) -> View:
    """Batches, rows, columns; an operand whose last two axes lie the other way round stays so."""
    views = [turner.views[name] for name in layer.node.inputs]
    turned, sources = [], []
    for view in views:
        axes = view.axes
        other = (*axes[:-2], axes[-1], axes[-2])
        constant = view.tensor in turner.graph.constants
        turned.append(not constant and flat(view.dims) == flat(other) != flat(axes))
        sources.append(turner.placed(view, other if turned[-1] else axes, layer.name))
    a, b = (view.axes for view in views)
    batches = (max(pair, key=size_of) for pair in zip(a[:-2], b[:-2], strict=True))
    axes = (*batches, a[-2], b[-1])
    if len(set(flat(axes))) < len(flat(axes)):  # x times its own transpose
        axes = fresh_axes(layer.shape)
    op = MatMul(layer.op.adj_x != turned[0], layer.op.adj_y != turned[1])
    turner.emit(layer, sources, axes, op=op)
    return View(layer.name, axes, axes)


@_turns.where(lambda what: what.along_axis and not what.indices)
def _along_axis(turner: _Turner, layer: FloatLayer[Any]) -> View:
    """Along one axis of the device's, wherever it lies."""
    view, axis = turner.view(layer), layer.op.axis
    source, order = turner.per_axis(view, layer.name)
    axes = list(view.axes)
    if facts(layer.op).moves:  # other elements than the input's
        axes[axis] = fresh(layer.shape[axis])
    dims = tuple(axes[i] for i in order)
    turner.emit(layer, [source], dims, op=replace(layer.op, axis=order.index(axis)))
    return View(layer.name, dims, tuple(axes))


@_turns(Softmax, LogSoftmax)
def _along_rows(turner: _Turner, layer: FloatLayer[Softmax | LogSoftmax]) -> View:
    view = turner.view(layer)
    source, dims = turner.rows(view, layer.name)
    turner.emit(layer, [source], dims)
    return View(layer.name, dims, view.axes)


@_turns(ArgMax)
def _argmax(turner: _Turner, layer: FloatLayer[ArgMax]) -> View:
    """Indices cannot be moved any more: they come out in the order of a graph's output."""
    view, axis = turner.view(layer), layer.op.axis
    rest = canonical((*view.axes[:axis], *view.axes[axis + 1 :]))
    places = [(*rest[:i], view.axes[axis], *rest[i:]) for i in range(len(rest), -1, -1)]
    dims = next((dims for dims in places if dims == view.dims), places[0])
    place = places.index(dims)
    source = turner.placed(view, dims, layer.name)
    turner.emit(layer, [source], rest, op=ArgMax(len(rest) - place))
    return View(layer.name, rest, (*view.axes[:axis], *view.axes[axis + 1 :]))


@_turns(Lstm, Gru, Rnn, Svdf)
def _in_order(turner: _Turner, layer: FloatLayer[Lstm | Gru | Rnn | Svdf]) -> View:
    """Sequences and states have no other order than their own."""
    views = [turner.views[name] for name in layer.node.inputs]
    sources = [turner.placed(view, view.axes, layer.name) for view in views]
    axes = fresh_axes(layer.shape)
    turner.emit(layer, sources, axes)
    for name in layer.node.more:
        beside = fresh_axes(layer.shape[-1:])
        turner.views[name] = View(name, beside, beside)
    return View(layer.name, axes, axes)


@_turns(Custom)
def _custom(turner: _Turner, layer: FloatLayer[Custom]) -> View:
    """In the order that its package asks for; an element-wise one has its first input's."""
    views = [turner.views[name] for name in layer.node.inputs]
    order = custom.definition(layer.op.function).order
    if order == "any":
        views = common(views) or [turner.solid(view, layer.name) for view in views]
        leader = views[0]
        sources = [turner.placed(v, _like(v, leader.axes, leader.dims), layer.name) for v in views]
        turner.emit(layer, sources, leader.dims)
        return replace(leader, tensor=layer.name, label="")
    lies = canonical if order == "channels_last" else tuple
    sources = [turner.placed(view, lies(view.axes), layer.name) for view in views]
    axes = fresh_axes(layer.shape)
    turner.emit(layer, sources, lies(axes))
    return View(layer.name, lies(axes), axes)


@_turns(Mean, Reduce)
def _mean(turner: _Turner, layer: FloatLayer[Mean | Reduce]) -> View:
    """Over the atoms of its axes, wherever they lie."""
    view, keep = turner.view(layer), layer.op.keep_dims
    inside = {atom for axis in layer.op.axes for atom in view.axes[axis]}
    dims: Axes = tuple(
        piece for axis in view.dims for piece in (_split_by(axis, inside) if axis else ((),))
    )
    if len(dims) > MAX_RUNS:
        dims = canonical(view.axes)
    source = turner.placed(view, dims, layer.name)
    gone = [bool(axis) and axis[0] in inside for axis in dims]
    numbers = tuple(i for i, drops in enumerate(gone) if drops)
    kept = _without(dims, numbers, keep)
    turner.emit(layer, [source], kept, op=replace(layer.op, axes=numbers))
    return View(layer.name, kept, _without(view.axes, layer.op.axes, keep))


def _split_by(axis: Axis, inside: set[Atom]) -> Axes:
    """``axis`` cut where atoms of ``inside`` and others meet."""
    pieces: list[list[Atom]] = []
    for atom in axis:
        if pieces and (pieces[-1][-1] in inside) == (atom in inside):
            pieces[-1].append(atom)
        else:
            pieces.append([atom])
    return tuple(tuple(piece) for piece in pieces)


def _without(axes: Axes, numbers: Sequence[int], keep: bool) -> Axes:
    """Axes ``numbers`` gone, or of one element."""
    kept = ((() if i in numbers else axis, i in numbers) for i, axis in enumerate(axes))
    return tuple(axis for axis, gone in kept if keep or not gone)


@_turns(Slice)
def _slice(turner: _Turner, layer: FloatLayer[Slice]) -> View:
    view = turner.view(layer)
    source, order = turner.per_axis(view, layer.name)
    changed = zip(view.axes, layer.shape, strict=True)
    axes = tuple(axis if size_of(axis) == size else fresh(size) for axis, size in changed)
    dims = tuple(axes[i] for i in order)
    op = Slice(permuted(layer.op.begin, order), permuted(layer.op.stride, order))
    turner.emit(layer, [source], dims, op=op)
    return View(layer.name, dims, axes)


@_turns(Pad)
def _pad(turner: _Turner, layer: FloatLayer[Pad]) -> View:
    view = turner.view(layer)
    source, order = turner.per_axis(view, layer.name)
    changed = zip(view.axes, layer.shape, strict=True)
    axes = tuple(axis if size_of(axis) == size else fresh(size) for axis, size in changed)
    dims = tuple(axes[i] for i in order)
    values = [turner.placed(turner.views[name], (), layer.name) for name in layer.node.inputs[1:]]
    op = Pad(permuted(layer.op.before, order), permuted(layer.op.after, order))
    turner.emit(layer, [source, *values], dims, op=op)
    return View(layer.name, dims, axes)


@_turns(Concat)
def _concat(turner: _Turner, layer: FloatLayer[Concat]) -> View:
    """All like the first of the largest parts."""
    views = [turner.views[name] for name in layer.node.inputs]
    moving = [view for view in views if view.tensor not in turner.graph.constants]
    largest = max(moving, key=lambda view: math.prod(view.shape))
    _, order = turner.per_axis(largest, layer.name)
    sources = [
        turner.placed(view, tuple(view.axes[i] for i in order), layer.name) for view in views
    ]
    axes = list(largest.axes)
    axes[layer.op.axis] = fresh(layer.shape[layer.op.axis])
    dims = tuple(axes[i] for i in order)
    turner.emit(layer, sources, dims, op=Concat(order.index(layer.op.axis)))
    return View(layer.name, dims, tuple(axes))


@_turns(Binary, PRelu)
def _binary(turner: _Turner, layer: FloatLayer[Binary | PRelu]) -> View:
    """Both in the order of that operand, of the result's size, which leaves least to be moved."""
    views = common([turner.views[name] for name in layer.node.inputs])
    if views is None:
        views = [turner.solid(turner.views[name], layer.name) for name in layer.node.inputs]
    fixed = turner.graph.constants
    whole = [v for v in views if v.shape == layer.shape and v.tensor not in fixed]
    if whole:
        leader = min(whole, key=lambda one: sum(_to_move(v, one) for v in views))
        axes, dims = leader.axes, leader.dims
        if not all(_stretches(_like(v, axes, dims), dims) for v in views):
            _, order = turner.per_axis(leader, layer.name)
            dims = tuple(axes[i] for i in order)
    else:
        axes = tuple(
            max(parts, key=size_of) for parts in zip(*(v.axes for v in views), strict=True)
        )
        dims = canonical(axes)
    sources = [turner.placed(v, _like(v, axes, dims), layer.name) for v in views]
    turner.emit(layer, sources, dims)
    return View(layer.name, dims, axes)


def _like(view: View, axes: Axes, dims: Axes) -> Axes:
    """The device's axes of ``view`` beside a tensor with ``axes`` and ``dims``: each atom where its
    counterpart is, axes that stretch of one element."""
    own = {
        theirs: mine
        for one, other in zip(view.axes, axes, strict=True)
        for mine, theirs in zip(one, other, strict=False)
    }
    return tuple(tuple(own[atom] for atom in axis if atom in own) for axis in dims)


def _stretches(own: Axes, dims: Axes) -> bool:
    """Whether each of a tensor's device axes is as long as the result's, or of one element: one
    that is several of the user's joined may be neither."""
    return all(size in {1, size_of(axis)} for size, axis in zip(shape_of(own), dims, strict=True))


def _to_move(view: View, leader: View) -> int:
    """Elements that have to be moved for ``view`` to lie like ``leader``."""
    dims = _like(view, leader.axes, leader.dims)
    return 0 if flat(dims) == flat(view.dims) else math.prod(view.shape)


_turns.complete()
