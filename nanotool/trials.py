"""Random trials of an operator that a package brings: what its tests call.

from nanotool.custom import check
def test_snake() -> None:
    check(SNAKE)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanotool.errors import InvalidModel, NanoError
from nanotool.ir import Int8Array, QGraph, QOp, QTensor, Shape
from nanotool.ops import custom
from nanotool.ops.custom import CustomOperator
from nanotool.ops.words import words
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.simulate import simulate

SAMPLES = 6  # inputs of a trial
MOST_AXIS = 9


@dataclass(frozen=True, slots=True)
class Trials:
    """What `check` found."""

    count: int  # graphs
    elements: int  # outputs that were compared, all the same in NumPy and in C
    in_place: int  # graphs whose output lay over an input
    worst_steps: float  # the farthest that any was from real(), in steps of the output's scale


def check(
    operator: CustomOperator, count: int = 100, *, seed: int = 0, most_steps: float | None = 1.0
) -> Trials:
    """Run ``count`` random graphs of ``operator``, which must be installed, each on random inputs
    and the extremes: its C kernel, in the arena where the planner puts it, must give integer()'s
    bytes, and these be within ``most_steps`` of real(), clamped to int8 (None: not compared).

    NanoError, with the trial's seed, where one is not so, or where random() gives nothing to try.
    """
    done = elements = in_place = 0
    worst = 0.0
    for number in range(seed, seed + 20 * count):
        graph = random_graph_of(operator, np.random.default_rng([number, 7]))
        if graph is None:
            continue
        inputs = _inputs(graph, np.random.default_rng([number, 8]))
        lowered, plan = prepare(graph)
        wanted = simulate(graph, inputs)
        found = Runtime(lowered, plan).run(inputs)
        where = f"{words(graph.ops[0].op)}, trial {number}"
        if not np.array_equal(wanted, found):
            differing = int((wanted != found).sum())
            raise NanoError(f"{where}: {differing} of {wanted.size} bytes differ between NumPy, C.")
        steps = _steps(operator, graph, inputs, wanted)
        if most_steps is not None and steps > most_steps:
            raise NanoError(f"{where}: an output is {steps:.2f} steps from the real one.")
        worst = max(worst, steps)
        elements += wanted.size
        in_place += plan.arena_size < sum(lowered.buffers.values())
        done += 1
        if done == count:
            return Trials(done, elements, in_place, worst)
    raise NanoError(f"{operator.name}: its random() gave {done} of {count} graphs.")


def random_graph_of(operator: CustomOperator, rng: np.random.Generator) -> QGraph | None:
    """A graph of one op; None if random() has nothing for its shape."""
    shape = tuple(int(size) for size in rng.integers(1, MOST_AXIS + 1, rng.integers(1, 4)))
    drawn = None if operator.random is None else operator.random(rng, shape)
    if drawn is None:
        return None
    numbers, others = drawn
    op = operator.made(numbers)
    names = tuple(f"input{number or ''}" for number in range(operator.inputs))
    shapes = zip(names, (shape, *others), strict=True)
    tensors = {name: _tensor(name, one, rng) for name, one in shapes}
    try:
        result = custom.output_shape(op, tuple(tensor.shape for tensor in tensors.values()))
    except ValueError as error:
        raise InvalidModel(
            f"{operator.name}: its random() gives what it refuses: {error}"
        ) from None
    noise = (rng.integers(-128, 128, (64, *t.shape)).astype(np.int8) for t in tensors.values())
    grids = [t.dequantize(x) for t, x in zip(tensors.values(), noise, strict=True)]
    real = np.asarray(operator.real(op, *grids), np.float64)
    scale, zero_point = operator.fixed_output or _fitting(real, rng)
    tensors["output"] = QTensor("output", result, scale, zero_point)
    clamp = (-128, 127)
    if operator.clamps and rng.random() < 0.4:
        clamp = (max(-128, min(127, zero_point)), 127)
    return QGraph("trial", tensors, (QOp("output", op, names, clamp=clamp),), names, ("output",))


def _tensor(name: str, shape: Shape, rng: np.random.Generator) -> QTensor:
    scale = float(np.float32(10 ** rng.uniform(-3, 0.5)))
    usual = (-128, 0, 127, int(rng.integers(-128, 128)))
    return QTensor(name, shape, scale, usual[int(rng.integers(4))])


def _fitting(real: object, rng: np.random.Generator) -> tuple[float, int]:
    """A scale and a zero point that ``real`` fills, more or less."""
    values = np.nan_to_num(np.asarray(real, np.float64))
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = float(np.float32(max((high - low) / 255, 1e-6) * 2 ** rng.uniform(-0.5, 0.5)))
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def _inputs(graph: QGraph, rng: np.random.Generator) -> tuple[Int8Array, ...]:
    found = []
    for tensor in graph.input_tensors:
        x = rng.integers(-128, 128, (SAMPLES, *tensor.shape)).astype(np.int8)
        x[1], x[2], x[3] = -128, 127, tensor.zero_point
        found.append(x)
    return tuple(found)


def _steps(
    operator: CustomOperator, graph: QGraph, inputs: tuple[Int8Array, ...], found: Int8Array
) -> float:
    """How far ``found`` is from real(), clamped, in steps."""
    (op,), target = graph.ops, graph.output_tensor
    given = [t.dequantize(x) for t, x in zip(graph.input_tensors, inputs, strict=True)]
    real = np.asarray(operator.real(op.op, *given), np.float64)
    wanted = np.clip(real / target.scale + target.zero_point, *op.clamp)
    return float(np.abs(wanted - found).max())
