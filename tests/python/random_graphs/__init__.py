"""Random but valid QGraphs over every operator, small enough for every device.

    random_graph(seed)              the same graph for the same seed, always
    random_steps(seed)              likewise with states, several inputs and outputs
    graphs()                        the same as a hypothesis strategy (shrinks to fewer layers)
    random_inputs(graph, n, seed)   inputs: random ones, and the extremes
    examples(n)                     hypothesis settings: n examples, the same ones on every run;
                                    NANO_EXAMPLES=20 takes 20 times as many, new ones each time

Shapes are odd, strides and paddings uneven, scales and zero points sometimes extreme, clamps of
every kind, weights reach ±127 and now and then -128 (which imported models may hold). Branches
part and come together again, tensors are read twice, constants broadcast. Scales are chosen so
that most layers use the int8 range and no accumulator leaves int32.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nanotool.ir import DTYPES, ZERO_POINTS, Conv2D, Dense, QGraph, Shape
from random_graphs.builder import FULL, MAX_TENSOR, MAX_WEIGHTS, Builder, Maker
from random_graphs.custom import custom_operator
from random_graphs.joins import JOINS, other_output, quantized_input
from random_graphs.layers import PLAIN, same_padding, seam
from random_graphs.steps import grown, random_sequence

__all__ = [
    "ALL",
    "BASIC",
    "FULL",
    "INT16",
    "KINDS",
    "MAX_TENSOR",
    "MAX_WEIGHTS",
    "TFLITE",
    "examples",
    "graphs",
    "in_int4",
    "random_graph",
    "random_inputs",
    "random_sequence",
    "random_steps",
    "same_padding",
]

ALL = (*PLAIN, *JOINS)
BASIC = (
    *("dense", "conv2d", "max_pool", "average_pool"),
    *("unary", "softmax", "reshape", "transpose"),
)
KINDS = ALL  # by default
TFLITE = tuple(kind for kind in ALL if kind not in {"layer_norm", "group_norm"})  # can express
# What has a form for int16; the other kinds fail there, and are drawn again.
INT16 = (
    *("dense", "conv2d", "depthwise_conv2d", "conv_transpose2d", "max_pool", "average_pool"),
    *("mean", "reduce", "unary", "softmax", "reshape", "transpose", "slice", "pad", "resize"),
    *("quantize", "seam", "binary", "prelu", "concat", "fork"),
)
_OFTEN = {"conv2d": 3, "conv_transpose2d": 2, "dense": 3, "unary": 4, "binary": 3, "fork": 4}
_SPATIAL = {
    *("conv2d", "depthwise_conv2d", "conv_transpose2d"),
    *("max_pool", "average_pool", "resize"),
}


def _input_shape(b: Builder, kinds: Sequence[str]) -> Shape:
    if _SPATIAL.isdisjoint(kinds) and b.chance(0.4):
        return tuple(b.between(1, 6) for _ in range(b.between(1, 4)))
    if _SPATIAL.isdisjoint(kinds) and b.chance(0.6):
        return (b.between(1, 300),)
    if b.chance(0.15) and not _SPATIAL.issuperset(kinds):
        return (b.between(1, 200),)
    return b.between(1, 11), b.between(1, 11), int(b.rng.choice([1, 1, 2, 3, 4, 5, 8, 12]))


def _urn(makers: dict[str, Maker], kinds: Sequence[str]) -> list[Maker]:
    return [makers[kind] for kind in kinds if kind in makers for _ in range(_OFTEN.get(kind, 1))]


def random_graph(
    seed: int,
    layers: int | None = None,
    kinds: Sequence[str] = KINDS,
    *,
    tflite: bool = False,
    borders: bool = False,
    int16: bool = False,
) -> QGraph:
    """A valid graph of ``layers`` (None: 1 to 7; 1 to 12 where branches are) random operators of
    the ``kinds``, each a member of `ALL`, or "custom": operators of installed packages.

    ``tflite``: only what a .tflite file can express (no dilated pools, no average pool with
    a padding other than SAME) and TFLite Micro computes without undefined behaviour.
    ``int16``: the input is int16, and so is what follows but for what stands between two seams.
    ``borders``: some inputs and outputs are uint8, float32 or int32, by one more operator each.
    """
    b = Builder(np.random.default_rng(seed), tflite, 0)
    b.makers = _urn(PLAIN, kinds) or _urn(JOINS, kinds)
    makers = {**PLAIN, **JOINS, "seam": seam, "custom": custom_operator}
    b.makers += [seam] * (int16 and "seam" in kinds)
    urn = _urn(makers, kinds)
    wanted = b.between(1, 12 if "fork" in kinds else 7) if layers is None else layers
    while True:
        dtype = str(b.rng.choice(["uint8", "float32"])) if borders and b.chance(0.4) else "int8"
        dtype = "int16" if int16 else dtype
        b.start(_input_shape(b, kinds), dtype)
        b.wanted = wanted + (dtype not in {"int8", "int16"})
        if dtype not in {"int8", "int16"} and not quantized_input(b):
            continue
        for _ in range(20 * wanted):
            if b.room:
                urn[b.between(0, len(urn) - 1)](b)
        if b.room:
            continue
        if borders and b.chance(0.4):
            other_output(b)
        break
    name = f"random_{seed}"
    return b.graph(name, random_inputs(b.graph(name), 4, seed))


def in_int4(graph: QGraph) -> QGraph:
    """``graph`` with weights of four bits in its convolutions and dense layers."""
    ops = tuple(
        replace(op, weight=op.weight >> 4)
        if isinstance(op.op, (Conv2D, Dense)) and op.weight is not None
        else op
        for op in graph.ops
    )
    return replace(graph, ops=ops)


def random_steps(seed: int) -> QGraph:
    """A valid model with states, and perhaps with several inputs and outputs, that a .tflite file
    can express."""
    rng = np.random.default_rng([seed, 4])
    while True:
        b = Builder(rng, True, 0)
        b.makers = _urn(PLAIN, TFLITE)
        b.start(_input_shape(b, TFLITE))
        graph = grown(b, b.between(4, 14))
        if graph is not None:
            return graph


def random_inputs(graph: QGraph, n: int, seed: int = 0) -> NDArray[Any]:
    """``n`` inputs [n, *shape]: random bytes, narrow ranges, and the extremes."""
    rng = np.random.default_rng([seed, 1])
    tensor = graph.input_tensor
    shape = (n, *tensor.shape)
    if tensor.dtype == "float32":
        x = rng.normal(0, 3, shape).astype(np.float32)
        for i, factor in zip(range(1, n, 3), (100.0, 0.0, 1e-3), strict=False):
            x[i] *= np.float32(factor)
        return x
    low, high = ZERO_POINTS[tensor.dtype]
    q = rng.integers(low, high + 1, shape).astype(DTYPES[tensor.dtype])
    for i, fill in zip(range(1, n, 5), (low, high, tensor.zero_point), strict=False):
        q[i] = fill
    for i in range(3, n, 5):
        q[i] //= 16
    return q


def graphs(
    kinds: Sequence[str] = KINDS,
    max_layers: int = 7,
    *,
    tflite: bool = False,
    borders: bool = False,
    int16: bool = False,
) -> st.SearchStrategy[QGraph]:
    """`random_graph` as a hypothesis strategy."""
    return st.builds(
        lambda layers, seed: random_graph(
            seed, layers, kinds, tflite=tflite, borders=borders, int16=int16
        ),
        st.integers(1, max_layers),
        st.integers(0, 2**32 - 1),
    )


def examples(n: int) -> settings:
    """Settings for ``n`` examples, times the environment's NANO_EXAMPLES."""
    factor = float(os.environ.get("NANO_EXAMPLES", "1"))
    return settings(
        max_examples=max(1, round(n * factor)),
        derandomize=factor == 1,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
