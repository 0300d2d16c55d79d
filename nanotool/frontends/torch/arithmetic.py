"""Sums, differences, products, quotients, and the larger or smaller of two."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from nanotool.frontends.torch.functions import table_of_one
from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.walk import Value, Walk, handles
from nanotool.ir import ArgMax, BatchNorm, Binary, Clamp, Function, Reduce, Shape, Unary

_OUT_OF_ORDER = "Keep the batch as the first axis of both: x * gate.view(-1, C, 1, 1)."


def affine(walk: Walk, source: str, gain: Any, offset: Any, suffix: str = "") -> str:
    """gain · x + offset; both are numbers or one number a channel. Folding will put it into a
    layer beside it, or make an operator of it."""
    weight, bias = np.broadcast_arrays(np.float64(gain), np.float64(offset))
    weight, bias = (np.array(array, np.float32).reshape(-1) for array in (weight, bias))
    walk.check_finite(np.concatenate([weight, bias]), "constant")
    for array in (weight, bias):
        array.setflags(write=False)
    shape = walk.shapes[source]
    single = weight.size == 1 or len(shape) in (1, 3)
    image = source if single else walk.image(source, "arithmetic")
    image_shape = walk.shapes[image]
    op = BatchNorm()
    result = walk.emit(op, (image,), image_shape, weight=weight, bias=bias, suffix=suffix)
    return result if single else walk.from_image(result, len(shape))


def scaled(walk: Walk, source: str, factor: float) -> str:
    """factor · x."""
    return affine(walk, source, factor, 0.0)


def fixed_values(walk: Walk, argument: Any) -> NDArray[np.float64] | None:
    """A number's value, or a constant tensor's; None for what depends on the batch."""
    value = walk.values.get(argument) if isinstance(argument, fx.Node) else argument
    if isinstance(value, torch.Tensor):
        return np.asarray(value.detach().to("cpu", torch.float64).numpy())
    return np.array(float(value)) if isinstance(value, (int, float)) else None


def _constant(walk: Walk, argument: Any, rank: int) -> NDArray[np.float64] | None:
    """An operand that is a number or a constant, without batch and with ``rank`` axes; None for
    an activation."""
    if walk.is_activation(argument):
        return None
    array = fixed_values(walk, argument)
    if array is None:
        walk.refuse("arithmetic with a number that depends on the batch", "Use a fixed number.")
    walk.check_finite(array, "constant")
    array = array.reshape(*(1,) * (rank + 1 - array.ndim), *array.shape)
    array = walk.once(array)
    if array.ndim > rank + 1 or array.shape[0] != 1:
        walk.refuse(f"a constant of shape {array.shape} that has an axis for the batch", "Cut it.")
    return np.asarray(array[0], np.float64)


def _per_channel(constant: NDArray[np.float64], shape: Shape) -> NDArray[np.float64] | None:
    """A constant as a number, or one number for each index of the first axis of ``shape``; None if
    it is neither. Of axes up to three, as batch norm has it."""
    if constant.size and (constant == constant.flat[0]).all() and _fits(constant.shape, shape):
        return constant.reshape(-1)[:1]
    if len(shape) <= 3 and constant.shape == (shape[0], *(1,) * (len(shape) - 1)):
        return constant.reshape(-1)
    return None


def _fits(constant: Shape, shape: Shape) -> bool:
    """Whether a result has ``shape`` still."""
    return all(size in (1, whole) for size, whole in zip(constant, shape, strict=True))


def _operand(walk: Walk, argument: Any, rank: int) -> str:
    """The tensor of an operand, constants included."""
    constant = _constant(walk, argument, rank)
    return walk.source(argument) if constant is None else walk.add_constant(constant)


def _rank(walk: Walk, *arguments: Any) -> int:
    """The axes of the operands that are activations, the same for all."""
    ranks = {len(walk.shapes[walk.source(a)]) for a in arguments if walk.is_activation(a)}
    if walk.whole and ranks:
        return max(ranks)  # shapes are aligned at the last axis
    if len(ranks) != 1:
        assert walk.current is not None
        shapes = walk.shapes_of_inputs(walk.current)
        walk.refuse(f"{operator_name(walk.current)} of shapes {shapes}", _OUT_OF_ORDER)
    return ranks.pop()


def _emit(walk: Walk, function: str, first: str, second: str) -> str:
    """Two activations, or one and a constant. Operands need not have been expanded."""
    assert walk.current is not None
    shape = walk.batchless(walk.current)
    operands = [first, second]
    if walk.whole:
        ranks = [(1,) * (len(shape) - len(walk.shapes[t])) for t in operands]
        pairs = zip(operands, ranks, strict=True)
        operands = [walk.reshaped(t, (*one, *walk.shapes[t]), suffix="one") for t, one in pairs]
    for i, tensor in enumerate(operands):
        original = walk.spread.get(tensor, tensor)
        other = walk.shapes[operands[1 - i]]
        if np.broadcast_shapes(walk.shapes[original], other) == shape:
            operands[i] = original
    return walk.emit(Binary(function), (operands[0], operands[1]), shape)


def binary(walk: Walk, function: str, source: str, other: Any) -> str:
    """The larger or smaller of a tensor and an argument; a clamp if that is a number."""
    shape = walk.shapes[source]
    constant = _constant(walk, other, len(shape))
    if constant is None:
        _rank(walk, other)
        return _emit(walk, function, source, walk.source(other))
    if (constant == constant.flat[0]).all() and _fits(constant.shape, shape):
        bound = float(constant.flat[0])
        op = Clamp(bound, np.inf) if function == "maximum" else Clamp(-np.inf, bound)
        return walk.emit(op, (source,), shape)
    return _emit(walk, function, source, walk.add_constant(constant))


# --- Sums and differences -------------------------------------------------------------------------


@handles("add", "sub", "subtract", makes=(Binary, BatchNorm))
def _sum(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """self ± alpha · other."""
    alpha = walk.number(args.get("alpha", 1), "alpha")
    sign = 1.0 if operator_name(node).rstrip("_") == "add" else -1.0
    return weighted_sum(walk, (1.0, args["self"]), (sign * alpha, args["other"]))


@handles("rsub", makes=(Binary, BatchNorm))
def _reverse_difference(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """other - alpha · self."""
    alpha = walk.number(args.get("alpha", 1), "alpha")
    return weighted_sum(walk, (1.0, args["other"]), (-alpha, args["self"]))


def weighted_sum(walk: Walk, first: tuple[float, Any], second: tuple[float, Any]) -> str:
    """The sum of two terms, each a factor and an argument."""
    (weight1, a), (weight2, b) = first, second
    rank = _rank(walk, a, b)
    for weight, source, other_weight, other in ((weight1, a, weight2, b), (weight2, b, weight1, a)):
        constant = _constant(walk, other, rank)
        if constant is None:
            continue
        name = walk.source(source)
        channel = _per_channel(constant, walk.shapes[name])
        if channel is not None:
            return affine(walk, name, weight, other_weight * channel)
    return _general_sum(
        walk, (weight1, _operand(walk, a, rank)), (weight2, _operand(walk, b, rank))
    )


def _general_sum(walk: Walk, first: tuple[float, str], second: tuple[float, str]) -> str:
    """Of two tensors. A factor of -1 is a subtraction, others are folded away later."""
    (weight1, a), (weight2, b) = first, second
    if a == b and a not in walk.constants:
        return scaled(walk, a, weight1 + weight2)
    if weight1 == 1 and weight2 == -1:
        return _emit(walk, "sub", a, b)
    if weight1 == -1 and weight2 == 1:
        return _emit(walk, "sub", b, a)
    return _emit(walk, "add", _times(walk, weight1, a), _times(walk, weight2, b))


def _times(walk: Walk, weight: float, tensor: str) -> str:
    if weight == 1:
        return tensor
    if tensor in walk.constants:
        return walk.add_constant(weight * walk.constants[tensor])
    return affine(walk, tensor, weight, 0.0, suffix="scaled")


# --- Products and quotients -----------------------------------------------------------------------


@handles("mul", "multiply", makes=(Binary, BatchNorm, Unary))
def _product(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    rank = _rank(walk, args["self"], args["other"])
    for source, other in ((args["self"], args["other"]), (args["other"], args["self"])):
        constant = _constant(walk, other, rank)
        if constant is not None:
            return _times_constant(walk, walk.source(source), constant)
    first, second = (_operand(walk, args[name], rank) for name in ("self", "other"))
    if first == second:
        return walk.emit(Unary("square"), (first,), walk.shapes[first])
    return _emit(walk, "mul", first, second)


def _times_constant(walk: Walk, source: str, constant: NDArray[np.float64]) -> str:
    channel = _per_channel(constant, walk.shapes[source])
    if channel is not None:
        return affine(walk, source, channel, 0.0)
    return _emit(walk, "mul", source, walk.add_constant(constant))


@handles("div", "divide", "true_divide", makes=(Binary, BatchNorm, Function))
def _quotient(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """A number over an activation is a table."""
    if args.get("rounding_mode") is not None:
        result = table_of_one(walk, args, node)
        if result is None:
            walk.refuse("a division that rounds", "Leave rounding_mode out.")
        return result
    if walk.is_activation(args["other"]):
        result = table_of_one(walk, args, node)
        if result is not None:
            return result
        rank = _rank(walk, args["self"], args["other"])
        dividend, divisor = (_operand(walk, args[name], rank) for name in ("self", "other"))
        return _emit(walk, "div", dividend, divisor)
    source = walk.source(args["self"])
    constant = _constant(walk, args["other"], len(walk.shapes[source]))
    assert constant is not None
    if not constant.all():
        walk.refuse("a division by zero", "Add a small number to the divisor.")
    return _times_constant(walk, source, 1 / constant)


# --- The larger, the smaller, the place of the largest --------------------------------------------


@handles("maximum", "minimum", "fmax", "fmin", makes=(Binary, Clamp))
@handles("min", makes=(Binary, Clamp, Reduce))
@handles("max", makes=(Binary, Clamp, ArgMax, Reduce))
def _extremum(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    name = operator_name(node)
    if "other" not in args:
        return _along_axis(walk, args, node)
    function = "maximum" if "max" in name else "minimum"
    first, second = args["self"], args["other"]
    if not walk.is_activation(first):
        first, second = second, first
    _rank(walk, first, second)
    source = walk.source(first)
    if walk.is_activation(second) and walk.source(second) == source:
        return source
    return binary(walk, function, source, second)


def _along_axis(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    """x.max(1): (values, indices), of which the indices are an argmax; those that are used."""
    function = operator_name(node)
    if args.get("dim") is None:
        walk.refuse(f"a {function} over everything", f"Name the axis: x.{function}(1).")
    parts = (user for user in node.users if user.target is operator.getitem)
    used = {part.args[1] for part in parts if part.users}
    results: list[Value] = [None, None]
    if 0 in used:
        source = walk.source(args["self"])
        axis = walk.axis(args["dim"], len(walk.shapes[source]), f"a {function}")
        op = Reduce(function, (axis,), bool(args.get("keepdim")))
        results[0] = walk.emit(op, (source,), walk.without_batch(node.meta["val"][0]))
    if 1 in used:
        if function == "min":
            walk.refuse("the place of the smallest", "Take that of the largest of -x.")
        results[1] = _argmax_of(walk, args, node.meta["val"][1])
    return results


@handles("argmax", makes=ArgMax)
def _argmax(walk: Walk, args: Arguments, node: fx.Node) -> str:
    if args.get("dim") is None:
        walk.refuse("an argmax over everything", "Name the axis: x.argmax(1).")
    return _argmax_of(walk, args, node.meta["val"])


def _argmax_of(walk: Walk, args: Arguments, indices: Any) -> str:
    source = walk.source(args["self"])
    if args.get("keepdim"):
        walk.refuse("an argmax that keeps its axis", "Leave keepdim out.")
    axis = walk.axis(args["dim"], len(walk.shapes[source]), "an argmax")
    return walk.emit(ArgMax(axis), (source,), walk.without_batch(indices))
