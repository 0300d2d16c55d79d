"""Any element-wise function of one activation, through one mechanism: the PyTorch operator itself
computes the table's entries, in float64, when the model is quantized.

An operator is one if PyTorch says so (its tag `pointwise`), or if it is among `ELEMENTWISE`, and
one activation goes in, beside numbers. An operator of one's own is made with `elementwise`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from nanotool.errors import NanoError
from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.hints import HINTS
from nanotool.frontends.torch.walk import Value, Walk, falls_back, handles
from nanotool.ir import Concat, Function

# Element-wise operators without the tag.
ELEMENTWISE = frozenset(
    {
        *("mish", "softplus", "log_sigmoid", "hardshrink", "softshrink", "threshold", "softsign"),
        *("tanhshrink", "logsigmoid", "special_erf", "special_erfc", "special_expit", "log1p"),
        *("special_expm1", "special_exp2", "special_log1p", "special_sinc", "hardswish"),
        *("gelu", "silu", "celu", "selu", "elu", "leaky_relu", "hardsigmoid", "nan_to_num"),
    }
)
# Of functions with random results, or of several of the tensor's elements: never.
_NEVER = frozenset({"bernoulli", "dropout", "rrelu", "native_dropout", "prelu"})
MOST_ROWS, MOST_COLUMNS = 256, 64  # of an embedding
OWN = "nanotool_elementwise"  # the name space of `elementwise`


def elementwise(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Make ``function``, of one tensor and element by element, one operator for nanotool.

        @nanotool.elementwise
        def snake(x: torch.Tensor) -> torch.Tensor:
            return x + torch.sin(x) ** 2

    A module may call the result like the function, train through it and be exported with it. On a
    device it is a table of 256 bytes, whatever it computes: branches on values, loops and NumPy are
    fine, too, as torch.export does not look inside. Raises NanoError if it has several arguments.
    """
    name = getattr(function, "__name__", "function")
    if len(inspect.signature(function).parameters) != 1 or not name.isidentifier():
        raise NanoError(
            f"{name} is no function of one tensor.",
            "Bind the other arguments: a function with a name and one parameter.",
        )

    def forward(x: torch.Tensor) -> torch.Tensor:
        return function(x).to(x.dtype).clone()

    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = context.saved_tensors
        with torch.enable_grad():
            copy = x.detach().requires_grad_()
            result = function(copy)
        slope: torch.Tensor = torch.autograd.grad(result, copy, gradient)[0]
        return slope

    def keep(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs)

    unique = f"{OWN}::{name}"
    count = 1
    while hasattr(getattr(torch.ops, OWN), unique.split("::")[1]):
        count += 1
        unique = f"{OWN}::{name}_{count}"
    schema = "(Tensor x) -> Tensor"
    operator = torch.library.custom_op(unique, forward, mutates_args=(), schema=schema)
    operator.register_fake(torch.empty_like)
    operator.register_autograd(backward, setup_context=keep)

    def call(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = operator(x)
        return result

    call.__name__, call.__doc__ = name, function.__doc__
    return call


@dataclass(frozen=True)
class TorchFunction:
    """An ATen operator, with its numbers bound, as a function of its one activation."""

    target: Callable[..., torch.Tensor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    variable: fx.Node

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its values."""
        tensor = torch.tensor(x, dtype=torch.float64)

        def value(argument: Any) -> Any:
            return tensor if argument is self.variable else argument

        with torch.no_grad():
            result = self.target(
                *(value(one) for one in self.args),
                **{name: value(one) for name, one in self.kwargs.items()},
            )
        return np.broadcast_to(result.to(torch.float64).numpy(), x.shape)


@falls_back
def _function_of_one(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    return table_of_one(walk, args, node)


def table_of_one(walk: Walk, _args: Arguments, node: fx.Node) -> str | None:
    """``node`` as a function of one activation; None if it is none."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return None
    kind = operator_name(node).rstrip("_")
    own = target.namespace == OWN
    tagged = torch.Tag.pointwise in target.tags
    if kind in _NEVER or not (tagged or own or kind in ELEMENTWISE):
        return None
    variables = {one: walk.values[one] for one in node.all_input_nodes if walk.is_activation(one)}
    if len(set(variables.values())) != 1 or len(variables) != 1:
        return None
    (variable,) = variables
    source = walk.source(variable)
    if walk.batchless(node) != walk.shapes[source]:
        return None
    try:
        args = tuple(_bound(walk, one, variable) for one in node.args)
        kwargs = {
            name: _bound(walk, one, variable)
            for name, one in node.kwargs.items()
            if name not in ("dtype", "device", "layout", "pin_memory")
        }
    except _NoNumber:
        return None
    real = TorchFunction(target, args, kwargs, variable)
    numbers = [f"{one:g}" for one in args if isinstance(one, float) and np.isfinite(one)]
    title = re.sub(r"[^\w.:+-]", "", ":".join([kind, *numbers]))[:64]
    return walk.emit(Function(title, real), (source,), walk.shapes[source])


@dataclass(frozen=True)
class Column:
    """A column of an embedding, by the number of the row."""

    entries: tuple[float, ...]

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its values: of the nearest row that there is."""
        rows = np.clip(np.rint(x), 0, len(self.entries) - 1).astype(np.int64)
        return np.asarray(self.entries, np.float64)[rows]


@handles("embedding", makes=(Function, Concat))
def _embedding(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    """Rows by their numbers, as real ones: a table of 256 bytes for each column. Numbers up to 255
    are told apart in int8."""
    weight, source = walk.constant(args["weight"], "weight"), walk.source(args["indices"])
    assert weight is not None
    rows, columns = weight.shape
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        walk.refuse(
            f"an embedding of {rows} rows of {columns}, beyond {MOST_ROWS} of {MOST_COLUMNS},",
            HINTS["embedding"],
        )
    shape = walk.shapes[source]
    parts = []
    for i in range(columns):
        real = Column(tuple(map(float, weight[:, i])))
        one = walk.emit(Function(f"column:{i}", real), (source,), shape, suffix=f"column{i}")
        parts.append(walk.reshaped(one, (*shape, 1), suffix=f"part{i}"))
    return walk.emit(Concat(len(shape)), tuple(parts), (*shape, columns))


class _NoNumber(Exception):
    """An argument that is no number."""


def _bound(walk: Walk, argument: Any, variable: fx.Node) -> Any:
    """An argument without tensors but the variable: numbers in double precision."""
    if argument is variable:
        return argument
    if isinstance(argument, fx.Node):
        value = walk.values.get(argument)
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            raise _NoNumber
        number = value.detach().to("cpu").reshape(())
        return number.to(torch.float64) if number.is_floating_point() else number
    if isinstance(argument, (list, tuple)):
        return type(argument)(_bound(walk, one, variable) for one in argument)
    return argument
