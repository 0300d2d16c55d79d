"""Comparisons, choices between two tensors, and logic: what is true is 1, what is false 0.

A comparison with a number is a table; of two activations it is one of their difference. A choice is
condition · a + (1 - condition) · b; where everything is a function of one tensor, one table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from nanotool.frontends.torch.arithmetic import affine, fixed_values, weighted_sum
from nanotool.frontends.torch.functions import TorchFunction, table_of_one
from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.walk import Walk, handles
from nanotool.ir import BatchNorm, Binary, Function, Shape

# In place of minus infinity, which hides a place from a softmax: far below all real scores.
HIDDEN = -1024.0


@handles(
    *("gt", "lt", "ge", "le", "eq", "ne", "not_equal"),
    *("greater", "less", "greater_equal", "less_equal"),
    makes=(Function, Binary),
)
def _comparison(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """Of two activations: of their difference with 0."""
    result = table_of_one(walk, args, node)
    if result is not None:
        return result
    difference = weighted_sum(walk, (1.0, args["self"]), (-1.0, args["other"]))
    kind = operator_name(node)
    operator = {"greater": "gt", "less": "lt", "greater_equal": "ge", "less_equal": "le"}
    target = getattr(torch.ops.aten, operator.get(kind, kind).replace("not_equal", "ne")).Scalar
    real = TorchFunction(target, (node, 0.0), {}, node)
    return walk.emit(Function(f"{kind}:0", real), (difference,), walk.shapes[difference])


@handles("logical_not", "bitwise_not", makes=BatchNorm)
def _not(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    return affine(walk, walk.source(args["self"]), -1.0, 1.0)


@handles(*("logical_and", "bitwise_and", "__and", "logical_or", "bitwise_or", "__or"), makes=Binary)
def _both(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """The smaller, or the larger of the two."""
    function = "minimum" if "and" in operator_name(node) else "maximum"
    if not (walk.is_activation(args["self"]) and walk.is_activation(args["other"])):
        walk.refuse("logic with a constant", "Fold it by hand.")
    operands = (walk.source(args["self"]), walk.source(args["other"]))
    return walk.emit(Binary(function), operands, walk.batchless(node))


@handles("where", makes=(Binary, BatchNorm))
def _where(walk: Walk, args: Arguments, node: fx.Node) -> str:
    # as PyTorch's own operator calls them, or the primitive one
    names = ("condition", "self", "other") if "condition" in args else ("pred", "a", "b")
    return _chosen(walk, node, *(args[name] for name in names))


@handles("masked_fill", makes=(Binary, BatchNorm))
def _masked_fill(walk: Walk, args: Arguments, node: fx.Node) -> str:
    return _chosen(walk, node, args["mask"], args["value"], args["self"])


def _chosen(walk: Walk, node: fx.Node, condition: Any, first: Any, second: Any) -> str:
    """``first`` where ``condition``, else ``second``."""
    shape = walk.batchless(node)
    if walk.is_activation(condition):
        return _computed(walk, shape, condition, first, second)
    mask = _mask(walk, condition, len(shape))
    for argument, chosen_here in ((first, mask), (second, 1 - mask)):
        if chosen_here.all() and walk.is_activation(argument):
            source = walk.source(argument)
            if walk.shapes[source] == shape:
                return source
    kept = []
    for argument, chosen_here in ((first, mask), (second, 1 - mask)):
        if walk.is_activation(argument):
            factor = walk.add_constant(chosen_here, "mask")
            source = walk.source(argument)
            kept.append(walk.emit(Binary("mul"), (source, factor), shape, suffix="kept"))
    offset = np.zeros(shape)
    for argument, chosen_here in ((first, mask), (second, 1 - mask)):
        if not walk.is_activation(argument):
            value = _values(walk, argument, len(shape))
            offset = offset + np.where(chosen_here > 0, value, 0.0)
    if len(kept) == 2:
        return walk.emit(Binary("add"), (kept[0], kept[1]), shape)
    if not offset.any():
        return kept[0]
    return walk.emit(Binary("add"), (kept[0], walk.add_constant(offset)), shape)


def _computed(walk: Walk, shape: Shape, condition: Any, first: Any, second: Any) -> str:
    """Where the condition is an activation."""
    chosen = walk.source(condition)
    other = affine(walk, chosen, -1.0, 1.0, suffix="else")
    parts = [_part(walk, first, chosen), _part(walk, second, other)]
    terms = [part for part in parts if part is not None]
    if not terms:
        return affine(walk, chosen, 0.0, 0.0)
    if len(terms) == 1:
        return terms[0]
    return walk.emit(Binary("add"), (terms[0], terms[1]), shape)


def _part(walk: Walk, argument: Any, chosen: str) -> str | None:
    """``argument`` times 0 or 1; None for zeros."""
    if walk.is_activation(argument):
        source = walk.source(argument)
        shape = np.broadcast_shapes(walk.shapes[source], walk.shapes[chosen])
        return walk.emit(Binary("mul"), (source, chosen), shape, suffix="kept")
    value = _values(walk, argument, len(walk.shapes[chosen]))
    if not value.any():
        return None
    if value.size == 1:
        return affine(walk, chosen, float(value.reshape(())), 0.0, suffix="kept")
    constant = walk.add_constant(value)
    shape = np.broadcast_shapes(value.shape, walk.shapes[chosen])
    return walk.emit(Binary("mul"), (chosen, constant), shape, suffix="kept")


def _mask(walk: Walk, argument: Any, rank: int) -> NDArray[np.float64]:
    return np.asarray(_values(walk, argument, rank) != 0, np.float64)


def _values(walk: Walk, argument: Any, rank: int) -> NDArray[np.float64]:
    """A constant without batch, of ``rank`` axes, infinities `HIDDEN`."""
    array = fixed_values(walk, argument)
    if array is None:
        walk.refuse("a choice by what depends on the batch", "Use fixed numbers.")
    array = finite(array)
    if array.ndim <= rank:
        return array.reshape(*(1,) * (rank - array.ndim), *array.shape)
    array = walk.once(array)
    if array.ndim != rank + 1 or len(array) != 1:
        walk.refuse(f"a constant of shape {array.shape} that has an axis for the batch", "Cut it.")
    return np.asarray(array[0])


def finite(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Infinite and huge negative numbers, as masks have them, as `HIDDEN`."""
    return np.where(array < -1e9, HIDDEN, np.where(array > 1e9, -HIDDEN, array))
