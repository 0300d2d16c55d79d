"""Run a float `Graph` in NumPy, sample by sample the same as the PyTorch module it came from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nanotool import unary
from nanotool.errors import InvalidModel, NanoError
from nanotool.ir import (
    UNCLAMPED,
    AveragePool2D,
    BatchNorm,
    Clamp,
    Conv2D,
    Dense,
    FloatArray,
    Graph,
    MaxPool2D,
    Node,
    Reshape,
    Softmax,
    Transpose,
    Unary,
    Window,
)

_CHUNK_ELEMENTS = 8 * 2**20  # about what one convolution's patches may hold at a time


def evaluate(graph: Graph, x: NDArray[Any]) -> dict[str, FloatArray]:
    """Every tensor of ``graph`` by name, float32 [n, *shape], in the graph's layout.

    ``x`` is n x input shape: the user's (C, H, W), or the graph's own after the layout pass
    (H, W, C); a shape that is both is the user's.
    """
    tensors = {graph.input: to_graph_layout(graph, x)}
    for node in graph.nodes:
        result = _compute(graph, node, tensors[node.inputs[0]])
        if node.clamp != UNCLAMPED:
            result = np.clip(result, *node.clamp)
        tensors[node.name] = np.ascontiguousarray(result, np.float32)
    return tensors


def to_graph_layout(graph: Graph, x: NDArray[Any]) -> FloatArray:
    """A batch in the graph's layout, from that layout or the user's."""
    data = real_numbers(x)
    user = user_shape(graph)
    if data.ndim and data.shape[1:] == user:
        order = graph.input_permutation or tuple(range(len(user)))
        result = data.transpose(0, *(1 + axis for axis in order))
    elif data.ndim and data.shape[1:] == graph.input_shape:
        result = data
    else:
        raise NanoError(
            f"The data have shape {data.shape}; {graph.name} takes N x {user}.",
            "Pass batches, the samples along the first axis.",
        )
    return np.ascontiguousarray(result, np.float32)


def real_numbers(x: NDArray[Any]) -> NDArray[Any]:
    """``x`` as an array of numbers; NanoError if it is none."""
    data = np.asarray(x)
    if data.dtype.kind not in "fiub":
        raise NanoError(f"The data have type {data.dtype}.", "Pass real numbers.")
    return data


def user_shape(graph: Graph) -> tuple[int, ...]:
    """The shape of one input as the user has it (C, H, W)."""
    if not graph.input_permutation:
        return graph.input_shape
    shape = [0] * len(graph.input_shape)
    for device_axis, user_axis in enumerate(graph.input_permutation):
        shape[user_axis] = graph.input_shape[device_axis]
    return tuple(shape)


def chunks(graph: Graph, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """``x`` cut along its first axis so that evaluating a piece takes bounded memory."""
    step = max(1, _CHUNK_ELEMENTS // _work(graph))
    for start in range(0, len(x), step):
        yield x[start : start + step]


def _work(graph: Graph) -> int:
    """About how many elements evaluating one sample holds."""
    total = math.prod(graph.input_shape)
    patches = 1
    for node in graph.nodes:
        total += math.prod(node.shape)
        if isinstance(node.op, (Conv2D, MaxPool2D, AveragePool2D)):
            source = graph.shape(node.inputs[0])
            channels = source[2] if graph.channels_last else source[0]
            pixels = math.prod(node.shape) // (
                node.shape[2] if graph.channels_last else node.shape[0]
            )
            patches = max(patches, pixels * channels * math.prod(node.op.window.kernel))
    return total + patches


def _compute(graph: Graph, node: Node, x: FloatArray) -> NDArray[Any]:  # noqa: PLR0911
    """The output of one node, its clamp aside."""
    match node.op:
        case Conv2D() | MaxPool2D() | AveragePool2D():
            return _on_image(graph, node, x)
        case Dense():
            assert node.weight is not None
            y: FloatArray = x @ node.weight.T
            return y if node.bias is None else y + node.bias
        case Unary(function):
            return unary.definition(function).real(x.astype(np.float64))
        case Softmax(beta):
            shifted = beta * (x.astype(np.float64) - x.max(axis=-1, keepdims=True))
            powers = np.exp(shifted)
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
        case Reshape(shape):
            return x.reshape(len(x), *shape)
        case Transpose(permutation):
            return np.transpose(x, (0, *(1 + axis for axis in permutation)))
        case Clamp(low, high):
            return np.clip(x, low, high)
        case BatchNorm():
            return _batch_norm(graph, node, x)
    raise InvalidModel(f"{node.name}: there is no float form of {node.op}.")


def _batch_norm(graph: Graph, node: Node, x: FloatArray) -> NDArray[Any]:
    assert node.weight is not None
    assert node.bias is not None
    image = not graph.channels_last and x.ndim == 4
    broadcast = (-1, 1, 1) if image else (-1,)
    return x * node.weight.reshape(broadcast) + node.bias.reshape(broadcast)


def _on_image(graph: Graph, node: Node, x: FloatArray) -> NDArray[Any]:
    """A sliding window, computed channels last."""
    image = x if graph.channels_last else x.transpose(0, 2, 3, 1)
    match node.op:
        case Conv2D(window, groups):
            assert node.weight is not None
            last = graph.channels_last
            y = _conv2d(
                image, node.weight if last else node.weight.transpose(0, 2, 3, 1), window, groups
            )
            if node.bias is not None:
                y = y + node.bias
        case MaxPool2D(window):
            y = _windows(image, window, -math.inf).max(axis=(4, 5))
        case AveragePool2D(window):
            count = _windows(np.ones((1, *image.shape[1:3], 1), np.float32), window, 0.0)
            y = _windows(image, window, 0.0).sum(axis=(4, 5)) / count.sum(axis=(4, 5))
        case _:
            raise AssertionError(node.op)
    return y if graph.channels_last else y.transpose(0, 3, 1, 2)


def _windows(x: FloatArray, window: Window, fill: float) -> NDArray[Any]:
    """A view [n, out_h, out_w, c, kernel_h, kernel_w]; ``fill`` stands outside the input."""
    top, left, bottom, right = window.padding
    padded = np.full(
        (x.shape[0], x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]),
        fill,
        np.float32,
    )
    padded[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    spans = tuple(d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True))
    view: NDArray[Any] = sliding_window_view(padded, spans, axis=(1, 2))
    (step_h, step_w), (gap_h, gap_w) = window.stride, window.dilation
    return view[:, ::step_h, ::step_w, :, ::gap_h, ::gap_w]


def _conv2d(x: FloatArray, weight: FloatArray, window: Window, groups: int) -> FloatArray:
    """x: n, H, W, C; weight: O, KH, KW, C/groups."""
    patches = _windows(x, window, 0.0)  # n, y, x, c, i, j
    n, height, width = patches.shape[:3]
    outputs, _, _, depth = weight.shape
    grouped = patches.reshape(n, height, width, groups, depth, *window.kernel)
    kernels = weight.reshape(groups, outputs // groups, *window.kernel, depth)
    y: FloatArray = np.einsum("nyxgcij,goijc->nyxgo", grouped, kernels, optimize=True)
    return y.reshape(n, height, width, outputs)
