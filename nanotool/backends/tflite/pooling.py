"""Pools, and the mean over axes."""

from __future__ import annotations

from typing import Any

from nanotool.backends.tflite.clamp import clamped
from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import Codes, File
from nanotool.backends.tflite.padding import padded, plain_padding
from nanotool.errors import UnsupportedOp
from nanotool.ir import AveragePool2D, MaxPool2D, Mean, QOp, Reduce, Window, unclamped
from nanotool.ops import Layer


def _pool(file: File, op: QOp, code: int, window: Window, placed: tuple[int, int]) -> None:
    source, padding = placed

    def write(output: int, activation: int) -> None:
        file.operator(
            code,
            (source,),
            output,
            "Pool2DOptions",
            Padding=padding,
            StrideH=window.stride[0],
            StrideW=window.stride[1],
            FilterHeight=window.kernel[0],
            FilterWidth=window.kernel[1],
            FusedActivationFunction=activation,
        )

    clamped(file, op, write)


def _undilated(op: QOp, window: Window) -> Window:
    """The same window; UnsupportedOp if its taps are apart, which no pool of TFLite can be."""
    if any(d > 1 and k > 1 for d, k in zip(window.dilation, window.kernel, strict=True)):
        raise UnsupportedOp(
            op.name,
            "a dilated pool in a .tflite file",
            "TensorFlow Lite's pools have no dilation: use dilation=1, or export C source.",
        )
    return Window(window.kernel, window.stride, window.padding)


@emits(MaxPool2D, writes=(Codes.MAX_POOL_2D,))
def _max_pool(file: File, layer: Layer[MaxPool2D]) -> None:
    op = layer.qop
    window = _undilated(op, layer.op.window)
    _pool(
        file,
        op,
        Codes.MAX_POOL_2D,
        window,
        padded(file, op, window, fill=unclamped(file.source(op).dtype)[0]),
    )


@emits(AveragePool2D, writes=(Codes.AVERAGE_POOL_2D,))
def _average_pool(file: File, layer: Layer[AveragePool2D]) -> None:
    op = layer.qop
    window = _undilated(op, layer.op.window)
    padding = plain_padding(window, file.source(op).shape)
    if padding is None:
        raise UnsupportedOp(
            op.name,
            f"an average pool with padding {window.padding} in a .tflite file",
            "TensorFlow Lite's average pool knows only SAME and VALID padding: use padding=0, "
            "or export C source.",
        )
    source = file.index[op.inputs[0]], padding
    _pool(file, op, Codes.AVERAGE_POOL_2D, window, source)


_REDUCTIONS = {"sum": Codes.SUM, "max": Codes.REDUCE_MAX, "min": Codes.REDUCE_MIN}


@emits(Reduce, writes=tuple(_REDUCTIONS.values()))
def _reduce(file: File, layer: Layer[Reduce]) -> None:
    _reduced(file, layer, _REDUCTIONS[layer.op.function])


@emits(Mean, writes=(Codes.MEAN,))
def _mean(file: File, layer: Layer[Mean]) -> None:
    _reduced(file, layer, Codes.MEAN)


def _reduced(file: File, layer: Layer[Any], code: int) -> None:
    op = layer.qop
    axes = file.numbers(f"{op.name}/axes", *(1 + axis for axis in layer.op.axes))
    inputs, keep = (file.index[op.inputs[0]], axes), layer.op.keep_dims

    def write(output: int, _activation: int) -> None:
        file.operator(code, inputs, output, "ReducerOptions", KeepDims=keep)

    clamped(file, op, write, fuses=False)
