"""Choose the quantization whose output is best on calibration data held back from it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import FloatArray, Graph, QGraph, Trial
from nanotool.ops import facts
from nanotool.quantization.auto.candidates import MINMAX, WAYS, Way
from nanotool.quantization.auto.emulate import Emulation, run_float
from nanotool.quantization.auto.equalize import equalized
from nanotool.quantization.auto.statistics import Statistics, observe, slopes
from nanotool.quantization.aware.forms import Tensor
from nanotool.quantization.calibrate import Range

# (float graph, ranges, headroom, tensors of 16 bits or None for all) -> the int8 graph
Build = Callable[[Graph, Mapping[str, Range], bool, "Collection[str] | None"], QGraph]
Tick = Callable[[], None]

GAIN_DB = 0.1  # less is chance
EQUALIZED_DB = 1.0  # that equalized channels have to bring: they are no longer the module's
CORRECTED, EQUALIZED = ", biases corrected", ", equalized"
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

    def beats(self, other: Score, margin: float = GAIN_DB) -> bool:
        """Whether it is better by more than ``margin``, in dB, and not less accurate."""
        known = self.accuracy is not None and other.accuracy is not None
        if known and self.accuracy < other.accuracy:  # type: ignore[operator]
            return False
        return self.sqnr_db > other.sqnr_db + margin


@dataclass(frozen=True)
class Form:
    """A float graph of the model, as captured or equalized, and what is known of its tensors."""

    graph: Graph
    seen: Mapping[str, Statistics]
    means: Mapping[str, Tensor]  # of every layer's channels, before its clamp

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors that have a range."""
        return tuple(self.seen)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Those of them that are results."""
        return tuple(name for name in self.graph.outputs if name in self.seen)


@dataclass(frozen=True)
class Plan:
    """A way for every tensor, and whether biases are corrected."""

    name: str
    form: Form
    ways: Mapping[str, Way]  # by tensor
    correct: bool
    headroom: bool
    int16: tuple[str, ...] | None = ()  # tensors of 16 bits; None: all that can

    def ranges(self) -> dict[str, Range]:
        """The range of every tensor."""
        return {name: way.range(self.form.seen[name]) for name, way in self.ways.items()}


class Tally:
    """What `Score` is made of, over one batch of inputs after the other."""

    def __init__(self) -> None:
        self._signal, self._noise = np.zeros(1), np.zeros(1)  # by output
        self._right, self._known, self._count = 0, True, 0

    def add(self, judge: Judge, outputs: Sequence[NDArray[Any]]) -> None:
        """An int8 graph's ``outputs`` for the data of ``judge``, real numbers."""
        classes, first = judge.data.classes, outputs[0]
        self._count, self._known = self._count + len(first), classes is not None
        if classes is not None:
            guessed = first.reshape(len(first), -1).argmax(axis=1)
            self._right += int((guessed == classes).sum())
        pairs = zip(judge.real, outputs, strict=True)
        both = np.array([energies(*pair) for pair in pairs]).T
        self._signal, self._noise = self._signal + both[0], self._noise + both[1]

    @property
    def score(self) -> Score:
        """The worst of the outputs' ratios, and the share of right answers."""
        ratios = map(decibel, self._signal, self._noise)
        return Score(min(ratios), self._right / self._count if self._known else None)


class Judge:
    """The float model's answers on some data, to compare with."""

    def __init__(self, graph: Graph, data: Data) -> None:
        self.graph, self.data = graph, data
        self.tensors, self.means = run_float(graph, data.x)
        self.real = [self.tensors[name].numpy() for name in graph.outputs]

    def score(self, outputs: Sequence[NDArray[Any]]) -> Score:
        """Of an int8 graph's ``outputs``, real numbers."""
        tally = Tally()
        tally.add(self, outputs)
        return tally.score


@dataclass(frozen=True)
class Fold:
    """Data to make quantizations of, and the rest, to judge them by."""

    fit: Judge
    held: Judge
    forms: dict[int, Form] = field(default_factory=dict)  # of fit, by the graph's identity

    def form(self, graph: Graph) -> Form:
        """``graph`` with what is known of its tensors here."""
        if id(graph) not in self.forms:
            own = self.fit if graph is self.fit.graph else Judge(graph, self.fit.data)
            self.forms[id(graph)] = form_of(graph, own)
        return self.forms[id(graph)]


def uniform(way: Way, form: Form, *, correct: bool, suffix: str = "") -> Plan:
    """One way for all; outputs reach as far as seen, and beyond."""
    name = f"{way.name}{suffix}{CORRECTED if correct else ''}"
    ways = dict.fromkeys(form.names, way) | dict.fromkeys(form.outputs, MINMAX)
    return Plan(name, form, ways, correct, headroom=True)


class Search:
    """The trials on one model."""

    def __init__(self, graph: Graph, build: Build, folds: Sequence[Fold], tick: Tick) -> None:
        self._build, self.tick, self.folds = build, tick, folds
        self.fit = folds[0].fit
        self.form = folds[0].form(graph)
        self.trials: list[Trial] = []

    def quantized(self, plan: Plan, data: Data) -> tuple[QGraph, list[NDArray[Any]]]:
        """The int8 graph of ``plan``, its biases corrected on ``data``, and then its outputs for
        them."""
        ranges = plan.ranges()
        graph = self._build(plan.form.graph, ranges, plan.headroom, plan.int16)
        if plan.int16 is None or plan.int16:  # 16 bits are enough for all values
            extremes = {name: (seen.low, seen.high) for name, seen in plan.form.seen.items()}
            wide = {name for name, tensor in graph.tensors.items() if tensor.dtype == "int16"}
            ranges |= {name: bounds for name, bounds in extremes.items() if name in wide}
            graph = self._build(plan.form.graph, ranges, plan.headroom, plan.int16)
        if not plan.correct:
            return graph, []
        emulation = Emulation(graph, plan.form.means)
        outputs = emulation.run(data.x)
        return emulation.corrected(), [output.numpy() for output in outputs]

    def on_held_back(self, plan: Plan) -> tuple[Score, QGraph]:
        """How good ``plan``, made anew for every fold, is on the data held back there; and the
        first fold's int8 graph."""
        tally, graphs = Tally(), []
        for fold in self.folds:
            own = replace(plan, form=fold.form(plan.form.graph))
            graph, _ = self.quantized(own, fold.fit.data)
            outputs = Emulation(graph).run(fold.held.data.x)
            tally.add(fold.held, [output.numpy() for output in outputs])
            graphs.append(graph)
        self.tick()
        return tally.score, graphs[0]

    def judged(self, plan: Plan) -> Score:
        """`on_held_back`, as a row of the table."""
        score, _ = self.on_held_back(plan)
        self.trials.append(Trial(plan.name, score.sqnr_db, score.accuracy))
        return score

    def best(self) -> tuple[Plan, Score]:
        """The plan that is best on the data held back; min-max unless another one beats it."""
        plan = uniform(MINMAX, self.form, correct=False)
        score = self.judged(plan)
        trials = [uniform(way, self.form, correct=True) for way in WAYS]
        plan, score = self._best_of(trials, plan, score)
        way = next(iter(plan.ways.values()))
        equal = self._equalized()
        if equal is not None:
            ways = dict.fromkeys((way, WAYS[-1]))
            trials = [uniform(one, equal, correct=True, suffix=EQUALIZED) for one in ways]
            plan, score = self._best_of(trials, plan, score, EQUALIZED_DB)
            way = next(iter(plan.ways.values()))
        short = replace(
            plan,
            name=f"{plan.name}, no headroom",
            ways=dict.fromkeys(plan.form.names, way),
            headroom=False,
        )
        plan, score = self._best_of([short], plan, score)
        others = [self.refined(plan)]
        if plan.correct and plan.name != f"{MINMAX.name}{CORRECTED}":
            others.append(replace(plan, name=plan.name.replace(CORRECTED, ""), correct=False))
        return self._best_of(others, plan, score)

    def _best_of(
        self,
        trials: Iterable[Plan | None],
        plan: Plan,
        score: Score,
        margin: float = GAIN_DB,
    ) -> tuple[Plan, Score]:
        """``plan``, which has ``score``, or the best of ``trials`` that beat it by ``margin``."""
        first = score
        for trial in trials:
            if trial is None:
                continue
            result = self.judged(trial)
            if result.beats(score) and result.beats(first, margin):
                plan, score = trial, result
        return plan, score

    def _equalized(self) -> Form | None:
        graph = equalized(self.form.graph, self.fit.tensors)
        return None if graph is None else self.folds[0].form(graph)

    def refined(self, plan: Plan) -> Plan | None:
        """``plan`` with other ways for single tensors, as far as they help on the data that it was
        made of, tensors of the greatest noise first; None if nothing does."""
        form, ranges = plan.form, plan.ranges()
        noisy = sorted(form.names, key=lambda name: -form.seen[name].noise(ranges[name]))
        suffix = "" if form is self.form else EQUALIZED
        start = replace(plan, name=f"tensor by tensor{suffix}{CORRECTED}", correct=True)
        best, chosen, tries = self.on_fit(start), start, 0
        kept = form.outputs if plan.headroom else ()  # what has headroom keeps it
        for name, way in itertools.product(noisy, WAYS):
            seen = form.seen[name]
            if tries == TRIES:
                break
            if name in kept or _alike(way.range(seen), chosen.ways[name].range(seen)):
                continue
            tries += 1
            trial = replace(chosen, ways={**chosen.ways, name: way})
            result = self.on_fit(trial)
            if result.sqnr_db > best.sqnr_db + GAIN_DB:
                chosen, best = trial, result
            self.tick()
        return None if chosen is start else chosen

    def on_fit(self, plan: Plan) -> Score:
        """How good ``plan``, whose biases are corrected, is on the data that it is made of."""
        return self.fit.score(self.quantized(plan, self.fit.data)[1])


def form_of(graph: Graph, judge: Judge) -> Form:
    """``graph`` with what ``judge``, which ran it, knows of its tensors."""
    names = (*graph.inputs, *(node.name for node in graph.nodes))
    known = {name: judge.tensors[name] for name in names if not _indices(graph, name)}
    sloped = slopes(graph, [array[:SLOPES] for array in judge.data.x])
    return Form(graph, observe(known, sloped), judge.means)


def _alike(one: Range, other: Range) -> bool:
    """Whether two ranges make no difference worth a trial."""
    width = max(one[1] - one[0], other[1] - other[0])
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= 0.01 * width


def _indices(graph: Graph, name: str) -> bool:
    return name not in graph.inputs and facts(graph.node(name).op).indices


def energies(real: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """Of the signal ``real``, and of the noise that ``other`` has beside it."""
    exact = real.astype(np.float64)
    return float((exact**2).sum()), float(((exact - other) ** 2).sum())


def decibel(signal: float, noise: float) -> float:
    """The ratio; inf without noise."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def signal_to_noise(real: NDArray[Any], other: NDArray[Any]) -> float:
    """In dB, over all elements; inf where they are equal."""
    return decibel(*energies(real, other))
