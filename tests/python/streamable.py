"""Random int8 models of windows along time, of what such models are built of, by a seed: drawn
as graphs, and with recurrent layers as PyTorch modules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

import nanotool
from nanotool.ir import (
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    Dense,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Window,
)
from nanotool.validate import validate

SOFTMAX = (1 / 256, -128)


@dataclass
class Net:
    """A model in the making. Time is axis 0 or 1 of three; ``causal``: layers pad in front."""

    rng: np.random.Generator
    causal: bool
    time: int = 0
    tensors: dict[str, QTensor] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)
    end: str = "x"

    @property
    def shape(self) -> Shape:
        return self.tensors[self.end].shape

    def add(
        self,
        op: Op,
        shape: Shape,
        *inputs: str,
        weight: tuple[int, ...] = (),
        like: str = "",
        fixed: tuple[float, int] | None = None,
    ) -> str:
        """One more op; ``like``: a tensor whose scale and zero point it has."""
        name = f"{type(op).__name__.lower()}{len(self.ops)}"
        scale, zero = 2.0 ** -self.rng.integers(2, 6), int(self.rng.integers(-40, 41))
        if like:
            scale, zero = self.tensors[like].scale, self.tensors[like].zero_point
        if fixed is not None:
            scale, zero = fixed
        self.tensors[name] = QTensor(name, shape, scale, zero)
        w = b = s = None
        if weight:
            w = self.rng.integers(-127, 128, weight).astype(np.int8)
            b = self.rng.integers(-500, 500, weight[0]).astype(np.int32)
            s = self.rng.uniform(0.002, 0.01, weight[0]).astype(np.float32)
        self.ops.append(QOp(name, op, inputs or (self.end,), w, s, b))
        self.end = name
        return name

    def window(self, kernel: int, stride: int, dilation: int, others: int) -> tuple[Window, Shape]:
        """Along time; along the other axis ``others`` taps, padded to the same size."""
        reach = dilation * (kernel - 1)
        before, side = reach if self.causal else 0, others // 2
        first = self.time == 0
        window = Window(
            (kernel, others) if first else (others, kernel),
            (stride, 1) if first else (1, stride),
            (before, side, 0, side) if first else (side, before, side, 0),
            (dilation, 1) if first else (1, dilation),
        )
        return window, window.output_size(*self.shape[:2])

    # --- Layers -----------------------------------------------------------------------------------

    def conv(self) -> None:
        kernel, dilation = int(self.rng.integers(1, 5)), int(self.rng.choice([1, 1, 2, 3]))
        stride = int(self.rng.choice([1, 1, 1, 2]))
        window, size = self.window(kernel, stride, dilation, int(self.rng.choice([1, 3])))
        if min(size) < 1:
            return
        channels = self.shape[2]
        if self.rng.random() < 0.4:
            op, outputs, depth = Conv2D(window, channels), channels, 1
        else:
            outputs, depth = int(self.rng.integers(2, 9)), channels
            op = Conv2D(window)
        self.add(op, (*size, outputs), weight=(outputs, *window.kernel, depth))

    def pool(self) -> None:
        kernel = int(self.rng.integers(2, 4))
        stride = int(self.rng.choice([1, kernel]))
        kind = MaxPool2D if self.rng.random() < 0.5 else AveragePool2D
        window, size = self.window(kernel, stride, 1, 1)
        if min(size) >= 1:
            self.add(kind(window), (*size, self.shape[2]), like=self.end)

    def activation(self) -> None:
        self.add(Unary(str(self.rng.choice(["relu", "tanh", "hard_swish"]))), self.shape)
        if str(self.ops[-1].op.function) == "tanh":  # type: ignore[union-attr]
            self.tensors[self.end] = QTensor(self.end, self.shape, 1 / 128, 0)

    def residual(self) -> None:
        """A branch beside the layers, cut to their frames."""
        source = self.end
        self.conv()
        shape, before = self.shape, self.tensors[source].shape
        cut = before[self.time] - shape[self.time]
        same = shape[: self.time] + shape[self.time + 1 :]
        if source == self.end or same != before[: self.time] + before[self.time + 1 :]:
            return
        if self.ops[-1].op.window.stride != (1, 1):  # type: ignore[union-attr]
            return
        made, begin = self.end, [0, 0, 0]
        begin[self.time] = int(self.rng.integers(0, cut + 1))
        if cut:
            source = self.add(Slice(tuple(begin), (1, 1, 1)), shape, source, like=source)
        self.add(Binary(str(self.rng.choice(["add", "mul"]))), shape, made, source)

    def chomp(self) -> None:
        """Padded on both sides, cut behind: PyTorch's usual causal convolution."""
        pad = int(self.rng.integers(1, 4))
        size, channels = list(self.shape), self.shape[2]
        padding = (pad, 0, pad, 0) if self.time == 0 else (0, pad, 0, pad)
        kernel = (pad + 1, 1) if self.time == 0 else (1, pad + 1)
        shape, end = tuple(size), list(size)
        end[self.time] += pad
        if not self.causal:
            return
        weight = (channels, *kernel, 1)
        self.add(Conv2D(Window(kernel, padding=padding), channels), tuple(end), weight=weight)
        self.add(Slice((0, 0, 0), (1, 1, 1)), shape, like=self.end)

    def front(self) -> None:
        """Zeros, or another value, in front."""
        if not self.causal:
            return
        pad = int(self.rng.integers(1, 3))
        before, size = [0, 0, 0], list(self.shape)
        before[self.time] = pad
        size[self.time] += pad
        value = int(self.rng.choice([-128, 3]))
        self.add(Pad(tuple(before), (0, 0, 0), value), tuple(size), like=self.end)
        kernel = (pad + 1, 1) if self.time == 0 else (1, pad + 1)
        size[self.time] -= pad
        channels = self.shape[2]
        self.add(Conv2D(Window(kernel)), tuple(size), weight=(channels, *kernel, channels))

    def turn(self) -> None:
        """Height and width change places, and with them time."""
        height, width, channels = self.shape
        self.add(Transpose((1, 0, 2)), (width, height, channels), like=self.end)
        self.time = 1 - self.time

    def join(self) -> None:
        source, (height, width, channels) = self.end, self.shape
        self.activation()
        like = self.tensors[source]
        self.tensors[self.end] = QTensor(self.end, self.shape, like.scale, like.zero_point)
        if isinstance(self.ops[-1].op, Unary) and self.ops[-1].op.function == "tanh":
            self.ops[-1] = QOp(self.end, Unary("relu"), (source,))
        self.add(Concat(2), (height, width, 2 * channels), source, self.end, like=source)

    # --- The end ----------------------------------------------------------------------------------

    def head(self) -> None:
        height, width, channels = self.shape
        kind = self.rng.integers(5) if not self.causal else self.rng.integers(3, 6)
        if kind == 0:
            self.add(Mean((0, 1)), (channels,))
        elif kind == 1:
            window = Window((height, width), (height, width))
            self.add(AveragePool2D(window), (1, 1, channels), like=self.end)
            self.add(Reshape((channels,)), (channels,), like=self.end)
        elif kind == 2:
            size = height * width * channels
            self.add(Reshape((size,)), (size,), like=self.end)
        elif kind == 3:  # the last frame
            begin = [0, 0, 0]
            begin[self.time] = self.shape[self.time] - 1
            frame = list(self.shape)
            frame[self.time] = 1
            self.add(Slice(tuple(begin), (1, 1, 1)), tuple(frame), like=self.end)
            size = math.prod(frame)
            self.add(Reshape((size,)), (size,), like=self.end)
        else:
            self.add(Dense(), (height, width, 3), weight=(3, channels))
            self.add(Softmax(), (height, width, 3), fixed=SOFTMAX)
            return
        self.add(Dense(), (4,), weight=(4, self.shape[0]))


def random_window_model(seed: int) -> tuple[QGraph, int]:
    """A valid model of windows, and its input's axis of time."""
    rng = np.random.default_rng(seed)
    net = Net(rng, causal=bool(rng.random() < 0.5))
    frames, width, channels = int(rng.integers(24, 49)), int(rng.integers(1, 4)), 3
    net.time = axis = int(rng.integers(2))
    shape = (frames, width, channels) if axis == 0 else (width, frames, channels)
    net.tensors["x"] = QTensor("x", shape, 0.05, int(rng.integers(-20, 21)))
    layers = (net.conv, net.conv, net.conv, net.pool, net.activation, net.residual, net.residual,
              net.chomp, net.front, net.turn, net.join)  # fmt: skip
    for _ in range(int(rng.integers(1, 7))):
        if net.shape[net.time] > 6:
            layers[rng.integers(len(layers))]()
    net.head()
    graph = QGraph("window", net.tensors, tuple(net.ops), ("x",), (net.end,))
    validate(graph)
    return graph, axis


# --- Recurrent layers -----------------------------------------------------------------------------

RECURRENT: tuple[Callable[..., nn.Module], ...] = (nn.GRU, nn.LSTM, nn.RNN)


class Listener(nn.Module):
    """Convolutions along time, a recurrent layer over their frames, and what is made of it."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        convolutions, channels = list[nn.Module](), 3
        for _ in range(int(rng.integers(0, 3))):
            kernel, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3))
            convolutions += [nn.Conv1d(channels, 6, kernel, stride), nn.ReLU()]
            channels = 6
        self.front = nn.Sequential(*convolutions)
        ways = int(rng.integers(1, 3))
        self.layer = RECURRENT[int(rng.integers(3))](
            channels, 7, int(rng.integers(1, 3)), batch_first=True, bidirectional=ways == 2
        )
        self.reads, self.answer = int(rng.integers(4)), nn.Linear(7 * ways, 4)

    def forward(self, x: Any) -> Any:
        """N x 3 x frames to vectors, or to 4 x frames."""
        out, state = self.layer(self.front(x).transpose(1, 2))
        if self.reads == 0:
            return self.answer(out[:, -1])
        if self.reads == 1:
            return self.answer(out.mean(1)).relu()
        if self.reads == 2:
            h = state[0] if isinstance(state, tuple) else state
            return self.answer(torch.cat([h[-1]] * (out.shape[2] // 7), 1))
        return self.answer(out).transpose(1, 2)


def recurrent_window_model(seed: int) -> tuple[QGraph, int]:
    """A model of windows with a recurrent layer, and its input's axis of time."""
    rng, frames = np.random.default_rng(seed), 16
    torch.manual_seed(seed)
    x = rng.normal(size=(8, 3, frames)).astype(np.float32)
    graph = nanotool.quantize(Listener(rng).eval(), x, observer="minmax").graph
    graph = replace(graph, input_permutations=(), samples=(), quality=())  # as on the device
    return graph, graph.input_tensor.shape.index(frames)
