"""Run a float `Graph` in NumPy, sample by sample the same as the PyTorch module it came from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import UNCLAMPED, AveragePool2D, FloatArray, Graph, MaxPool2D
from nanotool.ops import float_layer_of
from nanotool.quantization.float_ops import compute

Batch: TypeAlias = "NDArray[Any] | Sequence[NDArray[Any]]"  # one array, or one an input

_CHUNK_ELEMENTS = 8 * 2**20  # about what all tensors of a piece may hold


def evaluate(
    graph: Graph,
    x: Batch,
    states: Mapping[str, NDArray[Any]] | None = None,
    remembered: dict[str, FloatArray] | None = None,
) -> dict[str, FloatArray]:
    """Every tensor of ``graph`` but its constants, float32 [n, *shape], in the graph's layout.

    ``x`` is n x input shape: the user's (C, H, W), or the graph's own after the layout pass
    (H, W, C); a shape that is both is the user's. Of a graph with several inputs one array each.
    The n are independent: of a graph with states each is a step, which reads ``states``, by name
    [n, *shape] each; None: the initial ones. ``remembered``, where given, gets what recurrent
    layers remember, `Node.more`, after each of their steps: [n, steps, units].
    """
    inputs = to_graph_layout(graph, x)
    tensors = dict(zip(graph.inputs, inputs, strict=True))
    read = initial_states(graph, len(inputs[0])) if states is None else states
    for state in graph.states:
        tensors[state.read] = np.ascontiguousarray(read[state.name], np.float32)
    constants = {name: data[np.newaxis] for name, data in graph.constants.items()}
    for node in graph.nodes:
        operands = (constants[t] if t in constants else tensors[t] for t in node.inputs)
        result, history = compute(float_layer_of(graph, node), *operands)
        if node.more and history is not None:
            tensors[node.more[0]] = np.ascontiguousarray(history[:, -1], np.float32)
            if remembered is not None:
                remembered[node.more[0]] = np.asarray(history, np.float32)
        if node.clamp != UNCLAMPED:
            result = np.clip(result, *node.clamp)
        tensors[node.name] = np.ascontiguousarray(result, np.float32)
    return tensors


def initial_states(graph: Graph, count: int) -> dict[str, NDArray[Any]]:
    """What ``count`` first steps read, by the states' names: [count, *shape] each."""
    return {
        state.name: np.broadcast_to(state.initial, (count, *state.initial.shape))
        for state in graph.states
    }


def to_graph_layout(graph: Graph, x: Batch) -> tuple[FloatArray, ...]:
    """A batch in the graph's layout, from that layout or the user's: one array an input."""
    arrays = ends(graph, x)
    turned: list[FloatArray] = []
    for number, array in enumerate(arrays):
        data, user, own = real_numbers(array), user_shape(graph, number), graph.input_shapes[number]
        if data.ndim and data.shape[1:] == user:
            order = graph.permutations[number] or tuple(range(len(user)))
            data = data.transpose(0, *(1 + axis for axis in order))
        elif not data.ndim or data.shape[1:] != own:
            which = f" for its input {graph.inputs[number]}" if len(arrays) > 1 else ""
            raise NanoError(
                f"The data have shape {data.shape}; {graph.name} takes N x {user}{which}.",
                "Pass batches, the samples along the first axis.",
            )
        turned.append(np.ascontiguousarray(data, np.float32))
    return tuple(turned)


def ends(graph: Graph, batch: Batch) -> tuple[NDArray[Any], ...]:
    """The arrays of ``batch``, one an input, of as many samples each."""
    single = len(graph.inputs) == 1 and not isinstance(batch, tuple)
    arrays = tuple(map(np.asarray, (batch,) if single or isinstance(batch, np.ndarray) else batch))
    if len(arrays) != len(graph.inputs):
        raise NanoError(
            f"A batch has {len(arrays)} arrays; {graph.name} takes {len(graph.inputs)}: "
            f"{', '.join(graph.inputs)}.",
            "Pass a tuple of arrays, one an input.",
        )
    counts = [len(array) if array.ndim else 0 for array in arrays]
    if len(set(counts)) > 1:
        raise NanoError(
            f"A batch has {' and '.join(map(str, counts))} samples of its inputs.",
            "Each input needs as many.",
        )
    return arrays


def real_numbers(x: NDArray[Any]) -> NDArray[Any]:
    """``x`` as an array of numbers; NanoError if it is none."""
    data = np.asarray(x)
    if data.dtype.kind not in "fiub":
        raise NanoError(f"The data have type {data.dtype}.", "Pass real numbers.")
    return data


def user_shape(graph: Graph, number: int = 0) -> tuple[int, ...]:
    """The shape of input ``number`` as the user has it (C, H, W)."""
    shape, order = graph.input_shapes[number], graph.permutations[number]
    if not order:
        return shape
    user = [0] * len(shape)
    for device_axis, user_axis in enumerate(order):
        user[user_axis] = shape[device_axis]
    return tuple(user)


def chunks(
    graph: Graph, batch: Batch, reset_every: int = 0
) -> Iterator[tuple[bool, tuple[NDArray[Any], ...]]]:
    """A batch's inputs, cut so that evaluating a piece takes bounded memory: pieces of samples.

    Of a graph with states a batch is consecutive steps from a reset, with another one before every
    ``reset_every``-th (0: none). A piece is then one step of all sequences, or of many, as far as
    they have it: the first so many of the piece before. With each piece comes whether it begins.
    """
    arrays, most = ends(graph, batch), max(1, _CHUNK_ELEMENTS // _work(graph))
    count = len(arrays[0])
    if not graph.states:
        for start in range(0, count, most):
            yield True, tuple(array[start : start + most] for array in arrays)
        return
    length = min(reset_every or count, count)
    for first in range(0, count, max(length, 1) * most):
        end = min(first + length * most, count)
        for step in range(min(length, end - first)):
            steps = slice(first + step, end, length)
            yield step == 0, tuple(array[steps] for array in arrays)


def evaluated(
    graph: Graph,
    batch: Batch,
    reset_every: int = 0,
    remembered: dict[str, FloatArray] | None = None,
) -> Iterator[tuple[bool, tuple[NDArray[Any], ...], dict[str, FloatArray]]]:
    """`chunks`, and every tensor of each; ``remembered`` as for `evaluate`."""
    states: Mapping[str, NDArray[Any]] = {}
    for begins, piece in chunks(graph, batch, reset_every):
        count = len(piece[0])
        before = None if begins else {name: data[:count] for name, data in states.items()}
        tensors = evaluate(graph, piece, before, remembered)
        states = {state.name: tensors[state.next] for state in graph.states}
        yield begins, piece, tensors


def _work(graph: Graph) -> int:
    """About how many elements evaluating one sample holds."""
    total = sum(math.prod(graph.shape(name)) for name in graph.sources)
    patches = 1
    for node in graph.nodes:
        total += math.prod(node.shape)
        if isinstance(node.op, (MaxPool2D, AveragePool2D)):
            source = graph.shape(node.inputs[0])
            channels = source[2] if graph.channels_last else source[0]
            pixels = math.prod(node.shape) // (
                node.shape[2] if graph.channels_last else node.shape[0]
            )
            patches = max(patches, pixels * channels * math.prod(node.op.window.kernel))
    return total + patches
