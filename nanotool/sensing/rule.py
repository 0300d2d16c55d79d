"""A stream's rule in the device's integers, and the twin of lib/nano/src/stream/decide.c."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import QGraph, QTensor
from nanotool.sensing.description import ClassRule, Rule, StreamRule

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
MOST_STEPS = 65535  # of a refractory time
_BYTES = ("int8", "uint8")


@dataclass(frozen=True, slots=True)
class Decision:
    """A class was decided for."""

    step: int  # since the reset, from 0
    index: int  # of the output's elements
    sum: int  # of the last `window` scores


@dataclass(frozen=True, slots=True)
class ClassIntegers:
    """The fields of nano_class."""

    index: int
    refractory: int
    threshold: int
    release: int


def stream_of(graph: QGraph) -> StreamRule:
    """The description of what is around ``graph``; `InvalidModel` if there is none."""
    if graph.stream is None:
        raise InvalidModel(
            f"{graph.name} does not say what it listens through and how it decides.",
            "Of a microWakeWord .tflite put its .json beside it; of another model set the graph's "
            "`stream` (docs/streams.md).",
        )
    return graph.stream


def frames_of(graph: QGraph) -> int:
    """That a step takes."""
    return graph.input_tensor.size // stream_of(graph).front_end.features


def step_seconds(stream: StreamRule) -> Fraction:
    """From one step to the next."""
    return Fraction(stream.hop * stream.front_end.step, stream.front_end.sample_rate)


def check_stream(graph: QGraph) -> None:
    """Raise `InvalidModel` unless ``graph`` fits what its `stream` says of it."""
    stream = stream_of(graph)
    if len(graph.inputs) != 1:
        raise InvalidModel(f"{graph.name} listens, and has {len(graph.inputs)} inputs.")
    x, y = graph.input_tensor, graph.output_tensors[0]
    features = stream.front_end.features
    if x.dtype not in _BYTES or x.size % features or not 1 <= stream.hop <= x.size // features:
        raise InvalidModel(
            f"{graph.name} takes {x.size} {x.dtype}, which are not frames of {features} features "
            f"with a hop of {stream.hop}.",
            "The input is int8 or uint8, some frames of features, and a hop at most all of them.",
        )
    beyond = [one.index for one in stream.rule.classes if one.index >= y.size]
    if y.dtype not in _BYTES or beyond:
        raise InvalidModel(
            f"{graph.name} gives {y.size} {y.dtype}; its rule decides for element "
            f"{beyond[0] if beyond else stream.rule.classes[0].index} of int8 or uint8.",
            "Correct the rule's classes.",
        )
    class_integers(graph)


def class_integers(graph: QGraph) -> tuple[ClassIntegers, ...]:
    """What the device compares with."""
    stream, output = stream_of(graph), graph.output_tensors[0]
    return tuple(_integers(stream, one, output) for one in stream.rule.classes)


def _integers(stream: StreamRule, one: ClassRule, output: QTensor) -> ClassIntegers:
    rule = stream.rule
    steps = math.ceil(Fraction(repr(one.refractory)) / step_seconds(stream))
    if steps > MOST_STEPS:
        raise InvalidModel(
            f"A refractory time of {one.refractory} s is {steps:,} steps.", "At most 65,535."
        )
    unit = Fraction(1) if rule.vote else Fraction(output.scale)
    release = INT32_MAX if one.release is None else _most(one.release, unit, rule.window)
    return ClassIntegers(one.index, steps, _most(one.threshold, unit, rule.window), release)


def _most(limit: float, unit: Fraction, window: int) -> int:
    """The largest sum whose mean, as the nearest float, is at most ``limit``: so a mean that is
    written 0.85 does not exceed 0.85."""
    total = math.floor(Fraction(limit) * window / unit)
    while float((total + 1) * unit / window) <= limit:
        total += 1
    while float(total * unit / window) > limit:
        total -= 1
    return min(max(total, INT32_MIN), INT32_MAX - 1)


class Decider:
    """The rule at work, step by step."""

    def __init__(self, graph: QGraph) -> None:
        self.rule: Rule = stream_of(graph).rule
        self._zero_point = 0 if self.rule.vote else graph.output_tensors[0].zero_point
        self._classes = class_integers(graph)
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self.steps = 0
        self._scores: deque[list[int]] = deque(maxlen=self.rule.window)
        self._free = [0] * len(self._classes)  # the first step that may decide for a class
        self._held = [False] * len(self._classes)

    def decide(self, output: NDArray[Any]) -> list[Decision]:
        """A step with the model's ``output``, its integers: what it brings, best first."""
        values = output.reshape(-1).astype(np.int64)
        if self.rule.vote:
            winner = int(values.argmax())
            values = (np.arange(len(values)) == winner).astype(np.int64)
        self._scores.append([int(values[one.index]) - self._zero_point for one in self._classes])
        sums = [sum(column) for column in zip(*self._scores, strict=True)]
        for place, one in enumerate(self._classes):
            self._held[place] &= sums[place] > one.release
        step = self.steps
        self.steps += 1
        if self.steps < self.rule.window or self.steps <= self.rule.warm_up:
            return []
        due = [
            place
            for place, one in enumerate(self._classes)
            if sums[place] > one.threshold and step >= self._free[place] and not self._held[place]
        ]
        best = sorted(due, key=lambda place: -sums[place])[: self.rule.top]
        for place in best:
            self._free[place] = step + self._classes[place].refractory
            self._held[place] = True
        return [Decision(step, self._classes[place].index, sums[place]) for place in best]
