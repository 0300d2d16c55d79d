"""The least scales: below them an operator's integers would leave int32, or its form ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from nanotool.ir import (
    Binary,
    Conv2D,
    ConvTranspose2D,
    Dense,
    GroupNorm,
    LayerNorm,
    LogSoftmax,
    MatMul,
    Op,
    PRelu,
    Softmax,
    Unary,
)
from nanotool.ops import FloatLayer, Registry, facts
from nanotool.ops.shape import running_sum_bits
from nanotool.quantization.weights import finest_sum

# How much larger than an input's the output's step may be made by an operator that rescales: the
# scaled element, 8 bits (a product: 16), has to stay within int32.
FINEST_ONE, FINEST_PRODUCT = 2.0**-20, 2.0**-13
FINEST_SUM = 2.0**-18  # of two: they are added as 2^19 steps each, and only ever made smaller

# Functions whose tables are rounded from real numbers: any scale will do.
TABLES = frozenset({"exp", "gelu", "gelu_tanh", "log", "rsqrt", "silu", "sqrt", "square"})

# (layer, scales of its inputs) -> the least scale of its output
FinestOutput: TypeAlias = Callable[[FloatLayer[Any], Sequence[float]], float]


def _rescaled(layer: FloatLayer[Op], scales: Sequence[float]) -> float:
    """Operators that store with a scale of their own rescale each element."""
    return FINEST_ONE * max(scales) if facts(layer.op).scales_output else 0.0


finest_output = Registry[FinestOutput]("quantization/finest.py: output", default=_rescaled)


@finest_output(Conv2D, ConvTranspose2D, Dense)
def _weighted(layer: FloatLayer[Op], scales: Sequence[float]) -> float:
    return finest_sum(layer.node, scales[0])


@finest_output(LayerNorm, GroupNorm)
def _norm(layer: FloatLayer[Op], _scales: Sequence[float]) -> float:
    return finest_sum(layer.node, facts(layer.op).factor_scale or 1.0)


@finest_output(MatMul)
def _matmul(_layer: FloatLayer[MatMul], scales: Sequence[float]) -> float:
    return FINEST_PRODUCT * scales[0] * scales[1]


@finest_output(Binary)
def _binary(layer: FloatLayer[Binary], scales: Sequence[float]) -> float:
    if layer.op.function == "div":
        return FINEST_ONE * scales[0] / scales[1]
    if layer.op.function == "mul":
        return FINEST_PRODUCT * scales[0] * scales[1]
    if layer.op.function == "squared_difference":
        return 2 * FINEST_PRODUCT * max(scales) ** 2
    return FINEST_SUM * max(scales)


@finest_output.where(lambda what: what.along_axis and what.scales_output)
def _running_sum(layer: FloatLayer[Any], scales: Sequence[float]) -> float:
    """What is made along an axis adds its elements: twice what `running_sum` can bear, whatever the
    zero point."""
    return 2 * scales[0] / 2.0 ** running_sum_bits(256 * layer.shape[layer.op.axis])


@finest_output(PRelu)
def _prelu(_layer: FloatLayer[PRelu], scales: Sequence[float]) -> float:
    return max(FINEST_ONE * scales[0], FINEST_PRODUCT * scales[0] * scales[1])


@finest_output(Unary)
def _unary(layer: FloatLayer[Unary], scales: Sequence[float]) -> float:
    if layer.op == Unary("hard_swish"):
        return scales[0] / 127
    return 0.0 if layer.op.function in TABLES else FINEST_ONE * scales[0]


# --- Inputs: logits that differ by less make no difference to a softmax ---------------------------

FinestInput: TypeAlias = Callable[[FloatLayer[Any]], float]  # layer -> the least scale of its input


def _any(_layer: FloatLayer[Op]) -> float:
    return 0.0


finest_input = Registry[FinestInput]("quantization/finest.py: input", default=_any)


@finest_input(Softmax)
def _softmax(layer: FloatLayer[Softmax]) -> float:
    return 2.0**-25 / layer.op.beta


@finest_input(LogSoftmax)
def _log_softmax(_layer: FloatLayer[LogSoftmax]) -> float:
    return 2.0**-25
