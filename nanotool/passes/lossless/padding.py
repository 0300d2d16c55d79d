"""A pad goes into the windows that slide over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nanotool.intervals import Range, pad_value, ranges
from nanotool.ir import Conv2D, MaxPool2D, Pad, QGraph, QOp, Shape, Window
from nanotool.ops import Layer, layers_of
from nanotool.ops.taps import window_taps
from nanotool.passes.lossless.rewrite import consumers, rebuilt


def pad_into_windows(graph: QGraph) -> QGraph:
    """``graph`` without pads that all their readers can do themselves.

    A convolution takes the zero point for what is outside, so that it does a pad with the zero
    point. A max pool leaves out what is outside: it does a pad whose value never wins, or only
    where the pool's clamp hides it. An average pool does none: its divisor would change.
    """
    found: Mapping[str, Range] | None = None
    readers = consumers(graph)
    gone: dict[str, str] = {}
    changed: dict[str, QOp] = {}
    for pad in layers_of(graph, Pad):
        if pad.name in graph.results or len(pad.op.before) != 3:
            continue
        if found is None:
            found = ranges(graph)
        wider = [_absorbed(graph, found, pad, changed.get(r.name, r)) for r in readers[pad.name]]
        if wider and all(op is not None for op in wider):
            gone[pad.name] = pad.input.name
            changed.update((op.name, op) for op in wider if op is not None)
    if not gone:
        return graph
    ops = (changed.get(op.name, op) for op in graph.ops if op.name not in gone)
    return rebuilt(graph, ops, renamed=gone)


def _absorbed(
    graph: QGraph, found: Mapping[str, Range], pad: Layer[Pad], reader: QOp
) -> QOp | None:
    """``reader`` reading what ``pad`` reads; None if that were not the same."""
    if not isinstance(reader.op, (Conv2D, MaxPool2D)) or pad.op.before[2] or pad.op.after[2]:
        return None
    value = pad_value(pad)
    if isinstance(reader.op, Conv2D):
        exact = value == pad.output.zero_point
    else:
        exact = value <= max(found[pad.input.name].hull[0], reader.clamp[0])
    window = _wider(reader.op.window, pad.op)
    source, target = pad.input.shape, graph.tensors[reader.name].shape
    if not exact or not _covers(window, source, target):
        return None
    return replace(reader, op=replace(reader.op, window=window))


def _wider(window: Window, pad: Pad) -> Window:
    """``window`` with the pad's rows and columns added to its padding."""
    top, left, bottom, right = window.padding
    rows, columns = (pad.before[0], pad.after[0]), (pad.before[1], pad.after[1])
    padding = (top + rows[0], left + columns[0], bottom + rows[1], right + columns[1])
    return replace(window, padding=padding)


def _covers(window: Window, source: Shape, target: Shape) -> bool:
    """Whether every position of the window holds an element of the input: a pool needs it, and
    a convolution that lacks it would be a strange one."""
    taps = (window_taps(window, source[axis], target[axis], axis) for axis in (0, 1))
    return all(bool(one.any(axis=1).all()) for one in taps)
