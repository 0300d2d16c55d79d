"""Weights and biases as integers: scales that keep every accumulator within int32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import INT8_MAX, Int8Array, Node
from nanotool.ops import facts
from nanotool.validate import ACCUMULATOR_LIMIT

WEIGHT_SCALE_MIN = 2.0**-96
# A quantized bias stays below, which leaves the sums of products the rest of int32.
BIAS_LIMIT = 2**29
# The least factor from accumulator to output: weights below it are less than noise.
FACTOR_MIN = 2.0**-28
FACTOR_MAX = 0.4999


def matrix(node: Node) -> NDArray[np.float64]:
    """The weights of ``node`` [channels, terms]."""
    assert node.weight is not None
    return node.weight.reshape(len(node.weight), -1).astype(np.float64)


def natural_scales(weight: NDArray[np.float64], limit: int = INT8_MAX) -> NDArray[np.float64]:
    """The finest scale of each output channel of ``weight`` [channels, terms]: max |w| / 127, or
    another ``limit``."""
    most = np.abs(weight).max(axis=1, initial=0.0)
    return np.asarray(np.maximum(most / limit, WEIGHT_SCALE_MIN))


def finest_sum(node: Node, source: float) -> float:
    """The output scale at which one step of the accumulator is just below half an output step, for
    an input of scale ``source``."""
    weight = matrix(node)
    used = np.abs(weight).max(axis=1, initial=0.0) > 0
    return source * float((natural_scales(weight) * used).max(initial=0.0)) / FACTOR_MAX


def weight_scales(
    natural: NDArray[np.float64], bias: NDArray[np.float64], source: float, target: float
) -> NDArray[np.float32]:
    """The scale of each output channel's weights: ``natural`` (max |w| / 127), raised for a channel
    whose weights are so small, or all zero, that its bias would not fit or its factor would vanish.
    Not above a factor of 1/2: a bias that even then does not fit saturates the output anyway.
    """
    least = np.maximum(np.abs(bias) / (source * BIAS_LIMIT), FACTOR_MIN * target / source)
    most = FACTOR_MAX * target / source
    return np.maximum(natural, np.minimum(least, most)).astype(np.float32)


def quantized_bias(
    bias: NDArray[np.float64], scale: NDArray[np.float32], source: float, *, wide: bool = False
) -> NDArray[np.float64]:
    """Whole numbers at scale(in) * scale(weights), saturating at twice BIAS_LIMIT, or where sums
    are ``wide`` at a quarter of theirs."""
    integers = np.rint(bias / (source * scale.astype(np.float64)))
    limit = numerics.WIDE_LIMIT / 4 if wide else 2 * BIAS_LIMIT
    return np.clip(integers, -limit, limit)


def quantized_weights(
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    scale: NDArray[np.float32],
    source: float,
    *,
    wide: bool = False,
    limit: int = INT8_MAX,
) -> tuple[Int8Array, NDArray[np.float32]]:
    """int8 weights [channels, terms] up to ``limit``, and the scales that they have.

    A scale is doubled as long as some sum of its channel could leave int32; ``wide`` ones have 64
    bits.
    """
    scale = scale.copy()
    while True:
        step = scale.astype(np.float64)
        integers = np.clip(np.rint(weight / step[:, None]), -limit, limit)
        bound = 256 * np.abs(integers).sum(axis=1) + np.abs(quantized_bias(bias, scale, source))
        over = (bound >= ACCUMULATOR_LIMIT) & (not wide)
        if not over.any():
            return integers.astype(np.int8), scale
        scale[over] *= 2


@dataclass(frozen=True, slots=True)
class Gates:
    """The integers of a layer with gates."""

    weight: Int8Array  # [units, gates, features + units]
    scale: NDArray[np.float32]  # [2 gates]: of x's weights, then of h's
    bias: NDArray[np.int32]  # [units, biases]


def gate_weights(node: Node, source: float, hidden: float) -> Gates:
    """Weights and biases of a layer with gates, one scale a matrix, whose x and h have the scales
    ``source`` and ``hidden``."""
    assert node.weight is not None
    units, gates, terms = node.weight.shape
    bias = np.zeros((units, facts(node.op).biases)) if node.bias is None else node.bias
    parts = (
        (slice(0, terms - units), source, bias[:, :gates]),
        (slice(terms - units, terms), hidden, bias[:, gates:]),  # of the last gates, if any
    )
    weight, scales = np.zeros(node.weight.shape, np.int8), []
    biases = []
    for columns, step, own in parts:
        for gate in range(gates):
            rows = node.weight[:, gate, columns].astype(np.float64)
            number = gate - (gates - own.shape[1])
            added = own[:, number].astype(np.float64) if number >= 0 else np.zeros(units)
            natural = np.abs(rows).max(initial=0.0) / INT8_MAX
            least = np.abs(added).max() / (step * BIAS_LIMIT)
            scale = np.float32(max(natural, least, WEIGHT_SCALE_MIN))
            integers = np.clip(np.rint(rows / float(scale)), -INT8_MAX, INT8_MAX)
            weight[:, gate, columns] = integers.astype(np.int8)
            scales.append(scale)
            if number >= 0:
                biases.append(quantized_bias(added, np.array(scale), step).astype(np.int32))
    return Gates(weight, np.array(scales, np.float32), np.stack(biases, axis=1))


def farthest_argument(node: Node, source: float, hidden: float) -> float:
    """How far the sums over x or over h of a gate can reach, whatever x and h are in int8."""
    assert node.weight is not None
    units = len(node.weight)
    reach = [
        255 * step * np.abs(part).sum(axis=2, dtype=np.float64).max(initial=0.0)
        for part, step in ((node.weight[..., :-units], source), (node.weight[..., -units:], hidden))
    ]
    return float(max(reach)) + (0.0 if node.bias is None else float(np.abs(node.bias).max()))
