"""An operator in words, as comments in C, listings and the report say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeAlias

from nanotool.ir import (
    AveragePool2D,
    Binary,
    Conv2D,
    ConvTranspose2D,
    Custom,
    Function,
    Gather,
    GroupNorm,
    Gru,
    LayerNorm,
    LogSoftmax,
    Lstm,
    MatMul,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    Reduce,
    Resize,
    Rnn,
    Slice,
    Softmax,
    Svdf,
    Table,
    Transpose,
    Unary,
    Window,
)
from nanotool.ops import custom
from nanotool.ops.facts import OPERATORS
from nanotool.ops.registry import Registry

Words: TypeAlias = Callable[[Any], str]


def _plain(op: Op) -> str:
    """What is set, the name, the axis: exclusive cumsum along axis 1."""
    flags = (field.name for field in fields(op) if getattr(op, field.name) is True)
    along = [f"along axis {op.axis}"] if hasattr(op, "axis") else []
    return " ".join([*flags, type(op).__name__.lower(), *along])


_words = Registry[Words]("ops/words.py", default=_plain, operators=OPERATORS)


_words(Custom)(custom.words)


def words(op: Op) -> str:
    """The operator with its geometry: conv2d 3x3 stride 1 pad 1."""
    return _words.of(op)(op)


def title(op: Op) -> str:
    """One word: its class, or its function."""
    return (
        op.function
        if isinstance(op, (Unary, Table, Function, Binary, Custom))
        else type(op).__name__
    )


def window_words(window: Window) -> str:
    """3x3 stride 1, and padding and dilation where there are some."""

    def pair(values: tuple[int, int]) -> str:
        return str(values[0]) if values[0] == values[1] else f"{values[0]}x{values[1]}"

    text = f"{'x'.join(map(str, window.kernel))} stride {pair(window.stride)}"
    if any(window.padding):
        same = len(set(window.padding)) == 1
        text += f" pad {_list(window.padding[:1] if same else window.padding)}"
    if window.dilation != (1, 1):
        text += f" dilation {pair(window.dilation)}"
    return text


def _list(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))


@_words(Conv2D)
def _conv2d(op: Conv2D) -> str:
    return f"conv2d {window_words(op.window)}" + (f" groups {op.groups}" if op.groups > 1 else "")


@_words(ConvTranspose2D)
def _conv_transpose2d(op: ConvTranspose2D) -> str:
    return f"transposed conv2d {window_words(op.window)}"


@_words(MaxPool2D)
def _max_pool(op: MaxPool2D) -> str:
    return f"max pool {window_words(op.window)}"


@_words(AveragePool2D)
def _average_pool(op: AveragePool2D) -> str:
    return f"average pool {window_words(op.window)}"


@_words(Mean)
def _mean(op: Mean) -> str:
    return f"mean over {'axis' if len(op.axes) == 1 else 'axes'} {_list(op.axes)}"


@_words(Reduce)
def _reduce(op: Reduce) -> str:
    return f"{op.function} over {'axis' if len(op.axes) == 1 else 'axes'} {_list(op.axes)}"


@_words(MatMul)
def _matmul(op: MatMul) -> str:
    turned = [word for word, is_so in (("first", op.adj_x), ("second", op.adj_y)) if is_so]
    return "matmul" + (f", {' and '.join(turned)} transposed" if turned else "")


@_words(LayerNorm)
def _layer_norm(op: LayerNorm) -> str:
    return "layer norm" if op.centered else "rms norm"


@_words(GroupNorm)
def _group_norm(op: GroupNorm) -> str:
    return f"group norm of {op.groups}"


@_words(Gather)
def _gather(op: Gather) -> str:
    return f"gather {len(op.indices)} along axis {op.axis}"


@_words(Unary, Table, Function, Binary)
def _function(op: Unary | Table | Function | Binary) -> str:
    return op.function


@_words(Softmax)
def _softmax(op: Softmax) -> str:
    return "softmax" if op.beta == 1 else f"softmax beta {op.beta:g}"


@_words(LogSoftmax)
def _log_softmax(_op: LogSoftmax) -> str:
    return "log-softmax"


@_words(Lstm)
def _lstm(op: Lstm) -> str:
    return "lstm" + (f" clipped at {op.cell_clip:g}" if op.cell_clip else "") + _backwards(op)


@_words(Gru)
def _gru(op: Gru) -> str:
    return "gru" + _backwards(op)


@_words(Rnn)
def _rnn(op: Rnn) -> str:
    return f"rnn {op.function}" + _backwards(op)


def _backwards(op: Lstm | Gru | Rnn) -> str:
    return " backwards" if op.reverse else ""


@_words(Svdf)
def _svdf(op: Svdf) -> str:
    return f"svdf rank {op.rank}"


@_words(Transpose)
def _transpose(op: Transpose) -> str:
    return f"transpose {_list(op.permutation)}"


@_words(Slice)
def _slice(op: Slice) -> str:
    steps = f" step {_list(op.stride)}" if set(op.stride) != {1} else ""
    return f"slice from {_list(op.begin)}{steps}"


@_words(Pad)
def _pad(op: Pad) -> str:
    return f"pad {_list(op.before)} before, {_list(op.after)} behind"


@_words(Resize)
def _resize(op: Resize) -> str:
    return f"resize {op.method}"
