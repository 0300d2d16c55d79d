"""nanotool.numerics against exact rationals, scalar C semantics, and the real functions."""

from __future__ import annotations

import itertools
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
    Binary,
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
    return QGraph("bias_only", tensors, (layer,), ("x",), ("y",))


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


# --- Log-softmax ----------------------------------------------------------------------------------


def test_log_of_at_least_1() -> None:
    raw = np.unique(np.geomspace(2**19, 2**31 - 1, 5000).astype(np.int64))
    q5 = numerics.log_of_at_least_1(raw) / 2.0**26
    assert np.abs(q5 - np.log(raw / 2.0**19)).max() < 1e-7
    assert int(numerics.log_of_at_least_1(np.array(2**19))) == 0


@pytest.mark.parametrize("depth", [1, 2, 10, 500, numerics.LOG_SOFTMAX_MAX_DEPTH])
def test_log_softmax_is_within_one_step(depth: int) -> None:
    rng = np.random.default_rng(depth)
    for input_scale in (0.001, 0.05, 0.5, 4.0):
        x = rng.integers(-128, 128, (20, depth)).astype(np.int8)
        x[0] = 127
        diff = (x.astype(float) - x.max(axis=1, keepdims=True)) * input_scale
        real = diff - np.log(np.exp(diff).sum(axis=1, keepdims=True))
        q = numerics.log_softmax(x, numerics.log_softmax_parameters(input_scale))
        expected = np.clip(real * 16 + 127, -128, 127)
        assert np.abs(q - expected).max() <= 1


# --- Sums, products, means ------------------------------------------------------------------------

NEAR_1 = st.floats(-4, 4).map(lambda e: 2.0**e)
DIFFERENCE = st.integers(-255, 255)


@examples(300)
@given(NEAR_1, NEAR_1, NEAR_1, DIFFERENCE, DIFFERENCE, st.integers(-128, 127), st.booleans())
def test_add_is_within_one_step(  # noqa: PLR0917
    s1: float, s2: float, output: float, a: int, b: int, zero_point: int, subtract: bool
) -> None:
    s1, s2, output = (float(np.float32(scale)) for scale in (s1, s2, output))
    parameters = numerics.add_parameters(s1, s2, output)
    assert max(p[1] for p in (parameters.input1, parameters.input2, parameters.output)) <= 0
    q = numerics.add(np.array(a), np.array(b), parameters, zero_point, subtract=subtract)
    real = (s1 * a + (-b if subtract else b) * s2) / output + zero_point
    assert abs(int(q) - min(max(real, -128), 127)) <= 0.5001


@examples(300)
@given(NEAR_1, st.integers(1, 2**20), st.integers(-128, 127), st.integers(-128, 127))
def test_mean_is_within_one_step(ratio: float, count: int, zero: int, value: int) -> None:
    """All inputs the same: the mean is that. It is rounded twice where the multiplier shifts right,
    as TensorFlow Lite Micro does: the first half is then a part of a step."""
    ratio = float(np.float32(ratio))
    multiplier = numerics.mean_multiplier(ratio, 1.0, count)
    assert 0 < multiplier[0] < 2**31
    assert -31 <= multiplier[1] <= 30
    q = numerics.mean(np.array(count * value), count, multiplier, (zero, 3))
    real = (value - zero) * ratio + 3
    first = 0.5 * 2.0 ** multiplier[1] if multiplier[1] < 0 else 0.0
    assert abs(int(q) - min(max(real, -128), 127)) <= 0.51 + first


def test_add_refuses_to_scale_up() -> None:
    assert numerics.add_parameters(1.0, 0.5, 2.0**-18.9).output[1] == 0
    for output in (2.0**-19, 2.0**-40, 2.0**-120):
        with pytest.raises(InvalidModel) as caught:
            numerics.add_parameters(1.0, 0.5, output)
        assert caught.value.hint


def test_extreme_pairs_of_scales() -> None:
    """The smaller one vanishes; nothing overflows."""
    parameters = numerics.add_parameters(2.0**100, 2.0**-100, 2.0**100)
    assert parameters.input2 == (0, 0)
    assert numerics.add(np.array(7), np.array(255), parameters, 0) == 7


def tied_sum(rng: np.random.Generator, sign: int) -> tuple[list[float], int, int] | None:
    """(scales of two inputs and the output, two inputs) whose sum lies nearly on a half, so that
    quotients in float32 and in double give two results."""
    s1, s2 = (np.float32(scale) for scale in rng.uniform(0.5, 2, 2))
    a, b, k = int(rng.integers(3, 127)), int(rng.integers(-100, 100)), int(rng.integers(0, 40))
    total = abs(float(s1) * a + sign * float(s2) * b)
    output = np.float32(max(total, 1e-3) / (k + 0.5))
    twice = np.float32(2) * max(s1, s2)
    single = (s1 / twice, s2 / twice, twice / (np.float32(2**20) * output))
    pairs = [numerics.quantize_multiplier(float(ratio)) for ratio in single]
    scales = [float(s1), float(s2), float(output)]
    inputs = np.array(a), np.array(b)
    results = {
        int(numerics.add(*inputs, parameters, 0, subtract=sign < 0))
        for parameters in (numerics.AddParameters(*pairs), numerics.add_parameters(*scales))
    }
    return (scales, a, b) if len(results) == 2 else None


@pytest.mark.parametrize(("function", "sign"), [("add", 1), ("sub", -1)])
def test_quotients_of_sums_are_in_double(function: str, sign: int) -> None:
    rng = np.random.default_rng(3)
    cases = [case for case in (tied_sum(rng, sign) for _ in range(400)) if case is not None]
    assert len(cases) > 10
    for scales, a, b in cases[:20]:
        names = zip(("x", "b", "y"), scales, strict=True)
        tensors = {name: QTensor(name, (1,), scale, 0) for name, scale in names}
        constants = {"b": np.array([b], np.int8)}
        op = QOp("y", Binary(function), ("x", "b"))
        graph = QGraph("tied", tensors, (op,), ("x",), ("y",), constants=constants)
        x = np.array([[a]], np.int8)
        assert simulate(graph, x).tolist() == oracle.run(graph, x).tolist()


# --- Roots and positions --------------------------------------------------------------------------


@examples(200)
@given(st.integers(1, 2**27 - 1))
def test_inverse_square_root(value: int) -> None:
    multiplier, shift = numerics.inverse_square_root(value)
    assert 0 < multiplier < 2**31
    assert shift <= 0
    assert math.isclose(multiplier * 2.0 ** (shift - 31), value**-0.5, rel_tol=2e-6)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("centers", [False, True])
def test_positions_are_where_they_should_be(corners: bool, centers: bool) -> None:
    for size, output in itertools.product(range(1, 40), (1, 2, 3, 7, 20, 41, 64)):
        aligned = corners and output > 1
        step = Fraction(size - 1, output - 1) if aligned else Fraction(size, output)
        offset = Fraction(1, 2) if centers else Fraction(0)
        nearest = numerics.nearest_positions(size, output, corners, centers)
        exact = [(i + offset) * step + (Fraction(1, 2) if corners else 0) for i in range(output)]
        for index, position in zip(nearest.tolist(), exact, strict=True):
            near_edge = abs(position - round(position)) < Fraction(1, 10**5)
            assert index == min(math.floor(position), size - 1) or near_edge
        bilinear = numerics.bilinear_positions(size, output, corners, centers)
        for i, (low, high, weight) in enumerate(
            zip(bilinear.lower, bilinear.upper, bilinear.weight, strict=True)
        ):
            exact_place = (i + offset) * step - offset
            place = low + (high - low) * Fraction(int(weight), 1024)
            assert abs(place - min(max(exact_place, 0), size - 1)) <= Fraction(output, 1024)
            assert 0 <= low <= high <= size - 1
