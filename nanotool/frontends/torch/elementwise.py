"""Clamps, and functions of one element."""

from __future__ import annotations

import math
from typing import Any

from torch import fx

from nanotool import unary
from nanotool.frontends.torch.arithmetic import affine, binary, scaled
from nanotool.frontends.torch.functions import table_of_one
from nanotool.frontends.torch.fx_nodes import Arguments
from nanotool.frontends.torch.walk import Handler, Walk, handles
from nanotool.ir import BatchNorm, Binary, Clamp, Function, PRelu, Slice, Unary


def _emit(walk: Walk, function: str, source: str) -> str:
    return walk.emit(Unary(function), (source,), walk.shapes[source])


def _clamped(walk: Walk, source: str, low: float, high: float) -> str:
    if not low < high:
        walk.refuse(f"a clamp to {low}..{high}", "The lower bound must be below the upper.")
    return walk.emit(Clamp(low, high), (source,), walk.shapes[source])


# --- Clamps ---------------------------------------------------------------------------------------


def _clamp(low: Any, high: Any) -> Handler:
    """A handler for a clamp whose bounds are numbers, or names of arguments."""

    def handler(walk: Walk, args: Arguments, node: fx.Node) -> str:
        result = walk.source(args["self"])
        bounds = [-math.inf, math.inf]
        for side, limit in enumerate((low, high)):
            value = args.get(limit) if isinstance(limit, str) else limit
            if isinstance(value, fx.Node):
                result = binary(walk, ("maximum", "minimum")[side], result, value)
            elif value is not None:
                bounds[side] = float(value)
        if bounds == [-math.inf, math.inf]:
            return result
        return _clamped(walk, result, *bounds)

    return handler


for _name, _bounds in {
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "hardtanh": ("min_val", "max_val"),
}.items():
    handles(_name, makes=Clamp)(_clamp(*_bounds))

for _name, _bounds in {  # which may be tensors, too
    "clamp": ("min", "max"),
    "clip": ("min", "max"),
    "clamp_min": ("min", math.inf),
    "clamp_max": (-math.inf, "max"),
}.items():
    handles(_name, makes=(Clamp, Binary))(_clamp(*_bounds))


# --- Functions by name ----------------------------------------------------------------------------


def _function(name: str) -> Handler:
    def handler(walk: Walk, args: Arguments, _node: fx.Node) -> str:
        return _emit(walk, name, walk.source(args["self"]))

    return handler


for _name, _of in {
    **{name: name for name in ("abs", "exp", "log", "rsqrt", "sigmoid", "silu", "sqrt", "square")},
    **{"tanh": "tanh", "hardswish": "hard_swish", "hardsigmoid": "hard_sigmoid"},
}.items():
    handles(_name, makes=Unary)(_function(_of))


@handles("gelu", makes=Unary)
def _gelu(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    name = "gelu_tanh" if args["approximate"] == "tanh" else "gelu"
    return _emit(walk, name, walk.source(args["self"]))


@handles("pow", makes=(Unary, Function))
def _power(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """A number to the power of an activation is a table, too."""
    if walk.is_activation(args["exponent"]):
        result = table_of_one(walk, args, node)
        if result is None:
            walk.refuse("a power of two activations", "Use a number for one of them.")
        return result
    exponent = walk.number(args["exponent"], "exponent")
    source = walk.source(args["self"])
    if exponent == 1:
        return source
    names = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt"}
    if exponent in names:
        return _emit(walk, names[exponent], source)
    result = table_of_one(walk, args, node)
    if result is None:
        walk.refuse(f"a power of {exponent:g}", "Give the exponent as a number.")
    return result


@handles("glu", makes=(Unary, Binary))
def _glu(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """The first half times the sigmoid of the second."""
    source = walk.source(args["self"])
    shape, half = walk.shapes[source], walk.batchless(node)
    axis = walk.axis(args["dim"], len(shape), "a glu")
    steps, begin = (1,) * len(shape), [0] * len(shape)
    parts = []
    for name in ("value", "gate"):
        parts.append(walk.emit(Slice(tuple(begin), steps), (source,), half, suffix=name))
        begin[axis] = half[axis]
    gate = walk.emit(Unary("sigmoid"), (parts[1],), half, suffix="sigmoid")
    return walk.emit(Binary("mul"), (parts[0], gate), half)


# --- Functions with a parameter -------------------------------------------------------------------


def _leaky(walk: Walk, source: str, slope: float) -> str:
    if slope == 0:
        return _clamped(walk, source, 0.0, math.inf)
    return _emit(walk, unary.named("leaky_relu", slope), source)


@handles("leaky_relu", makes=Unary)
def _leaky_relu(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    return _leaky(walk, walk.source(args["self"]), float(args["negative_slope"]))


@handles("rrelu", makes=Unary)
def _randomized_relu(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """In eval mode the slope is the middle of its range."""
    if args["training"]:
        walk.refuse("a randomized ReLU that is on in eval mode", "Pass training=self.training.")
    slope = (float(args["lower"]) + float(args["upper"])) / 2
    return _leaky(walk, walk.source(args["self"]), slope)


@handles("prelu", makes=(PRelu, Unary))
def _prelu(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """One slope is a leaky ReLU; else one a channel."""
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    slopes = walk.constant(args["weight"], "slope")
    assert slopes is not None
    if slopes.size == 1:
        return _leaky(walk, source, float(slopes.reshape(())))
    constant = walk.add_constant(slopes.reshape(-1, *(1,) * (len(shape) - 1)), "slopes")
    return walk.emit(PRelu(), (source, constant), shape)


def _elu_of(walk: Walk, source: str, alpha: float) -> str:
    return _emit(walk, "elu" if alpha == 1 else unary.named("elu", alpha), source)


@handles("elu", makes=Unary)
def _elu(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    if (args["scale"], args["input_scale"]) != (1, 1):
        walk.refuse("an ELU with scales", "Multiply before and after it.")
    return _elu_of(walk, walk.source(args["self"]), float(args["alpha"]))


@handles("selu", makes=(Unary, BatchNorm))
def _selu(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """Klambauer et al. 2017: scale · elu(x, alpha), to the digits that PyTorch has."""
    result = _elu_of(walk, walk.source(args["self"]), 1.6732632423543772848170429916717)
    return scaled(walk, result, 1.0507009873554804934193349852946)


@handles("celu", makes=(Unary, BatchNorm))
def _celu(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """alpha · elu(x / alpha)."""
    alpha, result = float(args["alpha"]), walk.source(args["self"])
    if alpha == 1:
        return _elu_of(walk, result, 1.0)
    return scaled(walk, _elu_of(walk, scaled(walk, result, 1 / alpha), 1.0), alpha)


@handles("neg", "negative", makes=BatchNorm)
def _negative(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    return affine(walk, walk.source(args["self"]), -1.0, 0.0)
