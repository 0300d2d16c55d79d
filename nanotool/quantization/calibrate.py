"""Calibration: run the float graph over data and find every tensor's range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from nanotool.errors import InvalidModel, NanoError
from nanotool.ir import FloatArray, Graph
from nanotool.progress import Progress
from nanotool.quantization.evaluate import Batch, evaluated
from nanotool.quantization.observers import OBSERVERS, Histogram, MinMax

Range: TypeAlias = tuple[float, float]
Batches: TypeAlias = Sequence[Batch]


class Steps:
    """Counts the batches of all passes for a progress callback."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        if progress is not None:
            progress(0, total)

    def __call__(self) -> None:
        """One more batch is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


def samples(batch: Batch) -> int:
    """How many a batch holds."""
    return len(batch[0]) if isinstance(batch, tuple) else len(batch)


def as_batches(calibration: Iterable[Batch]) -> Batches:
    """The batches as a sequence, as they are read more than once; at least one sample in all.

    A sequence (also one that loads its batches when asked for) is taken as it is; any other
    iterable is read into memory. Raises NanoError where there is no data.
    """
    if isinstance(calibration, np.ndarray):
        raise NanoError(
            "The calibration data are one array.",
            "Pass an iterable of batches, each N x input shape: [array].",
        )
    batches = calibration if isinstance(calibration, Sequence) else list(calibration)
    if not any(samples(batch) for batch in batches):
        raise NanoError(
            "There are no calibration data.", "Pass some hundred typical inputs, in batches."
        )
    return batches


def passes_needed(observer: str) -> int:
    """How often the data are read for the ranges. NanoError for an unknown observer."""
    if observer not in OBSERVERS:
        raise NanoError(
            f"There is no observer {observer!r}.", f"Known are: auto, {', '.join(OBSERVERS)}."
        )
    return 1 if OBSERVERS[observer] is None else 2


def calibrate(
    graph: Graph, batches: Batches, observer: str, step: Steps, reset_every: int = 0
) -> dict[str, Range]:
    """The (low, high) of every tensor over all ``batches``, as ``observer`` chooses it: with states
    over the loop.

    Raises InvalidModel if a tensor takes NaN or infinite values.
    """
    names = (*graph.sources, *(name for node in graph.nodes for name in node.outputs))
    seen = {name: MinMax() for name in names}
    _observe(graph, batches, seen, step, reset_every)
    for name, extremes in seen.items():
        if not extremes.finite:
            raise InvalidModel(
                f"Tensor {name} takes NaN or infinite values on the calibration data.",
                "Check the data and the trained weights.",
            )
    choose = OBSERVERS[observer]
    if choose is None:
        return {name: (extremes.low, extremes.high) for name, extremes in seen.items()}
    histograms = {name: Histogram(extremes.low, extremes.high) for name, extremes in seen.items()}
    _observe(graph, batches, histograms, step, reset_every)
    return {name: choose(histogram) for name, histogram in histograms.items()}


def _observe(
    graph: Graph,
    batches: Batches,
    observers: Mapping[str, MinMax | Histogram],
    step: Steps,
    reset_every: int,
) -> None:
    for batch in batches:
        remembered: dict[str, FloatArray] = {}
        with np.errstate(all="ignore"):  # what is not finite is reported by name
            for _, _, tensors in evaluated(graph, batch, reset_every, remembered):
                for name, values in (*tensors.items(), *remembered.items()):
                    observers[name].update(values)
        step()
