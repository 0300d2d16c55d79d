"""Choose the quantization whose output is best on calibration data held back from it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import FloatArray, Graph, QGraph, Trial
from nanotool.ops import facts
from nanotool.quantization.auto.candidates import MINMAX, WAYS, Way
from nanotool.quantization.auto.emulate import Emulation, run_float
from nanotool.quantization.auto.statistics import Statistics, observe, slopes
from nanotool.quantization.calibrate import Range

Build = Callable[[Mapping[str, Range], bool], QGraph]  # (ranges, headroom) -> the int8 graph
Tick = Callable[[], None]

GAIN_DB = 0.1  # less is chance
CORRECTED = ", biases corrected"
TRIES = 24  # of other ranges for single tensors
SLOPES = 256  # inputs that slopes are taken of, at most


@dataclass(frozen=True)
class Data:
    """Calibration inputs, one array [n, *shape] an input, device layout; and the classes that are
    right, if known."""

    x: tuple[FloatArray, ...]
    classes: NDArray[np.int64] | None = None

    def part(self, chosen: NDArray[np.bool_]) -> Data:
        """Some of them."""
        classes = None if self.classes is None else self.classes[chosen]
        return Data(tuple(array[chosen] for array in self.x), classes)


@dataclass(frozen=True)
class Score:
    """How good an output is."""

    sqnr_db: float
    accuracy: float | None  # share of right answers, where classes are known

    def beats(self, other: Score) -> bool:
        """Whether it is better, by more than chance, and not less accurate."""
        known = self.accuracy is not None and other.accuracy is not None
        if known and self.accuracy < other.accuracy:  # type: ignore[operator]
            return False
        return self.sqnr_db > other.sqnr_db + GAIN_DB


@dataclass(frozen=True)
class Plan:
    """A way for every tensor, and whether biases are corrected."""

    name: str
    ways: Mapping[str, Way]  # by tensor
    correct: bool
    headroom: bool

    def ranges(self, seen: Mapping[str, Statistics]) -> dict[str, Range]:
        """The range of every tensor."""
        return {name: way.range(seen[name]) for name, way in self.ways.items()}


class Judge:
    """The float model's answers on some data, to compare with."""

    def __init__(self, graph: Graph, data: Data) -> None:
        self.data = data
        self.tensors, self.means = run_float(graph, data.x)
        self.real = [self.tensors[name].numpy() for name in graph.outputs]

    def score(self, outputs: Sequence[NDArray[Any]]) -> Score:
        """Of an int8 graph's ``outputs``, real numbers: the worst of their ratios."""
        classes, first = self.data.classes, outputs[0]
        right = None
        if classes is not None:
            guessed = first.reshape(len(first), -1).argmax(axis=1)
            right = float((guessed == classes).mean())
        pairs = zip(self.real, outputs, strict=True)
        return Score(min(signal_to_noise(*pair) for pair in pairs), right)


def uniform(way: Way, tensors: Sequence[str], *, correct: bool) -> Plan:
    """One way for all."""
    name = f"{way.name}{CORRECTED}" if correct else way.name
    return Plan(name, dict.fromkeys(tensors, way), correct, way.headroom)


class Search:
    """The trials on one model."""

    def __init__(self, graph: Graph, build: Build, fit: Data, held: Data) -> None:
        self.graph, self._build = graph, build
        self.fit, self.held = Judge(graph, fit), Judge(graph, held)
        names = (*graph.inputs, *(node.name for node in graph.nodes))
        self.names = tuple(name for name in names if not _indices(graph, name))
        self.seen = self.statistics(self.fit)
        self.trials: list[Trial] = []

    def statistics(self, judge: Judge) -> dict[str, Statistics]:
        """Of every tensor on ``judge``'s data."""
        known = {name: judge.tensors[name] for name in self.names}
        sloped = slopes(self.graph, [array[:SLOPES] for array in judge.data.x])
        return observe(known, sloped)

    def quantized(
        self, plan: Plan, seen: Mapping[str, Statistics], judge: Judge
    ) -> tuple[QGraph, list[NDArray[Any]]]:
        """The int8 graph of ``plan``, its biases corrected on ``judge``'s data, and then its
        outputs for them."""
        graph = self._build(plan.ranges(seen), plan.headroom)
        if not plan.correct:
            return graph, []
        emulation = Emulation(graph, judge.means)
        outputs = emulation.run(judge.data.x)
        return emulation.corrected(), [output.numpy() for output in outputs]

    def on_held_back(self, plan: Plan) -> Score:
        """How good ``plan`` is on the data held back."""
        graph, _ = self.quantized(plan, self.seen, self.fit)
        outputs = Emulation(graph).run(self.held.data.x)
        score = self.held.score([output.numpy() for output in outputs])
        self.trials.append(Trial(plan.name, score.sqnr_db, score.accuracy))
        return score

    def best(self, tick: Tick) -> Plan:
        """The plan that is best on the data held back; min-max unless another one beats it."""
        plan = uniform(MINMAX, self.names, correct=False)
        score = self.on_held_back(plan)
        tick()
        for way in WAYS:
            other = uniform(way, self.names, correct=True)
            result = self.on_held_back(other)
            if result.beats(score):
                plan, score = other, result
            tick()
        others = [self.refined(plan, tick)]
        if plan.correct and plan.name != f"{MINMAX.name}{CORRECTED}":
            others.append(replace(plan, name=plan.name.removesuffix(CORRECTED), correct=False))
        for trial in others:
            if trial is not None and (result := self.on_held_back(trial)).beats(score):
                plan, score = trial, result
            tick()
        return plan

    def refined(self, plan: Plan, tick: Tick) -> Plan | None:
        """``plan`` with other ways for single tensors, as far as they help on the data that it was
        made of, tensors of the greatest noise first; None if nothing does."""
        ranges = plan.ranges(self.seen)
        noisy = sorted(self.names, key=lambda name: -self.seen[name].noise(ranges[name]))
        start = replace(plan, name=f"tensor by tensor{CORRECTED}", correct=True)
        best, chosen, tries = self._on_fit(start), start, 0
        for name, way in itertools.product(noisy, WAYS[1:]):
            seen = self.seen[name]
            if tries == TRIES:
                break
            if _alike(way.range(seen), chosen.ways[name].range(seen)):
                continue
            tries += 1
            trial = replace(chosen, ways={**chosen.ways, name: way})
            result = self._on_fit(trial)
            if result.sqnr_db > best.sqnr_db + GAIN_DB:
                chosen, best = trial, result
            tick()
        return None if chosen is start else chosen

    def _on_fit(self, plan: Plan) -> Score:
        return self.fit.score(self.quantized(plan, self.seen, self.fit)[1])


def _alike(one: Range, other: Range) -> bool:
    """Whether two ranges make no difference worth a trial."""
    width = max(one[1] - one[0], other[1] - other[0])
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= 0.01 * width


def _indices(graph: Graph, name: str) -> bool:
    return name not in graph.inputs and facts(graph.node(name).op).indices


def signal_to_noise(real: NDArray[Any], other: NDArray[Any]) -> float:
    """In dB, over all elements; inf where they are equal."""
    noise = float(((real.astype(np.float64) - other) ** 2).sum())
    signal = float((real.astype(np.float64) ** 2).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
