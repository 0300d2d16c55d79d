"""A small model with all that a step can have: two inputs and two outputs of different types, a
state that is shifted and read by a convolution, and one that is an output, too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import (
    Binary,
    Concat,
    Conv2D,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reshape,
    Slice,
    State,
    Window,
)
from nanotool.validate import validate

ROWS, CHANNELS = 3, 280  # of the window: an input, and the saved states, are longer than a frame


def step_model(name: str = "steps") -> QGraph:
    """Inputs frame (int8) and gain (uint8); outputs level (int8, also the next hidden state) and
    alarm (uint8)."""
    rng = np.random.default_rng(7)
    row, window = (1, 1, CHANNELS), (ROWS, 1, CHANNELS)

    def tensor(name: str, shape: tuple[int, ...], *, dtype: str = "int8") -> QTensor:
        return QTensor(name, shape, 0.0625, 125 if dtype == "uint8" else -3, dtype)

    tensors = [
        tensor("frame", row),
        tensor("gain", (4,), dtype="uint8"),
        tensor("past", (ROWS - 1, 1, CHANNELS)),
        tensor("hidden", (4,)),
        tensor("window", window),
        tensor("recent", (ROWS - 1, 1, CHANNELS)),
        tensor("features", (1, 1, 4)),
        tensor("flat", (4,)),
        tensor("loud", (4,)),
        tensor("sum", (4,)),
        tensor("level", (4,)),
        tensor("alarm", (4,), dtype="uint8"),
    ]
    weight = rng.integers(-40, 41, (4, ROWS, 1, CHANNELS)).astype(np.int8)
    ops = (
        QOp("window", Concat(0), ("past", "frame")),
        QOp("recent", Slice((1, 0, 0), (1, 1, 1)), ("window",)),
        QOp(
            "features",
            Conv2D(Window((ROWS, 1))),
            ("window",),
            weight,
            np.full(4, 0.002, np.float32),
            np.zeros(4, np.int32),
        ),
        QOp("flat", Reshape((4,)), ("features",)),
        QOp("loud", Quantize(), ("gain",)),
        QOp("sum", Binary("add"), ("flat", "hidden")),
        QOp("level", Binary("sub"), ("sum", "loud")),
        QOp("alarm", Quantize(), ("sum",)),
    )
    states = (
        State("stream", "past", "recent", rng.integers(-9, 9, (ROWS - 1, 1, CHANNELS), np.int8)),
        State("hidden", "hidden", "level", np.arange(4, dtype=np.int8)),
    )
    graph = QGraph(
        name,
        {one.name: one for one in tensors},
        ops,
        ("frame", "gain"),
        ("level", "alarm"),
        states=states,
    )
    validate(graph)
    return graph


def random_steps(graph: QGraph, count: int, seed: int = 1) -> tuple[NDArray[Any], ...]:
    """Inputs of so many steps."""
    rng = np.random.default_rng(seed)
    return tuple(
        rng.integers(0, 256, (count, *tensor.shape), dtype=np.uint8).view(tensor.dtype)
        for tensor in graph.input_tensors
    )
