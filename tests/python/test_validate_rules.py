"""What the graph check refuses, rule by rule, and that it names the layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_graphs import ALL, random_graph

from nanotool.errors import InvalidModel
from nanotool.ir import (
    ArgMax,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    LogSoftmax,
    Mean,
    Op,
    Pad,
    PRelu,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reshape,
    Resize,
    Shape,
    Slice,
    Transpose,
    Unary,
    Window,
)
from nanotool.validate import validate


def tensor(name: str, shape: Shape, **other: Any) -> QTensor:
    return QTensor(**{"name": name, "shape": shape, "scale": 0.1, "zero_point": 3, **other})


def graph(
    op: Op, result: QTensor, *inputs: QTensor, constants: tuple[str, ...] = (), **more: Any
) -> QGraph:
    """``op`` on the inputs; all but the first are constants or slices of themselves."""
    data = {t.name: np.zeros(t.shape, np.int8) for t in inputs if t.name in constants}
    layer = QOp("y", op, tuple(t.name for t in inputs), **more)
    tensors = {t.name: t for t in (*inputs, result)}
    return QGraph("g", tensors, (layer,), (inputs[0].name,), ("y",), constants=data)


X, Y = tensor("x", (4, 6, 2)), tensor("y", (4, 6, 2))
WINDOW = Window((2, 2))
FLOAT: dict[str, Any] = {"dtype": "float32", "scale": 1.0, "zero_point": 0}


def weights(shape: Shape) -> dict[str, Any]:
    return {
        "weight": np.ones(shape, np.int8),
        "weight_scale": np.full(1, 0.5, np.float32),
        "bias": np.zeros(shape[0], np.int32),
    }


def with_shape(shape: Shape, **other: Any) -> QTensor:
    return tensor("y", shape, **other)


REFUSED: dict[str, tuple[QGraph, str]] = {
    "unknown function": (graph(Binary("power"), Y, X, X), "no binary function 'power'"),
    "no broadcast": (
        graph(Binary("add"), Y, X, tensor("b", (5, 2)), constants=("b",)),
        r"\(4, 6, 2\) and \(5, 2\) do not broadcast",
    ),
    "maximum of two scales": (
        graph(Binary("maximum"), Y, X, tensor("b", (), scale=0.2), constants=("b",)),
        "Binary has to keep scale and zero point",
    ),
    "one operand": (graph(Binary("add"), Y, X), "reads 1 tensors, not 2"),
    "add onto a tiny scale": (
        graph(Binary("add"), with_shape((4, 6, 2), scale=1e-8), X, X),
        "cannot be scaled up",
    ),
    "mul onto a tiny scale": (
        graph(Binary("mul"), with_shape((4, 6, 2), scale=1e-30), X, X),
        "does not fit the integer kernels",
    ),
    "computed slopes": (graph(PRelu(), Y, X, X), "its slopes are no constant"),
    "slopes too large": (
        graph(PRelu(), Y, tensor("x", (2,)), tensor("b", (3, 2)), constants=("b",)),
        r"slopes \(3, 2\) do not fit",
    ),
    "mean over nothing": (graph(Mean(()), Y, X), "not ascending, or there is none"),
    "mean, order": (graph(Mean((1, 0)), with_shape((2,)), X), "not ascending"),
    "mean, twice": (graph(Mean((1, 1)), with_shape((4, 2)), X), "not ascending"),
    "mean, no axis": (graph(Mean((3,)), Y, X), "has no axis 3"),
    "mean, negative axis": (graph(Mean((-1,)), Y, X), "has no axis -1"),
    "mean of too many": (
        graph(Mean((0,)), with_shape((1,)), tensor("x", (2**23 + 1, 1))),
        "8,388,609 elements at once, more than 8,388,608",
    ),
    "mean, dims": (graph(Mean((1,), True), with_shape((4, 2)), X), r"yields shape \(4, 1, 2\)"),
    "concat of nothing": (
        QGraph("g", {"x": X, "y": Y}, (QOp("y", Concat(0), ()),), ("x",), ("y",)),
        "reads 0 tensors, not 1 to",
    ),
    "concat, no axis": (graph(Concat(3), Y, X), "has no axis 3"),
    "concat, shapes": (
        graph(Concat(0), Y, X, tensor("b", (4, 5, 2)), constants=("b",)),
        "cannot be joined along axis 0",
    ),
    "concat, scales": (
        graph(Concat(0), with_shape((5, 6, 2)), X, tensor("b", (1, 6, 2), zero_point=4)),
        "before it is written",
    ),
    "slice, behind the end": (
        graph(Slice((0, 3, 0), (1, 2, 1)), with_shape((4, 3, 2)), X),
        "3 elements from 3 on, 2 apart, are not in",
    ),
    "slice, backwards": (graph(Slice((3, 0, 0), (-1, 1, 1)), Y, X), "-1 apart"),
    "slice, rank": (graph(Slice((0,), (1,)), Y, X), r"are not for \(4, 6, 2\)"),
    "pad, negative": (graph(Pad((-1, 0, 0), (0, 0, 0)), Y, X), "its padding is negative"),
    "pad, rank": (graph(Pad((0,), (0,)), Y, X), "are no padding of"),
    "pad, value": (graph(Pad((0,) * 3, (0,) * 3, 200), Y, X), "200 is not within int8"),
    "resize, method": (graph(Resize("cubic"), Y, X), "no resizing 'cubic'"),
    "resize, both": (graph(Resize("nearest", True, True), Y, X), "exclude each other"),
    "resize, rank": (graph(Resize("nearest"), with_shape((4, 6)), X), "is not H, W, C"),
    "resize, channels": (
        graph(Resize("nearest"), with_shape((8, 8, 3)), X),
        r"yields shape \(8, 8, 2\)",
    ),
    "log-softmax, scale": (graph(LogSoftmax(), Y, X), "has scale 1/16 and zero point 127"),
    "log-softmax, clamp": (
        graph(
            LogSoftmax(), with_shape((4, 6, 2), scale=1 / 16, zero_point=127), X, clamp=(-128, 5)
        ),
        "takes no clamp",
    ),
    "argmax to int8": (graph(ArgMax(0), with_shape((6, 2)), X), "int8 into int32, not int8"),
    "argmax, axis": (
        graph(ArgMax(5), with_shape((6, 2), **{**FLOAT, "dtype": "int32"}), X),
        "has no axis 5",
    ),
    "quantize to what is neither": (
        graph(Quantize(), with_shape((4, 6, 2), **FLOAT), tensor("x", (4, 6, 2), dtype="uint8")),
        "cannot turn uint8 into float32",
    ),
    "quantize, shape": (graph(Quantize(), with_shape((4, 6)), X), "it yields shape"),
    "float reaches a layer": (
        graph(Unary("relu"), Y, tensor("x", (4, 6, 2), **FLOAT)),
        "Unary takes and yields int8 only",
    ),
    "a layer yields float": (
        graph(
            Reshape((48,)), with_shape((48,), **FLOAT), tensor("x", (48,), scale=1, zero_point=0)
        ),
        "cannot turn int8 into float32",
    ),
    "transposed, dilation": (
        graph(
            ConvTranspose2D(Window((2, 2), dilation=(2, 1))),
            with_shape((5, 7, 1)),
            X,
            **weights((1, 2, 2, 2)),
        ),
        "has no dilation",
    ),
    "transposed, a stride more": (
        graph(
            ConvTranspose2D(Window((2, 2), padding=(0, 0, -1, 0))),
            with_shape((6, 7, 1)),
            X,
            **weights((1, 2, 2, 2)),
        ),
        "adds a whole stride or more",
    ),
    "transposed, all cut off": (
        graph(
            ConvTranspose2D(Window((2, 2), padding=(3, 0, 2, 0))),
            with_shape((1, 7, 1)),
            X,
            **weights((1, 2, 2, 2)),
        ),
        "cuts everything off",
    ),
    "transposed, weights": (
        graph(ConvTranspose2D(WINDOW), with_shape((5, 7, 1)), X, **weights((1, 2, 2, 1))),
        r"weights are not int8 \(1, 2, 2, 2\)",
    ),
    "convolution, negative padding": (
        graph(
            Conv2D(Window((2, 2), padding=(0, 0, -1, 0))),
            with_shape((2, 5, 1)),
            X,
            **weights((1, 2, 2, 2)),
        ),
        "is out of range",
    ),
    "weights where none are": (
        graph(Mean((0,)), with_shape((6, 2)), X, **weights((1,))),
        "takes no",
    ),
    "transpose, clamp": (
        graph(Transpose((0, 1, 2)), Y, X, clamp=(0, 5)),
        "Transpose takes no clamp",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    wrong, message = REFUSED[case]
    with pytest.raises(InvalidModel, match=message) as caught:
        validate(wrong)
    assert str(caught.value).startswith("y: ")


# --- The graph as a whole -------------------------------------------------------------------------


def concat(*inputs: QTensor, **more: Any) -> QGraph:
    return graph(Concat(0), with_shape((5, 6, 2)), *inputs, constants=("b",), **more)


SOUND = concat(X, tensor("b", (1, 6, 2)))


def test_a_constant_is_like_any_tensor() -> None:
    validate(SOUND)
    with pytest.raises(InvalidModel, match="keep scale and zero point"):
        validate(concat(X, tensor("b", (1, 6, 2), zero_point=4)))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({}, "reads 'b' before it is written"),
        ({"b": np.zeros((1, 6, 2), np.int32)}, "needed is int8"),
        ({"b": np.zeros((6, 2), np.int8)}, r"The constant b is int8 \(6, 2\)"),
        ({"b": np.zeros((1, 6, 2), np.int8), "c": np.zeros(1, np.int8)}, "'c' is no inner tensor"),
        ({"b": np.zeros((1, 6, 2), np.int8), "x": np.zeros((4, 6, 2), np.int8)}, "'x' is no inner"),
        ({"b": np.zeros((1, 6, 2), np.int8), "y": np.zeros((5, 6, 2), np.int8)}, "'y' is no inner"),
    ],
)
def test_constants(constants: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        validate(replace(SOUND, constants=constants))


def test_types_inside_and_at_the_borders() -> None:
    with pytest.raises(InvalidModel, match="The input x is int32"):
        validate(
            QGraph("g", {"x": tensor("x", (1,), **{**FLOAT, "dtype": "int32"})}, (), ("x",), ("x",))
        )
    with pytest.raises(InvalidModel, match=r"as float32 it has no scale 0\.5"):
        validate(graph(Quantize(), Y, tensor("x", (4, 6, 2), **{**FLOAT, "scale": 0.5})))
    middle = tensor("m", (4, 6, 2), dtype="uint8")
    ops = (QOp("m", Quantize(), ("x",)), QOp("y", Quantize(), ("m",)))
    with pytest.raises(InvalidModel, match="Tensor m is uint8; only a border can be"):
        validate(QGraph("g", {"x": X, "m": middle, "y": Y}, ops, ("x",), ("y",)))


def test_samples_have_the_inputs_type() -> None:
    source = tensor("x", (4, 6, 2), **FLOAT)
    float_graph = graph(Quantize(), Y, source)
    samples: Any = np.zeros((2, 4, 6, 2), np.float32)
    validate(replace(float_graph, samples=(samples,)))
    for wrong, message in (
        (samples.astype(np.int8), "not float32 n x"),
        (samples[0], "not float32 n x"),
        (samples + np.float32(np.nan), "NaN or infinity"),
        (samples + np.float32(np.inf), "NaN or infinity"),
    ):
        with pytest.raises(InvalidModel, match=message):
            validate(replace(float_graph, samples=(wrong,)))


def test_an_argmax_has_a_label_for_each_choice() -> None:
    target = tensor("y", (4, 6), **{**FLOAT, "dtype": "int32"})
    chosen = graph(ArgMax(2), target, X)
    validate(replace(chosen, labels=("cat", "dog")))
    with pytest.raises(InvalidModel, match="1 labels for 2 outputs"):
        validate(replace(chosen, labels=("cat",)))


@pytest.mark.parametrize("seed", range(30))
def test_order_matters(seed: int) -> None:
    """Turned around, a graph of several ops reads what is not there yet."""
    sound = random_graph(seed, layers=5, kinds=ALL)
    validate(sound)
    with pytest.raises(InvalidModel, match="before it is written"):
        validate(replace(sound, ops=sound.ops[::-1]))
    with pytest.raises(InvalidModel, match="written twice"):
        validate(replace(sound, ops=(*sound.ops, sound.ops[-1])))
    with pytest.raises(InvalidModel, match=r"written by nobody|before it is written"):
        validate(replace(sound, ops=sound.ops[:-1]))
