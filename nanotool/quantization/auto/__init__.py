"""The automatic observer: tries several quantizations, and judges them by the output on calibration
data that they were not made of.

    candidates   ways from a tensor's values to its range
    statistics   histograms of the values, plain and weighted by the output's slopes
    emulate      the int8 graph's noise in PyTorch, fast; bias correction
    equalize     a float graph of the same function, whose channels are alike in size
    search       the trials
    rare         inputs beyond what the others' ranges hold
    widen        tensors that are worth 16 bits
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import ZERO_POINTS, Graph, QGraph
from nanotool.ops import facts
from nanotool.quantization.auto.candidates import MINMAX, WAYS
from nanotool.quantization.auto.emulate import one_thread
from nanotool.quantization.auto.rare import rare_inputs
from nanotool.quantization.auto.search import (
    TRIES,
    Build,
    Data,
    Fold,
    Judge,
    Plan,
    Search,
    Tally,
    form_of,
    uniform,
)
from nanotool.quantization.auto.widen import TICKS as WIDEN_TICKS
from nanotool.quantization.auto.widen import widest
from nanotool.quantization.calibrate import Batches, Range, samples
from nanotool.quantization.evaluate import ends, to_graph_layout
from nanotool.simulate import simulate_steps
from nanotool.validate import validate

TICKS = 1 + len(WAYS) + 2 + 1 + TRIES + 2 + WIDEN_TICKS  # how often ``tick`` is called
LEAST = 64  # inputs, of which a quarter is held back
MOST = 512
FOLDED_ELEMENTS = 2**21  # likewise of those of which each is held back once
RARE_ELEMENTS = 2**23  # likewise, where only what was chosen is judged
ELEMENTS = 2**25  # that the tensors of all inputs which are looked at may hold

__all__ = ["LEAST", "TICKS", "Chosen", "choose", "reason_against"]


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


@dataclass(frozen=True)
class Chosen:
    """What was chosen, and the float graph that it was made of."""

    graph: Graph
    int8: QGraph
    doubt: str = ""  # a sentence on inputs far beyond the others


def choose(
    graph: Graph,
    batches: Batches,
    build: Build,
    ranges: Mapping[str, Range],
    *,
    classes: NDArray[np.int64] | None = None,
    allow: Collection[str] = (),
    tick: Callable[[], None] = lambda: None,
) -> Chosen:
    """The int8 graph of ``graph`` whose output is best on every fourth of the inputs looked at, of
    at most MOST; with what was tried.

    ``build`` makes int8 graphs, ``ranges`` are all tensors' extremes on all data. ``classes``, one
    an input, are right answers: then none is chosen that has fewer right than min-max. What is
    chosen is made anew with all inputs; where the output is then worse than with min-max, on the
    same data held back and computed exactly, it is min-max after all. Tensors of 16 bits are tried
    as well, and taken if ``allow`` holds "int16". ``tick`` is called TICKS times.
    """
    data = _spread(graph, batches, classes)
    plain = build(graph, ranges, True, ())
    remaining = iter(range(TICKS))

    def counted() -> None:
        if next(remaining, None) is not None:
            tick()

    with one_thread():
        several = _elements(graph, data) <= FOLDED_ELEMENTS
        search = Search(graph, build, _folds(graph, data, several=several), counted)
        plan, score = search.best()
        chosen = _made(search, plan, plain, data, ranges)
        wider = widest(search, plan, score, chosen.int8)
        if wider is not None and "int16" in allow:
            plan = wider.plan
            chosen = _made(search, plan, plain, data, ranges)
        small = _elements(graph, data) <= RARE_ELEMENTS
        folds = _folds(graph, data, several=True) if small else search.folds
        doubt = rare_inputs(search, plan, folds)
    name = plan.name if chosen.int8 is not plain else search.trials[0].name
    for _ in remaining:
        tick()
    trials = (replace(trial, chosen=trial.name == name) for trial in search.trials)
    return replace(chosen, int8=replace(chosen.int8, trials=tuple(trials)), doubt=doubt)


def _elements(graph: Graph, data: Data) -> int:
    """Of all tensors for all inputs."""
    return len(data.x[0]) * sum(math.prod(node.shape) for node in graph.nodes)


def _folds(graph: Graph, data: Data, *, several: bool) -> list[Fold]:
    """``data`` without every fourth input, and those; ``several``: all four ways, as with small
    models, of which few outputs tell little."""
    quarter = np.arange(len(data.x[0])) % 4
    return [
        Fold(Judge(graph, data.part(quarter != held)), Judge(graph, data.part(quarter == held)))
        for held in ((3, 2, 1, 0) if several else (3,))
    ]


def _made(
    search: Search, plan: Plan, plain: QGraph, data: Data, ranges: Mapping[str, Range]
) -> Chosen:
    """``plan`` made anew with all ``data``; ``plain`` where that is not as good."""
    form = search.form
    if plan == uniform(MINMAX, form, correct=False):
        return Chosen(form.graph, plain)
    graph = plan.form.graph
    anew = form_of(graph, Judge(graph, data))
    # Extremes of data that are not looked at; of equalized tensors they are not known.
    same = plan.form is form
    seen = {name: one.within(ranges[name]) if same else one for name, one in anew.seen.items()}
    result, _ = search.quantized(replace(plan, form=replace(anew, seen=seen)), data)
    worse = not _no_worse(result, plain, [fold.held for fold in search.folds])
    return Chosen(form.graph, plain) if worse else Chosen(graph, result)


def _no_worse(result: QGraph, plain: QGraph, judges: Sequence[Judge]) -> bool:
    """Whether ``result`` is valid, and as good as ``plain`` on the data of ``judges``, byte for
    byte."""
    try:
        validate(result)
    except InvalidModel:
        return False
    one, other = Tally(), Tally()
    for judge in judges:
        one.add(judge, _exact(result, judge.data))
        other.add(judge, _exact(plain, judge.data))
    now, before = one.score, other.score
    accurate = now.accuracy is None or before.accuracy is None or now.accuracy >= before.accuracy
    return accurate and now.sqnr_db >= before.sqnr_db


def _exact(graph: QGraph, data: Data) -> list[NDArray[Any]]:
    """The outputs, real numbers, as a device computes them."""
    quantized = [tensor.quantize(x) for tensor, x in zip(graph.input_tensors, data.x, strict=True)]
    outputs, _ = simulate_steps(graph, quantized)
    pairs = zip(graph.output_tensors, outputs, strict=True)
    return [tensor.dequantize(q) if tensor.dtype in ZERO_POINTS else q for tensor, q in pairs]


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
