"""How good a quantization is, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.inputs import to_device
from nanotool.ir import Graph, Int8Array, LayerQuality, QGraph, QTensor, unclamped
from nanotool.quantization.evaluate import Batch, evaluated
from nanotool.simulate import next_states, simulate_step

UNBOUNDED = (-math.inf, math.inf)


@dataclass
class _Sums:
    signal: float = 0.0
    noise: float = 0.0
    outside: int = 0
    count: int = 0

    def add(self, tensor: QTensor, real: NDArray[np.float64], q: Int8Array) -> None:
        """Count one piece of data: the float graph's values and the int8 graph's."""
        low, high = ((end - tensor.zero_point) * tensor.scale for end in unclamped(tensor.dtype))
        half = tensor.scale / 2
        least, most = unclamped(tensor.dtype)
        below = (q == least) & (real < low - half)
        above = (q == most) & (real > high + half)
        self.signal += float((real**2).sum())
        self.noise += float(((tensor.dequantize(q).astype(np.float64) - real) ** 2).sum())
        self.outside += int(below.sum() + above.sum())
        self.count += real.size

    def quality(self, name: str) -> LayerQuality:
        """The signal-to-noise ratio and the share of saturated values."""
        if self.noise == 0:
            decibel = math.inf
        elif self.signal == 0:
            decibel = -math.inf
        else:
            decibel = 10 * math.log10(self.signal / self.noise)
        return LayerQuality(name, decibel, self.outside / max(self.count, 1))


def measure(
    graph: Graph,
    quantized: QGraph,
    batches: Iterable[Batch],
    useful: Mapping[str, tuple[float, float]] | None = None,
    reset_every: int = 0,
) -> tuple[LayerQuality, ...]:
    """The quality of every tensor that ``graph`` has too, in order of execution, over ``batches``
    (user layout); indices have none.

    ``graph`` is the canonical float graph that ``quantized`` was made of. The noise is what has
    added up from the input to the tensor. ``useful`` gives, for tensors all of whose readers
    saturate, the range outside of which values make no difference to them: there a value counts as
    its nearer end. With states both graphs run on with their own, from a reset at the begin of each
    batch and before every ``reset_every``-th step.
    """
    known = {*graph.sources, *(node.name for node in graph.nodes)}
    judged = {"int8", "int16"} if not quantized.states else {"int8"}
    tensors = {n: t for n, t in quantized.tensors.items() if n in known and t.dtype in judged}
    sums = {name: _Sums() for name in tensors}
    for batch in batches:
        states: dict[str, NDArray[Any]] = {}
        for begins, piece, real in evaluated(graph, batch, reset_every):
            integers = [to_device(quantized, array, i) for i, array in enumerate(piece)]
            count = len(piece[0])
            read = None if begins else {name: data[:count] for name, data in states.items()}
            integer = simulate_step(quantized, integers, read)
            states = next_states(quantized, integer)
            for name, tensor in tensors.items():
                bounds = (useful or {}).get(name, UNBOUNDED)
                values = np.clip(real[name].astype(np.float64), *bounds)
                sums[name].add(tensor, values, integer[name])
    return tuple(sums[name].quality(name) for name in tensors)


def worst_layer(graph: QGraph) -> LayerQuality | None:
    """The entry of ``graph.quality`` with the lowest signal-to-noise ratio; None without any."""
    return min(graph.quality, key=lambda entry: entry.sqnr_db, default=None)
