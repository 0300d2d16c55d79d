"""What is known of a tensor's values: histograms, plain and weighted by what the output makes of
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nanotool.ir import Graph
from nanotool.ops import float_layer_of
from nanotool.quantization.auto.emulate import Inputs, learned
from nanotool.quantization.aware.forms import Tensor, compute
from nanotool.quantization.calibrate import Range

BINS = 2048
STEPS = 255  # of an int8 grid
FRACTIONS = np.linspace(1.0, 0.2, 65)  # of the full range, that either end may be at
PROJECTIONS = 4  # random directions of the output that gradients are taken of


@dataclass(frozen=True)
class Statistics:
    """One tensor."""

    low: float
    high: float
    counts: NDArray[np.float64]  # [BINS] from low to high
    weights: NDArray[np.float64]  # [BINS]: sums of squared slopes of the output

    @property
    def centers(self) -> NDArray[np.float64]:
        """The value that stands for each bin."""
        edges = np.linspace(self.low, self.high, BINS + 1)
        return np.asarray((edges[:-1] + edges[1:]) / 2, np.float64)

    def within(self, extremes: Range) -> Statistics:
        """The same with the extremes of more data, where those are wider."""
        low, high = min(self.low, extremes[0]), max(self.high, extremes[1])
        return self if (low, high) == (self.low, self.high) else _rebinned(self, low, high)

    def percentile(self, share: float) -> Range:
        """The range that leaves out (100 - ``share``) / 2 percent of the values at either end."""
        total = self.counts.sum()
        if total == 0:
            return self.low, self.high
        tail = (1 - share / 100) / 2 * total
        edges = np.linspace(self.low, self.high, BINS + 1)
        low, high = np.interp(
            [tail, total - tail], np.concatenate([[0], np.cumsum(self.counts)]), edges
        )
        return float(low), float(high)

    def least_noise(self, weights: NDArray[np.float64]) -> Range:
        """The range with the least expected noise: of each value inside scale² / 12, of each one
        outside its squared distance, both by ``weights`` [BINS]."""
        total = float(weights.sum())
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        if total == 0 or low == high:
            return self.low, self.high
        x = self.centers
        lows = np.unique(FRACTIONS * low)
        highs = np.unique(FRACTIONS * high)
        below = np.array([(weights * np.minimum(x - end, 0) ** 2).sum() for end in lows])
        above = np.array([(weights * np.maximum(x - end, 0) ** 2).sum() for end in highs])
        rounding = ((highs[None, :] - lows[:, None]) / STEPS) ** 2 / 12 * total
        noise = below[:, None] + above[None, :] + rounding
        i, j = np.unravel_index(int(noise.argmin()), noise.shape)
        return float(lows[i]), float(highs[j])

    def noise(self, bounds: Range) -> float:
        """What ``bounds`` cost at the output, by the weights."""
        low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
        x = self.centers
        outside = np.minimum(x - low, 0) ** 2 + np.maximum(x - high, 0) ** 2
        return float((self.weights * (outside + ((high - low) / STEPS) ** 2 / 12)).sum())


def _rebinned(old: Statistics, low: float, high: float) -> Statistics:
    """``old`` in bins from ``low`` to ``high``."""
    counts, weights = np.zeros(BINS), np.zeros(BINS)
    places = ((old.centers - low) / (high - low) * BINS).astype(np.int64).clip(0, BINS - 1)
    np.add.at(counts, places, old.counts)
    np.add.at(weights, places, old.weights)
    return replace(old, low=low, high=high, counts=counts, weights=weights)


def observe(
    tensors: Mapping[str, Tensor], sloped: Mapping[str, tuple[Tensor, Tensor]]
) -> dict[str, Statistics]:
    """The statistics of ``tensors``; ``sloped`` are the values and slopes of `slopes`."""
    found = {}
    for name, values in tensors.items():
        low, high = float(values.min()), float(values.max())
        counts = _histogram(values, None, low, high)
        weights = np.zeros(BINS)
        if name in sloped:
            weights = _histogram(*sloped[name], low, high)
        found[name] = Statistics(low, high, counts, weights)
    return found


def _histogram(x: Tensor, weights: Tensor | None, low: float, high: float) -> NDArray[np.float64]:
    if high <= low:
        return np.zeros(BINS)
    places = ((x.reshape(-1) - low) * (BINS / (high - low))).to(torch.int64).clamp_(0, BINS - 1)
    flat = None if weights is None else weights.reshape(-1).to(torch.float64)
    return np.asarray(torch.bincount(places, flat, BINS).numpy(), np.float64)


def slopes(graph: Graph, x: Inputs) -> dict[str, tuple[Tensor, Tensor]]:
    """Of every tensor its values and the squared slope of the output to each, [n, *shape] both,
    the latter the mean over some random directions of the output."""
    tensors: dict[str, Any] = {}
    with torch.enable_grad():
        for name, data in zip(graph.inputs, x, strict=True):
            tensors[name] = torch.tensor(data, requires_grad=True)
        constants = {name: torch.tensor(data)[None] for name, data in graph.constants.items()}
        for node in graph.nodes:
            inputs = [constants[t] if t in constants else tensors[t] for t in node.inputs]
            tensors[node.name] = compute(float_layer_of(graph, node), learned(node), inputs)
        known = {name: tensor for name, tensor in tensors.items() if tensor.requires_grad}
        outputs = [tensors[name] for name in graph.outputs if name in known]
        squares = {name: torch.zeros_like(tensor) for name, tensor in known.items()}
        generator = torch.Generator().manual_seed(0)
        for number in range(PROJECTIONS if outputs else 0):
            signs = [_signs(output, generator) for output in outputs]
            again = number < PROJECTIONS - 1
            found = torch.autograd.grad(
                outputs, list(known.values()), signs, retain_graph=again, allow_unused=True
            )
            for name, slope in zip(known, found, strict=True):
                if slope is not None:
                    squares[name] += slope**2 / PROJECTIONS
    return {name: (known[name].detach(), squares[name]) for name in known}


def _signs(output: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, output.shape, generator=generator) * 2.0 - 1
