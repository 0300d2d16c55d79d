"""Simulator against TensorFlow Lite Micro, layer by layer: the first one whose bytes differ.

The graph is cut behind each layer, the part in front is written as .tflite and run by TFLite
Micro's reference kernels, and its output is compared with the simulator's. A model that came as
a .tflite file is also run as it is, so that a mistake of the import shows too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from nanotool.simulate import simulate_all
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


@dataclass(frozen=True, slots=True)
class Bisection:
    """Layers in order, up to the first one that could not be compared."""

    model: str
    inputs: int
    layers: tuple[LayerComparison, ...]  # the last one is the file itself, if that was run too
    total: int  # how many there are to compare

    @property
    def first(self) -> LayerComparison | None:
        """The first layer that differs."""
        return next((layer for layer in self.layers if layer.differing), None)

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
    graph: QGraph, x: NDArray[Any], file: bytes | None = None, progress: Progress | None = None
) -> Bisection:
    """Compare every layer of ``graph`` on ``x`` [n, *input shape], of the input's type.

    ``file``: the .tflite file that the graph was imported from. Raises MissingTool without TFLite
    Micro.
    """
    parts = [before(graph, op.name) for op in graph.ops]
    parts = [part for part in parts if any(part.input in op.inputs for op in part.ops)]
    total = len(parts) + (file is not None)
    layers: list[LayerComparison] = []
    with Interpreter() as tflm:
        comparison = _Comparison(tflm, x, simulate_all(graph, x))
        for part in parts:
            layers.append(comparison.layer(part))
            if progress is not None:
                progress(len(layers), total)
            if layers[-1].problem:
                break
        else:
            if file is not None:
                layers.append(comparison.file(graph, file))
    return Bisection(graph.name, len(x), tuple(layers), total)


def bisect_model(
    path: Path, inputs: Callable[[QGraph], NDArray[Any]], progress: Progress | None = None
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
    """The part of ``graph`` that ``output`` depends on, with it as its output."""
    needed = {output}
    ops = []
    for op in reversed(graph.ops):
        if op.name in needed:
            ops.append(op)
            needed.update(op.inputs)
    needed.add(graph.input)
    return replace(
        graph,
        ops=tuple(reversed(ops)),
        tensors={name: tensor for name, tensor in graph.tensors.items() if name in needed},
        constants={name: data for name, data in graph.constants.items() if name in needed},
        outputs=(output,),
        labels=(),
        quality=(),
        samples=(),
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """TFLite Micro, the inputs, and what every tensor ought to hold on them."""

    tflm: Interpreter
    x: NDArray[Any]
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
        return self._measure(row, model, wanted)

    def file(self, graph: QGraph, content: bytes) -> LayerComparison:
        """The file that ``graph`` was imported from."""
        wanted = self.expected[graph.output]
        row = LayerComparison("the whole file", "as it is", wanted.shape[1:], 0, 0, 0)
        return self._measure(row, content, wanted)

    def _measure(self, row: LayerComparison, model: bytes, wanted: NDArray[Any]) -> LayerComparison:
        try:
            got = np.ascontiguousarray(self.tflm.run(model, self.x))
        except TflmError as error:
            problem = f"TensorFlow Lite Micro has no answer. {error.message}"
            return replace(row, problem=problem)
        flat = np.ascontiguousarray(wanted).reshape(len(wanted), -1)
        if got.dtype != flat.dtype or got.shape != flat.shape:
            found = f"{got.dtype} {got.shape}, here it is {flat.dtype} {flat.shape}"
            return replace(row, problem=f"TensorFlow Lite Micro answers {found}.")
        differing = int(np.count_nonzero(got.view(np.uint8) != flat.view(np.uint8)))
        return replace(row, size=flat.nbytes, differing=differing, worst=_distance(got, flat))


def _distance(one: NDArray[Any], two: NDArray[Any]) -> int:
    if one.dtype == np.float32:
        one, two = one.view(np.int32), two.view(np.int32)
    return int(np.abs(one.astype(np.int64) - two.astype(np.int64)).max(initial=0))


def verdict(result: Bisection) -> str:
    """The comparison in a sentence or two for people."""
    inputs = f"{result.inputs:,} input{'' if result.inputs == 1 else 's'}"
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
    difference = (
        f"The first layer that differs is {first.name}: {first.differing:,} of {first.size:,} "
        f"bytes, by {first.worst:,} at most."
    )
    return difference if problem is None else f"{difference} {text}"
