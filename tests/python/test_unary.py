"""Tables of unary functions against TFLite Micro, input by input, and against the real ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples

from nanotool import numerics, unary
from nanotool.errors import InvalidModel
from nanotool.ir import Int8Array, QGraph, QOp, QTensor, Unary

ALL_INPUTS: Int8Array = np.arange(-128, 128).astype(np.int8)
ZERO_POINTS = (-128, -127, -1, 0, 5, 126, 127)


def from_tflm(function: str, source: QTensor, target: QTensor) -> Int8Array:
    """What TFLite Micro makes of all 256 inputs."""
    op = QOp(target.name, Unary(function), (source.name,))
    graph = QGraph("unary", {source.name: source, target.name: target}, (op,), ("x",), ("y",))
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


REQUANTIZING = ("abs", "identity", "leaky_relu:0.01", "leaky_relu:-1.7", "relu", "relu6")


@pytest.mark.parametrize("function", REQUANTIZING)
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


@examples(150)
@given(
    slope=st.floats(-3, 3, width=32) | st.floats(2.0**-20, 2.0**-10, width=32),
    scale=st.floats(-10, 10).map(lambda e: 2.0**e),
    ratio=st.floats(-8, 8).map(lambda e: 2.0**e),
    zero_points=st.tuples(st.integers(-128, 127), st.integers(-128, 127)),
)
def test_leaky_relus_equal_tflm(
    slope: float, scale: float, ratio: float, zero_points: tuple[int, int]
) -> None:
    function = unary.named("leaky_relu", slope)
    source = tensor("x", scale, zero_points[0])
    target = tensor("y", scale * ratio, zero_points[1])
    expected = from_tflm(function, source, target)
    assert np.array_equal(unary.table(function, source, target), expected)


@pytest.mark.parametrize("function", ["elu", "hard_swish"])
@examples(200)
@given(
    scale=st.floats(-12, 12).map(lambda e: 2.0**e),
    ratio=st.floats(-6.9, 20).map(lambda e: 2.0**e) | st.just(1.0),
    zero_points=st.tuples(st.integers(-128, 127), st.integers(-128, 127)),
)
def test_curved_tables_equal_tflm(
    function: str, scale: float, ratio: float, zero_points: tuple[int, int]
) -> None:
    source = tensor("x", scale, zero_points[0])
    target = tensor("y", scale * ratio, zero_points[1])
    expected = from_tflm(function, source, target)
    assert np.array_equal(unary.table(function, source, target), expected)


@examples(200)
@given(
    scale=st.floats(-20, 12).map(lambda e: 2.0**e),
    output=st.floats(-9, 4).map(lambda e: 2.0**e),
    zero_point=st.integers(-128, 127),
)
def test_inverse_roots_equal_tflm(scale: float, output: float, zero_point: int) -> None:
    """Of what is not negative: TFLite Micro refuses the rest."""
    source, target = tensor("x", scale, -128), tensor("y", output, zero_point)
    expected = from_tflm("rsqrt", source, target)
    assert np.array_equal(unary.table("rsqrt", source, target), expected)


# --- Quotients of scales are computed in double, whatever the sources say -------------------------


def nearly_tied(rng: np.random.Generator, factor: float = 1.0) -> tuple[float, float]:
    """Float32 scales (input, output) for which some q · factor · input / output lies so near a half
    that a quotient rounded to float32 gives another table entry than one in double."""
    while True:
        q, k, source = rng.integers(3, 127), rng.integers(0, 40), np.float32(rng.uniform(0.5, 2))
        target = np.float32(float(source) * factor * float(q) / (float(k) + 0.5))
        single = np.float32(source * np.float32(factor)) / target
        double = float(source) * float(np.float32(factor)) / float(target)
        one, two = (
            numerics.requantize(np.arange(128), *numerics.quantize_multiplier(real), 0)
            for real in (float(single), double)
        )
        if not np.array_equal(one, two):
            return float(source), float(target)


@pytest.mark.parametrize(
    ("function", "factor"),
    [("relu", 1.0), ("abs", 1.0), ("leaky_relu:0.5", 1.0), ("leaky_relu:0.3", 0.3)],
)
def test_quotients_of_scales_are_in_double(function: str, factor: float) -> None:
    rng = np.random.default_rng(5)
    for _ in range(15):
        scale, output = nearly_tied(rng, factor)
        source, target = tensor("x", scale, 0), tensor("y", output, 0)
        expected = from_tflm(function, source, target)
        assert np.array_equal(unary.table(function, source, target), expected)


def test_the_hard_swishs_quotient_is_in_double() -> None:
    """Scales whose quotient in float32 lies on a half of the 16-bit multiplier; in double not."""
    source, target = tensor("x", 4.782092571258545, 91), tensor("y", 0.8763372302055359, -95)
    expected = from_tflm("hard_swish", source, target)
    assert np.array_equal(unary.table("hard_swish", source, target), expected)
    single = np.float32(source.scale) / np.float32(128) / np.float32(target.scale)
    assert numerics.quantize_multiplier(float(single))[0] % 2**16 == 2**15


# --- Functions that TFLite Micro has in float only ------------------------------------------------

REAL: dict[str, Callable[[float], float]] = {
    "ceil": math.ceil,
    "cos": math.cos,
    "exp": lambda x: math.exp(x) if x < 700 else math.inf,
    "floor": math.floor,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "gelu_tanh": lambda x: (
        x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    ),
    "hard_sigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
    "log": lambda x: math.log(x) if x > 0 else -math.inf,
    "neg": lambda x: -x,
    "relu_n1_to_1": lambda x: min(max(x, -1), 1),
    "round": round,
    "sign": lambda x: math.copysign(1, x) if x else 0,
    "sin": math.sin,
    "silu": lambda x: x / (1 + math.exp(-x)) if x > -700 else 0,
    "sqrt": lambda x: math.sqrt(x) if x > 0 else 0,
    "square": lambda x: x * x,
    "elu:0.5": lambda x: x if x > 0 else 0.5 * math.expm1(x),
}


def nearest(function: str, source: QTensor, target: QTensor) -> list[set[int]]:
    """For each input the int8 that is nearest to the function's float64 value, halves away from
    zero; where the value is within its own rounding error of a half, either neighbour."""
    results = []
    for q in range(-128, 128):
        scaled = REAL[function]((q - source.zero_point) * source.scale) / target.scale
        slack = abs(scaled) * 2.0**-50
        entries = set()
        for value in (scaled - slack, scaled + slack):
            limited = max(-1000.0, min(1000.0, value))
            whole = math.copysign(math.floor(abs(limited) + 0.5), limited)
            entries.add(max(-128, min(127, int(whole) + target.zero_point)))
        results.append(entries)
    return results


def test_all_of_them_are_tested() -> None:
    real_only = {name for name, entry in unary.FUNCTIONS.items() if not entry.in_tflm}
    assert real_only | {"elu:0.5"} == set(REAL)


@pytest.mark.parametrize("function", REAL)
@examples(60)
@given(
    scale=st.floats(-12, 6).map(lambda e: 2.0**e),
    output=st.floats(-12, 6).map(lambda e: 2.0**e),
    zero_points=st.tuples(st.integers(-128, 127), st.integers(-128, 127)),
)
def test_tables_hold_the_nearest_int8(
    function: str, scale: float, output: float, zero_points: tuple[int, int]
) -> None:
    """All 256 entries against float64, and against TFLite Micro's look-up in the written table."""
    source, target = tensor("x", scale, zero_points[0]), tensor("y", output, zero_points[1])
    table = unary.table(function, source, target)
    for entry, allowed in zip(table.tolist(), nearest(function, source, target), strict=True):
        assert entry in allowed
    assert np.array_equal(from_tflm(function, source, target), table)


@pytest.mark.parametrize("function", ["neg", "hard_sigmoid", "relu_n1_to_1"])
def test_halves_go_away_from_zero(function: str) -> None:
    """Powers of two as scales: ties are exact."""
    source, target = tensor("x", 2.0**-5, 0), tensor("y", 2.0**-4, 0)
    table = unary.table(function, source, target).astype(int)
    if function == "neg":
        assert table[128:134].tolist() == [0, -1, -1, -2, -2, -3]
        assert table[123:128].tolist() == [3, 2, 2, 1, 1]
    if function == "relu_n1_to_1":
        assert table[128:134].tolist() == [0, 1, 1, 2, 2, 3]
        assert table.min() == -16
        assert table.max() == 16
    if function == "hard_sigmoid":
        assert table[128] == 8
        assert (table[:33] == 0).all()
        assert (table[224:] == 16).all()


# --- Names ----------------------------------------------------------------------------------------


def test_parameters_stand_behind_a_colon() -> None:
    assert unary.named("leaky_relu", 0.1) == "leaky_relu:0.1"
    assert unary.named("leaky_relu", np.float32(0.1)) == "leaky_relu:0.1"
    assert unary.parameter("leaky_relu:0.1") == float(np.float32(0.1))
    assert unary.parameter("relu") is None
    assert unary.definition("leaky_relu:0.1").name == "leaky_relu:0.1"
    assert unary.definition(unary.named("elu", 1)).name == "elu"
    assert unary.definition("leaky_relu:1e-20").in_tflm


@pytest.mark.parametrize(
    "name",
    [
        *("leaky_relu", "leaky_relu:", "leaky_relu:x", "leaky_relu:nan", "leaky_relu:inf"),
        *("leaky_relu:1e400", "leaky_relu:0.10", "leaky_relu: 0.1", "leaky_relu:0.1:0.1"),
        *("relu:1", ":1", "", "leaky_relu:" + "1" * 5000, "leaky_relu:1_0", "leaky_relu:0x1p0"),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidModel, match="no unary function named") as caught:
        unary.definition(name)
    assert "leaky_relu:NUMBER" in caught.value.hint
    assert len(str(caught.value)) < 1000


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


FLOAT32_LIMITS = (2.0**-149, 2.0**-127, 2.0**-60, 1.0, 2.0**60, 2.0**127)


@pytest.mark.parametrize("function", [*sorted(unary.FUNCTIONS), "leaky_relu:0.3", "elu:0.5"])
def test_tables_at_the_limits_of_float32(function: str) -> None:
    """A table or a refusal with a hint, never NumPy's warning (which is an error here). Sigmoid
    and tanh have their own norm beyond TFLite Micro's range, ELU is float32, hard-swish 16 bits."""
    definition = unary.definition(function)
    for scale, out, zero_point in itertools.product(FLOAT32_LIMITS, FLOAT32_LIMITS, (-128, 3)):
        source = tensor("x", scale, zero_point)
        fixed = definition.fixed_output is not None
        target = output_of(function) if fixed else tensor("y", out, -20)
        try:
            table = unary.table(function, source, target)
        except InvalidModel as error:
            assert error.hint
            continue
        if fixed or function in {"elu", "hard_swish", "rsqrt"}:
            continue
        x = (np.arange(-128, 128) - zero_point).astype(np.float64) * source.scale
        with np.errstate(over="ignore"):
            real = definition.real(x) / target.scale
        expected = np.clip(np.clip(np.round(real), -1024, 1024) + target.zero_point, -128, 127)
        assert np.abs(table - expected).max() <= 1, (scale, out, zero_point)


def test_elu_at_the_limits_of_float32() -> None:
    """The inverse of the output's scale is infinite: 0 stays 0 all the same."""
    table = unary.table("elu", tensor("x", 0.1, 3), tensor("y", 2.0**-149, 5))
    assert table.tolist() == [-128] * 131 + [5] + [127] * 124
    table = unary.table("elu", tensor("x", 2.0**127, 3), tensor("y", 2.0**127, 5))
    assert table.tolist() == [5] * 132 + [6] + [127] * 123  # 2 · 2^127 is infinite


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
        (6.0, 2.0**-149, -128, 127),  # the quotient leaves float32
        (-1.0, 2.0**-149, 127, -128),
        (0.0, 2.0**-149, 7, 7),
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
