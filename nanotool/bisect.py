"""Simulator against TensorFlow Lite Micro, layer by layer: the first one whose bytes differ.

The graph is cut behind each layer, the part in front is written as .tflite and run by TFLite
Micro's reference kernels, and its output is compared with the simulator's. A model that came as
a .tflite file is also run as it is, so that a mistake of the import shows too.

A model with states is run step by step; the part in front of a layer is then all that the layer
depends on over the steps. What differs first is the first layer in the first step where any does:
later ones may differ because a state does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.backends import tflite
from nanotool.describe import describe
from nanotool.errors import NanoError, UnsupportedOp
from nanotool.ir import QGraph, Shape
from nanotool.models import TFLITE, load_model, model_file
from nanotool.progress import Progress
from nanotool.simulate import Inputs, simulate_all
from nanotool.tflm import Interpreter, TflmError


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """One layer, from the model's input to its output, over all inputs."""

    name: str
    what: str  # the operator
    shape: Shape  # of the output
    size: int  # bytes compared
    differing: int  # of them
    worst: int  # largest distance, in steps of the output's scale (float32: of its bits)
    problem: str = ""  # why nothing could be compared; "" if it was
    step: int = -1  # the first input, or step, that differs; -1: none does


@dataclass(frozen=True, slots=True)
class Bisection:
    """Layers in order, up to the first one that could not be compared."""

    model: str
    inputs: int
    layers: tuple[LayerComparison, ...]  # the last one is the file itself, if that was run too
    total: int  # how many there are to compare
    steps: bool = False  # the inputs were consecutive steps

    @property
    def first(self) -> LayerComparison | None:
        """The first layer that differs; of steps, in the first one in which any does."""
        differing = [layer for layer in self.layers if layer.differing]
        return min(differing, key=lambda one: one.step if self.steps else 0, default=None)

    @property
    def problem(self) -> LayerComparison | None:
        """The layer that could not be compared, nor anything behind it."""
        return next((layer for layer in self.layers if layer.problem), None)

    @property
    def agrees(self) -> bool:
        """Whether everything was compared and no byte differs."""
        return self.first is None and self.problem is None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        first, problem = self.first, self.problem
        return {
            "model": self.model,
            "inputs": self.inputs,
            "agrees": self.agrees,
            "first_difference": None if first is None else first.name,
            "first_step": None if first is None or not self.steps else first.step,
            "not_compared": None if problem is None else problem.name,
            "layers": [
                {
                    "name": layer.name,
                    "what": layer.what,
                    "shape": list(layer.shape),
                    "bytes": layer.size,
                    "differing": layer.differing,
                    "worst": layer.worst,
                    "problem": layer.problem,
                }
                for layer in self.layers
            ],
        }


def bisect(
    graph: QGraph, x: Inputs, file: bytes | None = None, progress: Progress | None = None
) -> Bisection:
    """Compare every layer of ``graph`` on ``x`` [n, *input shape], of the input's type; of several
    inputs one each. With states these are n steps from a reset.

    ``file``: the .tflite file that the graph was imported from. Raises MissingTool without TFLite
    Micro.
    """
    inputs = (x,) if isinstance(x, np.ndarray) else tuple(x)
    parts = [part for op in graph.ops if (part := before(graph, op.name)).inputs]
    total = len(parts) + (len(graph.outputs) if file is not None else 0)
    layers: list[LayerComparison] = []
    with Interpreter() as tflm:
        given = dict(zip(graph.inputs, inputs, strict=True))
        comparison = _Comparison(tflm, given, simulate_all(graph, inputs))
        for part in parts:
            layers.append(comparison.layer(part))
            if progress is not None:
                progress(len(layers), total)
            if layers[-1].problem:
                break
        else:
            if file is not None:
                layers += comparison.file(graph, file)
    return Bisection(graph.name, len(inputs[0]), tuple(layers), total, bool(graph.states))


def bisect_model(
    path: Path, inputs: Callable[[QGraph], Inputs], progress: Progress | None = None
) -> Bisection:
    """`bisect` of the model at ``path`` on what ``inputs`` gives for its graph."""
    graph = load_model(path)
    source = model_file(path)
    content = None
    if source.suffix == TFLITE:
        try:
            content = source.read_bytes()
        except OSError as error:
            raise NanoError(f"Cannot read {source}: {error.strerror}.") from error
    return bisect(graph, inputs(graph), content, progress)


def before(graph: QGraph, output: str) -> QGraph:
    """The part of ``graph`` that ``output`` depends on, over all steps, with it as its output."""
    needed, count = {output}, 0
    while count != len(needed):  # a state that is read needs what its next value needs
        count = len(needed)
        for op in reversed(graph.ops):
            if not needed.isdisjoint(op.outputs):
                needed.update(op.inputs, op.outputs)
        needed.update(state.next for state in graph.states if state.read in needed)
    kept = [number for number, name in enumerate(graph.inputs) if name in needed]
    return replace(
        graph,
        ops=tuple(op for op in graph.ops if op.name in needed),
        tensors={name: tensor for name, tensor in graph.tensors.items() if name in needed},
        constants={name: data for name, data in graph.constants.items() if name in needed},
        inputs=tuple(graph.inputs[number] for number in kept),
        input_permutations=tuple(graph.permutations[number] for number in kept),
        states=tuple(state for state in graph.states if state.read in needed),
        outputs=(output,),
        output_names=(),
        labels=(),
        quality=(),
        samples=(),
        stream=None,
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """TFLite Micro, the inputs, and what every tensor ought to hold on them."""

    tflm: Interpreter
    x: Mapping[str, NDArray[Any]]  # by the inputs' names
    expected: Mapping[str, NDArray[Any]]

    def layer(self, part: QGraph) -> LayerComparison:
        """The last layer of ``part``, a graph cut behind it."""
        wanted = self.expected[part.output]
        what = describe(part.op(part.output))
        row = LayerComparison(part.output, what, wanted.shape[1:], 0, 0, 0)
        try:
            model = tflite.write(part)
        except UnsupportedOp as error:
            return replace(row, problem=f"There is no .tflite form. {error}")
        return self._measured(row, model, part, (wanted,))[0]

    def file(self, graph: QGraph, content: bytes) -> tuple[LayerComparison, ...]:
        """The file that ``graph`` was imported from: every output."""
        wanted = tuple(self.expected[output] for output in graph.outputs)
        row = LayerComparison("the whole file", "as it is", wanted[0].shape[1:], 0, 0, 0)
        return self._measured(row, content, graph, wanted)

    def _measured(
        self, row: LayerComparison, model: bytes, graph: QGraph, wanted: Sequence[NDArray[Any]]
    ) -> tuple[LayerComparison, ...]:
        """``row`` for each output of ``model``, which takes ``graph``'s inputs."""
        x = tuple(self.x[name] for name in graph.inputs)
        try:
            answers = self.tflm.run_ends(model, x, len(wanted))
        except TflmError as error:
            problem = f"TensorFlow Lite Micro has no answer. {error.message}"
            return (replace(row, problem=problem),)
        rows = []
        for output, got, expected in zip(graph.outputs, answers, wanted, strict=True):
            name = row.name if len(wanted) == 1 else f"{row.name}: {output}"
            one = replace(row, name=name, shape=expected.shape[1:])
            rows.append(self._compared(one, np.ascontiguousarray(got), expected))
        return tuple(rows)

    @staticmethod
    def _compared(row: LayerComparison, got: NDArray[Any], wanted: NDArray[Any]) -> LayerComparison:
        flat = np.ascontiguousarray(wanted).reshape(len(wanted), -1)
        if got.dtype != flat.dtype or got.shape != flat.shape:
            found = f"{got.dtype} {got.shape}, here it is {flat.dtype} {flat.shape}"
            return replace(row, problem=f"TensorFlow Lite Micro answers {found}.")
        other = got.view(np.uint8) != flat.view(np.uint8)
        differing, step = int(np.count_nonzero(other)), -1
        if differing:
            step = int(np.flatnonzero(other.any(axis=1))[0])
        worst = _distance(got, flat)
        return replace(row, size=flat.nbytes, differing=differing, worst=worst, step=step)


def _distance(one: NDArray[Any], two: NDArray[Any]) -> int:
    if one.dtype == np.float32:
        one, two = one.view(np.int32), two.view(np.int32)
    return int(np.abs(one.astype(np.int64) - two.astype(np.int64)).max(initial=0))


def verdict(result: Bisection) -> str:
    """The comparison in a sentence or two for people."""
    word = "step" if result.steps else "input"
    inputs = f"{result.inputs:,} {word}{'' if result.inputs == 1 else 's'}"
    first, problem = result.first, result.problem
    text = f"{len(result.layers):,} layers on {inputs}: 0 bytes differ from TensorFlow Lite Micro."
    if problem is not None:
        agreed = len(result.layers) - 1
        text = (
            f"{agreed:,} of {result.total:,} layers could be compared on {inputs}. "
            f"Layer {problem.name}: {problem.problem}"
        )
    if first is None:
        return text
    when = f", in step {first.step}" if result.steps else ""
    difference = (
        f"The first layer that differs is {first.name}{when}: {first.differing:,} of "
        f"{first.size:,} bytes, by {first.worst:,} at most."
    )
    return difference if problem is None else f"{difference} {text}"
