"""Interval analysis: what it claims holds, and for single layers it is the whole truth."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from random_graphs import examples, random_inputs
from salted_graphs import salted_graphs

from nanotool.intervals import channels, ranges
from nanotool.ir import (
    ZERO_POINTS,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Int8Array,
    MaxPool2D,
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
    Softmax,
    Transpose,
    Unary,
    Window,
)
from nanotool.simulate import simulate, simulate_all
from nanotool.validate import validate

BYTES = np.arange(-128, 128).astype(np.int8)
WEIGHTS = np.array([[3, -7], [-100, -20], [0, 0], [127, -128]], np.int8)
SCALES = np.array([0.02, 0.001, 0.3, 0.002], np.float32)
BIAS = np.array([40, -1000, 77, 0], np.int32)


@given(salted_graphs())
@examples(120)
def test_no_value_is_ever_outside_its_range(graph: QGraph) -> None:
    values = simulate_all(graph, random_inputs(graph, 8))
    for name, found in ranges(graph).items():
        tensor = graph.tensors[name]
        assert len(found.low) == len(found.high) == channels(tensor)
        assert (found.low <= found.high).all()
        if tensor.dtype in ZERO_POINTS:
            rows = values[name].reshape(-1, channels(tensor)).astype(np.int64)
            assert (found.low <= rows.min(axis=0)).all(), name
            assert (rows.max(axis=0) <= found.high).all(), name


# --- One layer: the range is that of all inputs ---------------------------------------------------


def layer(
    op: Op,
    source: Shape,
    target: Shape,
    *,
    quantization: tuple[float, int] = (0.1, -5),
    constants: dict[str, Int8Array] | None = None,
    weights: Int8Array | None = None,
    clamp: tuple[int, int] = (-128, 127),
) -> QGraph:
    """A graph of one layer, which reads the input and then the ``constants``."""
    data = constants or {}
    tensors = {
        "input": QTensor("input", source, 0.1, -5),
        "y": QTensor("y", target, *quantization),
        **{name: QTensor(name, array.shape, 0.1, -5) for name, array in data.items()},
    }
    inputs = ("input", *data)
    y = QOp("y", op, inputs, clamp=clamp)
    if weights is not None:
        y = replace(y, weight=weights, weight_scale=SCALES, bias=BIAS)
    graph = QGraph("one", tensors, (y,), ("input",), ("y",), constants=data)
    validate(graph)
    return graph


def whole_truth(graph: QGraph) -> None:
    """The range of the output is what all inputs lead to: all bytes, or those 5 apart and both
    ends, at each of its elements."""
    elements = graph.input_tensor.size
    each = BYTES if elements == 1 else np.append(BYTES[::5], BYTES[-1])
    x = np.array(list(itertools.product(each, repeat=elements)), np.int8)
    y = simulate(graph, x.reshape(-1, *graph.input_tensor.shape))
    rows = y.reshape(-1, channels(graph.output_tensor)).astype(np.int64)
    found = ranges(graph)["y"]
    assert found.low.tolist() == rows.min(axis=0).tolist()
    assert found.high.tolist() == rows.max(axis=0).tolist()


@pytest.mark.parametrize("clamp", [(-128, 127), (-20, 50)])
def test_dense(clamp: tuple[int, int]) -> None:
    whole_truth(layer(Dense(), (2,), (4,), weights=WEIGHTS, clamp=clamp))


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (0, 1, 0, 1), (0, 1, 0, 0), (0, 0, 0, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_at_each_border(padding: tuple[int, int, int, int], stride: int) -> None:
    window = Window((1, 2), (1, stride), padding)
    columns = window.output_size(1, 2)[1]
    weights = WEIGHTS.reshape(4, 1, 2, 1)
    whole_truth(layer(Conv2D(window), (1, 2, 1), (1, columns, 4), weights=weights))


def test_dilated_convolution_whose_window_skips_the_input() -> None:
    window = Window((1, 2), padding=(0, 1, 0, 1), dilation=(1, 2))
    weights = WEIGHTS.reshape(4, 1, 2, 1)
    whole_truth(layer(Conv2D(window), (1, 1, 1), (1, 1, 4), weights=weights))


def test_depthwise_convolution() -> None:
    weights = np.array([3, -100, 0, 127], np.int8).reshape(4, 1, 1, 1)
    whole_truth(layer(Conv2D(Window((1, 1)), 2), (1, 1, 2), (1, 1, 4), weights=weights))


def test_grouped_convolution_reads_its_own_group() -> None:
    weights = np.array([[1, -2], [5, 3], [-4, 9], [60, 0]], np.int8).reshape(4, 1, 1, 2)
    graph = layer(Conv2D(Window((1, 1)), 2), (1, 1, 4), (1, 1, 4), weights=weights)
    x = np.array(list(itertools.product([-128, 127], repeat=4)), np.int8)
    y = simulate(graph, x.reshape(-1, 1, 1, 4)).reshape(-1, 4)
    found = ranges(graph)["y"]
    assert found.low.tolist() == y.min(axis=0).tolist()
    assert found.high.tolist() == y.max(axis=0).tolist()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_transposed_convolution(stride: int) -> None:
    window = Window((1, 2), (1, stride))
    weights = WEIGHTS.reshape(4, 1, 2, 1)
    whole_truth(layer(ConvTranspose2D(window), (1, 2, 1), (1, stride + 2, 4), weights=weights))


@pytest.mark.parametrize("function", ["abs", "relu6", "square", "leaky_relu:-0.5", "identity"])
def test_table(function: str) -> None:
    whole_truth(layer(Unary(function), (1,), (1,), quantization=(0.3, 20), clamp=(-60, 90)))


@pytest.mark.parametrize("function", ["add", "sub", "mul"])
@pytest.mark.parametrize("scale", [0.01, 0.2])
def test_arithmetic_with_constants(function: str, scale: float) -> None:
    constant = np.array([-128, -5, 0, 90], np.int8)
    graph = layer(Binary(function), (1,), (4,), quantization=(scale, 7), constants={"c": constant})
    whole_truth(graph)


@pytest.mark.parametrize("function", ["maximum", "minimum"])
def test_extremum_with_constants(function: str) -> None:
    constant = np.array([-128, -5, 0, 127], np.int8)
    graph = layer(Binary(function), (1,), (4,), constants={"c": constant}, clamp=(-100, 100))
    whole_truth(graph)


@pytest.mark.parametrize("slope", [-128, -5, 60])
def test_prelu(slope: int) -> None:
    constants = {"c": np.array([slope], np.int8)}
    whole_truth(layer(PRelu(), (1,), (1,), quantization=(0.2, 9), constants=constants))


def test_mean() -> None:
    whole_truth(layer(Mean((0,)), (2, 1), (1,), quantization=(0.03, 9)))
    whole_truth(layer(Mean((1,)), (1, 2), (1,), quantization=(0.03, 9), clamp=(-50, 40)))


def test_requantization() -> None:
    for scale in (0.02, 0.1, 0.7):
        whole_truth(layer(Quantize(), (1,), (1,), quantization=(scale, 30)))


def test_input_of_bytes_without_sign() -> None:
    tensors = {
        "input": QTensor("input", (1,), 0.1, 100, "uint8"),
        "y": QTensor("y", (1,), 0.4, 5),
    }
    graph = QGraph("one", tensors, (QOp("y", Quantize(), ("input",)),), ("input",), ("y",))
    y = simulate(graph, np.arange(256, dtype=np.uint8)[:, None])
    assert ranges(graph)["y"].hull == (y.min(), y.max())


@pytest.mark.parametrize("pool", [MaxPool2D, AveragePool2D])
def test_pool_does_not_see_its_padding(pool: type[MaxPool2D] | type[AveragePool2D]) -> None:
    window = Window((1, 2), padding=(0, 1, 0, 1))
    whole_truth(layer(pool(window), (1, 2, 1), (1, 3, 1), clamp=(-77, 99)))


# --- Moves: behind a layer with four different ranges ---------------------------------------------

LIMITS = ((-128, 10), (-100, 20), (-90, 30), (-80, 40))


def moved(op: Op, shape: Shape, source: Shape = (1, 1, 4)) -> list[tuple[int, int]]:
    """The ranges behind ``op``, which reads a tensor whose channels have `LIMITS`."""
    tensors = {"input": QTensor("input", source, 0.1, -5)}
    low, high = (np.array(ends, np.int8) for ends in zip(*LIMITS, strict=True))
    constants = {"low": low, "high": high}
    tensors |= {name: QTensor(name, (4,), 0.1, -5) for name in (*constants, "a", "b")}
    tensors |= {name: QTensor(name, source, 0.1, -5) for name in ("a", "b")}
    tensors["y"] = QTensor("y", shape, 0.1, -5)
    ops = (
        QOp("a", Binary("maximum"), ("input", "low")),
        QOp("b", Binary("minimum"), ("a", "high")),
        QOp("y", op, ("b",)),
    )
    graph = QGraph("moves", tensors, ops, ("input",), ("y",), constants=constants)
    validate(graph)
    found = ranges(graph)["y"]
    return list(zip(found.low.tolist(), found.high.tolist(), strict=True))


def test_moves_take_the_ranges_along() -> None:
    every = list(LIMITS)
    assert moved(Reshape((4,)), (4,)) == every
    assert moved(Reshape((8,)), (8,), (1, 2, 4)) == every * 2
    assert moved(Reshape((2, 2)), (2, 2)) == [(-128, 30), (-100, 40)]
    assert moved(Reshape((3, 4)), (3, 4), (1, 3, 4)) == every
    assert moved(Transpose((1, 0, 2)), (2, 1, 4), (1, 2, 4)) == every
    assert moved(Transpose((2, 0, 1)), (4, 1, 2), (1, 2, 4)) == [(-128, 40)] * 2
    assert moved(Slice((0, 0, 1), (1, 1, 2)), (1, 1, 2)) == [LIMITS[1], LIMITS[3]]
    assert moved(Concat(2), (1, 1, 4)) == every
    assert moved(Resize("nearest"), (2, 3, 4)) == every
    assert moved(Resize("bilinear"), (2, 3, 4)) == every


def test_padding_adds_its_value() -> None:
    around = moved(Pad((0, 1, 0), (0, 0, 0)), (1, 2, 4))
    assert around == list(LIMITS)  # the zero point, -5, is inside all
    assert moved(Pad((0, 1, 0), (0, 0, 0), 25), (1, 2, 4))[:3] == [
        (-128, 25),
        (-100, 25),
        (-90, 30),
    ]
    behind = moved(Pad((0, 0, 1), (0, 0, 2), 77), (1, 1, 7))
    assert behind == [(77, 77), *LIMITS, (77, 77), (77, 77)]


def test_operators_without_a_rule_can_yield_anything() -> None:
    graph = layer(Softmax(), (2,), (2,), quantization=(1 / 256, -128))
    assert ranges(graph)["y"].hull == (-128, 127)


def test_output_that_wraps_behind_its_zero_point() -> None:
    """The greatest accumulator, times nearly 1, plus 127, leaves int32 and becomes -128."""
    tensors = {
        "input": QTensor("input", (1,), 1 - 3 * 2.0**-17, -128),
        "y": QTensor("y", (1,), 1.0, 127),
    }
    op = QOp(
        "y",
        Dense(),
        ("input",),
        np.ones((1, 1), np.int8),
        np.array([1 + 3 * 2.0**-17], np.float32),
        np.array([2**31 - 1 - 256], np.int32),
    )
    graph = QGraph("wraps", tensors, (op,), ("input",), ("y",))
    validate(graph)
    y = simulate(graph, BYTES[:, None])
    assert (y.min(), y.max()) == (-128, 127)
    assert ranges(graph)["y"].hull == (-128, 127)


def test_product_that_wraps() -> None:
    tensors = {
        "input": QTensor("input", (1,), 1.0, -128),
        "k": QTensor("k", (1,), 1.0, -128),
        "y": QTensor("y", (1,), 2.0**-20, 0),
    }
    data = {"k": np.full(1, 127, np.int8)}
    ops = (QOp("y", Binary("mul"), ("input", "k")),)
    graph = QGraph("wraps", tensors, ops, ("input",), ("y",), constants=data)
    validate(graph)
    y = simulate(graph, BYTES[:, None])
    assert y.min() < 0  # though no factor is
    assert ranges(graph)["y"].hull == (-128, 127)


def test_requantization_that_may_wrap_is_no_monotone_function() -> None:
    """The accumulator times 2^25 leaves int32: everything is possible then."""
    weight = np.array([[100]], np.int8)
    tensors = {"input": QTensor("input", (1,), 1.0, 0), "y": QTensor("y", (1,), 2.0**-25, 0)}
    op = QOp("y", Dense(), ("input",), weight, np.ones(1, np.float32), clamp=(-90, 80))
    graph = QGraph("wraps", tensors, (op,), ("input",), ("y",))
    found = ranges(graph)["y"]
    assert found.hull == (-90, 80)
    y = simulate(graph, BYTES[:, None])
    assert not (np.diff(y[:, 0].astype(int)) >= 0).all()  # it does wrap
