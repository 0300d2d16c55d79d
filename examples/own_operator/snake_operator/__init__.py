"""Two operators of one's own: `snake`, an activation by a table, and `edge`, along the last axis.

snake:  y = x + sin(alpha x)^2 / alpha, element by element: a table of 256 bytes for each model
edge:   y[..., i] = x[..., i + 1] - x[..., i], one element less than its input: integers only

Both are PyTorch operators: call them in a module's forward, train, quantize. `OPERATORS` tells
nanotool the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nanotool.custom import (
    Call,
    Custom,
    CustomOperator,
    Layer,
    Struct,
    TargetLayer,
    factor,
    numerics,
    overlap,
    positions,
    store,
)

HERE = Path(__file__).parent
Shape = tuple[int, ...]

# --- snake ----------------------------------------------------------------------------------------


@torch.library.custom_op("lab::snake", mutates_args=())
def snake(x: torch.Tensor, alpha: float) -> torch.Tensor:
    """x + sin(alpha x)^2 / alpha."""
    return x + torch.sin(alpha * x) ** 2 / alpha


@snake.register_fake
def _(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[torch.Tensor, float], output: torch.Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.alpha = inputs[1]


def _slope(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
    (x,) = ctx.saved_tensors
    return gradient * (1 + torch.sin(2 * ctx.alpha * x)), None


snake.register_autograd(_slope, setup_context=_keep)


def _real_snake(op: Custom, x: NDArray[Any]) -> NDArray[Any]:
    (alpha,) = op.numbers
    wide = x.astype(np.float64)
    return np.asarray(wide + np.sin(alpha * wide) ** 2 / alpha)


def _entries(layer: Layer[Custom]) -> NDArray[np.int8]:
    """int8[256]: entry i is the output for the input i - 128."""
    source, target = layer.input, layer.output
    x = source.scale * (np.arange(-128, 128) - source.zero_point)
    q = np.rint(_real_snake(layer.op, x) / target.scale) + target.zero_point
    return np.asarray(np.clip(q, *layer.clamp), np.int8)


def _integer_snake(layer: Layer[Custom], x: NDArray[np.int8]) -> NDArray[np.int8]:
    return _entries(layer)[x.astype(np.int64) + 128]


def _lower_snake(layer: TargetLayer[Custom]) -> Call:
    """Byte by byte, so the output may lie over the input."""
    table = layer.array("table", _entries(layer), "snake of each int8")
    fields = (("table", table), ("size", layer.output.size))
    return Call("lab_snake", Struct("lab_snake_params", fields), (0,))


SNAKE = CustomOperator(
    name="lab::snake",
    numbers=("alpha",),
    order="any",
    clamps=True,
    shape=lambda op, shapes: shapes[0],
    real=_real_snake,
    integer=_integer_snake,
    lower=_lower_snake,
    torch=lambda op, x: snake(x, *op.numbers),
    random=lambda rng, shape: ((float(np.float32(rng.uniform(0.1, 3))),), ()),
    sources=(HERE / "lab_snake.c", HERE / "lab_snake.h"),
)

# --- edge -----------------------------------------------------------------------------------------


@torch.library.custom_op("lab::edge", mutates_args=())
def edge(x: torch.Tensor) -> torch.Tensor:
    """x[..., 1:] - x[..., :-1]."""
    return x[..., 1:] - x[..., :-1]


@edge.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], x.shape[-1] - 1))


def _difference_slope(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
    pad = torch.nn.functional.pad
    return pad(gradient, (1, 0)) - pad(gradient, (0, 1))


edge.register_autograd(_difference_slope)


def _edge_shape(op: Custom, shapes: tuple[Shape, ...]) -> Shape:
    (shape,) = shapes
    if not shape or shape[-1] < 2:
        raise ValueError(f"it needs two elements along the last axis, not {shape}")
    return (*shape[:-1], shape[-1] - 1)


def _multiplier(layer: Layer[Custom]) -> tuple[int, int]:
    return numerics.quantize_multiplier(layer.input.scale / layer.output.scale)


def _integer_edge(layer: Layer[Custom], x: NDArray[np.int8]) -> NDArray[np.int8]:
    """The zero points of both elements cancel."""
    difference = np.diff(x.astype(np.int64), axis=-1)
    multiplier, shift = _multiplier(layer)
    q = numerics.requantize(difference, multiplier, shift, layer.output.zero_point, *layer.clamp)
    return np.asarray(q, np.int8)


def _lower_edge(layer: TargetLayer[Custom]) -> Call:
    """Output byte [r, i] needs the input's [r, i] and [r, i + 1]."""
    width = layer.output.shape[-1]
    fields = (
        ("rows", layer.output.size // width),
        ("width", width),
        ("factor", factor(_multiplier(layer))),
        ("store", store(layer)),
    )
    needs = positions(layer.input)[..., :-1].reshape(-1)
    return Call("lab_edge", Struct("lab_edge_params", fields), (overlap(needs),))


EDGE = CustomOperator(
    name="lab::edge",
    order="torch",
    clamps=True,
    shape=_edge_shape,
    check=_multiplier,
    real=lambda op, x: np.diff(x, axis=-1),
    integer=_integer_edge,
    lower=_lower_edge,
    torch=lambda op, x: edge(x),
    random=lambda rng, shape: ((), ()) if shape and shape[-1] > 1 else None,
    sources=(HERE / "lab_edge.c", HERE / "lab_edge.h"),
)

OPERATORS = (SNAKE, EDGE)
