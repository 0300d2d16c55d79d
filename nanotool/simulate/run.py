"""Run one operator, or a whole graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import DTYPES, QGraph, QOp
from nanotool.ops import Layer, layer_of
from nanotool.simulate.kernels import kernel

CHUNK_BYTES = 32 * 2**20  # about what one operator's widened inputs may take


Inputs: TypeAlias = "NDArray[Any] | Sequence[NDArray[Any]]"  # one array, or one an input
Arrays: TypeAlias = "tuple[NDArray[Any], ...]"


def run_layer(layer: Layer[Any], *inputs: NDArray[Any]) -> NDArray[Any]:
    """The output [n, *shape] of ``layer`` on its ``inputs`` [n, *shape] each; the first one of
    several."""
    return run_outputs(layer, *inputs)[0]


def run_outputs(layer: Layer[Any], *inputs: NDArray[Any]) -> Arrays:
    """Every output of ``layer``, [n, *shape] each."""
    y = kernel.of(layer.op)(layer, *inputs)
    results: Arrays = y if isinstance(y, tuple) else (y,)
    tensors = (layer.output, *layer.more)
    for tensor, result in zip(tensors, results, strict=True):
        if result.shape[1:] != tensor.shape:
            raise InvalidModel(
                f"{tensor.name} is computed as shape {result.shape[1:]}, its tensor has "
                f"{tensor.shape}."
            )
    pairs = zip(tensors, results, strict=True)
    return tuple(result.astype(DTYPES[tensor.dtype], copy=False) for tensor, result in pairs)


def run_op(graph: QGraph, op: QOp, *inputs: NDArray[Any]) -> NDArray[Any]:
    """The output [n, *shape] of one ``op`` of ``graph`` on its ``inputs`` [n, *shape] each; the
    first one of several."""
    return run_layer(layer_of(graph, op), *inputs)


def _checked(graph: QGraph, x: Inputs) -> Arrays:
    """The inputs, one by one, all of as many samples."""
    given = (x,) if isinstance(x, np.ndarray) else tuple(x)
    if len(given) != len(graph.inputs):
        raise InvalidModel(
            f"{graph.name} has {len(graph.inputs)} inputs ({', '.join(graph.inputs)}), "
            f"{len(given)} were given."
        )
    for tensor, data in zip(graph.input_tensors, given, strict=True):
        one = "input" if len(given) == 1 else f"input {tensor.name}"
        wrong = data.dtype != DTYPES[tensor.dtype] or data.ndim == 0
        if wrong or data.shape[1:] != tensor.shape:
            raise InvalidModel(
                f"The {one} has type {data.dtype} and shape {data.shape}; needed is "
                f"{tensor.dtype} of shape (n, {', '.join(map(str, tensor.shape))}).",
                "nanotool.inputs.to_device turns user data into it.",
            )
        if len(data) != len(given[0]):
            raise InvalidModel(f"The inputs have {len(given[0])} and {len(data)} samples.")
    return given


def _work_bytes(graph: QGraph) -> int:
    """Roughly the most bytes that one operator's widened arrays take for one sample."""
    most = 1
    for op in graph.ops:
        target = graph.tensors[op.name]
        most = max(most, 24 * target.size)
        for source in (graph.tensors[name] for name in op.inputs):
            most = max(most, 8 * source.size)
            if hasattr(op.op, "window") and source.shape:
                taps = math.prod(op.op.window.kernel)
                most = max(most, 4 * taps * math.prod(target.shape[:2]) * source.shape[-1])
    return most


def _run(graph: QGraph, x: Arrays, states: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Every tensor, [n, *shape] each, constants too. ``states``: by name, [n, *shape] each."""
    tensors: dict[str, NDArray[Any]] = {
        name: np.broadcast_to(data, (len(x[0]), *data.shape))
        for name, data in graph.constants.items()
    }
    tensors.update(zip(graph.inputs, x, strict=True))
    tensors.update((state.read, states[state.name]) for state in graph.states)
    for op in graph.ops:
        results = run_outputs(layer_of(graph, op), *(tensors[name] for name in op.inputs))
        tensors.update(zip(op.outputs, results, strict=True))
    return tensors


def simulate_step(
    graph: QGraph, x: Inputs, states: Mapping[str, NDArray[Any]] | None = None
) -> dict[str, NDArray[Any]]:
    """Every tensor of ``graph`` by name, [n, *shape] each, for n independent inputs ``x``
    [n, *shape]: each is a step that reads ``states``, by name [n, *shape] each; None: the initial
    ones. Raises InvalidModel for an input of another type or shape."""
    inputs = _checked(graph, x)
    return _run(graph, inputs, initial_states(graph, len(inputs[0])) if states is None else states)


def initial_states(graph: QGraph, count: int = 1) -> dict[str, NDArray[Any]]:
    """What the first step reads, by the states' names: [count, *shape] each."""
    return {
        state.name: np.broadcast_to(state.initial, (count, *state.initial.shape))
        for state in graph.states
    }


def next_states(graph: QGraph, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What the next step reads, by the states' names, out of a step's ``tensors``."""
    return {state.name: tensors[state.next] for state in graph.states}


def _pieces(
    graph: QGraph, x: Arrays, states: Mapping[str, NDArray[Any]] | None, reset_every: int
) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
    """The samples piece by piece, and every tensor of each piece. With states a piece is a step."""
    if not graph.states:
        size = max(1, CHUNK_BYTES // _work_bytes(graph))
        for start in range(0, len(x[0]), size):
            piece = slice(start, start + size)
            yield piece, _run(graph, tuple(data[piece] for data in x), {})
        return
    current = initial_states(graph)
    if states is not None:
        current = {name: states[name][None] for name in current}
    for index in range(len(x[0])):
        if reset_every and index and index % reset_every == 0:
            current = initial_states(graph)
        piece = slice(index, index + 1)
        tensors = _run(graph, tuple(data[piece] for data in x), current)
        current = next_states(graph, tensors)
        yield piece, tensors


def simulate_all(
    graph: QGraph,
    x: Inputs,
    *,
    states: Mapping[str, NDArray[Any]] | None = None,
    reset_every: int = 0,
) -> dict[str, NDArray[Any]]:
    """Every tensor of ``graph`` by name, each [n, *shape], for the inputs ``x`` [n, *shape]; see
    `simulate_steps`."""
    inputs = _checked(graph, x)
    if not graph.states:
        return _run(graph, inputs, {})
    parts = [tensors for _, tensors in _pieces(graph, inputs, states, reset_every)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def simulate_steps(
    graph: QGraph,
    x: Inputs,
    *,
    states: Mapping[str, NDArray[Any]] | None = None,
    reset_every: int = 0,
) -> tuple[Arrays, dict[str, NDArray[Any]]]:
    """(outputs [n, *shape] in the model's order, states after the last step by name) for the inputs
    ``x``, [n, *shape] each, all of the types that the graph's tensors have.

    A model with states takes the first axis as consecutive steps. ``states``, by name, is what the
    first one reads; None: the initial values, which every ``reset_every``-th step reads again (0:
    none does). Without states the samples are independent, and any n fits into memory.

    Raises InvalidModel for an input of another type or shape.
    """
    inputs = _checked(graph, x)
    count = len(inputs[0])
    results = tuple(
        np.empty((count, *tensor.shape), DTYPES[tensor.dtype]) for tensor in graph.output_tensors
    )
    last = {} if states is None else dict(states)
    if states is None:
        last = {name: data[0] for name, data in initial_states(graph).items()}
    for piece, tensors in _pieces(graph, inputs, states, reset_every):
        for name, result in zip(graph.outputs, results, strict=True):
            result[piece] = tensors[name]
        last = {name: data[-1] for name, data in next_states(graph, tensors).items()}
    return results, last


def simulate(graph: QGraph, x: Inputs, *, reset_every: int = 0) -> NDArray[Any]:
    """The outputs [n, *output shape] of ``graph``, which has one, for the inputs ``x`` [n, *shape]:
    `simulate_steps` from the initial states, without the states."""
    _ = graph.output  # one, or an error
    return simulate_steps(graph, x, reset_every=reset_every)[0][0]
