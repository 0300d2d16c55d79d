"""Pools over windows, means and sums over axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import fx

from nanotool.frontends.torch.arithmetic import scaled
from nanotool.frontends.torch.fx_nodes import Arguments, image_sizes, operator_name
from nanotool.frontends.torch.walk import Value, Walk, handles
from nanotool.ir import (
    AveragePool2D,
    BatchNorm,
    Concat,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    Reduce,
    Shape,
    Slice,
    Window,
)


def _axes(node: fx.Node) -> int:
    """Of the window: 1 for "max_pool1d"."""
    return 1 if operator_name(node).endswith("1d") else 2


def _window(args: Arguments, node: fx.Node, size: tuple[int, int], shape: Shape) -> Window:
    """The window of a pool over ``size``, with output ``shape``. ceil_mode is more padding behind,
    which never counts."""
    axes = _axes(node)
    kernel = image_sizes(args["kernel_size"], axes, 1)
    stride = image_sizes(args["stride"], axes, 1) if args["stride"] else kernel
    padding = image_sizes(args["padding"], axes, 0)
    dilation = image_sizes(args.get("dilation", 1), axes, 1)
    outputs = (1, shape[-1]) if axes == 1 else (shape[1], shape[2])
    behind = []
    for axis in range(2):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        reach = (outputs[axis] - 1) * stride[axis] + span
        behind.append(max(padding[axis], reach - size[axis] - padding[axis]))
    return Window(kernel, stride, (*padding, behind[0], behind[1]), dilation)


def _pooled(walk: Walk, node: fx.Node, image: str, window: Window) -> tuple[int, int, int]:
    """The shape behind a pool."""
    channels, height, width = walk.shapes[image]
    return (channels, *window.output_size(height, width))


def _input(walk: Walk, args: Arguments, node: fx.Node) -> tuple[str, tuple[int, int]]:
    """The image that a pool reads, its height and width."""
    image = walk.image(walk.source(args["self"]), operator_name(node))
    return image, (walk.shapes[image][1], walk.shapes[image][2])


@handles("max_pool1d", "max_pool2d", makes=MaxPool2D)
def _max_pool(walk: Walk, args: Arguments, node: fx.Node) -> str:
    image, size = _input(walk, args, node)
    window = _window(args, node, size, walk.batchless(node))
    result = walk.emit(MaxPool2D(window), (image,), _pooled(walk, node, image, window))
    return walk.from_image(result, _axes(node) + 1)


@handles("max_pool2d_with_indices", makes=MaxPool2D)
def _max_pool_with_indices(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    image, size = _input(walk, args, node)
    window = _window(args, node, size, walk.without_batch(node.meta["val"][0]))
    result = walk.emit(MaxPool2D(window), (image,), _pooled(walk, node, image, window))
    return [result, None]


@handles("avg_pool1d", "avg_pool2d", makes=(AveragePool2D, BatchNorm))
def _average_pool(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """Where the padding counts, it is a Pad in front; what ceil_mode adds behind never counts, but
    for a divisor of its own."""
    image, size = _input(walk, args, node)
    window = _window(args, node, size, walk.batchless(node))
    shape = _pooled(walk, node, image, window)
    top, left = window.padding[:2]
    divisor = args.get("divisor_override")
    counted = (top, left, top, left) if args["count_include_pad"] else (0, 0, 0, 0)
    if divisor is not None:
        counted = window.padding
    if any(counted):
        image = _padded(walk, image, counted)
        rest = tuple(pad - inner for pad, inner in zip(window.padding, counted, strict=True))
        window = Window(window.kernel, window.stride, (rest[0], rest[1], rest[2], rest[3]))
    result = walk.emit(AveragePool2D(window), (image,), shape)
    if divisor is not None and int(divisor) != math.prod(window.kernel):
        result = scaled(walk, result, math.prod(window.kernel) / int(divisor))
    return walk.from_image(result, _axes(node) + 1)


def _padded(walk: Walk, image: str, padding: tuple[int, int, int, int]) -> str:
    top, left, bottom, right = padding
    channels, height, width = walk.shapes[image]
    shape = (channels, height + top + bottom, width + left + right)
    return walk.emit(Pad((0, top, left), (0, bottom, right)), (image,), shape, suffix="pad")


def _ends(size: int, outputs: int) -> list[tuple[int, int]]:
    """Where each window of an adaptive pool begins and ends."""
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def _even(size: int, outputs: int) -> tuple[int, int] | None:
    """(length, stride) of the windows along an axis, if all are alike."""
    ends = _ends(size, outputs)
    lengths, starts = {end - start for start, end in ends}, [start for start, _ in ends]
    steps = {b - a for a, b in pairwise(starts)} or {size}
    alike = len(lengths) == 1 and len(steps) == 1
    return (lengths.pop(), steps.pop()) if alike else None


def _equal_windows(walk: Walk, node: fx.Node, image: str, outputs: Shape) -> Window | None:
    """The window of an adaptive pool; None where windows have several sizes."""
    _, height, width = walk.shapes[image]
    out_h, out_w = (1, outputs[-1]) if _axes(node) == 1 else (outputs[1], outputs[2])
    rows, columns = _even(height, out_h), _even(width, out_w)
    if rows is None or columns is None:
        return None
    return Window((rows[0], columns[0]), (rows[1], columns[1]))


def _uneven(
    walk: Walk, node: fx.Node, image: str, outputs: Shape, op: Callable[[Window], Op]
) -> str:
    """An adaptive pool of windows of several sizes: one piece each, joined."""
    channels, height, width = walk.shapes[image]
    out_h, out_w = (1, outputs[-1]) if _axes(node) == 1 else (outputs[1], outputs[2])
    rows = []
    for top, bottom in _ends(height, out_h):
        pieces = []
        for left, right in _ends(width, out_w):
            size = (bottom - top, right - left)
            part = walk.emit(
                Slice((0, top, left), (1, 1, 1)), (image,), (channels, *size), suffix="part"
            )
            pooled = op(Window(size, size))
            pieces.append(walk.emit(pooled, (part,), (channels, 1, 1), suffix="piece"))
        rows.append(_joined(walk, pieces, 2, (channels, 1, out_w)))
    return _joined(walk, rows, 1, (channels, out_h, out_w))


def _joined(walk: Walk, parts: list[str], axis: int, shape: Shape) -> str:
    if len(parts) == 1:
        return parts[0]
    return walk.emit(Concat(axis), tuple(parts), shape, suffix="joined")


@handles("adaptive_avg_pool1d", "adaptive_avg_pool2d", makes=(AveragePool2D, Mean))
@handles("_adaptive_avg_pool2d", makes=(AveragePool2D, Mean))
def _adaptive_average(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """To one pixel it is a mean, which has an output scale of its own."""
    image, _ = _input(walk, args, node)
    outputs = walk.batchless(node)
    window = _equal_windows(walk, node, image, outputs)
    if window is None:
        result = _uneven(walk, node, image, outputs, AveragePool2D)
        return walk.from_image(result, _axes(node) + 1)
    shape = _pooled(walk, node, image, window)
    op = Mean((1, 2), keep_dims=True) if shape[1:] == (1, 1) else AveragePool2D(window)
    return walk.from_image(walk.emit(op, (image,), shape), _axes(node) + 1)


@handles("adaptive_max_pool1d", "adaptive_max_pool2d", makes=MaxPool2D)
def _adaptive_maximum(walk: Walk, args: Arguments, node: fx.Node) -> list[Value]:
    """(values, indices); there are no indices here."""
    image, _ = _input(walk, args, node)
    outputs = walk.without_batch(node.meta["val"][0])
    window = _equal_windows(walk, node, image, outputs)
    if window is None:
        result = _uneven(walk, node, image, outputs, MaxPool2D)
        return [walk.from_image(result, _axes(node) + 1), None]
    result = walk.emit(MaxPool2D(window), (image,), _pooled(walk, node, image, window))
    return [walk.from_image(result, _axes(node) + 1), None]


@handles("mean", makes=Mean)
@handles("sum", makes=Reduce)
def _mean(walk: Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    shape, what = walk.shapes[source], operator_name(node)
    numbers = args.get("dim")
    numbers = [numbers] if isinstance(numbers, int) else numbers
    if not numbers and walk.whole:
        numbers = list(range(1, len(shape) + 1))
    if not numbers:
        walk.refuse(f"a {what} over everything", "Name the axes: x.mean((2, 3)).")
    axes = tuple(sorted({walk.axis(number, len(shape), f"a {what}") for number in numbers}))
    keep = bool(args.get("keepdim"))
    op = Mean(axes, keep) if what == "mean" else Reduce("sum", axes, keep)
    return walk.emit(op, (source,), walk.batchless(node))
