"""Pools, and the mean over axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.builder import Call
from nanotool.frontends.tflite.importers import Import, imports
from nanotool.frontends.tflite.windows import window_of
from nanotool.ir import AveragePool2D, MaxPool2D, Mean, Op, Quantize, Reduce, Shape


def _pool(op: type[MaxPool2D] | type[AveragePool2D]) -> Import:
    def importer(call: Call) -> None:
        options = call.options(schema.Pool2DOptions)
        height, width, channels = call.image(0)
        kernel = (options.filter_height, options.filter_width)
        stride = (options.stride_h, options.stride_w)
        window = window_of(call, options.padding, (height, width), kernel=kernel, stride=stride)
        call.emit(
            op(window),
            [call.source(0)],
            (*window.output_size(height, width), channels),
            clamp=call.clamp(options.fused_activation),
        )

    return importer


@imports("MEAN", Mean, 2, 2)
def _mean(call: Call) -> None:
    _reduced(call, Mean)


@imports("SUM", Reduce, 2, 2)
def _sum(call: Call) -> None:
    _reduced(call, partial(Reduce, "sum"))


@imports("REDUCE_MAX", Reduce, 2, 2)
def _largest(call: Call) -> None:
    _reduced(call, partial(Reduce, "max"))


@imports("REDUCE_MIN", Reduce, 2, 2)
def _smallest(call: Call) -> None:
    _reduced(call, partial(Reduce, "min"))


def _reduced(call: Call, make: Callable[[Shape, bool], Op]) -> None:
    options = call.options(schema.ReducerOptions)
    shape = call.given(0).shape
    batch = len(shape) - len(call.shape(0))
    axes = {call.axis(a, len(shape)) - batch for a in call.integers(1, "axes")} - {-1}
    inner = call.shape(0)
    kept = tuple(size for axis, size in enumerate(inner) if axis not in axes)
    if options.keep_dims:
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(inner))
    if not axes:  # over the batch alone
        call.emit(Quantize(), [call.source(0)], inner)
    else:
        call.emit(make(tuple(sorted(axes)), options.keep_dims), [call.source(0)], kept)


imports("AVERAGE_POOL_2D", AveragePool2D)(_pool(AveragePool2D))
imports("MAX_POOL_2D", MaxPool2D)(_pool(MaxPool2D))
