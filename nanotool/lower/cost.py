"""About how many instructions a kernel takes for a layer: what memory is weighed against.

An estimate, from counts of single layers (bench/costs.py): where kernels were counted it is right
within some percent for most shapes. It chooses, and it says what a slow layer costs; what is
measured is never replaced by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from nanotool.ir import AveragePool2D, Conv2D, ConvTranspose2D, MaxPool2D, Mean, Op
from nanotool.lower.cost_table import COSTS
from nanotool.ops import Layer, Registry, macs
from nanotool.targets import find_target

FEATURES = 4  # what `features` counts
_PORTABLE_CORE = "scalar"  # whose counts serve for the portable target
# A kernel that was never counted: about what those of most operators take.
_ENDINGS = ("dsp", "mve", "scalar", "mac16", "pie")  # of kernels that are a target's own
_UNKNOWN = (8.0, 15.0, 4.0, 200.0)


def features(layer: Layer[Op]) -> tuple[int, int, int, int]:
    """(MACs, or the taps of pools; outputs; inputs that windows read; calls) of ``layer``."""
    work, read = _work.of(layer.op)(layer)
    return work, layer.output.size, read, 1


def _each(layer: Layer[Op]) -> tuple[int, int]:
    """MACs, and every input once."""
    return macs(layer), _given(layer)


_work = Registry[Callable[[Layer[Any]], tuple[int, int]]]("cost", default=_each)


@_work(MaxPool2D, AveragePool2D)
def _pool(layer: Layer[MaxPool2D | AveragePool2D]) -> tuple[int, int]:
    return layer.output.size * math.prod(layer.op.window.kernel), _given(layer)


@_work(Mean)
def _mean(layer: Layer[Mean]) -> tuple[int, int]:
    return _given(layer), _given(layer)


@_work(Conv2D, ConvTranspose2D)
def _convolution(layer: Layer[Conv2D | ConvTranspose2D]) -> tuple[int, int]:
    pixels = layer.output.size // layer.output.shape[-1]
    return macs(layer), pixels * math.prod(layer.op.window.kernel) * layer.input.shape[-1]


_work.complete()


def _given(layer: Layer[Op]) -> int:
    return sum(tensor.size for tensor in layer.inputs)


def family(kernel: str) -> str:
    """The kernels that are counted as one: those whose results saturate at the zero point, too."""
    return kernel.replace("_relu", "")


def estimate(target: str, kernel: str, layer: Layer[Op]) -> int:
    """Instructions that ``kernel`` takes for ``layer`` on a core of ``target``, about."""
    costs, kernel = _costs(target), family(kernel)
    found = costs.get(kernel) or costs.get(_relative(kernel, costs), _UNKNOWN)
    return round(sum(c * n for c, n in zip(found, features(layer), strict=True)))


def fastest(target: str, kernel: str, layer: Layer[Op]) -> int:
    """What the target's own kernel of the same operator takes where it runs, about; where none was
    counted, what the portable ``kernel`` takes."""
    costs = _costs(target)
    plain = kernel.removesuffix("_int16")
    names = [f"{plain}_{ending}" for ending in _ENDINGS if f"{plain}_{ending}" in costs]
    return min((estimate(target, name, layer) for name in names or (kernel,)), default=0)


def _costs(target: str) -> Mapping[str, tuple[float, ...]]:
    """Of each kernel that was counted; one that its base has was counted on either core."""
    every = [COSTS[name] for name in find_target(target).lineage if name in COSTS]
    merged: dict[str, tuple[float, ...]] = {}
    for costs in reversed(every or [COSTS[_PORTABLE_CORE]]):
        merged.update(costs)
    return merged


def _relative(kernel: str, costs: Mapping[str, tuple[float, ...]]) -> str:
    """The counted kernel most like ``kernel``: of the same instructions and with the longest name
    that both begin with; "" where none is of the same operator."""
    *words, ending = kernel.split("_")
    fast = ending in _ENDINGS

    def alike(other: str) -> int:
        theirs = other.split("_")
        same = theirs[-1] == ending if fast else theirs[-1] not in _ENDINGS
        pairs = zip(words if fast else kernel.split("_"), theirs, strict=False)
        shared = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(words), len(theirs)))
        return shared if same else 0

    best = max(costs, key=alike, default="")
    return best if alike(best) >= 2 else ""
