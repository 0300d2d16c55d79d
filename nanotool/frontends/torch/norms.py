"""Norms over axes, and what people write by hand for them: standard deviation, p-norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import fx

from nanotool.frontends.torch.arithmetic import scaled
from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.walk import Value, Walk, handles
from nanotool.ir import BatchNorm, FloatArray, GroupNorm, LayerNorm, Mean, Reduce, Shape, Unary
from nanotool.ir import Binary as BinaryOp

RMS_EPSILON = 2.0**-23  # of nn.RMSNorm without one: float32's


def frozen(array: Any) -> FloatArray:
    """A float32 copy that cannot be written."""
    result: FloatArray = np.array(array, np.float32)
    result.setflags(write=False)
    return result


def _over_rows(walk: Walk, args: Arguments, op: LayerNorm, count: int) -> str:
    """A norm over the last ``count`` axes, as one."""
    source = walk.source(args["input"])
    shape = walk.shapes[source]
    size = math.prod(shape[len(shape) - count :])
    rows = walk.reshaped(source, (*shape[: len(shape) - count], size), suffix="rows")
    weight, bias = (walk.constant(args.get(name), name) for name in ("weight", "bias"))
    weight = frozen(np.ones(size)) if weight is None else frozen(weight.reshape(-1))
    bias = None if bias is None else frozen(bias.reshape(-1))
    result = walk.emit(op, (rows,), walk.shapes[rows], weight=weight, bias=bias)
    return walk.reshaped(result, shape, suffix="shaped")


@handles("layer_norm", makes=LayerNorm)
def _layer_norm(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    return _over_rows(walk, args, LayerNorm(float(args["eps"])), len(args["normalized_shape"]))


@handles("native_layer_norm", makes=LayerNorm)
def _native_layer_norm(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    return [_layer_norm(walk, args, node), None, None]


@handles("rms_norm", makes=LayerNorm)
def _rms_norm(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    epsilon = RMS_EPSILON if args["eps"] is None else float(args["eps"])
    op = LayerNorm(epsilon, centered=False)
    return _over_rows(walk, args, op, len(args["normalized_shape"]))


def _over_image(walk: Walk, source: str, args: Arguments, groups: int) -> str:
    """A norm over groups of channels of an image or a signal."""
    shape = walk.shapes[source]
    weight, bias = (walk.constant(args.get(name), name) for name in ("weight", "bias"))
    weight = frozen(np.ones(shape[0])) if weight is None else weight
    flat = (shape[0], 1, math.prod(shape[1:]))
    image = source if len(shape) == 3 else walk.reshaped(source, flat, suffix="image")
    op = GroupNorm(groups, float(args["eps"]))
    result = walk.emit(op, (image,), walk.shapes[image], weight=weight, bias=bias)
    return walk.reshaped(result, shape, suffix="shaped")


@handles("group_norm", makes=GroupNorm)
def _group_norm(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    return _over_image(walk, walk.source(args["input"]), args, int(args["num_groups"]))


@handles("native_group_norm", makes=GroupNorm)
def _native_group_norm(walk: Walk, args: Arguments, _node: fx.Node) -> Value:
    return [_over_image(walk, walk.source(args["input"]), args, int(args["group"])), None, None]


@handles("instance_norm", makes=GroupNorm)
def _instance_norm(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """Over each channel by itself; statistics that were tracked are a batch norm."""
    if not args["use_input_stats"]:
        walk.refuse(
            "an instance norm of tracked statistics", "Use nn.BatchNorm, or leave them out."
        )
    source = walk.source(args["input"])
    return _over_image(walk, source, args, walk.shapes[source][0])


# --- Over any axes --------------------------------------------------------------------------------


def axes_of(walk: Walk, numbers: Any, shape: Shape, what: str) -> tuple[int, ...]:
    """Ascending axes without the batch; all of them where none is named and no batch is mixed."""
    numbers = [numbers] if isinstance(numbers, int) else numbers
    if not numbers:
        walk.refuse(f"a {what} over everything", "Name the axes: x.mean((2, 3)).")
    return tuple(sorted({walk.axis(number, len(shape), f"a {what}") for number in numbers}))


def without(shape: Shape, axes: tuple[int, ...], keep: bool) -> Shape:
    """The shape behind a reduction."""
    sizes = ((1 if axis in axes else size, axis in axes) for axis, size in enumerate(shape))
    return tuple(size for size, gone in sizes if keep or not gone)


def reduced(walk: Walk, op: Mean | Reduce, source: str, suffix: str = "") -> str:
    """``source`` reduced over the axes of ``op``."""
    shape = without(walk.shapes[source], op.axes, op.keep_dims)
    return walk.emit(op, (source,), shape, suffix=suffix)


def _squares(walk: Walk, source: str) -> str:
    return walk.emit(Unary("square"), (source,), walk.shapes[source], suffix="squares")


@handles("var", "std", "var_mean", "std_mean", makes=(Mean, BinaryOp, Unary, BatchNorm))
def _deviation(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    """mean((x - mean x)²) · n / (n - correction), and its root; with the mean beside it."""
    source = walk.source(args["self"])
    shape, keep = walk.shapes[source], bool(args.get("keepdim"))
    axes = axes_of(walk, args.get("dim"), shape, operator_name(node))
    count = math.prod(shape[axis] for axis in axes)
    correction = args.get("correction", 1 if args.get("unbiased", True) else 0)
    correction = 1 if correction is None else float(correction)
    if count - correction <= 0:
        walk.refuse("a deviation of too few elements", "Give it more, or correction=0.")
    mean = reduced(walk, Mean(axes, keep_dims=True), source, "mean")
    centered = walk.emit(BinaryOp("sub"), (source, mean), shape, suffix="centered")
    squares = _squares(walk, centered)
    variance = reduced(walk, Mean(axes, keep), squares, "variance")
    result = scaled(walk, variance, count / (count - correction))
    if operator_name(node).startswith("std"):
        result = walk.emit(Unary("sqrt"), (result,), walk.shapes[result])
    if not operator_name(node).endswith("_mean"):
        return result
    return [result, walk.reshaped(mean, walk.shapes[result], "mean")]


@handles("linalg_vector_norm", "norm", makes=(Reduce, Unary))
def _vector_norm(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """The sum of |x|, the root of that of x², the largest |x|."""
    power = float(args.get("ord") or args.get("p") or 2)
    source = walk.source(args["self"])
    axes = axes_of(walk, args.get("dim"), walk.shapes[source], "norm")
    keep = bool(args.get("keepdim"))
    if power == 2:
        total = reduced(walk, Reduce("sum", axes, keep), _squares(walk, source), "sum")
        return walk.emit(Unary("sqrt"), (total,), walk.shapes[total])
    functions = {1.0: "sum", math.inf: "max", -math.inf: "min"}
    if power not in functions:
        walk.refuse(f"a norm of power {power:g}", "Powers are 1, 2 and infinity.")
    size = walk.emit(Unary("abs"), (source,), walk.shapes[source], suffix="size")
    function = functions[power]
    return reduced(walk, Reduce(function, axes, keep), size)


@handles("amin", makes=Reduce)
@handles("amax", makes=Reduce)
def _extremum(walk: Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    axes = axes_of(walk, args.get("dim"), walk.shapes[source], "maximum")
    function, keep = operator_name(node)[1:], bool(args["keepdim"])
    return reduced(walk, Reduce(function, axes, keep), source)
