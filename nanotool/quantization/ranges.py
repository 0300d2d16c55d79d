"""From observed ranges to those that the tensors get: what readers cannot see is left out, and new
inputs get some headroom."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nanotool.errors import InvalidModel
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    UNCLAMPED,
    ZERO_POINTS,
    Binary,
    FloatArray,
    Graph,
    Node,
    QTensor,
)
from nanotool.ops import facts
from nanotool.ops.moves import moved
from nanotool.quantization.calibrate import Range
from nanotool.quantization.quality import UNBOUNDED

# How much further than seen the min-max range of a model's output reaches, at either end that no
# clamp sets: new inputs go beyond the calibration's extremes, and no later layer forgives it.
HEADROOM = 1 / 16

# So far below a row's largest score a softmax gives less than half of a step.
HIDDEN = 8.0

# Scales stay where they and the bounds of their tensors are normal float32 numbers by far.
SCALE_MIN, SCALE_MAX = 2.0**-96, 2.0**60
WIDE_POWERS = (-15, -1)  # of the powers of two that scales of int16 are


def useful_range(graph: Graph, tensor: str) -> Range:
    """Outside of it, values of ``tensor`` make no difference to any of its readers."""
    if tensor in graph.results:
        return UNBOUNDED
    low, high = math.inf, -math.inf
    for reader in graph.consumers(tensor):
        bounds = _useful_to(graph, reader)
        low, high = min(low, bounds[0]), max(high, bounds[1])
    return (low, high) if low <= high else UNBOUNDED


def useful_ranges(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Of the tensors with ``ranges`` those of which readers do not see all, and what they see."""
    found = {}
    for name in ranges:
        low, high = useful_range(graph, name)
        low = max(low, _hidden_below(graph, ranges, name))
        if (low, high) != UNBOUNDED:
            found[name] = (low, high)
    return found


def _hidden_below(graph: Graph, ranges: Mapping[str, Range], tensor: str) -> float:
    """Below it a value of ``tensor``, the sum of scores and a constant mask, is 0 to the softmaxes
    that read it: a mask of -1000 is to cost the scores no steps. -inf where it is no such sum."""
    node = next((node for node in graph.nodes if node.name == tensor), None)
    if node is None or node.op != Binary("add"):
        return -math.inf
    masks = [graph.constants[name] for name in node.inputs if name in graph.constants]
    scores = [ranges[name] for name in node.inputs if name in ranges]
    if len(masks) != 1 or len(scores) != 1:
        return -math.inf
    (mask,), ((low, high),) = masks, scores
    least = _least_shown(graph, tensor, np.broadcast_to(mask, node.shape), high - low)
    return low + least if least > float(mask.min()) else -math.inf


def _least_shown(graph: Graph, tensor: str, mask: FloatArray, span: float) -> float:
    """Of ``mask``, added to scores that are at most ``span`` apart, the least value that a softmax
    behind ``tensor`` sees in any of its rows, less `HIDDEN`; -inf where ``tensor`` goes anywhere
    else than, moved at most, to softmaxes."""
    readers = graph.consumers(tensor)
    if tensor in graph.results or not readers:
        return -math.inf
    return min(_least_shown_to(graph, reader, mask, span) for reader in readers)


def _least_shown_to(graph: Graph, reader: Node, mask: FloatArray, span: float) -> float:
    if facts(reader.op).moves and len(reader.inputs) == 1:
        turned = moved(reader.op, [mask], reader.shape)
        return -math.inf if turned is None else _least_shown(graph, reader.name, turned, span)
    sharpness = float(getattr(reader.op, "beta", 0.0))  # which softmaxes alone have
    if not sharpness:
        return -math.inf
    far = HIDDEN / sharpness
    rows = mask.max(axis=-1, keepdims=True)
    return float(mask[mask > rows - span - far].min()) - far


def _useful_to(graph: Graph, reader: Node) -> Range:
    """What ``reader`` sees of an input."""
    return useful_range(graph, reader.name) if _chooses(reader) else facts(reader.op).useful_input


def _chooses(node: Node) -> bool:
    """Whether each output is one of the inputs: a clamp of all inputs to a range is then a clamp of
    the outputs. A pad chooses where it brings no value of its own."""
    what = facts(node.op)
    return node.clamp == UNCLAMPED and (what.chooses or (what.fills and len(node.inputs) == 1))


def with_headroom(bounds: Range, clamp: Range) -> Range:
    """``bounds`` and HEADROOM, within ``clamp``."""
    low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
    margin = HEADROOM * (high - low)
    return max(low - margin, clamp[0]), min(high + margin, clamp[1])


def activation(name: str, shape: tuple[int, ...], bounds: Range, least: float = 0.0) -> QTensor:
    """The tensor that covers ``bounds`` and 0, with 0 exact and a scale of at least ``least``."""
    low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
    scale = (high - low) / (INT8_MAX - INT8_MIN)
    if scale == 0:
        scale = 1.0  # always 0: any scale will do
    if not scale <= SCALE_MAX:
        raise InvalidModel(
            f"Tensor {name} reaches from {low:.3g} to {high:.3g}.",
            "Values of that size mean that the model diverged: train it again.",
        )
    if scale < SCALE_MIN:
        raise InvalidModel(
            f"Tensor {name} reaches from {low:.3g} to {high:.3g} only: no scale is that small.",
            "Give the input in a smaller unit (millivolts for volts), so that its numbers are "
            "larger, and train with it.",
        )
    # As many steps below 0 as the range needs; rounding may move either end by half a step.
    scale = max(scale, least)
    zero_point = round(INT8_MIN - low / scale)
    return QTensor(name, shape, scale, max(INT8_MIN, min(INT8_MAX, zero_point)))


def symmetric(name: str, shape: tuple[int, ...], bounds: Range, least: float = 0.0) -> QTensor:
    """The int16 tensor that covers ``bounds``, with the zero point 0 and a scale of at least
    ``least``."""
    most = max(abs(bounds[0]), abs(bounds[1]))
    scale = max(most / ZERO_POINTS["int16"][1], least)
    return QTensor(name, shape, max(scale, SCALE_MIN) if scale else 1.0, 0, "int16")


def wide(name: str, shape: tuple[int, ...], bounds: Range) -> QTensor:
    """The int16 tensor that covers ``bounds``; its scale is a power of two, its zero point 0."""
    most = max(abs(bounds[0]), abs(bounds[1]))
    power = max(math.ceil(math.log2(most)) - 15, WIDE_POWERS[0]) if most else WIDE_POWERS[0]
    if power > WIDE_POWERS[1]:
        raise InvalidModel(
            f"Tensor {name} reaches from {bounds[0]:.3g} to {bounds[1]:.3g}.",
            "That is no state of a recurrent layer that was trained: train it again, or give it a "
            "smaller initial state.",
        )
    return QTensor(name, shape, 2.0**power, 0, "int16")
