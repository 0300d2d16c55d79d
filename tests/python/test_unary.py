"""Tables of unary functions against TFLite Micro, input by input, and against the real ones."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples

from nanotool import unary
from nanotool.errors import InvalidModel
from nanotool.ir import Int8Array, QGraph, QOp, QTensor, Unary

ALL_INPUTS: Int8Array = np.arange(-128, 128).astype(np.int8)
ZERO_POINTS = (-128, -127, -1, 0, 5, 126, 127)


def from_tflm(function: str, source: QTensor, target: QTensor) -> Int8Array:
    """What TFLite Micro makes of all 256 inputs."""
    op = QOp(target.name, Unary(function), (source.name,))
    graph = QGraph("unary", {source.name: source, target.name: target}, (op,), "x", "y")
    return oracle.run(graph, ALL_INPUTS[np.newaxis]).reshape(256)


def tensor(name: str, scale: float, zero_point: int) -> QTensor:
    return QTensor(name, (256,), scale, zero_point)


def output_of(function: str) -> QTensor:
    fixed = unary.fixed_output(function)
    assert fixed is not None
    return tensor("y", *fixed)


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("zero_point", ZERO_POINTS)
def test_saturating_tables_equal_tflm(function: str, zero_point: int) -> None:
    target = output_of(function)
    rng = np.random.default_rng(zero_point + 128)
    dense = 2.0 ** rng.uniform(-10, 1, 40)  # where the curves are not constant
    for scale in (*dense, *2.0 ** np.arange(-28.0, 35.0, 1.5), 7.9999995, 8.0):
        source = tensor("x", float(scale), zero_point)
        expected = from_tflm(function, source, target)
        assert np.array_equal(unary.table(function, source, target), expected), source


@pytest.mark.parametrize("function", ["relu", "relu6", "identity"])
@examples(60)
@given(
    scale=st.floats(-25, 20).map(lambda e: 2.0**e),
    ratio=st.floats(-20, 20).map(lambda e: 2.0**e) | st.just(1.0),
    zero_points=st.tuples(st.integers(-128, 127), st.integers(-128, 127)),
    same=st.booleans(),
)
def test_requantizing_tables_equal_tflm(
    function: str, scale: float, ratio: float, zero_points: tuple[int, int], same: bool
) -> None:
    source = tensor("x", scale, zero_points[0])
    target = tensor("y", scale if same else scale * ratio, zero_points[0 if same else 1])
    expected = from_tflm(function, source, target)
    assert np.array_equal(unary.table(function, source, target), expected)


@pytest.mark.parametrize("function", sorted(unary.FUNCTIONS))
@pytest.mark.parametrize("scale", [0.002, 0.03, 0.1, 0.9])
@pytest.mark.parametrize("zero_point", [-128, 3])
def test_tables_are_near_the_real_function(function: str, scale: float, zero_point: int) -> None:
    source = tensor("x", scale, zero_point)
    fixed = unary.fixed_output(function)
    target = output_of(function) if fixed else tensor("y", scale * 0.7, -20)
    real = unary.FUNCTIONS[function].real(source.dequantize(ALL_INPUTS).astype(np.float64))
    off = unary.table(function, source, target).astype(int) - target.quantize(real)
    assert np.abs(off).max() <= 1


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-149, 2.0**36, 2.0**127])
def test_saturating_tables_beyond_tflms_range(function: str, scale: float) -> None:
    """Below 2^-28 and from 2^35 on TFLite Micro shifts 64-bit numbers by a negative or too large
    amount, which C leaves undefined. Here the formula goes on meaning what it says."""
    target = output_of(function)
    table = unary.table(function, tensor("x", scale, 0), target)
    at_zero = int(target.quantize(unary.FUNCTIONS[function].real(np.zeros(1)))[0])
    if scale < 1:
        assert set(table.tolist()) == {at_zero}
    else:
        assert table.tolist() == [-128] * 129 + [127] * 127


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_huge_scales_send_zero_to_minus_128(function: str) -> None:
    """TFLite Micro's radius is 0 from scale 8 on, and 0 <= -0: the real 0 saturates. Its bytes
    are the norm here, so ours do the same."""
    target = output_of(function)
    before = unary.table(function, tensor("x", 7.9999995, 0), target)
    after = unary.table(function, tensor("x", 8.0, 0), target)
    assert before[128] == int(target.quantize(unary.FUNCTIONS[function].real(np.zeros(1)))[0])
    assert after[128] == -128
    assert np.array_equal(after, from_tflm(function, tensor("x", 8.0, 0), target))


def test_clamp() -> None:
    source, target = tensor("x", 0.1, 0), tensor("y", 0.1, 0)
    table = unary.table("identity", source, target, clamp=(-5, 60))
    assert table.tolist() == np.clip(np.arange(-128, 128), -5, 60).tolist()


@pytest.mark.parametrize(
    ("bound", "scale", "zero_point", "expected"),
    [
        (0.0, 0.1, -5, -5),
        (6.0, 0.1, -128, -68),
        (6.0, 0.01, -128, 127),
        (6.0, 1e-30, 0, 127),
        (-1.0, 1e-30, 0, -128),
        (0.5, 1.0, 0, 1),  # halves away from zero
        (-0.5, 1.0, 0, -1),
        (float("inf"), 1.0, 0, 127),
        (float("-inf"), 1.0, 0, -128),
    ],
)
def test_quantized_bound(bound: float, scale: float, zero_point: int, expected: int) -> None:
    assert unary.quantized_bound(bound, tensor("x", scale, zero_point)) == expected


def test_errors() -> None:
    source, target = tensor("x", 0.1, 0), tensor("y", 0.1, 0)
    with pytest.raises(InvalidModel, match="no unary function named 'sinh'"):
        unary.table("sinh", source, target)
    with pytest.raises(InvalidModel, match=r"scale 0\.00390625 and zero point -128"):
        unary.table("sigmoid", source, target)
    with pytest.raises(InvalidModel, match="does not fit"):
        unary.table("relu", tensor("x", 1e20, 0), target)
