"""The automatic observer: tries several quantizations, and judges them by the output on calibration
data that they were not made of.

    candidates   ways from a tensor's values to its range
    statistics   histograms of the values, plain and weighted by the output's slopes
    emulate      the int8 graph's noise in PyTorch, fast; bias correction
    search       the trials
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import Graph, QGraph
from nanotool.ops import facts
from nanotool.quantization.auto.candidates import MINMAX, WAYS
from nanotool.quantization.auto.emulate import one_thread
from nanotool.quantization.auto.search import TRIES, Build, Data, Judge, Search, uniform
from nanotool.quantization.calibrate import Batches, Range, samples
from nanotool.quantization.evaluate import ends, to_graph_layout
from nanotool.simulate import simulate_steps
from nanotool.validate import validate

TICKS = 1 + len(WAYS) + TRIES + 2 + 1  # how often ``tick`` is called at most
LEAST = 64  # inputs, of which a quarter is held back
MOST = 512
ELEMENTS = 2**25  # that the tensors of all inputs which are looked at may hold

__all__ = ["LEAST", "TICKS", "choose", "reason_against"]


def reason_against(graph: Graph, batches: Batches) -> str:
    """Why nothing can be tried with ``graph``, which has no states, to be shown; "" if it can."""
    loop = next((node.name for node in graph.nodes if facts(node.op).recurrent), "")
    if loop:
        return f"The recurrent layer {loop} is computed step by step"
    count = sum(map(samples, batches))
    if count < LEAST:
        return (
            f"Calibration inputs: {count}; {LEAST} is the least of which some can be held back to "
            "judge by"
        )
    return ""


def choose(
    graph: Graph,
    batches: Batches,
    build: Build,
    ranges: Mapping[str, Range],
    *,
    classes: NDArray[np.int64] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> QGraph:
    """The int8 graph of ``graph`` whose output is best on every fourth of the inputs looked at, of
    at most MOST; with what was tried.

    ``build`` makes int8 graphs, ``ranges`` are all tensors' extremes on all data. ``classes``, one
    an input, are right answers: then none is chosen that has fewer right than min-max. What is
    chosen is made anew with all inputs; where the output is then worse than with min-max, on the
    same data held back and computed exactly, it is min-max after all.
    """
    data = _spread(graph, batches, classes)
    held_back = np.arange(len(data.x[0])) % 4 == 3
    plain = build(ranges, True)
    with one_thread():
        search = Search(graph, build, data.part(~held_back), data.part(held_back))
        plan = search.best(tick)
        name, result = plan.name, plain
        if plan != uniform(MINMAX, search.names, correct=False):
            judge = Judge(graph, data)
            seen = search.statistics(judge)
            wide = {tensor: seen[tensor].within(ranges[tensor]) for tensor in search.names}
            result, _ = search.quantized(plan, wide, judge)
            if not _no_worse(result, plain, search.held):
                name, result = search.trials[0].name, plain
    tick()
    trials = tuple(replace(trial, chosen=trial.name == name) for trial in search.trials)
    return replace(result, trials=trials)


def _no_worse(result: QGraph, plain: QGraph, judge: Judge) -> bool:
    """Whether ``result`` is valid, and as good as ``plain`` on ``judge``'s data, byte for byte."""
    try:
        validate(result)
    except InvalidModel:
        return False
    one, other = (judge.score(_exact(graph, judge.data)) for graph in (result, plain))
    accurate = one.accuracy is None or other.accuracy is None or one.accuracy >= other.accuracy
    return accurate and one.sqnr_db >= other.sqnr_db


def _exact(graph: QGraph, data: Data) -> list[NDArray[Any]]:
    """The outputs, real numbers, as a device computes them."""
    quantized = [tensor.quantize(x) for tensor, x in zip(graph.input_tensors, data.x, strict=True)]
    outputs, _ = simulate_steps(graph, quantized)
    pairs = zip(graph.output_tensors, outputs, strict=True)
    return [tensor.dequantize(q) if tensor.dtype == "int8" else q for tensor, q in pairs]


def _spread(graph: Graph, batches: Batches, classes: NDArray[np.int64] | None) -> Data:
    """Inputs from all over the data, as many as are looked at."""
    total = sum(map(samples, batches))
    held = sum(math.prod(node.shape) for node in graph.nodes)
    count = min(total, MOST, max(LEAST, ELEMENTS // max(held, 1)))
    places = np.arange(count) * total // count
    parts, start = [], 0
    for batch in batches:
        arrays = ends(graph, batch)
        inside = places[(places >= start) & (places < start + len(arrays[0]))] - start
        if len(inside):
            parts.append(to_graph_layout(graph, tuple(array[inside] for array in arrays)))
        start += len(arrays[0])
    data = tuple(np.concatenate(of_one) for of_one in zip(*parts, strict=True))
    return Data(data, None if classes is None else classes[places])
