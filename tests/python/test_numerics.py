"""nanotool.numerics against exact rationals, scalar C semantics, and the real functions."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples

from nanotool import numerics
from nanotool.errors import InvalidModel
from nanotool.ir import (
    Conv2D,
    Dense,
    FloatArray,
    Int8Array,
    Int32Array,
    QGraph,
    QOp,
    QTensor,
    Shape,
    Window,
)
from nanotool.simulate import simulate

INT32 = st.integers(-(2**31), 2**31 - 1)


def wrap(value: int) -> int:
    """A 32-bit register."""
    return (value + 2**31) % 2**32 - 2**31


def round_half_away(value: Fraction) -> int:
    return int(math.copysign(math.floor(abs(value) + Fraction(1, 2)), value))


def c_divide(a: int, b: int) -> int:
    """C's division: toward zero."""
    return abs(a) // b * (1 if a >= 0 else -1)


def high_multiply(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul as gemmlowp states it, on Python's integers."""
    if a == b == -(2**31):
        return 2**31 - 1
    product = a * b
    return c_divide(product + (2**30 if product >= 0 else 1 - 2**30), 2**31)


def scale(value: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier with two roundings, on Python's integers."""
    left, right = max(shift, 0), max(-shift, 0)
    product = high_multiply(wrap(value << left), multiplier)
    return round_half_away(Fraction(product, 2**right))


# --- Requantization -------------------------------------------------------------------------------


@examples(500)
@given(st.floats(2.0**-32, 2.0**29, allow_nan=False))
def test_quantize_multiplier_is_the_nearest(real: float) -> None:
    multiplier, shift = numerics.quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    assert -31 <= shift <= 30
    step = Fraction(2) ** (shift - 31)
    assert abs(multiplier * step - Fraction(real)) <= step / 2


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (0.75, (3 * 2**29, 0)),
        (1 - 2.0**-40, (2**30, 1)),  # the mantissa rounds to 2^31: carry
        (2.0**-32, (2**30, -31)),
        (2.0**-32 * (1 - 2.0**-30), (0, 0)),  # every int32 times it rounds to 0
        (2.0**-200, (0, 0)),
        (2.0**29, (2**30, 30)),
    ],
)
def test_quantize_multiplier_at_the_edges(real: float, expected: tuple[int, int]) -> None:
    assert numerics.quantize_multiplier(real) == expected


@pytest.mark.parametrize("real", [-1.0, math.nan, math.inf, 2.0**30, 2.0**30 * (1 - 2.0**-40)])
def test_quantize_multiplier_refuses(real: float) -> None:
    with pytest.raises(InvalidModel) as caught:
        numerics.quantize_multiplier(real)
    assert caught.value.hint


@examples(1000)
@given(INT32, st.integers(2**30, 2**31 - 1) | st.just(0), st.integers(-31, 30))
def test_multiply_by_quantized_multiplier(value: int, multiplier: int, shift: int) -> None:
    result = numerics.multiply_by_quantized_multiplier(np.array([value]), multiplier, shift)
    assert result.tolist() == [scale(value, multiplier, shift)]


@examples(500)
@given(INT32, INT32)
def test_doubling_high_multiply(a: int, b: int) -> None:
    assert int(numerics.doubling_high_multiply(np.array(a), np.array(b))) == high_multiply(a, b)


def test_doubling_high_multiply_saturates() -> None:
    least = np.array(-(2**31))
    assert int(numerics.doubling_high_multiply(least, least)) == 2**31 - 1


@examples(500)
@given(INT32, st.integers(0, 31))
def test_rounding_divide_by_pot(value: int, exponent: int) -> None:
    expected = round_half_away(Fraction(value, 2**exponent))
    assert int(numerics.rounding_divide_by_pot(np.array(value), exponent)) == expected


def test_two_roundings_are_not_one() -> None:
    """1.49999 is first 1.5, then 2: the scheme is TFLite's, not the nearest integer."""
    value, multiplier, shift = 2**20 * 3 - 1, 2**30, -20
    assert round(value * multiplier * 2.0 ** (shift - 31)) == 1
    result = numerics.multiply_by_quantized_multiplier(np.array(value), multiplier, shift)
    assert int(result) == 2


def test_requantize_broadcasts_over_the_last_axis() -> None:
    acc = np.array([[100, 100], [-100, 1000]])
    multiplier, shift = np.array([2**30, 2**30], np.int32), np.array([0, 1], np.int8)
    q = numerics.requantize(acc, multiplier, shift, zero_point=5, lo=-40, hi=110)
    assert q.dtype == np.int8
    assert q.tolist() == [[55, 105], [-40, 110]]


# --- Effective multipliers: what TFLite Micro does, found by experiment ---------------------------


def quantized(real: float) -> tuple[int, int]:
    return numerics.quantize_multiplier(real)


def differing_scales(rng: np.random.Generator) -> tuple[float, float, float]:
    """Scales for which input · weight / output in float32 and in double give two multipliers."""
    while True:
        a, b, c = (np.float32(v) for v in rng.uniform(0.5, 1.0, 3) * [1, 2.0**-24, 1])
        if quantized(float(a * b) / float(c)) != quantized(float(a) * float(b) / float(c)):
            return float(a), float(b), float(c)


def telling_bias(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int, int]:
    """(bias, output by ``one``, output by ``other``), the outputs differing."""
    for k in range(20, 100):
        center = int((k + 0.5) * 2.0 ** (31 - one[1]) / one[0])
        bias = np.arange(center - 200, center + 200)
        outputs = [numerics.requantize(bias, *pair, 0).astype(int) for pair in (one, other)]
        where = np.flatnonzero(outputs[0] != outputs[1])
        if where.size:
            i = int(where[0])
            return int(bias[i]), int(outputs[0][i]), int(outputs[1][i])
    raise AssertionError("no accumulator tells them apart")


def bias_only(
    op: Dense | Conv2D, shape: Shape, scales: tuple[float, float, float], bias: int, channels: int
) -> QGraph:
    """A layer without effective weights: the accumulator is the bias."""
    weight: Int8Array = np.zeros((channels, *((1, 1, 1) if isinstance(op, Conv2D) else (1,))))
    weight_scale: FloatArray = np.full(channels, scales[1], np.float32)
    biases: Int32Array = np.full(channels, bias, np.int32)
    layer = QOp("y", op, ("x",), weight.astype(np.int8), weight_scale, biases)
    tensors = {
        "x": QTensor("x", (*shape, 1), scales[0], 0),
        "y": QTensor("y", (*shape, channels), scales[2], 0),
    }
    return QGraph("bias_only", tensors, (layer,), "x", "y")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("op", [Dense(), Conv2D(Window((1, 1)))], ids=["dense", "conv2d"])
def test_effective_multipliers_are_in_double(op: Dense | Conv2D, channels: int, seed: int) -> None:
    a, b, c = differing_scales(np.random.default_rng(seed))
    single, double = quantized(float(np.float32(a) * np.float32(b)) / c), quantized(a * b / c)
    bias, by_double, by_single = telling_bias(double, single)
    assert by_double != by_single
    shape = (1, 1) if isinstance(op, Conv2D) else ()
    graph = bias_only(op, shape, (a, b, c), bias, channels)
    x = np.zeros((1, *shape, 1), np.int8)
    assert oracle.run(graph, x).ravel().tolist() == [by_double] * channels
    assert simulate(graph, x).ravel().tolist() == [by_double] * channels


def test_one_weight_scale_for_all_channels() -> None:
    """The rule does not depend on the number of scales: two channels may share one."""
    a, b, c = differing_scales(np.random.default_rng(0))
    single, double = quantized(float(np.float32(a) * np.float32(b)) / c), quantized(a * b / c)
    bias, by_double, _ = telling_bias(double, single)
    graph = bias_only(Dense(), (), (a, b, c), bias, channels=2)
    shared = replace(graph.ops[0], weight_scale=np.array([b], np.float32))
    graph = replace(graph, ops=(shared,))
    assert oracle.run(graph, np.zeros((1, 1), np.int8)).tolist() == [[by_double] * 2]


# --- Fixed-point functions ------------------------------------------------------------------------


@pytest.mark.parametrize("integer_bits", [0, 2, 4, 5])
def test_exp_on_negative_values(integer_bits: int) -> None:
    raw = -np.unique(np.geomspace(1, 2**31 - 1, 5000).astype(np.int64))
    real = np.exp(raw / 2.0 ** (31 - integer_bits))
    q0 = numerics.exp_on_negative_values(raw, integer_bits) / 2.0**31
    assert np.abs(q0 - real).max() < 1e-6
    assert int(numerics.exp_on_negative_values(np.array(0), integer_bits)) == 2**31 - 1


def test_one_over_one_plus() -> None:
    raw = np.linspace(0, 2**31 - 1, 5000).astype(np.int64)
    q0 = numerics.one_over_one_plus(raw) / 2.0**31
    assert np.abs(q0 - 1 / (1 + raw / 2.0**31)).max() < 1e-8


def test_logistic_and_tanh() -> None:
    raw = np.linspace(-(2**31) + 1, 2**31 - 1, 9999).astype(np.int64)
    x = raw / 2.0**27
    assert np.abs(numerics.logistic(raw, 4) / 2.0**31 - 1 / (1 + np.exp(-x))).max() < 1e-6
    assert np.abs(numerics.tanh(raw, 4) / 2.0**31 - np.tanh(x)).max() < 1e-6
    zero = np.array(0)
    assert int(numerics.logistic(zero, 4)) == 2**30
    assert int(numerics.tanh(zero, 4)) == 0


# --- Softmax --------------------------------------------------------------------------------------


@examples(200)
@given(
    st.floats(2.0**-25, 2.0**20, width=32),
    st.floats(0.0625, 8, width=32),
)
def test_softmax_parameters_stay_in_range(input_scale: float, beta: float) -> None:
    if beta * input_scale <= 2.0**-25:
        return
    multiplier, left_shift, diff_min = numerics.softmax_parameters(beta, input_scale)
    assert 2**30 <= multiplier < 2**31
    assert 0 <= left_shift <= 31
    assert -255 <= diff_min <= 0
    assert abs(diff_min) << left_shift < 2**31  # the left shift never overflows
    if beta * input_scale < 31:
        factor = multiplier * 2.0 ** (left_shift - 31 - 26)
        assert math.isclose(factor, beta * input_scale, rel_tol=1e-8)


@pytest.mark.parametrize(("beta", "input_scale"), [(1.0, 2.0**-26), (0.0, 1.0), (-1.0, 0.1)])
def test_softmax_parameters_refuse(beta: float, input_scale: float) -> None:
    with pytest.raises(InvalidModel) as caught:
        numerics.softmax_parameters(beta, input_scale)
    assert caught.value.hint


@pytest.mark.parametrize("depth", [1, 2, 10, 500, 2000, numerics.SOFTMAX_MAX_DEPTH])
def test_softmax_is_within_one_step(depth: int) -> None:
    rng = np.random.default_rng(depth)
    for input_scale in (0.001, 0.05, 0.5, 4.0):
        x = rng.integers(-128, 128, (20, depth)).astype(np.int8)
        x[0] = 127
        power = np.exp((x.astype(float) - x.max(axis=1, keepdims=True)) * input_scale)
        real = power / power.sum(axis=1, keepdims=True)
        q = numerics.softmax(x, *numerics.softmax_parameters(1.0, input_scale))
        assert np.abs((q.astype(float) + 128) / 256 - real).max() <= 1 / 256


def test_softmax_is_invariant_to_rows_around_it() -> None:
    x = np.arange(-60, 60).astype(np.int8).reshape(2, 3, 20)
    parameters = numerics.softmax_parameters(1.0, 0.1)
    whole = numerics.softmax(x, *parameters)
    rows = [numerics.softmax(row, *parameters) for row in x.reshape(6, 20)]
    assert np.array_equal(whole.reshape(6, 20), rows)
