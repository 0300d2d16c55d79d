"""Elements go elsewhere: reshapes, transposes, concatenations, slices, padding, repetitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.walk import Value, Walk, handles
from nanotool.ir import Concat, Gather, Pad, Reshape, Resize, Shape, Slice, Transpose
from nanotool.ops import facts

MAX_PLACES = 2**16  # of a gather

# --- Nothing moves --------------------------------------------------------------------------------


@handles("alpha_dropout", "dropout", makes=(), view=True, anywhere=True)
@handles("feature_alpha_dropout", "feature_dropout", makes=(), view=True, anywhere=True)
@handles("alias", "contiguous", "detach", makes=(), view=True, anywhere=True)
@handles("clone", "lift_fresh_copy", makes=(), anywhere=True)
def _pass_through(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """What changes nothing at inference time."""
    if args.get("train"):
        walk.refuse("dropout that is on in eval mode", "Pass training=self.training to F.dropout.")
    return walk.source(next(iter(args.values())))


@handles("to", "type_as", makes=(), view=True)
def _to(walk: Walk, args: Arguments, node: fx.Node) -> str:
    looked_up = node.users and all(operator_name(user) == "embedding" for user in node.users)
    if not node.meta["val"].is_floating_point() and not looked_up:
        walk.refuse(f"a cast to {node.meta['val'].dtype}", "Keep the activations in float.")
    source = walk.source(args["self"])
    if looked_up and not _is_whole(walk, source):
        walk.refuse("a cast that cuts fractions off", "Say it: x.floor().long(), x.round().long().")
    return source


# Functions whose results are whole numbers, as they are called.
_WHOLE = frozenset(["round", "floor", "ceil", "trunc", "gt", "ge", "lt", "le", "eq", "ne"])


def _is_whole(walk: Walk, tensor: str) -> bool:
    """Whether ``tensor`` holds whole numbers: inputs that are looked up are ids."""
    if tensor in walk.inputs:
        return True
    node = next((node for node in walk.nodes if node.name == tensor), None)
    if node is None:
        return False
    if str(getattr(node.op, "function", "")).split(":")[0] in _WHOLE:
        return True
    return facts(node.op).moves and all(_is_whole(walk, name) for name in node.inputs)


# --- Other shapes, other orders -------------------------------------------------------------------


@handles(
    "_unsafe_view", "flatten", "reshape", "reshape_as", makes=Reshape, view=True, anywhere=True
)
@handles("squeeze", "unflatten", "unsqueeze", makes=Reshape, view=True, anywhere=True)
@handles("view", "view_as", makes=Reshape, view=True, anywhere=True)
def _reshape(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """As many elements lie in front of the batch as before."""
    source, shape = walk.source(args["self"]), walk.batchless(node)
    place = walk.batch_place(node.meta["val"]) or 0
    before = walk.shapes[source][: walk.place]
    if math.prod(before) != math.prod(shape[:place]):
        walk.refuse(
            f"{operator_name(node)} of {before} in front of the batch, which mixes it with others,",
            "Bring the batch to the front first: x.transpose(0, 1).",
        )
    return walk.reshaped(source, shape)


@handles("adjoint", "mT", "permute", makes=Transpose, view=True, anywhere=True)
@handles("movedim", "moveaxis", "numpy_T", makes=Transpose, view=True, anywhere=True)
@handles("swapaxes", "swapdims", "t", "transpose", makes=Transpose, view=True, anywhere=True)
def _permute(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """Which axis goes where shows on a tensor whose axes have different sizes."""
    source = walk.source(args["self"])
    rank = len(walk.shapes[source])
    first = 2 if walk.whole else 1  # whose axes are all that the user has
    probe = torch.empty(tuple(range(first, rank + 2)), device="meta")
    assert callable(node.target)
    order = [size - 1 for size in node.target(probe, *node.args[1:], **node.kwargs).shape]
    if walk.whole:
        return walk.transposed(source, tuple(axis - 1 for axis in order))
    kept = tuple(axis - (axis > walk.place) for axis in order if axis != walk.place)
    if kept == tuple(range(rank)):
        return source  # the batch alone goes elsewhere
    return walk.transposed(source, kept)


# --- Several tensors to one, one to several -------------------------------------------------------


def _parts(walk: Walk, arguments: list[Any]) -> list[str]:
    """The tensors to join; constants become constants of the graph."""
    names = []
    for argument in arguments:
        if walk.is_activation(argument):
            names.append(walk.source(argument))
            continue
        value = walk.constant(argument, "part")
        assert value is not None
        value = value[np.newaxis] if walk.whole else walk.once(value)
        if value.ndim < 2 or value.shape[0] != 1:
            walk.refuse("a joined constant that has an axis for the batch", "Leave it out.")
        names.append(walk.add_constant(value[0]))
    return names


@handles("cat", "concat", "concatenate", makes=Concat, anywhere=True)
def _cat(walk: Walk, args: Arguments, node: fx.Node) -> str:
    shape = walk.batchless(node)
    axis = walk.axis(args["dim"], len(shape), "cat")
    return walk.emit(Concat(axis), tuple(_parts(walk, args["tensors"])), shape)


@handles("stack", makes=Concat, anywhere=True)
def _stack(walk: Walk, args: Arguments, node: fx.Node) -> str:
    shape = walk.batchless(node)
    place = walk.batch_place(node.meta["val"]) or 0
    axis = int(args["dim"]) % (len(shape) + 1)
    axis -= axis > place
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    parts = [walk.reshaped(part, one, suffix="part") for part in _parts(walk, args["tensors"])]
    return walk.emit(Concat(axis), tuple(parts), shape)


@handles(
    "chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", makes=Slice, view=True
)
@handles("unsafe_split", "unsafe_split_with_sizes", makes=Slice, view=True)
def _split(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    """Parts one behind the other along an axis."""
    source = walk.source(args["self"])
    axis = walk.axis(args["dim"], len(walk.shapes[source]), operator_name(node))
    results: list[Value] = []
    begin = 0
    for value in node.meta["val"]:
        size = walk.without_batch(value)[axis]
        results.append(_sliced(walk, source, axis, range(begin, begin + size)))
        begin += size
    return results


@handles("unbind", makes=Slice, view=True, anywhere=True)
def _unbind(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    source = walk.source(args["self"])
    axis = walk.axis(args["dim"], len(walk.shapes[source]), "unbind")
    return [_element(walk, source, axis, i) for i in range(walk.shapes[source][axis])]


def _element(walk: Walk, source: str, axis: int, index: int) -> str:
    """Of an axis, which is then gone."""
    shape = walk.shapes[source]
    part = _sliced(walk, source, axis, range(index, index + 1))
    return walk.reshaped(part, (*shape[:axis], *shape[axis + 1 :]))


def _sliced(walk: Walk, source: str, axis: int, indices: range) -> str:
    """The elements with these ``indices`` along ``axis``."""
    shape = walk.shapes[source]
    if indices == range(shape[axis]):
        return source
    begins, steps = [0] * len(shape), [1] * len(shape)
    begins[axis], steps[axis] = indices[0], indices.step if len(indices) > 1 else 1
    after = (*shape[:axis], len(indices), *shape[axis + 1 :])
    return walk.emit(Slice(tuple(begins), tuple(steps)), (source,), after)


@handles("slice", makes=Slice, view=True, anywhere=True)
def _slice(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """x[:, start:end:step]; x[:] of the batch is all of it."""
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    if int(args["dim"]) % (len(shape) + 1) == walk.place:
        whole = args["start"] in (None, 0) and args["step"] == 1
        if whole and str(node.meta["val"].shape[walk.place]) == str(walk.batch):
            return source
        walk.refuse("a slice of the batch", "Each sample is on its own: slice other axes.")
    axis = walk.axis(args["dim"], len(shape), "a slice")
    begin, end = args["start"] or 0, args["end"]
    if not isinstance(begin, int) or not (end is None or isinstance(end, int)):
        walk.refuse("a slice whose ends depend on the batch", "Use fixed numbers.")
    indices = range(shape[axis])[begin : end : int(args["step"])]
    if not indices:
        walk.refuse(f"an empty slice of {shape}", "Leave it out.")
    return _sliced(walk, source, axis, indices)


@handles("narrow", makes=Slice, view=True, anywhere=True)
def _narrow(walk: Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    axis = walk.axis(args["dim"], len(shape), "narrow")
    begin = range(shape[axis])[int(args["start"])]
    return _sliced(walk, source, axis, range(begin, begin + walk.batchless(node)[axis]))


@handles("select", makes=Slice, view=True, anywhere=True)
def _select(walk: Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    axis = walk.axis(args["dim"], len(shape), "select")
    if not isinstance(args["index"], int):
        walk.refuse("an index that depends on the batch", "Use a fixed number.")
    return _element(walk, source, axis, range(shape[axis])[args["index"]])


@handles("roll", makes=(Slice, Concat))
def _roll(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """The elements that leave an axis at one end come in at the other."""
    tensor = walk.source(args["self"])
    shifts, axes = (_several(args[name]) for name in ("shifts", "dims"))
    if len(axes) != len(shifts) or not all(isinstance(shift, int) for shift in shifts):
        walk.refuse("a roll over all elements", "Name the axis: torch.roll(x, -1, 1).")
    for shift, number in zip(shifts, axes, strict=True):
        shape = walk.shapes[tensor]
        axis = walk.axis(number, len(shape), "a roll")
        cut = -shift % shape[axis]
        if cut:
            back = _sliced(walk, tensor, axis, range(cut, shape[axis]))
            front = _sliced(walk, tensor, axis, range(cut))
            tensor = walk.emit(Concat(axis), (back, front), shape)
    return tensor


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


# --- More elements --------------------------------------------------------------------------------


@handles("pad", "constant_pad_nd", makes=(Pad, Gather))
def _pad(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """Negative padding cuts."""
    mode = args.get("mode", "constant")
    if mode != "constant":
        return _bordered(walk, args, mode)
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    amounts = [int(amount) for amount in args["pad"]]  # last axis first, (before, after) each
    before, after = [0] * len(shape), [0] * len(shape)
    for i in range(len(amounts) // 2):
        pair = amounts[2 * i : 2 * i + 2]
        if i < len(shape):
            before[-1 - i], after[-1 - i] = pair
        elif any(pair):
            walk.refuse("padding of the batch", "Pad other axes.")
    for axis, size in enumerate(shape):
        kept = range(max(-before[axis], 0), size - max(-after[axis], 0))
        source = _sliced(walk, source, axis, kept)
    front, behind = (tuple(max(amount, 0) for amount in side) for side in (before, after))
    value = walk.number(args.get("value") or 0.0, "value")
    inputs = [source]
    if value != 0:
        inputs.append(walk.add_constant(np.array(value), "value"))
    grown = zip(front, walk.shapes[source], behind, strict=True)
    return walk.emit(Pad(front, behind), tuple(inputs), tuple(sum(sizes) for sizes in grown))


@handles("expand", "expand_as", "broadcast_to", makes=(Concat, Resize), view=True)
def _expand(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    """Axes of one element repeated. Arithmetic does it by itself and then reads the original. A
    constant for every sample of the batch is still one."""
    constant, shape = walk.values.get(args["self"]), walk.batchless(node)
    if isinstance(constant, torch.Tensor):
        return constant.expand(1, *shape)
    source = walk.source(args["self"])
    before = walk.shapes[source]
    if shape == before:
        return source
    if len(before) != len(shape):
        walk.refuse(f"expand from {before} to {shape}", "Unsqueeze first, so that axes agree.")
    result = _repeated(walk, source, shape)
    walk.spread[result] = walk.spread.get(source, source)
    return result


@handles("repeat", "tile", makes=(Concat, Resize))
def _repeat(walk: Walk, args: Arguments, node: fx.Node) -> str:
    source, shape = walk.source(args["self"]), walk.batchless(node)
    if len(walk.shapes[source]) != len(shape):
        walk.refuse(f"repeat to {shape}", "Unsqueeze first, so that axes agree.")
    return _repeated(walk, source, shape)


def _repeated(walk: Walk, source: str, shape: Shape) -> str:
    """Whole copies one behind the other; of one pixel, a larger image."""
    before = walk.shapes[source]
    if len(shape) == 3 and before[1:] == (1, 1) and shape[0] == before[0]:
        return walk.emit(Resize("nearest"), (source,), shape)
    for axis, size in enumerate(shape):
        now = walk.shapes[source]
        if now[axis] != size:
            after = (*now[:axis], size, *now[axis + 1 :])
            source = walk.emit(Concat(axis), (source,) * (size // now[axis]), after)
    return source


def _bordered(walk: Walk, args: Arguments, mode: str) -> str:
    """Padding by elements of the tensor's own: along each axis some are taken again."""
    source = walk.source(args["self"])
    rank = len(walk.shapes[source])
    amounts = [int(amount) for amount in args["pad" if "pad" in args else "padding"]]
    for i in range(len(amounts) // 2):
        axis = rank - 1 - i
        size = walk.shapes[source][axis]
        places = np.arange(-amounts[2 * i], size + amounts[2 * i + 1])
        if mode == "circular":
            places %= size
        elif mode == "replicate":
            places = places.clip(0, size - 1)
        else:
            places = size - 1 - np.abs(size - 1 - np.abs(places))
        source = walk.gathered(source, axis, places, suffix="border")
    return source


for _mode, _names in {
    "reflect": ("reflection_pad1d", "reflection_pad2d"),
    "replicate": ("replication_pad1d", "replication_pad2d"),
}.items():
    handles(*_names, makes=Gather)(
        lambda walk, args, _node, mode=_mode: _bordered(walk, args, mode)  # type: ignore[misc]
    )


# --- Elements by their numbers --------------------------------------------------------------------


@handles("flip", makes=Gather)
def _flip(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    source = walk.source(args["self"])
    for number in args["dims"]:
        axis = walk.axis(number, len(walk.shapes[source]), "a flip")
        size = walk.shapes[source][axis]
        source = walk.gathered(source, axis, range(size - 1, -1, -1), suffix="flipped")
    return source


def _places(walk: Walk, argument: Any, size: int) -> NDArray[np.int64]:
    """Constant indices of an axis of ``size`` elements; a mask is those that it has."""
    value = walk.values.get(argument) if isinstance(argument, fx.Node) else argument
    if not isinstance(value, torch.Tensor) or (value.dtype == torch.bool and value.ndim > 1):
        walk.refuse("an index that depends on the input", "Use fixed indices of one axis.")
    numbers = value.nonzero().reshape(-1) if value.dtype == torch.bool else value
    return np.asarray(numbers.detach().cpu(), np.int64) % size


@handles("index_select", makes=Gather)
def _index_select(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    source = walk.source(args["self"])
    axis = walk.axis(args["dim"], len(walk.shapes[source]), "an index")
    places = _places(walk, args["index"], walk.shapes[source][axis])
    return walk.gathered(source, axis, places.ravel())  # one place may be a number alone


@handles("index", makes=(Gather, Reshape))
def _index(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """x[:, [2, 0]], x[:, rows, columns]: of axes one behind the other, which are taken as one."""
    source = walk.source(args["self"])
    chosen = [(i, one) for i, one in enumerate(args["indices"]) if one is not None]
    shape = walk.shapes[source]
    axes = [walk.axis(number, len(shape), "an index") for number, _ in chosen]
    if axes != list(range(axes[0], axes[0] + len(axes))):
        walk.refuse("indices of axes apart from each other", "Index one axis after the other.")
    each = [_places(walk, one, shape[axis]) for axis, (_, one) in zip(axes, chosen, strict=True)]
    sizes = shape[axes[0] : axes[-1] + 1]
    places = np.ravel_multi_index(np.broadcast_arrays(*each), sizes)
    if places.size > MAX_PLACES:
        walk.refuse(f"an index of {places.size} places", f"At most {MAX_PLACES} are taken.")
    flat = (*shape[: axes[0]], math.prod(sizes), *shape[axes[-1] + 1 :])
    joined = walk.reshaped(source, flat, "joined")
    return walk.reshaped(walk.gathered(joined, axes[0], places.ravel()), walk.batchless(node))


@handles("unfold", makes=(Gather, Reshape, Transpose))
def _unfold(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """x.unfold(axis, size, step): windows of an axis, each along a new last one."""
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    axis = walk.axis(args["dimension"], len(shape), "unfold")
    size, step = int(args["size"]), int(args["step"])
    count = (shape[axis] - size) // step + 1
    places = (np.arange(count)[:, None] * step + np.arange(size)).ravel()
    if places.size > MAX_PLACES:
        walk.refuse(f"windows of {places.size} elements", f"At most {MAX_PLACES} are taken.")
    taken = walk.gathered(source, axis, places, "windows")
    split = (*shape[:axis], count, size, *shape[axis + 1 :])
    order = (*range(axis + 1), *range(axis + 2, len(split)), axis + 1)
    apart = walk.reshaped(taken, split, "split")
    return apart if order == tuple(range(len(split))) else walk.transposed(apart, order)
